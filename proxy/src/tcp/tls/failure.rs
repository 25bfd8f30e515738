//! Why TLS cannot be set up, and why a client's TLS ended.

use std::io;
use std::path::PathBuf;

use protocol::client_hello::HelloError;
use rustls::AlertDescription;

/// Why certificates, keys and options are of no use. Each names what is wrong in a line.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsConfigError {
    /// A file that is not there, or not ours to read.
    #[error("{path}: {source}", path = path.display())]
    Read { path: PathBuf, source: io::Error },
    /// A file that is no list of certificates or keys.
    #[error("{path}: more than {max_bytes} bytes", path = path.display())]
    TooLong { path: PathBuf, max_bytes: u64 },
    /// A broken text form.
    #[error("{path}: bad PEM: {why}", path = path.display())]
    BadPem { path: PathBuf, why: &'static str },
    /// A file without what is looked for.
    #[error("{path}: no PEM certificate in it", path = path.display())]
    NoCertificate { path: PathBuf },
    /// Likewise; an encrypted key counts as none.
    #[error("{path}: no unencrypted PEM private key in it", path = path.display())]
    NoKey { path: PathBuf },
    /// A certificate that cannot be read.
    #[error("{path}: bad certificate: {why}", path = path.display())]
    BadCertificate { path: PathBuf, why: String },
    /// A key of an unknown kind, or a broken one.
    #[error("{path}: bad private key: {why}", path = path.display())]
    BadKey { path: PathBuf, why: String },
    /// A key that belongs to another certificate.
    #[error("{key}: not the key of {certificate}", key = key.display(), certificate = certificate.display())]
    Mismatch { key: PathBuf, certificate: PathBuf },
    /// Termination without a certificate.
    #[error("no certificate to terminate TLS with")]
    Nothing,
    /// A protocol name that ALPN cannot carry.
    #[error("ALPN protocol {0:?}: must have 1 to 255 bytes")]
    BadAlpn(String),
    /// What the TLS library refuses otherwise.
    #[error("TLS: {0}")]
    Refused(#[from] rustls::Error),
}

/// Why a client's TLS ended. The connection is of no further use; what was appended for
/// the client is still to be sent, for it tells the client why.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(crate) enum TlsError {
    /// It does not begin as TLS does.
    #[error("{0}")]
    Hello(#[from] HelloError),
    /// No agreement, or a client that breaks the rules.
    #[error("TLS handshake failed: {0}")]
    Handshake(rustls::Error),
    /// A record, after the handshake, that cannot be decrypted or may not be there.
    #[error("broken TLS: {0}")]
    Broken(rustls::Error),
    /// The client gave up, and said why.
    #[error("TLS ended by the client: {0:?}")]
    Alert(AlertDescription),
    /// Messages that never become whole.
    #[error("TLS message too long")]
    TooLong,
    /// Data to send before the handshake is done, or after the end was announced.
    #[error("TLS cannot carry data now")]
    NotOpen,
    /// So much was sent that the keys of TLS 1.2 are not safe any more.
    #[error("TLS keys are used up")]
    Exhausted,
}

impl TlsError {
    /// The reason that an error of the library stands for.
    pub(super) fn from_rustls(error: rustls::Error, handshaking: bool) -> Self {
        match error {
            rustls::Error::AlertReceived(alert) => Self::Alert(alert),
            error if handshaking => Self::Handshake(error),
            error => Self::Broken(error),
        }
    }

    /// The name of this reason's counter.
    #[cfg_attr(not(test), expect(dead_code, reason = "failures are counted as one"))]
    pub(crate) fn kind(&self) -> &'static str {
        use rustls::Error as E;
        match self {
            Self::Hello(error) => error.kind(),
            Self::Handshake(E::NoCertificatesPresented | E::InvalidCertificate(_)) => {
                "bad_client_certificate"
            }
            Self::Handshake(E::PeerIncompatible(_) | E::NoApplicationProtocol) => "incompatible",
            Self::Handshake(_) => "handshake_failed",
            Self::Broken(_) => "broken_record",
            Self::Alert(_) => "client_alert",
            Self::TooLong => "message_too_long",
            Self::NotOpen => "not_open",
            Self::Exhausted => "keys_exhausted",
        }
    }
}
