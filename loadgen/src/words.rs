//! Bytes that say where they belong.
//!
//! A message is a row of 8-byte words, the last of which may be cut. Each word is its
//! own place, (connection, sequence number, index in the message), scrambled by a
//! bijection that the run's seed keys. So every byte is checked without being kept, and
//! eight neighbouring bytes found anywhere can be unscrambled to tell where they belong:
//! that is how a misrouted byte is known from a corrupted one.

/// Bits of a word that hold the connection's number; larger numbers are cut, which only
/// matters for telling connections apart that lie a million apart.
const CONNECTION_BITS: u32 = 20;

/// Bits that hold the sequence number: more than any pipeline is long, so that the rest
/// of the number is known from the requests that are open.
const SEQ_BITS: u32 = 24;

/// Bits that hold the index in the message.
const INDEX_BITS: u32 = 14;

/// The longest message whose words have an index each.
pub(crate) const MOST_BYTES: usize = 8 << INDEX_BITS;

/// Bytes of a word.
pub(crate) const WORD: usize = 8;

/// Where a word belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The connection, in its low bits.
    pub(crate) connection: u32,
    /// The request, in its low bits.
    pub(crate) seq: u32,
    /// The word's number in the message, from 0.
    pub(crate) index: u32,
}

impl Origin {
    /// The first word of request `seq` on connection `connection`.
    #[inline]
    pub(crate) fn start(connection: u32, seq: u64) -> Self {
        Self {
            connection: connection & mask(CONNECTION_BITS),
            seq: (seq as u32) & mask(SEQ_BITS),
            index: 0,
        }
    }

    /// The sequence number that this is, the one nearest to `near`.
    #[inline]
    pub(crate) fn seq_near(self, near: u64) -> u64 {
        const TURN: u64 = 1 << SEQ_BITS;
        let seq = (near & !(TURN - 1)) | u64::from(self.seq);
        if seq + TURN / 2 < near {
            seq + TURN
        } else if seq > near + TURN / 2 && seq >= TURN {
            seq - TURN
        } else {
            seq
        }
    }

    #[inline]
    fn bits(self) -> u64 {
        u64::from(self.connection) << (SEQ_BITS + INDEX_BITS)
            | u64::from(self.seq) << INDEX_BITS
            | u64::from(self.index)
    }
}

const fn mask(bits: u32) -> u32 {
    (1 << bits) - 1
}

/// The words of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Words {
    key: u64,
}

impl Words {
    /// The words of the run with this seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            key: crate::mix::mix(seed, 0x0077_6f72_6473),
        }
    }

    /// Appends a message of `bytes` bytes.
    #[inline]
    pub(crate) fn write(&self, start: Origin, bytes: usize, out: &mut Vec<u8>) {
        let base = start.bits() ^ self.key;
        let whole = bytes / WORD;
        for index in 0..whole as u64 {
            out.extend_from_slice(&scramble(base ^ index).to_le_bytes());
        }
        let last = scramble(base ^ whole as u64).to_le_bytes();
        out.extend_from_slice(&last[..bytes % WORD]);
    }

    /// Whether `data` is the message, byte for byte.
    #[inline]
    pub(crate) fn are(&self, start: Origin, data: &[u8]) -> bool {
        let base = start.bits() ^ self.key;
        let (words, tail) = data.as_chunks::<WORD>();
        let mut difference = 0;
        for (index, word) in words.iter().enumerate() {
            difference |= u64::from_le_bytes(*word) ^ scramble(base ^ index as u64);
        }
        let last = scramble(base ^ words.len() as u64).to_le_bytes();
        difference == 0 && tail == &last[..tail.len()]
    }

    /// Where the word at the front of `bytes` belongs, if it is one.
    #[inline]
    pub(crate) fn origin(&self, bytes: &[u8]) -> Option<Origin> {
        let word = u64::from_le_bytes(*bytes.first_chunk()?);
        let bits = unscramble(word) ^ self.key;
        if bits >> (CONNECTION_BITS + SEQ_BITS + INDEX_BITS) != 0 {
            return None;
        }
        Some(Origin {
            connection: (bits >> (SEQ_BITS + INDEX_BITS)) as u32,
            seq: (bits >> INDEX_BITS) as u32 & mask(SEQ_BITS),
            index: bits as u32 & mask(INDEX_BITS),
        })
    }
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014), which is a bijection.
#[inline]
fn scramble(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Its inverse: each step undone, the multipliers being the inverses modulo 2^64.
#[inline]
fn unscramble(mut z: u64) -> u64 {
    z = (z ^ (z >> 31) ^ (z >> 62)).wrapping_mul(0x3196_42b2_d24d_8ec3);
    z = (z ^ (z >> 27) ^ (z >> 54)).wrapping_mul(0x96de_1b17_3f11_9089);
    z ^ (z >> 30) ^ (z >> 60)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_word_of_a_message_tells_where_it_belongs(
            seed in any::<u64>(), connection in 0_u32..1 << 20, seq in 1_u64.., bytes in 8_usize..300,
        ) {
            let words = Words::new(seed);
            let start = Origin::start(connection, seq);
            let mut data = Vec::new();
            words.write(start, bytes, &mut data);
            prop_assert_eq!(data.len(), bytes);
            prop_assert!(words.are(start, &data));
            for (index, word) in data.as_chunks::<WORD>().0.iter().enumerate() {
                let index = index as u32;
                prop_assert_eq!(words.origin(word), Some(Origin { index, ..start }));
            }
            prop_assert!(Words::new(seed ^ 1).origin(&data).is_none_or(|other| other != start));
        }

        #[test]
        fn one_flipped_bit_is_seen(bit in 0_usize..400, bytes in 50_usize..80) {
            let words = Words::new(1);
            let start = Origin::start(2, 3);
            let mut data = Vec::new();
            words.write(start, bytes, &mut data);
            data[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(!words.are(start, &data));
        }

        #[test]
        fn a_sequence_number_is_known_from_its_neighbours(
            near in 1_u64..1 << 40, off in -5_000_i64..5_000,
        ) {
            let seq = near.saturating_add_signed(off).max(1);
            prop_assert_eq!(Origin::start(0, seq).seq_near(near), seq);
        }
    }
}
