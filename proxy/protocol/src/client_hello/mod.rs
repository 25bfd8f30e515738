//! A look at the `ClientHello` that a TLS connection begins with: the host name (SNI,
//! RFC 6066) and the application protocols (ALPN, RFC 7301) that the client asks for.
//! Nothing is consumed and nothing answered: whoever terminates the TLS gets the same
//! bytes.
//!
//! After RFC 8446 (records 5.1, the message 4.1.2). `fields` walks through the nested
//! length-prefixed structures, `records` joins a message that is split over records,
//! `names` reads the two extensions.

mod fields;
mod names;
mod records;
#[cfg(test)]
mod tests;

use fields::Fields;

/// How many bytes a hello may take, record headers included, where nobody says
/// otherwise. Hellos of today have 200 to 2,000 bytes (post-quantum key shares); 16 KiB
/// is what one record can carry, and enough for session tickets that carry a chain of
/// client certificates.
pub const DEFAULT_MAX_BYTES: usize = 16 * 1024;

/// What a client says first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hello {
    /// The host that it wants, in lower case and without a final dot. `None` if it does
    /// not say, or gives an IP address, which SNI does not allow.
    pub server_name: Option<String>,
    /// The protocols that it speaks, the preferred one first.
    pub alpn: Vec<Vec<u8>>,
}

/// Why bytes are not a hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum HelloError {
    /// The first bytes are not those of a TLS handshake.
    #[error("not TLS")]
    NotTls,
    /// A handshake that begins with another message.
    #[error("TLS without a client hello")]
    NotHello,
    /// More bytes than a hello may take.
    #[error("client hello too long")]
    TooLong,
    /// Lengths that contradict each other, or fields that may not be so.
    #[error("malformed client hello")]
    Malformed,
    /// A server name that is not a host name.
    #[error("bad server name in the client hello")]
    BadServerName,
}

impl HelloError {
    /// All reasons, in the order of their counters.
    pub const ALL: [Self; 5] = [
        Self::NotTls,
        Self::NotHello,
        Self::TooLong,
        Self::Malformed,
        Self::BadServerName,
    ];

    /// The name of this reason's counter.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self {
            Self::NotTls => "not_tls",
            Self::NotHello => "not_hello",
            Self::TooLong => "hello_too_long",
            Self::Malformed => "malformed_hello",
            Self::BadServerName => "bad_server_name",
        }
    }
}

/// Reads the hello that `bytes` begin with. `None` while its end is not there, which is
/// never so once there are `max` bytes.
///
/// # Errors
/// The bytes cannot become a hello of at most `max` bytes, whatever follows.
pub fn peek(bytes: &[u8], max: usize) -> Result<Option<Hello>, HelloError> {
    match records::message(bytes, max)? {
        Some(message) => body(&message).map(Some),
        None => Ok(None),
    }
}

/// Reads the message behind its type and length.
fn body(message: &[u8]) -> Result<Hello, HelloError> {
    let mut fields = Fields::new(message);
    let _legacy_version = fields.take(2)?;
    let _random = fields.take(32)?;
    if fields.vector8()?.len() > 32 {
        return Err(HelloError::Malformed);
    }
    let cipher_suites = fields.vector16()?;
    if cipher_suites.is_empty() || !cipher_suites.len().is_multiple_of(2) {
        return Err(HelloError::Malformed);
    }
    let compressions = fields.vector8()?;
    if compressions.is_empty() {
        return Err(HelloError::Malformed);
    }
    let mut hello = Hello::default();
    if fields.is_empty() {
        // Before TLS 1.3 a hello may end here.
        return Ok(hello);
    }
    let mut extensions = Fields::new(fields.vector16()?);
    fields.end()?;
    let mut seen = [false; 2];
    while !extensions.is_empty() {
        let kind = extensions.u16()?;
        let value = extensions.vector16()?;
        match kind {
            names::SERVER_NAME => {
                once(&mut seen[0])?;
                hello.server_name = names::server_name(value)?;
            }
            names::ALPN => {
                once(&mut seen[1])?;
                hello.alpn = names::protocols(value)?;
            }
            _ => {}
        }
    }
    Ok(hello)
}

/// Two server names would let us and the server behind us see different ones.
fn once(seen: &mut bool) -> Result<(), HelloError> {
    if std::mem::replace(seen, true) {
        Err(HelloError::Malformed)
    } else {
        Ok(())
    }
}
