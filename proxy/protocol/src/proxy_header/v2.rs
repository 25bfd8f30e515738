//! Version 2: a binary header.
//!
//! ```text
//! 12 bytes  signature
//!  1 byte   version 2 and command (0 LOCAL, 1 PROXY)
//!  1 byte   address family and transport
//!  2 bytes  length of what follows, big-endian
//!           source and destination address, their ports, then fields (see `tlv`)
//! ```

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{Addresses, Header, HeaderError, Tlv, Tlvs, Transport, begins, tlv};

/// The longest header. The specification has 64 KiB; whoever expects a header must
/// hold this much for each connection that has not said anything yet, and nginx stops
/// at the same number. Addresses, a host name, TLS details and one certificate fit.
pub const MAX_BYTES: usize = 4096;

/// What each header begins with.
pub const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// The signature, the two bytes of kinds and the length.
const FIXED_BYTES: usize = 16;

/// Two addresses of a Unix socket.
const UNIX_BYTES: usize = 216;

/// Reads a header that begins like one.
pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Header<'_>, usize)>, HeaderError> {
    debug_assert!(begins(bytes, SIGNATURE));
    let mut after = bytes.iter().skip(SIGNATURE.len());
    let Some(&version_command) = after.next() else {
        return Ok(None);
    };
    let local = match version_command {
        0x20 => true,
        0x21 => false,
        other if other >> 4 == 2 => return Err(HeaderError::BadCommand),
        _ => return Err(HeaderError::BadVersion),
    };
    let Some(&family) = after.next() else {
        return Ok(None);
    };
    if !local && (family >> 4 > 3 || family & 15 > 2) {
        return Err(HeaderError::BadFamily);
    }
    let Some(&[high, low]) = bytes.get(14..FIXED_BYTES) else {
        return Ok(None);
    };
    let len = FIXED_BYTES + usize::from(u16::from_be_bytes([high, low]));
    if len > MAX_BYTES {
        return Err(HeaderError::TooLong);
    }
    let Some(whole) = bytes.get(..len) else {
        return Ok(None);
    };
    let header = if local {
        // "The receiver must discard the protocol block."
        Header {
            addresses: Addresses::Local,
            tlvs: Tlvs::default(),
        }
    } else {
        proxied(family, whole)?
    };
    Ok(Some((header, len)))
}

/// Reads the addresses and fields of a header that is there as a whole.
fn proxied(family: u8, whole: &[u8]) -> Result<Header<'_>, HeaderError> {
    let transport = match family & 15 {
        1 => Some(Transport::Stream),
        2 => Some(Transport::Datagram),
        _ => None,
    };
    let block = &whole[FIXED_BYTES..];
    let (endpoints, fields) = match (family >> 4, transport) {
        (1, Some(_)) => {
            let (fixed, fields) = block.split_first_chunk().ok_or(HeaderError::BadAddress)?;
            (Some(inet(fixed)), fields)
        }
        (2, Some(_)) => {
            let (fixed, fields) = block.split_first_chunk().ok_or(HeaderError::BadAddress)?;
            (Some(inet6(fixed)), fields)
        }
        // A valid combination that names nobody whom we could tell: as if unspecified.
        (3, Some(_)) => (
            None,
            block.get(UNIX_BYTES..).ok_or(HeaderError::BadAddress)?,
        ),
        // Nothing says how long the addresses are here, so fields cannot be found.
        _ => (None, &block[block.len()..]),
    };
    let addresses = match (transport, endpoints) {
        (Some(transport), Some((source, destination))) => Addresses::Proxied {
            transport,
            source,
            destination,
        },
        _ => Addresses::Unknown,
    };
    Ok(Header {
        addresses,
        tlvs: Tlvs::check(whole, whole.len() - fields.len())?,
    })
}

fn inet(b: &[u8; 12]) -> (SocketAddr, SocketAddr) {
    let end = |ip: usize, port: usize| {
        let ip = Ipv4Addr::new(b[ip], b[ip + 1], b[ip + 2], b[ip + 3]);
        SocketAddr::from((ip, u16::from_be_bytes([b[port], b[port + 1]])))
    };
    (end(0, 8), end(4, 10))
}

fn inet6(b: &[u8; 36]) -> (SocketAddr, SocketAddr) {
    let end = |start: usize, port: usize| {
        let mut ip = [0; 16];
        ip.copy_from_slice(&b[start..start + 16]);
        let port = u16::from_be_bytes([b[port], b[port + 1]]);
        SocketAddr::from((Ipv6Addr::from(ip), port))
    };
    (end(0, 32), end(16, 34))
}

/// Appends a header to `out`, with these fields and, if wanted, a checksum.
///
/// # Errors
/// [`HeaderError::TooLong`] if the fields do not fit into [`MAX_BYTES`]; `out` is then
/// as it was.
pub fn encode(
    addresses: &Addresses,
    tlvs: &[Tlv<'_>],
    checksum: bool,
    out: &mut Vec<u8>,
) -> Result<(), HeaderError> {
    let start = out.len();
    out.extend_from_slice(SIGNATURE);
    out.push(match addresses {
        Addresses::Local => 0x20,
        Addresses::Proxied { .. } | Addresses::Unknown => 0x21,
    });
    match addresses {
        Addresses::Proxied {
            transport,
            source,
            destination,
        } => {
            let transport = match transport {
                Transport::Stream => 1,
                Transport::Datagram => 2,
            };
            encode_endpoints(transport, source, destination, out);
        }
        Addresses::Unknown | Addresses::Local => out.extend_from_slice(&[0, 0, 0]),
    }
    tlv::encode(tlvs, checksum, out);
    let len = out.len() - start;
    if len > MAX_BYTES {
        out.truncate(start);
        return Err(HeaderError::TooLong);
    }
    let block = u16::try_from(len - FIXED_BYTES).expect("it is below the longest header");
    out[start + 14..start + FIXED_BYTES].copy_from_slice(&block.to_be_bytes());
    if checksum {
        tlv::seal(&mut out[start..]);
    }
    Ok(())
}

/// Appends family and transport, room for the length, addresses and ports.
fn encode_endpoints(
    transport: u8,
    source: &SocketAddr,
    destination: &SocketAddr,
    out: &mut Vec<u8>,
) {
    match (source, destination) {
        (SocketAddr::V4(source), SocketAddr::V4(destination)) => {
            out.extend_from_slice(&[0x10 | transport, 0, 0]);
            out.extend_from_slice(&source.ip().octets());
            out.extend_from_slice(&destination.ip().octets());
        }
        _ => {
            out.extend_from_slice(&[0x20 | transport, 0, 0]);
            for end in [source, destination] {
                let ip = match end {
                    SocketAddr::V4(end) => end.ip().to_ipv6_mapped(),
                    SocketAddr::V6(end) => *end.ip(),
                };
                out.extend_from_slice(&ip.octets());
            }
        }
    }
    out.extend_from_slice(&source.port().to_be_bytes());
    out.extend_from_slice(&destination.port().to_be_bytes());
}
