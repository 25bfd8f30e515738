//! Every subject has its turn in each round.

use super::BlockPlan;
use crate::descriptor::Descriptor;
use crate::plan::split;

/// The blocks of so many rounds, in rotated order, so that what drifts over time meets
/// each subject in turn.
#[must_use]
pub fn rotated(rounds: u32, subjects: &[Descriptor], seed: u64) -> Vec<BlockPlan> {
    let count = subjects.len();
    (1..=rounds)
        .flat_map(|round| {
            let first = round as usize - 1;
            (0..count).map(move |at| BlockPlan {
                round,
                subject: subjects[(first + at) % count].clone(),
                seed: split(seed, &format!("round {round}")),
                arm: None,
                rate: None,
            })
        })
        .collect()
}
