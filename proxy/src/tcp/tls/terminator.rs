//! What all TLS connections share: certificates, keys, options, sessions to resume.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rustls::crypto::{CryptoProvider, ring};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{
    NoServerSessionStorage, ServerSessionMemoryCache, UnbufferedServerConnection,
    VerifierBuilderError, WebPkiClientVerifier,
};
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion, version};

use super::certificates::{self, CertificateFiles, CertificateWarning, Certificates};
use super::connection::Tls;
use super::failure::TlsConfigError;

/// How many sessions are kept for TLS 1.2 clients that resume without tickets, which
/// few do; each has some hundred bytes.
const MAX_SESSIONS: usize = 4096;

static TLS12_UP: &[&SupportedProtocolVersion] = &[&version::TLS13, &version::TLS12];
static TLS13_UP: &[&SupportedProtocolVersion] = &[&version::TLS13];

/// How TLS is terminated.
#[derive(Clone, Debug, Default)]
pub(crate) struct TlsOptions {
    /// The first one is for clients that ask for no name, or for one that no
    /// certificate has.
    pub(crate) certificates: Vec<CertificateFiles>,
    /// Protocols to agree on by ALPN, the preferred one first; none leaves ALPN alone.
    pub(crate) alpn: Vec<String>,
    /// The lowest version to agree on.
    pub(crate) minimum_version: MinimumVersion,
    /// Whether clients have certificates.
    pub(crate) client_certificates: ClientCertificates,
    /// Clients must shake hands anew each time.
    pub(crate) no_resumption: bool,
}

/// The lowest version of TLS to agree on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum MinimumVersion {
    /// 1.2.
    #[default]
    Tls12,
    /// 1.3.
    Tls13,
}

impl FromStr for MinimumVersion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "1.2" => Ok(Self::Tls12),
            "1.3" => Ok(Self::Tls13),
            _ => Err(format!("TLS version {text:?}: must be 1.2 or 1.3")),
        }
    }
}

impl MinimumVersion {
    fn versions(self) -> &'static [&'static SupportedProtocolVersion] {
        match self {
            Self::Tls12 => TLS12_UP,
            Self::Tls13 => TLS13_UP,
        }
    }
}

/// Whether clients prove who they are, and who vouches for them: a file of authorities.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum ClientCertificates {
    /// They are not asked.
    #[default]
    Off,
    /// A certificate must be good, if there is one.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "the command line offers the strict form alone")
    )]
    Optional(PathBuf),
    /// There must be one.
    Required(PathBuf),
}

/// Starts the TLS of connections. A reload builds a new one: it knows none of the
/// sessions of the old one, because they may rest on certificates that are trusted no
/// more.
#[derive(Debug)]
pub(crate) struct Terminator {
    config: Arc<ServerConfig>,
    warnings: Vec<CertificateWarning>,
}

impl Terminator {
    /// Reads all files.
    ///
    /// # Errors
    /// The first thing that is wrong, with the file's name.
    pub(crate) fn open(options: &TlsOptions) -> Result<Self, TlsConfigError> {
        let provider = Arc::new(ring::default_provider());
        let now_unix = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs().cast_signed());
        let (certificates, warnings) =
            Certificates::load(&options.certificates, &provider, now_unix)?;
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(options.minimum_version.versions())?
            .with_client_cert_verifier(verifier(&options.client_certificates, provider)?)
            .with_cert_resolver(Arc::new(certificates));
        config.alpn_protocols = alpn(&options.alpn)?;
        if options.no_resumption {
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        } else {
            config.session_storage = ServerSessionMemoryCache::new(MAX_SESSIONS);
            config.ticketer = ring::Ticketer::new()?;
        }
        let config = Arc::new(config);
        // What the library has against a configuration as a whole, it says here.
        UnbufferedServerConnection::new(Arc::clone(&config))?;
        Ok(Self { config, warnings })
    }

    /// What should be looked at, although it does not keep anything from starting.
    pub(crate) fn warnings(&self) -> &[CertificateWarning] {
        &self.warnings
    }

    /// The TLS of a new connection.
    pub(crate) fn accept(&self) -> Tls {
        let connection = UnbufferedServerConnection::new(Arc::clone(&self.config))
            .expect("this configuration was tried when it was made");
        Tls::new(connection)
    }
}

fn verifier(
    client_certificates: &ClientCertificates,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsConfigError> {
    let (path, required) = match client_certificates {
        ClientCertificates::Off => return Ok(WebPkiClientVerifier::no_client_auth()),
        ClientCertificates::Optional(path) => (path, false),
        ClientCertificates::Required(path) => (path, true),
    };
    let bad = |why: String| TlsConfigError::BadCertificate {
        path: path.clone(),
        why,
    };
    let mut authorities = RootCertStore::empty();
    for authority in certificates::read_certificates(path)? {
        authorities.add(authority).map_err(|e| bad(e.to_string()))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), provider);
    let builder = if required {
        builder
    } else {
        builder.allow_unauthenticated()
    };
    builder
        .build()
        .map_err(|e: VerifierBuilderError| bad(e.to_string()))
}

fn alpn(protocols: &[String]) -> Result<Vec<Vec<u8>>, TlsConfigError> {
    protocols
        .iter()
        .map(|name| match name.len() {
            1..=255 => Ok(name.clone().into_bytes()),
            _ => Err(TlsConfigError::BadAlpn(name.clone())),
        })
        .collect()
}
