//! How often each key has come, and in which stretch of numbers.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use xxhash_rust::xxh3::xxh3_64;

use crate::statsd::line::Numbered;

/// Keys that are told one by one: a few megabytes of JSON, and a table that stays in the
/// cache. Of the others a bit each is kept.
pub(super) const MOST_TOLD: usize = 20_000;

/// A key that is told.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) name: Box<[u8]>,
    /// Which of the senders it belongs to.
    pub(super) sender: usize,
    pub(super) lines: u64,
    pub(super) first: u32,
    pub(super) last: u32,
}

/// The first keys that came, by the hash of their names.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys {
    positions: HashMap<u64, u32, BuildHasherDefault<AsItIs>>,
    told: Vec<Told>,
}

impl Keys {
    /// The key of a line, if it is told and has come before.
    pub(super) fn find(&mut self, line: Numbered<'_>) -> Option<&mut Told> {
        let mut hash = xxh3_64(line.key);
        loop {
            let position = *self.positions.get(&hash)? as usize;
            if *self.told[position].name == *line.key {
                return Some(&mut self.told[position]);
            }
            // Of another key with the same hash.
            hash = hash.wrapping_add(1);
        }
    }

    /// Adds a key that was not found, with its line, and tells whether there was room.
    pub(super) fn add(&mut self, line: Numbered<'_>, sender: usize) -> bool {
        if self.told.len() == MOST_TOLD {
            return false;
        }
        let mut hash = xxh3_64(line.key);
        while self.positions.contains_key(&hash) {
            hash = hash.wrapping_add(1);
        }
        let position = u32::try_from(self.told.len()).expect("a few thousand");
        self.positions.insert(hash, position);
        self.told.push(Told {
            name: line.key.into(),
            sender,
            lines: 1,
            first: line.number,
            last: line.number,
        });
        true
    }

    pub(super) fn told(&self) -> &[Told] {
        &self.told
    }
}

/// For numbers that are hashes already.
#[derive(Debug, Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64(bytes);
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}
