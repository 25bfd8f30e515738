//! Which keys have come, how often, and in which stretch of numbers.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};

use xxhash_rust::xxh3::xxh3_64;

/// Keys that a record tells one by one: a few megabytes of JSON.
pub(super) const MOST_TOLD: usize = 20_000;

/// Distinct keys that are counted at all. Ten times as many as any load has would be a
/// gigabyte.
const MOST_COUNTED: usize = 4_000_000;

/// In place of the position of a key that is counted and not told.
const UNTOLD: u32 = u32::MAX;

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

/// What is known of a key.
#[derive(Debug)]
pub(super) enum Found<'a> {
    /// All of it.
    Told(&'a mut Told),
    /// That it has come before.
    Counted,
    /// Nothing.
    New(Vacancy),
}

/// Where a new key is to be put.
#[derive(Debug)]
pub(super) struct Vacancy(u64);

/// Keys by the hash of their names. Of those that are not told only the hash is kept: two
/// of four million have the same one about once in two million runs.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys {
    positions: HashMap<u64, u32, BuildHasherDefault<AsItIs>>,
    told: Vec<Told>,
}

impl Keys {
    pub(super) fn find(&mut self, name: &[u8]) -> Found<'_> {
        let mut hash = xxh3_64(name);
        loop {
            let Some(&position) = self.positions.get(&hash) else {
                return Found::New(Vacancy(hash));
            };
            if position == UNTOLD {
                return Found::Counted;
            }
            if *self.told[position as usize].name == *name {
                return Found::Told(&mut self.told[position as usize]);
            }
            hash = hash.wrapping_add(1);
        }
    }

    /// Adds a key that has come for the first time, with its line.
    pub(super) fn add(&mut self, at: Vacancy, name: &[u8], sender: usize, number: u32) {
        if self.positions.len() == MOST_COUNTED {
            return;
        }
        let Entry::Vacant(place) = self.positions.entry(at.0) else {
            return;
        };
        if self.told.len() == MOST_TOLD {
            place.insert(UNTOLD);
            return;
        }
        place.insert(u32::try_from(self.told.len()).expect("a few thousand"));
        self.told.push(Told {
            name: name.into(),
            sender,
            lines: 1,
            first: number,
            last: number,
        });
    }

    pub(super) fn told(&self) -> &[Told] {
        &self.told
    }

    /// How many distinct keys there are.
    pub(super) fn len(&self) -> usize {
        self.positions.len()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_beyond_the_limit_are_counted_and_not_told() {
        let mut keys = Keys::default();
        for round in 0..2 {
            for n in 0..MOST_TOLD + 10 {
                let name = format!("load.k{n}");
                match keys.find(name.as_bytes()) {
                    Found::New(at) => {
                        assert_eq!(round, 0);
                        keys.add(at, name.as_bytes(), 0, 7);
                    }
                    Found::Told(told) => assert_eq!((round, &*told.name), (1, name.as_bytes())),
                    Found::Counted => assert!(round == 1 && n >= MOST_TOLD),
                }
            }
        }
        assert_eq!((keys.len(), keys.told().len()), (MOST_TOLD + 10, MOST_TOLD));
    }
}
