//! What a worker needs of its own to choose.

use std::sync::{Arc, Weak};

use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;

/// The random numbers, round-robin positions and scratch space of one worker: with one of
/// these each, workers choose without a lock. Random numbers follow from the seed alone.
#[derive(Debug)]
pub struct Picker {
    pub(crate) rng: Xoshiro256PlusPlus,
    /// One for each pool that this worker balances by round robin.
    turns: Vec<(Weak<()>, Turns)>,
    /// Backends that a walk along a ring has seen, a bit for each.
    pub(crate) seen: Vec<u64>,
}

/// The current weights of nginx's smooth weighted round robin.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    pub(crate) current: Vec<i64>,
}

impl Picker {
    /// A picker whose random numbers follow from `seed`.
    pub fn new(seed: u64) -> Self {
        Self {
            rng: Xoshiro256PlusPlus::seed_from_u64(seed),
            turns: Vec::new(),
            seen: Vec::new(),
        }
    }

    /// Whose turn it is in the pool with that identity, of that many backends. Only the
    /// first call for a pool allocates, and forgets those of pools that are gone.
    pub(crate) fn turns(&mut self, pool: &Arc<()>, members: usize) -> &mut Turns {
        let known = self
            .turns
            .iter()
            .position(|(of, _)| std::ptr::eq(of.as_ptr(), Arc::as_ptr(pool)));
        let index = known.unwrap_or_else(|| {
            self.turns.retain(|(of, _)| of.strong_count() > 0);
            let turns = Turns {
                current: vec![0; members],
            };
            self.turns.push((Arc::downgrade(pool), turns));
            self.turns.len() - 1
        });
        &mut self.turns[index].1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pools_that_are_gone_are_forgotten() {
        let mut picker = Picker::new(1);
        let stays = Arc::new(());
        picker.turns(&stays, 2).current[1] = 5;
        for _ in 0..100 {
            assert_eq!(picker.turns(&Arc::new(()), 3).current, [0, 0, 0]);
        }
        assert_eq!(picker.turns(&stays, 2).current, [0, 5]);
        assert!(picker.turns.len() <= 2);
    }
}
