//! Histograms as shards write them, read as what they hold and no more: slots and counts.
//!
//! The format is HdrHistogram's V2 with deflate, base64 (`HISTF…`), as the reference
//! implementation describes it (`AbstractHistogram.encodeIntoByteBuffer`, `ZigZagEncoding`):
//! a header, then zigzag LEB128 numbers of at most 9 bytes, each the count of the next slot,
//! or less than zero for as many empty slots. A dense histogram of our bounds has 33,792
//! slots, 270 KB; one second of a shard fills a few hundred of them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::{
    TINFL_FLAG_PARSE_ZLIB_HEADER, TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF,
};
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};

/// Slots of a histogram of our bounds: 32 powers of two from 2,048 up, 1,024 slots for each,
/// and as many again below.
pub const SLOTS: usize = 33 * HALF;

/// Slots for each power of two.
const HALF: usize = 1_024;

/// The most that a slot may count, so that no sum over shards can overflow: more than
/// anybody can send in a year.
const MOST: u64 = 1 << 44;

/// What begins a compressed histogram, and the histogram in it: version 2, words of a byte.
const COMPRESSED: u32 = 0x1c84_9314;
const PLAIN: u32 = 0x1c84_9313;

/// Bytes before the compressed part: its cookie and its length.
const ENVELOPE: usize = 8;

/// Bytes before the counts: cookie, length, normalising offset, digits, lowest and highest
/// value, ratio.
const HEADER: usize = 40;

/// Our bounds, as the header has them from its third word on: offset 0, 3 digits, 1 ns to 1 h.
const BOUNDS: [u8; 24] = {
    let mut bounds = [0; 24];
    bounds[7] = 3;
    bounds[15] = 1;
    let highest = 3_600_000_000_000_u64.to_be_bytes();
    let mut at = 0;
    while at < 8 {
        bounds[16 + at] = highest[at];
        at += 1;
    }
    bounds
};

/// A slot and its count, which is not 0.
pub type Count = (u32, u64);

/// What is wrong with a histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SparseError {
    /// It is no base64.
    #[error("it is not base64")]
    Base64,
    /// It does not begin as one.
    #[error("it is no HdrHistogram V2 with deflate")]
    Format,
    /// It cannot be unpacked.
    #[error("it is damaged or cut")]
    Damaged,
    /// Others than those of load records.
    #[error("its bounds are not 1 ns to 1 h with 3 digits")]
    Bounds,
    /// More slots than its bounds have, or a count that nobody can reach.
    #[error("it counts what it cannot hold")]
    Content,
}

/// Reads histograms; its buffers are used again. Most of the time of a merge is spent here, so
/// it unpacks without the window that a stream needs, which would have to be cleared each time.
pub struct Decoder {
    packed: Vec<u8>,
    plain: Vec<u8>,
    inflate: Box<DecompressorOxide>,
}

impl Default for Decoder {
    fn default() -> Self {
        Self {
            packed: Vec::new(),
            // All that a histogram of our bounds can take: what is longer is none.
            plain: vec![0; HEADER + 9 * SLOTS],
            inflate: Box::default(),
        }
    }
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder").finish_non_exhaustive()
    }
}

impl Decoder {
    /// Puts what the histogram counts in the place of what is in `counts`, by rising slots.
    ///
    /// # Errors
    /// That it is not one, or not one of a load record.
    pub fn decode(&mut self, text: &str, counts: &mut Vec<Count>) -> Result<(), SparseError> {
        counts.clear();
        self.packed.resize(text.len() / 4 * 3 + 3, 0);
        let length = STANDARD
            .decode_slice(text, &mut self.packed)
            .map_err(|_| SparseError::Base64)?;
        let (envelope, body) = self.packed[..length]
            .split_at_checked(ENVELOPE)
            .ok_or(SparseError::Format)?;
        if word(envelope, 0) != COMPRESSED {
            return Err(SparseError::Format);
        }
        let body = body
            .get(..word(envelope, 4) as usize)
            .ok_or(SparseError::Damaged)?;
        self.inflate.init();
        let flags = TINFL_FLAG_PARSE_ZLIB_HEADER | TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
        let (status, _, length) = decompress(&mut self.inflate, body, &mut self.plain, 0, flags);
        if status != TINFLStatus::Done {
            return Err(SparseError::Damaged);
        }
        unpack(&self.plain[..length], counts)
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4]
        .iter()
        .fold(0, |word, byte| word << 8 | u32::from(*byte))
}

fn unpack(plain: &[u8], counts: &mut Vec<Count>) -> Result<(), SparseError> {
    let (header, body) = plain.split_at_checked(HEADER).ok_or(SparseError::Damaged)?;
    if word(header, 0) != PLAIN {
        return Err(SparseError::Format);
    }
    if header[8..32] != BOUNDS {
        return Err(SparseError::Bounds);
    }
    let mut body = body
        .get(..word(header, 4) as usize)
        .ok_or(SparseError::Damaged)?;
    let mut slot = 0_u64;
    while !body.is_empty() {
        let number = zigzag(&mut body).ok_or(SparseError::Damaged)?;
        if number < 0 {
            slot = slot.saturating_add(number.unsigned_abs());
            continue;
        }
        let count = number.unsigned_abs();
        if slot >= SLOTS as u64 || count > MOST {
            return Err(SparseError::Content);
        }
        if count > 0 {
            counts.push((slot as u32, count));
        }
        slot += 1;
    }
    if slot > SLOTS as u64 {
        return Err(SparseError::Content);
    }
    Ok(())
}

/// Takes the next number, of 7 bits a byte, the least significant first; a ninth byte has 8.
#[inline]
fn zigzag(bytes: &mut &[u8]) -> Option<i64> {
    let mut number = 0_u64;
    for at in 0..9 {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        if at == 8 {
            number |= u64::from(*byte) << 56;
            break;
        }
        number |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            break;
        }
    }
    Some((number >> 1) as i64 ^ -((number & 1) as i64))
}

/// The lowest value that is counted in the slot.
#[must_use]
pub fn value_of(slot: u32) -> u64 {
    let slot = slot as usize;
    if slot < 2 * HALF {
        return slot as u64;
    }
    ((slot % HALF + HALF) as u64) << (slot / HALF - 1)
}

#[cfg(test)]
mod tests {
    use loadgen::histograms::{Histogram, decode, empty, encode};
    use proptest::prelude::*;

    use super::*;

    fn sparse(text: &str) -> Result<Vec<Count>, SparseError> {
        let mut counts = vec![(1, 1)];
        Decoder::default().decode(text, &mut counts)?;
        Ok(counts)
    }

    /// What the crate that wrote it says that it counts.
    fn dense(histogram: &Histogram) -> Vec<(u64, u64)> {
        let recorded = histogram.iter_recorded();
        recorded
            .map(|step| {
                let value = histogram.lowest_equivalent(step.value_iterated_to());
                (value, step.count_at_value())
            })
            .collect()
    }

    #[test]
    fn slots_are_those_of_the_crate() {
        assert_eq!(empty().distinct_values(), SLOTS);
        let mut histogram = empty();
        for slot in 0..SLOTS as u32 {
            let value = value_of(slot);
            assert_eq!(histogram.lowest_equivalent(value), value, "slot {slot}");
            histogram.record(value).unwrap();
        }
        assert_eq!(histogram.iter_recorded().count(), SLOTS, "each is another");
        let all = sparse(&encode(&histogram)).unwrap();
        assert!(
            all.iter()
                .enumerate()
                .all(|(slot, count)| *count == (slot as u32, 1))
        );
    }

    #[test]
    fn the_empty_histogram_counts_nothing() {
        assert_eq!(sparse(&encode(&empty())).unwrap(), []);
    }

    #[test]
    fn what_is_no_histogram_of_ours_is_refused() {
        let good = encode(&empty());
        assert_eq!(sparse("?"), Err(SparseError::Base64));
        assert_eq!(sparse(""), Err(SparseError::Format));
        assert_eq!(sparse("SGVsbG8sIHdvcmxkIQ=="), Err(SparseError::Format));
        assert_eq!(sparse(&good[..24]), Err(SparseError::Damaged));
        let other = Histogram::new_with_bounds(1, 1_000_000, 3).unwrap();
        assert_eq!(sparse(&encode(&other)), Err(SparseError::Bounds));
        let other = Histogram::new_with_bounds(1, 3_600_000_000_000, 2).unwrap();
        assert_eq!(sparse(&encode(&other)), Err(SparseError::Bounds));
        let mut many = empty();
        many.record_n(5, MOST + 1).unwrap();
        assert_eq!(sparse(&encode(&many)), Err(SparseError::Content));
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded_count_for_count(
            values in proptest::collection::vec((0..3_600_000_000_000_u64, 1..MOST / 200), 0..200),
        ) {
            let mut histogram = empty();
            for (value, count) in values {
                histogram.record_n(value >> (value % 40), count).unwrap();
            }
            let text = encode(&histogram);
            let counts = sparse(&text).unwrap();
            let values: Vec<(u64, u64)> =
                counts.iter().map(|(slot, count)| (value_of(*slot), *count)).collect();
            prop_assert_eq!(&values, &dense(&histogram));
            prop_assert_eq!(decode(&text).unwrap(), histogram);
        }

        #[test]
        fn damage_does_no_harm(text in "[A-Za-z0-9+/]{0,200}", at in 0..100_usize, byte in any::<u8>()) {
            let _ = sparse(&text);
            let mut histogram = empty();
            histogram.record_n(12_345_678, 9).unwrap();
            let mut packed = STANDARD.decode(encode(&histogram)).unwrap();
            let at = at % packed.len();
            packed[at] = byte;
            let _ = sparse(&STANDARD.encode(packed));
        }

        #[test]
        fn any_payload_is_taken_or_refused(body in proptest::collection::vec(any::<u8>(), 0..60)) {
            let mut plain = PLAIN.to_be_bytes().to_vec();
            plain.extend((body.len() as u32).to_be_bytes());
            plain.extend(BOUNDS);
            plain.extend(1_f64.to_be_bytes());
            plain.extend(body);
            let mut counts = Vec::new();
            if unpack(&plain, &mut counts).is_ok() {
                prop_assert!(counts.is_sorted_by(|a, b| a.0 < b.0));
            }
        }
    }
}
