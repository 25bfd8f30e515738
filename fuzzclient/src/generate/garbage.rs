//! Datagrams that no statsd client sends: a function of the seed and of their number.

use std::io;

use rand::Rng;
use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;

use super::datagrams::{Datagrams, Next};

/// Bytes of the largest datagram that UDP over IPv4 can carry: 65,535 less 20 bytes of IP
/// header and 8 of UDP.
pub(crate) const LARGEST: usize = 65_507;

/// Newlines at most in a datagram of them.
const MOST_NEWLINES: usize = 40;

/// What a datagram is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Lines without a `|`, without a `:`, or with nothing else.
    Broken,
    /// Names and values that a careless program takes for a format.
    Formats,
    /// Names that mean something to a program, and numbers that no type holds.
    Traps,
    /// Nothing.
    Empty,
    /// Newlines only.
    Newlines,
    /// Any bytes.
    Binary,
    /// One line that fills the largest datagram.
    HugeLine,
    /// Many short lines that fill it.
    HugeMany,
}

impl Kind {
    /// All, in the order in which they take turns.
    const ALL: [Self; 8] = [
        Self::Broken,
        Self::Formats,
        Self::Traps,
        Self::Empty,
        Self::Newlines,
        Self::Binary,
        Self::HugeLine,
        Self::HugeMany,
    ];

    /// The name in the record.
    fn name(self) -> &'static str {
        match self {
            Self::Broken => "broken",
            Self::Formats => "formats",
            Self::Traps => "traps",
            Self::Empty => "empty",
            Self::Newlines => "newlines",
            Self::Binary => "binary",
            Self::HugeLine => "huge_line",
            Self::HugeMany => "huge_many",
        }
    }
}

const BROKEN: [&str; 10] = [
    "nopipe:1",
    "nocolon",
    ":",
    "|",
    ":|",
    ":1|c",
    "name:|c",
    "name:1|",
    "name:1|c|@",
    "a:1|c|#",
];

const FORMATS: [&str; 6] = [
    "cpu%d:1|c",
    "%s%s%s%n:1|c",
    "x:%d|g",
    "%!v(MISSING):1|c",
    "{}:1|c",
    "${jndi:x}:1|c",
];

const TRAPS: [&str; 10] = [
    "constructor:1|c",
    "__proto__:1|c",
    "toString:1|c",
    "hasOwnProperty:1|ms",
    "../../etc/passwd:1|c",
    "a:99999999999999999999999999|c",
    "a:-1e309|g",
    "a:nan|g",
    "a:1|c\r",
    "a b\tc:1|c",
];

/// Makes datagrams.
pub(super) struct Garbage {
    rng: Xoshiro256PlusPlus,
    turn: usize,
}

impl Garbage {
    /// Those that `rng` gives.
    pub(super) fn new(rng: Xoshiro256PlusPlus) -> Self {
        Self { rng, turn: 0 }
    }

    /// Puts the next datagram into `out`, and tells what it is.
    fn make(&mut self, out: &mut Vec<u8>) -> Kind {
        out.clear();
        let kind = Kind::ALL[self.turn % Kind::ALL.len()];
        self.turn += 1;
        match kind {
            Kind::Broken => self.some_of(&BROKEN, out),
            Kind::Formats => self.some_of(&FORMATS, out),
            Kind::Traps => self.some_of(&TRAPS, out),
            Kind::Empty => {}
            Kind::Newlines => {
                let count = self.rng.random_range(1..=MOST_NEWLINES);
                out.resize(count, b'\n');
            }
            Kind::Binary => {
                let count = self.rng.random_range(1..=1_432);
                out.resize(count, 0);
                self.rng.fill_bytes(out);
            }
            Kind::HugeLine => {
                out.resize(LARGEST, b'x');
                let colon = self.rng.random_range(0..LARGEST - 3);
                out[colon] = b':';
                out[LARGEST - 2..].copy_from_slice(b"|c");
            }
            Kind::HugeMany => {
                while out.len() + 16 < LARGEST {
                    let word = BROKEN[self.rng.random_range(0..BROKEN.len())];
                    out.extend_from_slice(word.as_bytes());
                    out.push(b'\n');
                }
            }
        }
        kind
    }

    /// One to five of these lines.
    fn some_of(&mut self, lines: &[&str], out: &mut Vec<u8>) {
        for _ in 0..self.rng.random_range(1..=5) {
            out.extend_from_slice(lines[self.rng.random_range(0..lines.len())].as_bytes());
            out.push(b'\n');
        }
        // Some clients end their last line, others do not.
        if self.rng.random_range(0..2) == 0 {
            out.pop();
        }
    }
}

impl Datagrams for Garbage {
    fn next(&mut self, out: &mut Vec<u8>) -> io::Result<Next> {
        Ok(Next::Datagram(self.make(out).name()))
    }
}

/// Lines of a datagram: what newlines separate, empty ones apart. Counted without a codec:
/// what is counted here is compared with what others count.
pub(crate) fn lines(datagram: &[u8]) -> u64 {
    let pieces = datagram.split(|byte| *byte == b'\n');
    pieces.filter(|piece| !piece.is_empty()).count() as u64
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn garbage(seed: u64) -> Garbage {
        Garbage::new(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    #[test]
    fn the_seed_decides_and_every_kind_has_its_turn() {
        let (mut one, mut same, mut other) = (garbage(1), garbage(1), garbage(2));
        let (mut a, mut b, mut c) = (Vec::new(), Vec::new(), Vec::new());
        let mut differ = false;
        for turn in 0..64 {
            let kind = one.make(&mut a);
            assert_eq!(same.make(&mut b), kind);
            other.make(&mut c);
            assert_eq!(a, b);
            differ |= a != c;
            assert!(a.len() <= LARGEST, "{kind:?}");
            assert_eq!(kind, Kind::ALL[turn % Kind::ALL.len()]);
            assert_eq!(a.is_empty(), kind == Kind::Empty);
        }
        assert!(differ);
    }

    #[test]
    fn empty_lines_are_none() {
        for (datagram, count) in [
            ("", 0),
            ("\n\n", 0),
            ("a", 1),
            ("a\n", 1),
            ("\na\n\nb\r", 2),
        ] {
            assert_eq!(lines(datagram.as_bytes()), count, "{datagram:?}");
        }
    }
}
