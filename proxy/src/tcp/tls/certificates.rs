//! Certificate and key files, and which certificate a client gets.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys, SignatureScheme};

use super::failure::TlsConfigError;
use super::validity::Validity;
use crate::file;

/// The longest file that is read. System-wide lists of authorities have 250 KB.
const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;

const SECONDS_PER_DAY: i64 = 86_400;

/// Where a certificate chain and its key are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CertificateFiles {
    /// The chain, the host's own certificate first.
    pub(crate) certificate: PathBuf,
    /// The key; may be the same file.
    pub(crate) key: PathBuf,
}

/// What will keep clients away from a certificate that can be used as such.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CertificateWarning {
    /// Clients will refuse it.
    #[error("{path}: certificate expired {days} days ago", path = path.display())]
    Expired { path: PathBuf, days: i64 },
    /// Likewise.
    #[error("{path}: certificate becomes valid in {days} days", path = path.display())]
    NotYetValid { path: PathBuf, days: i64 },
    /// It is not found by what clients ask for.
    #[error("{path}: certificate names no host", path = path.display())]
    NoName { path: PathBuf },
}

/// The certificates to choose from.
#[derive(Debug)]
pub(super) struct Certificates {
    /// All of them. The first that suits the client is what it gets if it asks for no
    /// name, or for an unknown one.
    all: Vec<Arc<CertifiedKey>>,
    /// By host name. There is more than one where keys are of several kinds.
    exact: HashMap<String, Vec<Arc<CertifiedKey>>>,
    /// By what is behind `*.`.
    wildcard: HashMap<String, Vec<Arc<CertifiedKey>>>,
}

impl Certificates {
    /// Reads them all. `now_unix` is in seconds.
    pub(super) fn load(
        files: &[CertificateFiles],
        provider: &CryptoProvider,
        now_unix: i64,
    ) -> Result<(Self, Vec<CertificateWarning>), TlsConfigError> {
        let mut loaded = Self {
            all: Vec::new(),
            exact: HashMap::new(),
            wildcard: HashMap::new(),
        };
        let mut warnings = Vec::new();
        for files in files {
            loaded.add(files, provider, now_unix, &mut warnings)?;
        }
        if loaded.all.is_empty() {
            return Err(TlsConfigError::Nothing);
        }
        Ok((loaded, warnings))
    }

    fn add(
        &mut self,
        files: &CertificateFiles,
        provider: &CryptoProvider,
        now_unix: i64,
        warnings: &mut Vec<CertificateWarning>,
    ) -> Result<(), TlsConfigError> {
        let chain = read_certificates(&files.certificate)?;
        let key = read_key(&files.key)?;
        let names = names(&files.certificate, &chain[0])?;
        let path = || files.certificate.clone();
        warnings.extend(lifetime_warning(&files.certificate, &chain[0], now_unix));
        if names.is_empty() {
            warnings.push(CertificateWarning::NoName { path: path() });
        }
        let certified = CertifiedKey::from_der(chain, key, provider).map_err(|e| match e {
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => TlsConfigError::Mismatch {
                key: files.key.clone(),
                certificate: path(),
            },
            e => TlsConfigError::BadKey {
                path: files.key.clone(),
                why: one_line(&e),
            },
        })?;
        let certified = Arc::new(certified);
        for name in names {
            let same_name = match name.strip_prefix("*.") {
                Some(suffix) => self.wildcard.entry(suffix.to_owned()).or_default(),
                None => self.exact.entry(name).or_default(),
            };
            same_name.push(Arc::clone(&certified));
        }
        self.all.push(certified);
        Ok(())
    }

    /// The certificate for a host name in lower case, out of those that a client can
    /// verify. A wildcard stands for one label (RFC 6125 section 6.4.3).
    fn choose(&self, name: Option<&str>, schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let exact = name.and_then(|name| self.exact.get(name));
        let wildcard = name
            .and_then(|name| name.split_once('.'))
            .and_then(|(_, suffix)| self.wildcard.get(suffix));
        [exact, wildcard, Some(&self.all)]
            .into_iter()
            .flatten()
            .flatten()
            .find(|certified| certified.key.choose_scheme(schemes).is_some())
            .cloned()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.choose(hello.server_name(), hello.signature_schemes())
    }
}

/// Reads the certificates of a file, of which there is at least one.
pub(super) fn read_certificates(
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, TlsConfigError> {
    let certificates = CertificateDer::pem_slice_iter(&read(path)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| bad_pem(path, &e))?;
    if certificates.is_empty() {
        return Err(TlsConfigError::NoCertificate { path: path.into() });
    }
    Ok(certificates)
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsConfigError> {
    PrivateKeyDer::from_pem_slice(&read(path)?).map_err(|e| match e {
        pem::Error::NoItemsFound => TlsConfigError::NoKey { path: path.into() },
        e => bad_pem(path, &e),
    })
}

fn read(path: &Path) -> Result<Vec<u8>, TlsConfigError> {
    file::read(path, MAX_FILE_BYTES).map_err(|source| match source.kind() {
        ErrorKind::FileTooLarge => TlsConfigError::TooLong {
            path: path.into(),
            max_bytes: MAX_FILE_BYTES,
        },
        _ => TlsConfigError::Read {
            path: path.into(),
            source,
        },
    })
}

fn bad_pem(path: &Path, error: &pem::Error) -> TlsConfigError {
    TlsConfigError::BadPem {
        path: path.into(),
        why: match error {
            pem::Error::MissingSectionEnd { .. } => "a BEGIN line without its END line",
            pem::Error::IllegalSectionStart { .. } => "a broken BEGIN line",
            pem::Error::Base64Decode(_) => "broken base64",
            _ => "not readable",
        },
    }
}

/// The host names that a certificate is for, in lower case.
fn names(path: &Path, certificate: &CertificateDer<'_>) -> Result<Vec<String>, TlsConfigError> {
    let parsed = webpki::EndEntityCert::try_from(certificate).map_err(|e| {
        TlsConfigError::BadCertificate {
            path: path.into(),
            why: format!("cannot be read ({e:?})"),
        }
    })?;
    Ok(parsed
        .valid_dns_names()
        .map(str::to_ascii_lowercase)
        .collect())
}

fn lifetime_warning(path: &Path, certificate: &[u8], now_unix: i64) -> Option<CertificateWarning> {
    let validity = Validity::of(certificate)?;
    let path = path.into();
    if now_unix > validity.not_after {
        let days = (now_unix - validity.not_after) / SECONDS_PER_DAY;
        Some(CertificateWarning::Expired { path, days })
    } else if now_unix < validity.not_before {
        let days = (validity.not_before - now_unix) / SECONDS_PER_DAY;
        Some(CertificateWarning::NotYetValid { path, days })
    } else {
        None
    }
}

fn one_line(error: &Error) -> String {
    error.to_string().replace('\n', " ")
}
