//! What a request carries: data that says which request it is, and can be generated
//! again from that.
//!
//! Data is lowercase letters and digits, as the original client's: three digits of
//! base 36 for the run, five for the connection, six for the sequence number, then
//! seeded filler up to a seeded length.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::mix::mix;

/// Bytes that name run, connection and sequence number.
pub const TAG_BYTES: usize = 14;

/// Longest data: with the words before it, a line that every server takes.
const MAX_BYTES: usize = 65_000;

/// Start positions of filler; enough that neighbours differ.
const FILLER_STARTS: u64 = 8_192;

/// Shortest and longest data of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lengths {
    /// Shortest, in bytes.
    pub min: usize,
    /// Longest, in bytes.
    pub max: usize,
}

impl Default for Lengths {
    /// What the original client was seen to send.
    fn default() -> Self {
        Self { min: 14, max: 32 }
    }
}

impl Lengths {
    /// Parses a length or a range of lengths from `least` to `most`.
    pub(crate) fn parse(text: &str, least: usize, most: usize) -> Option<Self> {
        let (min, max) = text.split_once('-').unwrap_or((text, text));
        let (min, max) = (min.parse().ok()?, max.parse().ok()?);
        (least <= min && min <= max && max <= most).then_some(Self { min, max })
    }
}

impl FromStr for Lengths {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse(text, TAG_BYTES, MAX_BYTES).ok_or_else(|| {
            format!(
                "expected a length such as 20 or a range such as 14-32, from {TAG_BYTES} (which \
                 name run, connection and sequence number) to {MAX_BYTES} bytes, got {text:?}"
            )
        })
    }
}

impl fmt::Display for Lengths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.min, self.max)
    }
}

impl Serialize for Lengths {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Generates the data of every request of a run.
#[derive(Clone, Debug)]
pub struct Payload {
    seed: u64,
    run: [u8; 3],
    min: u64,
    /// Number of different lengths.
    lengths: u64,
    filler: Box<[u8]>,
}

impl Payload {
    /// The data of the run with this seed.
    #[must_use]
    pub fn new(seed: u64, lengths: Lengths) -> Self {
        let size = FILLER_STARTS + lengths.max as u64;
        let letter = |k| DIGITS[(mix(seed ^ 0xf111, k) % 36) as usize];
        let [a, b] = pair(mix(seed, 0));
        Self {
            seed,
            run: [a, b, DIGITS[(mix(seed, 1) % 36) as usize]],
            min: lengths.min as u64,
            lengths: (lengths.max - lengths.min) as u64 + 1,
            filler: (0..size).map(letter).collect(),
        }
    }

    /// Appends the data of request `seq` on connection `connection` to `out`.
    #[inline]
    pub fn write(&self, connection: u32, seq: u64, out: &mut Vec<u8>) {
        let c = u64::from(connection);
        let [c0, c1] = pair(c / 46_656);
        let [c2, c3] = pair(c / 36);
        let [s0, s1] = pair(seq / 1_679_616);
        let [s2, s3] = pair(seq / 1_296);
        let [s4, s5] = pair(seq);
        let [r0, r1, r2] = self.run;
        let tag = [
            r0,
            r1,
            r2,
            c0,
            c1,
            c2,
            c3,
            DIGITS[(c % 36) as usize],
            s0,
            s1,
            s2,
            s3,
            s4,
            s5,
        ];
        out.extend_from_slice(&tag);
        let random = mix(self.seed ^ c.rotate_left(40), seq);
        let length = self.min + (random >> 32) % self.lengths;
        let start = (random & (FILLER_STARTS - 1)) as usize;
        out.extend_from_slice(&self.filler[start..start + length as usize - TAG_BYTES]);
    }
}

const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

const PAIRS: [[u8; 2]; 1_296] = {
    let mut pairs = [[0; 2]; 1_296];
    let mut k = 0;
    while k < 1_296 {
        pairs[k] = [DIGITS[k / 36], DIGITS[k % 36]];
        k += 1;
    }
    pairs
};

/// The last two base-36 digits of a number.
#[inline]
fn pair(number: u64) -> [u8; 2] {
    PAIRS[(number % 1_296) as usize]
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn data(payload: &Payload, connection: u32, seq: u64) -> Vec<u8> {
        let mut out = Vec::new();
        payload.write(connection, seq, &mut out);
        out
    }

    #[test]
    fn names_run_connection_and_sequence() {
        let payload = Payload::new(1, Lengths { min: 14, max: 14 });
        let tag = String::from_utf8(data(&payload, 36 * 36 * 36 + 37, 36 * 36 + 35)).unwrap();
        assert_eq!(&tag[3..], "0101100010z");
        assert_ne!(tag.as_bytes()[..3], Payload::new(2, Lengths::default()).run);
    }

    #[test]
    fn requests_differ_between_connections_and_sequence_numbers() {
        let payload = Payload::new(9, Lengths { min: 14, max: 14 });
        let all: HashSet<_> = (0..50)
            .flat_map(|c| (1..50).map(move |s| (c, s)))
            .map(|(c, s)| data(&payload, c, s))
            .collect();
        assert_eq!(all.len(), 50 * 49);
    }

    #[test]
    fn lengths_are_parsed() {
        assert_eq!("20".parse(), Ok(Lengths { min: 20, max: 20 }));
        assert_eq!("14-32".parse(), Ok(Lengths::default()));
        for bad in ["", "13", "32-14", "14-", "-14", "x", "14-70000", "14..32"] {
            let error = bad.parse::<Lengths>().unwrap_err();
            assert!(error.contains("14-32"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn data_is_pure_and_of_the_right_shape(
            seed in any::<u64>(), connection in any::<u32>(), seq in 1_u64.., min in 14_usize..60,
            more in 0_usize..60,
        ) {
            let lengths = Lengths { min, max: min + more };
            let first = data(&Payload::new(seed, lengths), connection, seq);
            let second = data(&Payload::new(seed, lengths), connection, seq);
            prop_assert_eq!(&first, &second);
            prop_assert!((min..=min + more).contains(&first.len()));
            prop_assert!(first.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()));
        }
    }
}
