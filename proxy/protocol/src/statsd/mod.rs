//! Lines of statsd.
//!
//! ```text
//! Datagram := Line { '\n' Line }
//! Line     := Key ':' Value '|' Type [ '|' '@' Rate ] [ '|' '#' Tags ]
//! ```
//!
//! and what DogStatsD makes of it: several values in a line, events, service checks,
//! timestamps. To find lines and keys none of that matters: [`lines`] are what newlines
//! separate, a [`key`] is what is before the first colon, whatever bytes they are. What a
//! line means is looked at by [`is_well_formed`] only. [`Reassembler`] finds the lines of a
//! stream.

mod grammar;
mod reassembler;

pub use grammar::is_well_formed;
pub use reassembler::Reassembler;

/// The longest line that a stream may carry: what a datagram over IPv4 can hold (65,535 less
/// 20 bytes of IP header and 8 of UDP), for a longer one could not be passed on to a node.
pub const MAX_LINE_BYTES: usize = 65_507;

/// The lines of a datagram, without their newlines; empty ones are skipped.
///
/// A carriage return before a newline stays in the line, as it does in the statsd cluster
/// proxy: the backends are who strips it.
pub fn lines(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    Lines { rest: data }
}

/// The key of a line: what is before the first colon, or all of it if there is none.
#[must_use]
pub fn key(line: &[u8]) -> &[u8] {
    // Keys are short: a plain loop has found the colon before a vector search has started.
    let end = line.iter().position(|&byte| byte == b':');
    &line[..end.unwrap_or(line.len())]
}

struct Lines<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        while !self.rest.is_empty() {
            let line = match memchr::memchr(b'\n', self.rest) {
                Some(end) => {
                    let line = &self.rest[..end];
                    self.rest = &self.rest[end + 1..];
                    line
                }
                None => std::mem::take(&mut self.rest),
            };
            if !line.is_empty() {
                return Some(line);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn newlines_separate_and_empty_lines_are_none() {
        let cases: &[(&[u8], &[&[u8]])] = &[
            (b"", &[]),
            (b"\n", &[]),
            (b"\n\n\n", &[]),
            (b"a:1|c", &[b"a:1|c"]),
            (b"a:1|c\n", &[b"a:1|c"]),
            (b"\na:1|c\n\nb:2|g\n", &[b"a:1|c", b"b:2|g"]),
            (b"a:1|c\r\nb:2|g\r\n", &[b"a:1|c\r", b"b:2|g\r"]),
            (b"\r\n", &[b"\r"]),
            (b"a\0b\n\xff", &[b"a\0b", b"\xff"]),
        ];
        for (data, expected) in cases {
            let found: Vec<_> = lines(data).collect();
            assert_eq!(&found, expected, "{}", data.escape_ascii());
        }
    }

    #[test]
    fn the_key_ends_at_the_first_colon() {
        let cases: &[(&[u8], &[u8])] = &[
            (b"a.b:1|c", b"a.b"),
            (b"a:b:1|c", b"a"),
            (b":1|c", b""),
            (b"", b""),
            (b"cpu%d", b"cpu%d"),
            (b"constructor:1|c", b"constructor"),
            (b"_e{1,1}:a|b", b"_e{1,1}"),
        ];
        for (line, expected) in cases {
            assert_eq!(&key(line), expected, "{}", line.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn lines_are_what_splitting_gives(data in prop::collection::vec(
            prop_oneof![3 => any::<u8>(), 1 => Just(b'\n'), 1 => Just(b':')], 0..300,
        )) {
            let expected = data.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
            prop_assert!(lines(&data).eq(expected));
        }
    }
}
