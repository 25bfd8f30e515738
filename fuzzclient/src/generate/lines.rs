//! Random bytes with newlines at line-like distances, so that more of them reach what
//! lies behind the line splitter.

use std::io;

use rand::Rng;
use rand::rngs::Xoshiro256PlusPlus;

use super::BLOCK_BYTES;
use super::stream::{Generator, More};

/// Most lines are shorter than this, as messages are.
const SHORT_LINE_BYTES: u64 = 64;

/// One line in sixteen may be this long.
const LONG_LINE_BYTES: u64 = 4096;

/// Random lines, without end.
#[derive(Debug)]
pub struct Lines {
    rng: Xoshiro256PlusPlus,
    /// Bytes that come before the next newline.
    before_newline: usize,
}

impl Lines {
    /// The stream that `rng` gives.
    #[must_use]
    pub fn new(mut rng: Xoshiro256PlusPlus) -> Self {
        let before_newline = line_length(&mut rng);
        Self {
            rng,
            before_newline,
        }
    }
}

/// Bytes of a line without its newline. Empty lines are among them.
fn line_length(rng: &mut Xoshiro256PlusPlus) -> usize {
    let draw = rng.next_u64();
    let longest = if draw.is_multiple_of(16) {
        LONG_LINE_BYTES
    } else {
        SHORT_LINE_BYTES
    };
    usize::try_from((draw >> 8) % longest).unwrap_or(0)
}

impl Generator for Lines {
    fn more(&mut self, out: &mut Vec<u8>) -> io::Result<More> {
        let start = out.len();
        out.resize(start + BLOCK_BYTES, 0);
        let block = &mut out[start..];
        self.rng.fill_bytes(block);
        while self.before_newline < block.len() {
            block[self.before_newline] = b'\n';
            self.before_newline += 1 + line_length(&mut self.rng);
        }
        self.before_newline -= block.len();
        Ok(More::Bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::rng;

    #[test]
    fn lines_have_the_length_of_messages() {
        let mut out = Vec::new();
        let mut lines = Lines::new(rng(7, 0, 1));
        for _ in 0..4 {
            assert_eq!(lines.more(&mut out).unwrap(), More::Bytes);
        }
        let lengths: Vec<usize> = out.split(|&b| b == b'\n').map(<[u8]>::len).collect();
        let mean = out.len() / lengths.len();
        assert!((20..200).contains(&mean), "{mean} bytes");
        assert!(
            lengths.contains(&0) && lengths.iter().any(|&l| l > 500),
            "both extremes"
        );
        assert!(lengths.iter().all(|&l| l <= 4096));
    }
}
