//! HTTP heads, PROXY headers and starts of TLS whose shape is right and whose fields are
//! not.

use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;

use crate::generate::hostile::{self, INTEGERS, length, once_in, one_of};
use crate::generate::valid::V2_SIGNATURE;

const METHODS: [&str; 6] = ["GET", "POST", "HEAD", "OPTIONS", "get", "G\0T"];
const VERSIONS: [&str; 5] = [
    "HTTP/1.1",
    "HTTP/1.0",
    "HTTP/9.9",
    "HTTP/1.18446744073709551616",
    "",
];
const FIELDS: [&str; 6] = [
    "Host",
    "Content-Length",
    "Content-Length",
    "Transfer-Encoding",
    "Connection",
    "X-Y",
];
const FAMILIES: [&str; 6] = ["TCP4", "TCP6", "UNKNOWN", "UDP4", "tcp4", ""];
const ADDRESSES: [&str; 8] = [
    "192.0.2.1",
    "0.0.0.0",
    "256.256.256.256",
    "::1",
    "fe80::1%lo",
    "::ffff:1.2.3.4",
    "",
    "01.02.03.04",
];

/// Header fields of one head at most.
const MOST_FIELDS: usize = 40;

/// Appends one of them.
pub(super) fn message(rng: &mut Xoshiro256PlusPlus, out: &mut Vec<u8>) {
    match rng.random_range(0..5) {
        0 | 1 => http(rng, out),
        2 => {
            let mut words = vec!["PROXY", one_of(rng, &FAMILIES)];
            words.extend((0..2).map(|_| one_of(rng, &ADDRESSES)));
            words.extend((0..2).map(|_| one_of(rng, &INTEGERS)));
            out.extend_from_slice(words.join(" ").as_bytes());
            if once_in(rng, 4) {
                hostile::content(rng, out);
            }
            out.extend_from_slice(b"\r\n");
        }
        3 => header_v2(rng, out),
        _ => client_hello(rng, out),
    }
}

fn http(rng: &mut Xoshiro256PlusPlus, out: &mut Vec<u8>) {
    out.extend_from_slice(one_of(rng, &METHODS).as_bytes());
    out.extend_from_slice(b" /");
    hostile::content(rng, out);
    out.push(b' ');
    out.extend_from_slice(one_of(rng, &VERSIONS).as_bytes());
    out.extend_from_slice(b"\r\n");
    for _ in 0..rng.random_range(0..MOST_FIELDS) {
        out.extend_from_slice(one_of(rng, &FIELDS).as_bytes());
        out.extend_from_slice(b": ");
        if once_in(rng, 2) {
            out.extend_from_slice(one_of(rng, &INTEGERS).as_bytes());
        } else {
            hostile::content(rng, out);
        }
        out.extend_from_slice(b"\r\n");
    }
    if !once_in(rng, 8) {
        out.extend_from_slice(b"\r\n");
    }
}

/// A header whose length, command or family may lie.
fn header_v2(rng: &mut Xoshiro256PlusPlus, out: &mut Vec<u8>) {
    out.extend_from_slice(V2_SIGNATURE);
    let (command, family) = (
        [0x20, 0x21, 0x11, 0x2f],
        [0x00, 0x11, 0x12, 0x21, 0x31, 0xff],
    );
    out.push(command[rng.random_range(0..command.len())]);
    out.push(family[rng.random_range(0..family.len())]);
    let body = rng.random_range(0..300_usize);
    let said = if once_in(rng, 2) {
        body
    } else {
        length(rng) & 0xffff
    };
    out.extend_from_slice(&u16::try_from(said).unwrap_or(u16::MAX).to_be_bytes());
    out.extend((0..body).map(|_| rng.random_range(0..=255_u8)));
}

/// A record of TLS whose lengths may lie.
fn client_hello(rng: &mut Xoshiro256PlusPlus, out: &mut Vec<u8>) {
    let body = rng.random_range(0..400_u16);
    let lie = |rng: &mut Xoshiro256PlusPlus, len: u16| {
        if once_in(rng, 2) {
            len
        } else {
            rng.random_range(0..=u16::MAX)
        }
    };
    out.extend_from_slice(&[22, 3, 1]);
    out.extend_from_slice(&lie(rng, body + 4).to_be_bytes());
    out.extend_from_slice(&[1, 0]);
    out.extend_from_slice(&lie(rng, body).to_be_bytes());
    out.extend_from_slice(&[3, 3]);
    out.extend((0..body.saturating_sub(2)).map(|_| rng.random_range(0..=255_u8)));
}
