//! Version 1: one line of text.
//!
//! ```text
//! PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n
//! PROXY UNKNOWN\r\n
//! ```

use std::io::Write;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use super::{Addresses, Header, HeaderError, Tlvs, Transport};

/// The longest line, with its end: what the specification reckons for `UNKNOWN` with
/// two full IPv6 addresses and ports behind it.
pub const MAX_BYTES: usize = 107;

/// What each line begins with.
pub const SIGNATURE: &[u8] = b"PROXY ";

/// Reads a line that begins like one.
pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Header<'_>, usize)>, HeaderError> {
    let window = &bytes[..bytes.len().min(MAX_BYTES)];
    let Some(end) = memchr::memmem::find(window, b"\r\n") else {
        return if bytes.len() < MAX_BYTES {
            Ok(None)
        } else {
            Err(HeaderError::TooLong)
        };
    };
    let header = Header {
        addresses: addresses(&window[SIGNATURE.len()..end])?,
        tlvs: Tlvs::default(),
    };
    Ok(Some((header, end + 2)))
}

/// Reads what is between the signature and the line's end.
fn addresses(line: &[u8]) -> Result<Addresses, HeaderError> {
    let mut fields = line.split(|&b| b == b' ');
    match fields.next() {
        Some(b"TCP4") => endpoints::<Ipv4Addr>(fields),
        Some(b"TCP6") => endpoints::<Ipv6Addr>(fields),
        // "The receiver must ignore anything presented before the CRLF is found."
        Some(b"UNKNOWN") => Ok(Addresses::Unknown),
        _ => Err(HeaderError::BadFamily),
    }
}

fn endpoints<'a, Ip>(mut fields: impl Iterator<Item = &'a [u8]>) -> Result<Addresses, HeaderError>
where
    Ip: FromStr,
    SocketAddr: From<(Ip, u16)>,
{
    let mut next = || {
        let field = fields.next().ok_or(HeaderError::BadAddress)?;
        str::from_utf8(field).map_err(|_| HeaderError::BadAddress)
    };
    let ip = |field: &str| field.parse::<Ip>().map_err(|_| HeaderError::BadAddress);
    let (source, destination) = (ip(next()?)?, ip(next()?)?);
    let (source_port, destination_port) = (port(next()?)?, port(next()?)?);
    if fields.next().is_some() {
        return Err(HeaderError::BadAddress);
    }
    Ok(Addresses::Proxied {
        transport: Transport::Stream,
        source: SocketAddr::from((source, source_port)),
        destination: SocketAddr::from((destination, destination_port)),
    })
}

/// A port is decimal, without sign or leading zero.
fn port(field: &str) -> Result<u16, HeaderError> {
    let canonical =
        field == "0" || field.starts_with(|first: char| first.is_ascii_digit() && first != '0');
    match field.parse() {
        Ok(port) if canonical => Ok(port),
        _ => Err(HeaderError::BadAddress),
    }
}

/// Appends a line to `out`.
pub(super) fn encode(addresses: &Addresses, out: &mut Vec<u8>) {
    let written = match addresses {
        Addresses::Proxied {
            transport: Transport::Stream,
            source,
            destination,
        } if source.is_ipv4() == destination.is_ipv4() => write!(
            out,
            "PROXY TCP{} {} {} {} {}\r\n",
            if source.is_ipv4() { 4 } else { 6 },
            source.ip(),
            destination.ip(),
            source.port(),
            destination.port()
        ),
        _ => out.write_all(b"PROXY UNKNOWN\r\n"),
    };
    written.expect("a vector takes all that is written to it");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy_header::parse;

    fn text(addresses: &Addresses) -> String {
        let mut out = Vec::new();
        encode(addresses, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn tcp(source: &str, destination: &str) -> Addresses {
        Addresses::tcp(source.parse().unwrap(), destination.parse().unwrap())
    }

    fn refusal(line: &str) -> HeaderError {
        parse(line.as_bytes()).expect_err(line)
    }

    #[test]
    fn lines_are_written_byte_for_byte() {
        for (source, destination, line) in [
            (
                "192.0.2.1:56324",
                "198.51.100.7:443",
                "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n",
            ),
            (
                "[2001:db8::1]:1",
                "[2001:db8::2]:65535",
                "PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n",
            ),
            (
                "[::ffff:192.0.2.1]:1",
                "198.51.100.7:2",
                "PROXY TCP4 192.0.2.1 198.51.100.7 1 2\r\n",
            ),
            (
                "192.0.2.1:1",
                "[2001:db8::2]:2",
                "PROXY TCP6 ::ffff:192.0.2.1 2001:db8::2 1 2\r\n",
            ),
        ] {
            assert_eq!(text(&tcp(source, destination)), line);
        }
        assert_eq!(text(&Addresses::Local), "PROXY UNKNOWN\r\n");
    }

    #[test]
    fn a_line_is_read_and_no_more() {
        let bytes = b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\nGET / HTTP/1.1\r\n";
        let (header, len) = parse(bytes).unwrap().unwrap();
        assert_eq!(header.addresses, tcp("192.0.2.1:56324", "198.51.100.7:443"));
        assert_eq!(&bytes[len..], b"GET / HTTP/1.1\r\n");
        let unknown = b"PROXY UNKNOWN ffff::1 ffff::2 1 2 what\never\r\n";
        let (header, len) = parse(unknown).unwrap().unwrap();
        assert_eq!(header.addresses, Addresses::Unknown);
        assert_eq!(len, unknown.len());
    }

    #[test]
    fn the_longest_line_passes_and_a_byte_more_does_not() {
        let longest = format!("PROXY UNKNOWN {}\r\n", "f".repeat(MAX_BYTES - 16));
        assert_eq!(longest.len(), MAX_BYTES);
        assert!(parse(longest.as_bytes()).unwrap().is_some());
        let longer = format!("PROXY UNKNOWN {}\r\n", "f".repeat(MAX_BYTES - 15));
        assert_eq!(parse(&longer.as_bytes()[..MAX_BYTES - 1]), Ok(None));
        assert_eq!(
            parse(&longer.as_bytes()[..MAX_BYTES]),
            Err(HeaderError::TooLong)
        );
    }

    #[test]
    fn what_is_not_quite_a_line_is_refused() {
        for line in [
            "PROXY TCP4 192.0.2.1 198.51.100.7 56324\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443 1\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443 \r\n",
            "PROXY TCP4  192.0.2.1 198.51.100.7 56324 443\r\n",
            "PROXY TCP4 192.0.2.256 198.51.100.7 56324 443\r\n",
            "PROXY TCP4 192.0.2.01 198.51.100.7 56324 443\r\n",
            "PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n",
            "PROXY TCP6 192.0.2.1 198.51.100.7 1 2\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.7 65536 443\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.7 +1 443\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.7 01 443\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.7 1 443\n\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.7 1 \r\n",
            "PROXY TCP4\r\n",
        ] {
            assert_eq!(refusal(line), HeaderError::BadAddress, "{line:?}");
        }
        for line in [
            "PROXY UDP4 192.0.2.1 198.51.100.7 1 2\r\n",
            "PROXY tcp4 192.0.2.1 198.51.100.7 1 2\r\n",
            "PROXY \r\n",
            "PROXY UNKNOWNX\r\n",
        ] {
            assert_eq!(refusal(line), HeaderError::BadFamily, "{line:?}");
        }
        for line in ["proxy TCP4", "GET / HTTP/1.1\r\n", "PROXYTCP4", "\0"] {
            assert_eq!(refusal(line), HeaderError::NotProxy, "{line:?}");
        }
    }
}
