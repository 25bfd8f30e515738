//! What is run next: decided from what has been seen, by rules that stand before the
//! first block.
//!
//! [`rounds`] gives every subject its turn in each round, [`pairs`] interleaves two sides
//! of a comparison, [`search`] looks for the highest rate that holds.

pub mod pairs;
pub mod rounds;
pub mod search;

use report::capacity::CapacityPlan;
use report::compare::design::Arm;
use report::run::ScenarioRun;

use crate::descriptor::Descriptor;

/// One block: fresh processes, one fixed schedule.
#[derive(Clone, Debug, PartialEq)]
pub struct BlockPlan {
    /// Counted from 1.
    pub round: u32,
    /// What is under test.
    pub subject: Descriptor,
    /// The randomness of the round: the same for each subject.
    pub seed: u64,
    /// Its part in a comparison.
    pub arm: Option<Arm>,
    /// Requests per second in the place of the scenario's.
    pub rate: Option<f64>,
}

/// The order of a scenario's blocks.
#[derive(Clone, Debug)]
pub enum Schedule {
    /// Known from the beginning.
    Rounds(Vec<BlockPlan>),
    /// Two sides in pairs, with spare pairs in the place of invalid ones.
    Pairs(pairs::Pairs),
    /// For the highest rate that holds.
    Search(search::Search),
}

impl Schedule {
    /// The block after those that `seen` holds; none if that was the last.
    ///
    /// # Errors
    /// Why it makes no sense to go on.
    pub fn next(&self, seen: &ScenarioRun) -> Result<Option<BlockPlan>, String> {
        match self {
            Self::Rounds(blocks) => Ok(blocks.get(seen.blocks.len()).cloned()),
            Self::Pairs(pairs) => pairs.next(seen),
            Self::Search(search) => Ok(search.next(seen)),
        }
    }

    /// How many blocks there will be, as far as is known from the beginning.
    #[must_use]
    pub fn expected(&self) -> usize {
        match self {
            Self::Rounds(blocks) => blocks.len(),
            Self::Pairs(pairs) => pairs.expected(),
            Self::Search(search) => search.expected(),
        }
    }

    /// What is searched for, if it is a search.
    #[must_use]
    pub fn capacity(&self) -> Option<&CapacityPlan> {
        match self {
            Self::Search(search) => Some(&search.plan),
            Self::Rounds(_) | Self::Pairs(_) => None,
        }
    }
}
