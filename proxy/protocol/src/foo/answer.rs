//! What our reference server answers: a pure function of the request, so that a client
//! can check not only that it got *an* answer but *the* answer.

use xxhash_rust::xxh3::xxh3_128_with_seed;

use super::{Kind, encode};

/// Hex digits in an answer.
pub const DIGITS: usize = 32;

/// Of 256 requests this many are refused: about 12 %, as the original server was seen
/// to do.
const NAK_OF_256: u8 = 31;

/// The answer to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// ACK or NAK.
    pub kind: Kind,
    /// The request's sequence number.
    pub seq: i64,
    /// Digest of sequence number and data, in lower-case hex.
    pub digits: [u8; DIGITS],
}

impl Answer {
    /// The answer to the request with this sequence number and data. The digest is
    /// XXH3-128 of the data, seeded with the sequence number.
    #[inline]
    #[must_use]
    pub fn to(seq: i64, data: &[u8]) -> Self {
        let digest = xxh3_128_with_seed(data, seq.cast_unsigned()).to_be_bytes();
        let mut digits = [0; DIGITS];
        for (pair, byte) in digits.as_chunks_mut::<2>().0.iter_mut().zip(digest) {
            *pair = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
        }
        let kind = if digest[0] < NAK_OF_256 {
            Kind::Nak
        } else {
            Kind::Ack
        };
        Self { kind, seq, digits }
    }

    /// Appends the answer's line to `out`.
    #[inline]
    pub fn encode(&self, out: &mut Vec<u8>) {
        encode(self.kind, self.seq, &self.digits, out);
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_requests_get_equal_answers_and_others_do_not() {
        assert_eq!(Answer::to(1, b"abc"), Answer::to(1, b"abc"));
        assert_ne!(Answer::to(1, b"abc").digits, Answer::to(2, b"abc").digits);
        assert_ne!(Answer::to(1, b"abc").digits, Answer::to(1, b"abd").digits);
    }

    #[test]
    fn about_twelve_percent_are_refused() {
        let naks = (0..100_000)
            .filter(|&seq| Answer::to(seq, b"x").kind == Kind::Nak)
            .count();
        assert!((11_500..12_700).contains(&naks), "{naks} of 100,000");
    }

    #[test]
    fn an_answer_is_one_line_of_hex() {
        let mut line = Vec::new();
        Answer::to(12, b"payload").encode(&mut line);
        let text = String::from_utf8(line).unwrap();
        let digits = text.trim_end().rsplit(' ').next().unwrap();
        assert_eq!(digits.len(), DIGITS);
        assert!(
            digits
                .bytes()
                .all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase())
        );
        assert!(
            text.starts_with("ACK 12 ") || text.starts_with("NAK 12 "),
            "{text}"
        );
    }
}
