//! The PROXY protocol, versions 1 and 2: what a proxy says in front of a connection's
//! own bytes about who opened it.
//!
//! After "The PROXY protocol, versions 1 & 2" by Willy Tarreau, as HAProxy ships it
//! (`doc/proxy-protocol.txt`).
//!
//! [`parse`] takes either version, [`encode`] writes either. [`v1`] is the line of
//! text, [`v2`] the binary header, [`tlv`] what may follow the addresses in it.

pub mod tlv;
pub mod v1;
pub mod v2;

mod crc32c;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};

pub use tlv::{Tlv, Tlvs};

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// Who is talking to whom.
    pub addresses: Addresses,
    /// What else the sender said; empty in version 1.
    pub tlvs: Tlvs<'a>,
}

/// Whom a header names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addresses {
    /// A connection is relayed.
    Proxied {
        /// What it is relayed over.
        transport: Transport,
        /// Who opened it.
        source: SocketAddr,
        /// To which address.
        destination: SocketAddr,
    },
    /// A connection is relayed, and the sender cannot say whose: version 1's `UNKNOWN`,
    /// version 2's unspecified family, a Unix socket. The connection's own addresses
    /// count.
    Unknown,
    /// The sender speaks for itself, as in its health checks. The connection's own
    /// addresses count.
    Local,
}

impl Addresses {
    /// A relayed TCP connection. Addresses that are IPv4 inside IPv6 are told as IPv4;
    /// where only one of the two is IPv4, it is told as IPv4 inside IPv6, because a
    /// header has one family.
    #[must_use]
    pub fn tcp(source: SocketAddr, destination: SocketAddr) -> Self {
        let (source, destination) = match (canonical(source), canonical(destination)) {
            (s @ SocketAddr::V4(_), d @ SocketAddr::V6(_)) => (mapped(s), d),
            (s @ SocketAddr::V6(_), d @ SocketAddr::V4(_)) => (s, mapped(d)),
            same => same,
        };
        Self::Proxied {
            transport: Transport::Stream,
            source,
            destination,
        }
    }

    /// Who opened the connection, if the header says so.
    #[must_use]
    pub fn source(&self) -> Option<SocketAddr> {
        match self {
            Self::Proxied { source, .. } => Some(*source),
            Self::Unknown | Self::Local => None,
        }
    }
}

fn canonical(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}

fn mapped(addr: SocketAddr) -> SocketAddr {
    let ip = match addr.ip() {
        IpAddr::V4(ip) => IpAddr::V6(ip.to_ipv6_mapped()),
        ip @ IpAddr::V6(_) => ip,
    };
    SocketAddr::new(ip, addr.port())
}

/// What the relayed bytes travel over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP.
    Stream,
    /// UDP. Only version 2 can say so.
    Datagram,
}

/// A version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// One line of text.
    V1,
    /// A binary header.
    V2,
}

/// Why bytes are not a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum HeaderError {
    /// The bytes begin like neither version.
    #[error("no PROXY protocol signature")]
    NotProxy,
    /// More bytes than a header may have.
    #[error("PROXY protocol header too long")]
    TooLong,
    /// A binary header of another version than 2.
    #[error("unknown PROXY protocol version")]
    BadVersion,
    /// Neither LOCAL nor PROXY.
    #[error("unknown PROXY protocol command")]
    BadCommand,
    /// A family or transport that the specification does not have.
    #[error("unknown PROXY protocol address family")]
    BadFamily,
    /// Addresses or ports that cannot be read, or are cut off.
    #[error("bad PROXY protocol address")]
    BadAddress,
    /// An additional field that reaches beyond the header, or has a wrong length.
    #[error("bad PROXY protocol field")]
    BadTlv,
    /// The header is not the one that the sender took the checksum of.
    #[error("bad PROXY protocol checksum")]
    BadChecksum,
}

impl HeaderError {
    /// All reasons, in the order of their counters.
    pub const ALL: [Self; 8] = [
        Self::NotProxy,
        Self::TooLong,
        Self::BadVersion,
        Self::BadCommand,
        Self::BadFamily,
        Self::BadAddress,
        Self::BadTlv,
        Self::BadChecksum,
    ];

    /// The name of this reason's counter.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self {
            Self::NotProxy => "not_proxy",
            Self::TooLong => "too_long",
            Self::BadVersion => "bad_version",
            Self::BadCommand => "bad_command",
            Self::BadFamily => "bad_family",
            Self::BadAddress => "bad_address",
            Self::BadTlv => "bad_tlv",
            Self::BadChecksum => "bad_checksum",
        }
    }
}

/// Reads the header that `bytes` begin with, and says how many bytes it takes. `None`
/// while its end is not there, which is never so once there are [`v2::MAX_BYTES`].
///
/// # Errors
/// The bytes cannot become a header, whatever follows. The specification wants such a
/// connection closed, and so no answer is defined.
pub fn parse(bytes: &[u8]) -> Result<Option<(Header<'_>, usize)>, HeaderError> {
    if begins(bytes, v2::SIGNATURE) {
        v2::parse(bytes)
    } else if begins(bytes, v1::SIGNATURE) {
        v1::parse(bytes)
    } else {
        Err(HeaderError::NotProxy)
    }
}

/// Whether `bytes`, of which more may come, begin with `signature`.
fn begins(bytes: &[u8], signature: &[u8]) -> bool {
    let len = bytes.len().min(signature.len());
    bytes[..len] == signature[..len]
}

/// Appends a header to `out`, at most [`v2::MAX_BYTES`]. What version 1 cannot tell
/// (UDP, LOCAL) becomes `UNKNOWN` there.
pub fn encode(version: Version, addresses: &Addresses, out: &mut Vec<u8>) {
    match version {
        Version::V1 => v1::encode(addresses, out),
        Version::V2 => v2::encode(addresses, &[], false, out)
            .expect("addresses alone are far below the longest header"),
    }
}
