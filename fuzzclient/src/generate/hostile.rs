//! What programs stumble over: integers at the edge of their types, text that means
//! something to a formatter, bytes that are no text, lengths around a power of two.

use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;

/// Integers at the boundaries of the types that hold them, and what is almost one.
pub(crate) const INTEGERS: [&str; 28] = [
    "-1",
    "0",
    "-0",
    "+1",
    "1",
    "007",
    "00000000000000000000000000000001",
    "127",
    "128",
    "255",
    "256",
    "32768",
    "65535",
    "65536",
    "2147483647",
    "2147483648",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "-9223372036854775809",
    "18446744073709551615",
    "18446744073709551616",
    "99999999999999999999999999999999",
    "1e309",
    "0x10",
    "NaN",
];

/// Text that somebody may take for a format, a path, a name of their own or a command.
pub(crate) const TEXTS: [&str; 16] = [
    "%s%s%s%s%n",
    "cpu%d",
    "%!v(MISSING)",
    "%99999999d",
    "{}",
    "{0.__class__}",
    "${jndi:ldap://127.0.0.1/x}",
    "$(id)",
    "`id`",
    "../../../../etc/passwd",
    "constructor",
    "__proto__",
    "toString",
    "' OR '1'='1",
    "<script>",
    "\u{202e}\u{feff}",
];

/// Bytes that are no UTF-8, overlong forms of what would be, and characters that end
/// strings or lines for some.
pub(crate) const BYTES: [&[u8]; 20] = [
    b"\0",
    b"\xff",
    b"\xfe\xff",
    b"\x80",
    b"\xc0\x80",
    b"\xc0\xaf",
    b"\xc1\xbf",
    b"\xe0\x80\xaf",
    b"\xf0\x80\x80\xaf",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\xe2\x82",
    b"\xef\xbb\xbf",
    b"\r",
    b"\r\n",
    b"\n\r",
    b"\x0b",
    b"\x1b[2J",
    b"\xc2\x85",
    b"\xe2\x80\xa8",
];

/// Lengths are powers of two from this one on …
const LEAST_POWER: u32 = 4;

/// … to this one, 128 KiB: twice the longest line that line protocols commonly take.
const MOST_POWER: u32 = 17;

/// One of these.
pub(crate) fn one_of<'a, T: ?Sized>(rng: &mut Xoshiro256PlusPlus, list: &[&'a T]) -> &'a T {
    list[rng.random_range(0..list.len())]
}

/// True once in so many times.
pub(crate) fn once_in(rng: &mut Xoshiro256PlusPlus, times: u32) -> bool {
    rng.random_range(0..times) == 0
}

/// A length of 2ᵏ − 1, 2ᵏ or 2ᵏ + 1.
pub(crate) fn length(rng: &mut Xoshiro256PlusPlus) -> usize {
    let power = 1_usize << rng.random_range(LEAST_POWER..=MOST_POWER);
    power - 1 + rng.random_range(0..3)
}

/// Appends lower-case letters and digits.
pub(crate) fn word(rng: &mut Xoshiro256PlusPlus, len: usize, out: &mut Vec<u8>) {
    const LETTERS: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    out.extend((0..len).map(|_| LETTERS[rng.random_range(0..LETTERS.len())]));
}

/// Appends content of a field that is of the wrong kind.
pub(crate) fn content(rng: &mut Xoshiro256PlusPlus, out: &mut Vec<u8>) {
    match rng.random_range(0..6) {
        0 => out.extend_from_slice(one_of(rng, &INTEGERS).as_bytes()),
        1 | 2 => out.extend_from_slice(one_of(rng, &TEXTS).as_bytes()),
        3 => {
            word(rng, 4, out);
            out.extend_from_slice(one_of(rng, &BYTES));
            word(rng, 4, out);
        }
        4 if once_in(rng, 4) => {
            let len = length(rng);
            out.resize(out.len() + len, b'A');
        }
        4 => {}
        _ => {
            let len = rng.random_range(1..64);
            out.extend((0..len).map(|_| rng.random_range(0..=255_u8)));
        }
    }
}
