//! The bytes of a bulk transfer: known from their position alone, and the same as those
//! that the reference servers send.
//!
//! Word `i` of a connection's stream, 8 bytes little-endian, is
//! `m + (i mod 8) * 0xD1B54A32D192ED03`, where `m` is output `i / 8` of SplitMix64 started
//! at the seed. One draw for 64 bytes keeps up with a loopback socket, and no two blocks
//! of a stream are alike, so that bytes which are missing, moved or repeated are seen.

use crate::mix::mix;

/// Bytes of a block: one draw.
const BLOCK: usize = 64;

/// Adding its multiples tells the eight words of a block apart.
const LANE: u64 = 0xD1B5_4A32_D192_ED03;

/// Writes the bytes of the stream from `offset` on.
pub(crate) fn fill(seed: u64, offset: u64, bytes: &mut [u8]) {
    let (head, rest) = bytes.split_at_mut(to_block(offset).min(bytes.len()));
    copy_part(seed, offset, head);
    let offset = offset + head.len() as u64;
    let first = offset / BLOCK as u64;
    let (blocks, tail) = rest.as_chunks_mut::<BLOCK>();
    for (number, bytes) in blocks.iter_mut().enumerate() {
        *bytes = block(seed, first + number as u64);
    }
    let done = (blocks.len() * BLOCK) as u64;
    copy_part(seed, offset + done, tail);
}

/// How many of `bytes`, which should be those of the stream from `offset` on, are not,
/// and the first of them.
pub(crate) fn differences(seed: u64, offset: u64, bytes: &[u8]) -> Option<(u64, u64)> {
    if is_equal(seed, offset, bytes) {
        return None;
    }
    let mut right = vec![0; bytes.len()];
    fill(seed, offset, &mut right);
    let wrong = |(_, (is, should)): &(u64, (&u8, &u8))| is != should;
    let mut all = (offset..).zip(bytes.iter().zip(&right)).filter(wrong);
    let first = all.next()?.0;
    Some((all.count() as u64 + 1, first))
}

fn is_equal(seed: u64, offset: u64, bytes: &[u8]) -> bool {
    let (head, rest) = bytes.split_at(to_block(offset).min(bytes.len()));
    let offset_of_rest = offset + head.len() as u64;
    let first = offset_of_rest / BLOCK as u64;
    let (blocks, tail) = rest.as_chunks::<BLOCK>();
    // Not left at the first difference, which is rare: the loop has no branch this way.
    let mut difference = 0;
    for (number, bytes) in blocks.iter().enumerate() {
        let draw = mix(seed, first + number as u64);
        let (words, _) = bytes.as_chunks::<8>();
        for (at, word) in words.iter().enumerate() {
            difference |= u64::from_le_bytes(*word) ^ lane(draw, at as u64);
        }
    }
    let done = (blocks.len() * BLOCK) as u64;
    difference == 0 && is_part(seed, offset, head) && is_part(seed, offset_of_rest + done, tail)
}

/// Bytes from `offset` to the next block.
fn to_block(offset: u64) -> usize {
    (BLOCK - (offset % BLOCK as u64) as usize) % BLOCK
}

fn lane(draw: u64, word: u64) -> u64 {
    draw.wrapping_add(word.wrapping_mul(LANE))
}

fn block(seed: u64, number: u64) -> [u8; BLOCK] {
    let draw = mix(seed, number);
    let mut bytes = [0; BLOCK];
    for (at, word) in bytes.as_chunks_mut::<8>().0.iter_mut().enumerate() {
        *word = lane(draw, at as u64).to_le_bytes();
    }
    bytes
}

/// A part of one block.
fn copy_part(seed: u64, offset: u64, bytes: &mut [u8]) {
    let from = (offset % BLOCK as u64) as usize;
    let whole = block(seed, offset / BLOCK as u64);
    bytes.copy_from_slice(&whole[from..from + bytes.len()]);
}

fn is_part(seed: u64, offset: u64, bytes: &[u8]) -> bool {
    let from = (offset % BLOCK as u64) as usize;
    let whole = block(seed, offset / BLOCK as u64);
    *bytes == whole[from..from + bytes.len()]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_bytes_are_those_of_the_reference_servers() {
        let mut bytes = [0; 72];
        fill(1_234_567, 0, &mut bytes);
        let word = |at: usize| u64::from_le_bytes(bytes[at * 8..at * 8 + 8].try_into().unwrap());
        assert_eq!(word(0), 6_457_827_717_110_365_317);
        assert_eq!(word(1), 6_457_827_717_110_365_317_u64.wrapping_add(LANE));
        assert_eq!(word(8), 3_203_168_211_198_807_973);
    }

    proptest! {
        #[test]
        fn any_piece_is_that_of_the_whole(
            seed: u64, start in 0_usize..500, len in 0_usize..300, wrong in any::<prop::sample::Index>(),
        ) {
            let mut whole = [0; 800];
            fill(seed, 0, &mut whole);
            let mut piece = vec![0; len];
            fill(seed, start as u64, &mut piece);
            prop_assert_eq!(&piece[..], &whole[start..start + len]);
            prop_assert_eq!(differences(seed, start as u64, &piece), None);
            if len > 0 {
                let at = wrong.index(len);
                piece[at] ^= 1;
                let found = differences(seed, start as u64, &piece);
                prop_assert_eq!(found, Some((1, (start + at) as u64)));
            }
        }
    }
}
