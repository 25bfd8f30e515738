//! What a balancer of bare connections may look into: the head of an HTTP request, the
//! header of the PROXY protocol in both versions, the start of TLS. And lines.

use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;

use crate::generate::hostile::{one_of, word};

const PATHS: [&str; 4] = ["/", "/bytes/64", "/index.html?a=1&b=2", "/status/200"];

/// The first 12 bytes of a PROXY header of version 2.
pub(in crate::generate) const V2_SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Appends one of them.
pub(in crate::generate) fn message(rng: &mut Xoshiro256PlusPlus, out: &mut Vec<u8>) {
    match rng.random_range(0..6) {
        0 => {
            let path = one_of(rng, &PATHS);
            let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n");
            out.extend_from_slice(head.as_bytes());
        }
        1 => {
            let len = rng.random_range(0..100);
            let head =
                format!("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len}\r\n\r\n");
            out.extend_from_slice(head.as_bytes());
            word(rng, len, out);
        }
        2 => {
            let port = rng.random_range(1..=65_535);
            let header = format!("PROXY TCP4 192.0.2.1 198.51.100.2 {port} 443\r\n");
            out.extend_from_slice(header.as_bytes());
        }
        3 => header_v2(rng, out),
        4 => client_hello(rng, out),
        _ => {
            let len = rng.random_range(0..80);
            word(rng, len, out);
            out.push(b'\n');
        }
    }
}

fn header_v2(rng: &mut Xoshiro256PlusPlus, out: &mut Vec<u8>) {
    out.extend_from_slice(V2_SIGNATURE);
    // Version 2, PROXY, TCP over IPv4, 12 bytes of addresses and ports.
    out.extend_from_slice(&[0x21, 0x11, 0, 12]);
    out.extend_from_slice(&[192, 0, 2, 1, 198, 51, 100, 2]);
    out.extend_from_slice(&rng.random_range(1..=65_535_u16).to_be_bytes());
    out.extend_from_slice(&443_u16.to_be_bytes());
}

/// A ClientHello of TLS 1.2 that names a server (RFC 5246, 7.4.1.2; RFC 6066, 3).
fn client_hello(rng: &mut Xoshiro256PlusPlus, out: &mut Vec<u8>) {
    let mut name = Vec::new();
    word(rng, 8, &mut name);
    name.extend_from_slice(b".example");
    let mut list = vec![0];
    list.extend_from_slice(&prefixed(&name));
    let mut extension = vec![0, 0];
    extension.extend_from_slice(&prefixed(&prefixed(&list)));
    let mut body = vec![3, 3];
    body.extend((0..32).map(|_| rng.random_range(0..=255_u8)));
    body.extend_from_slice(&[0, 0, 4, 0x13, 0x01, 0xc0, 0x2f, 1, 0]);
    body.extend_from_slice(&prefixed(&extension));
    let mut handshake = vec![1, 0];
    handshake.extend_from_slice(&prefixed(&body));
    out.extend_from_slice(&[22, 3, 1]);
    out.extend_from_slice(&prefixed(&handshake));
}

/// With its length before it, in two bytes.
fn prefixed(bytes: &[u8]) -> Vec<u8> {
    let len = u16::try_from(bytes.len()).expect("a hello is a few hundred bytes");
    [&len.to_be_bytes(), bytes].concat()
}
