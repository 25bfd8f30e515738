//! What a server saw of the lines, as its record says it.

use std::collections::BTreeMap;
use std::io::Read;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::read::DeflateDecoder;
use serde::Deserialize;
use serde_json::Value;

/// Bytes of a bitmap at most: 2^32 numbers of one sender.
const MOST_BITMAP_BYTES: u64 = 1 << 29;

/// The part of a server's record that is about lines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct SinkRecord {
    /// Datagrams read.
    pub datagrams: u64,
    /// Lines read, of any form.
    pub lines: u64,
    /// Datagrams that the kernel dropped at its sockets; none if it does not tell.
    pub kernel_drops: Option<u64>,
    /// What came of each sender.
    pub senders: BTreeMap<String, Seen>,
    /// The keys that came.
    pub keys: BTreeMap<String, KeySeen>,
    /// Whether those are all.
    pub keys_complete: bool,
}

/// What came of one sender.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Seen {
    /// Lines.
    pub lines: u64,
    /// The numbers that came: bit n of the bitmap, lowest bit first, raw deflate, base64.
    pub seen: String,
}

/// What came of one key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct KeySeen {
    /// Lines.
    pub lines: u64,
}

impl SinkRecord {
    /// The part of an upstream's record that is about lines, if it has one.
    #[must_use]
    pub fn of(counts: &Value) -> Option<Self> {
        let part = counts.get("statsd").filter(|part| part.is_object())?;
        Self::deserialize(part).ok()
    }
}

/// The same record without what only an account needs: bitmaps and keys may be megabytes.
#[must_use]
pub fn in_short(counts: &Value) -> Value {
    let mut counts = counts.clone();
    let Some(part) = counts.get_mut("statsd").and_then(Value::as_object_mut) else {
        return counts;
    };
    part.remove("keys");
    let senders = part.get_mut("senders").and_then(Value::as_object_mut);
    for sender in senders.into_iter().flat_map(|senders| senders.values_mut()) {
        if let Some(sender) = sender.as_object_mut() {
            sender.remove("seen");
        }
    }
    counts
}

/// Numbers that came, over several servers and lives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Numbers(Vec<u8>);

impl Numbers {
    /// Adds those of a record. `false` if its bitmap cannot be read.
    pub fn add(&mut self, encoded: &str) -> bool {
        if encoded.is_empty() {
            return true;
        }
        let Ok(packed) = STANDARD.decode(encoded) else {
            return false;
        };
        let mut bits = Vec::new();
        let mut unpacked = DeflateDecoder::new(packed.as_slice()).take(MOST_BITMAP_BYTES);
        if unpacked.read_to_end(&mut bits).is_err() {
            return false;
        }
        if self.0.len() < bits.len() {
            self.0.resize(bits.len(), 0);
        }
        for (sum, one) in self.0.iter_mut().zip(bits) {
            *sum |= one;
        }
        true
    }

    /// How many there are below `end`, and how many at it or beyond.
    #[must_use]
    pub fn split_at(&self, end: u64) -> (u64, u64) {
        let whole = usize::try_from(end / 8)
            .unwrap_or(usize::MAX)
            .min(self.0.len());
        let ones = |bytes: &[u8]| bytes.iter().map(|byte| u64::from(byte.count_ones())).sum();
        let mut below: u64 = ones(&self.0[..whole]);
        if let Some(byte) = self.0.get(whole).filter(|_| whole as u64 == end / 8) {
            let mask = (1_u8 << (end % 8)) - 1;
            below += u64::from((byte & mask).count_ones());
        }
        let all: u64 = ones(&self.0);
        (below, all - below)
    }
}

#[cfg(test)]
pub(crate) fn encoded(numbers: impl IntoIterator<Item = u64>) -> String {
    use std::io::Write;

    let mut bits = Vec::new();
    for number in numbers {
        let byte = (number / 8) as usize;
        if bits.len() <= byte {
            bits.resize(byte + 1, 0_u8);
        }
        bits[byte] |= 1 << (number % 8);
    }
    let mut packer = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
    packer.write_all(&bits).unwrap();
    STANDARD.encode(packer.finish().unwrap())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_of_several_records_are_one_set(
            a in proptest::collection::btree_set(0_u64..400, 0..60),
            b in proptest::collection::btree_set(0_u64..400, 0..60),
            end in 0_u64..500,
        ) {
            let mut numbers = Numbers::default();
            prop_assert!(numbers.add(&encoded(a.iter().copied())));
            prop_assert!(numbers.add(&encoded(b.iter().copied())));
            let all: BTreeSet<u64> = a.union(&b).copied().collect();
            let below = all.iter().filter(|number| **number < end).count() as u64;
            prop_assert_eq!(numbers.split_at(end), (below, all.len() as u64 - below));
        }
    }

    #[test]
    fn what_is_no_bitmap_is_told() {
        let mut numbers = Numbers::default();
        assert!(!numbers.add("not base64!"));
        assert!(numbers.add(""));
        assert_eq!(numbers.split_at(10), (0, 0));
    }

    #[test]
    fn a_short_record_has_its_counts_and_no_bitmaps() {
        let counts = serde_json::json!({"requests": 1, "statsd": {
            "lines": 7, "senders": {"load": {"lines": 7, "seen": "AAAA"}}, "keys": {"k": {}},
        }});
        let short = in_short(&counts);
        let expected = serde_json::json!({"requests": 1, "statsd": {
            "lines": 7, "senders": {"load": {"lines": 7}},
        }});
        assert_eq!(short, expected);
        let none = serde_json::json!({"requests": 1});
        assert_eq!(in_short(&none), none);
        assert_eq!(SinkRecord::of(&none), None);
    }
}
