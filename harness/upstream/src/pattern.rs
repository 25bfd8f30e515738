//! The bytes that `source` and `http` send: known from their position alone.
//!
//! A client that knows the seed can check any piece of the stream wherever it starts.
//! Each block of 64 bytes is drawn once, with the finaliser of SplitMix64, and its eight
//! words are told apart by adding multiples of an odd constant: one draw for eight words
//! keeps up with a loopback socket, and no two blocks of a stream are alike, so that a
//! piece that is missing, moved or repeated is seen.

use std::ops::Range;

/// The odd constant nearest to 2⁶⁴ divided by the golden ratio, as SplitMix64 steps by.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// Adding its multiples tells the eight words of a block apart.
const LANE: u64 = 0xD1B5_4A32_D192_ED03;

const WORDS_PER_BLOCK: u64 = 8;

const BLOCK_BYTES: u64 = 8 * WORDS_PER_BLOCK;

/// Word `index` of the stream: bytes `8 * index` to `8 * index + 7`, little-endian.
#[must_use]
pub fn word(seed: u64, index: u64) -> u64 {
    lane(block(seed, index / WORDS_PER_BLOCK), index)
}

fn block(seed: u64, number: u64) -> u64 {
    mix(seed.wrapping_add((number.wrapping_add(1)).wrapping_mul(GOLDEN)))
}

fn lane(block: u64, index: u64) -> u64 {
    block.wrapping_add((index % WORDS_PER_BLOCK).wrapping_mul(LANE))
}

/// Appends the bytes of the stream at `range` to `out`.
pub fn append(seed: u64, range: Range<u64>, out: &mut Vec<u8>) {
    let first = range.start / BLOCK_BYTES;
    let skip = (range.start % BLOCK_BYTES) as usize;
    let len = range.end.saturating_sub(range.start) as usize;
    let from = out.len();
    // Whole blocks: what is too much at either end is taken off again, so that the loop
    // has nothing to decide.
    let blocks = (skip + len).div_ceil(BLOCK_BYTES as usize);
    out.resize(from + blocks * BLOCK_BYTES as usize, 0);
    for (number, bytes) in (first..).zip(out[from..].chunks_exact_mut(BLOCK_BYTES as usize)) {
        bytes.copy_from_slice(&block_bytes(seed, number));
    }
    out.truncate(from + skip + len);
    if skip > 0 {
        out.drain(from..from + skip);
    }
}

/// Where `bytes`, which should be those of the stream from `offset` on, first differ
/// from them.
#[must_use]
pub fn mismatch(seed: u64, offset: u64, bytes: &[u8]) -> Option<usize> {
    let mut done = 0;
    while done < bytes.len() {
        let at = offset + done as u64;
        let skip = (at % BLOCK_BYTES) as usize;
        let expected = block_bytes(seed, at / BLOCK_BYTES);
        let take = (bytes.len() - done).min(expected.len() - skip);
        let (found, expected) = (&bytes[done..done + take], &expected[skip..skip + take]);
        if found != expected {
            let differs = found.iter().zip(expected).position(|(a, b)| a != b);
            return differs.map(|nth| done + nth);
        }
        done += take;
    }
    None
}

#[inline]
fn block_bytes(seed: u64, number: u64) -> [u8; BLOCK_BYTES as usize] {
    let block = block(seed, number);
    let mut bytes = [0; BLOCK_BYTES as usize];
    for (index, word) in bytes.chunks_exact_mut(8).enumerate() {
        word.copy_from_slice(&lane(block, index as u64).to_le_bytes());
    }
    bytes
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014): every bit of the input
/// reaches every bit of the output.
pub(crate) fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_word_is_that_of_splitmix64() {
        assert_eq!(word(0, 0), 0xE220_A839_7B1D_CDAF);
        assert_eq!(
            word(1234567, 0),
            6_457_827_717_110_365_317,
            "its reference vector"
        );
        assert_eq!(word(0, 1), 0xE220_A839_7B1D_CDAF_u64.wrapping_add(LANE));
    }

    proptest! {
        #[test]
        fn any_piece_is_that_of_the_words(seed: u64, start in 0_u64..500, len in 0_u64..300) {
            let mut whole = Vec::new();
            (0..100).for_each(|index| whole.extend(word(seed, index).to_le_bytes()));
            let mut piece = Vec::new();
            append(seed, start..start + len, &mut piece);
            prop_assert_eq!(&piece[..], &whole[start as usize..(start + len) as usize]);
            prop_assert_eq!(mismatch(seed, start, &piece), None);
        }

        #[test]
        fn a_wrong_byte_is_found_where_it_is(seed: u64, start: u32, len in 1_usize..300, at: prop::sample::Index) {
            let start = u64::from(start);
            let mut piece = Vec::new();
            append(seed, start..start + len as u64, &mut piece);
            let at = at.index(len);
            piece[at] ^= 1;
            prop_assert_eq!(mismatch(seed, start, &piece), Some(at));
        }

        #[test]
        fn a_moved_piece_does_not_match(seed: u64, start in 0_u64..1 << 40, by in 1_u64..1 << 30) {
            let mut piece = Vec::new();
            append(seed, start + by..start + by + 64, &mut piece);
            prop_assert!(mismatch(seed, start, &piece).is_some());
        }
    }
}
