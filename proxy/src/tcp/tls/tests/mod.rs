//! A terminator against the library's own client, in memory.

mod choice;
mod exchange;
mod files;
mod hostile;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, SupportedProtocolVersion};
use tempfile::TempDir;

use super::certificates::CertificateWarning;
use super::failure::TlsError;
use super::*;

/// An authority, and files of what it has signed.
struct Authority {
    dir: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        fs::write(dir.path().join("ca.pem"), certificate.pem()).unwrap();
        let issuer = Issuer::new(params, key);
        Self { dir, issuer }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join(file)
    }

    /// Signs a certificate for these names; `change` may make it a special one.
    fn sign_with(
        &self,
        file: &str,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> CertificateFiles {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let files = CertificateFiles {
            certificate: self.path(&format!("{file}.pem")),
            key: self.path(&format!("{file}.key")),
        };
        fs::write(&files.certificate, certificate.pem()).unwrap();
        fs::write(&files.key, key.serialize_pem()).unwrap();
        files
    }

    fn sign(&self, file: &str, names: &[&str]) -> CertificateFiles {
        self.sign_with(file, names, |_| {})
    }

    /// Options with one certificate for `a.example`.
    fn options(&self) -> TlsOptions {
        TlsOptions {
            certificates: vec![self.sign("a", &["a.example"])],
            ..TlsOptions::default()
        }
    }

    /// What a client is that trusts the authority and speaks one version.
    fn client(&self, version: &'static SupportedProtocolVersion) -> ClientConfig {
        self.client_as(version, None)
    }

    fn client_as(
        &self,
        version: &'static SupportedProtocolVersion,
        identity: Option<&CertificateFiles>,
    ) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(certificate(&self.path("ca.pem"))).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots);
        match identity {
            Some(files) => {
                let key = PrivateKeyDer::from_pem_file(&files.key).unwrap();
                let chain = vec![certificate(&files.certificate)];
                builder.with_client_auth_cert(chain, key).unwrap()
            }
            None => builder.with_no_client_auth(),
        }
    }
}

fn certificate(path: &Path) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(path).unwrap()
}

/// A client and a server, and what each has read of the other.
struct Pair {
    client: ClientConnection,
    server: Tls,
    client_read: Vec<u8>,
    server_read: Vec<u8>,
}

impl Pair {
    fn new(terminator: &Terminator, client: &Arc<ClientConfig>, name: &str) -> Self {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        Self {
            client: ClientConnection::new(Arc::clone(client), name).unwrap(),
            server: terminator.accept(),
            client_read: Vec::new(),
            server_read: Vec::new(),
        }
    }

    /// What the client wants to send.
    fn client_output(&mut self) -> Vec<u8> {
        let mut sent = Vec::new();
        while self.client.wants_write() {
            self.client.write_tls(&mut sent).unwrap();
        }
        sent
    }

    /// Gives the client what the server sent.
    fn give_client(&mut self, mut sent: &[u8]) -> Result<(), rustls::Error> {
        use std::io::Read;
        while !sent.is_empty() {
            self.client.read_tls(&mut sent).unwrap();
            self.client.process_new_packets()?;
            // Nothing to read is an error to this reader; it is fine here.
            let _ = self.client.reader().read_to_end(&mut self.client_read);
        }
        Ok(())
    }

    /// Gives the server bytes in pieces, and the client what the server says to them.
    fn give_server(&mut self, mut sent: Vec<u8>, piece: usize) -> Result<(), TlsError> {
        for piece in sent.chunks_mut(piece) {
            let mut answer = Vec::new();
            let received = self
                .server
                .receive(piece, &mut self.server_read, &mut answer);
            let understood = self.give_client(&answer);
            received?;
            understood.expect("a client that is satisfied with what the server says");
        }
        Ok(())
    }

    /// Lets both talk until they have nothing more to say.
    fn talk(&mut self, piece: usize) -> Result<(), TlsError> {
        while self.client.wants_write() {
            let sent = self.client_output();
            self.give_server(sent, piece)?;
        }
        Ok(())
    }

    fn client_writes(&mut self, data: &[u8], piece: usize) {
        use std::io::Write;
        let mut rest = data;
        while !rest.is_empty() {
            let taken = self.client.writer().write(rest).unwrap();
            rest = &rest[taken..];
            self.talk(piece).unwrap();
        }
    }

    fn server_writes(&mut self, data: &[u8], piece: usize) {
        let mut sent = Vec::new();
        for piece in data.chunks(piece) {
            self.server.send(piece, &mut sent).unwrap();
        }
        self.give_client(&sent).unwrap();
    }
}

/// A pair that has shaken hands.
fn open(version: &'static SupportedProtocolVersion) -> Pair {
    let authority = Authority::new();
    let terminator = Terminator::open(&authority.options()).unwrap();
    let client = Arc::new(authority.client(version));
    let mut pair = Pair::new(&terminator, &client, "a.example");
    pair.talk(usize::MAX).unwrap();
    assert!(!pair.server.is_handshaking());
    pair
}

const VERSIONS: [&SupportedProtocolVersion; 2] = [&rustls::version::TLS12, &rustls::version::TLS13];
