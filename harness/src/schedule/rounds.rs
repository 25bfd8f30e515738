//! Every subject has its turn in each round.

use super::BlockPlan;
use crate::descriptor::Descriptor;
use crate::plan::split;

/// The blocks of so many rounds, in an order that chance gives to each round: who is
/// compared with whom does not depend on who comes after whom.
#[must_use]
pub fn shuffled(rounds: u32, subjects: &[Descriptor], seed: u64) -> Vec<BlockPlan> {
    let mut blocks = rotated(rounds, subjects, seed);
    for round in blocks.chunks_mut(subjects.len().max(1)) {
        round.sort_by_cached_key(|block| split(block.seed, &format!("order {}", block.subject)));
    }
    blocks
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_round_has_all_subjects_in_an_order_of_its_own() {
        let subjects = ["builtin", "nginx", "haproxy"].map(|name| name.parse().unwrap());
        let blocks = shuffled(30, &subjects, 7);
        assert_eq!(blocks, shuffled(30, &subjects, 7), "the seed decides");
        let mut first = std::collections::BTreeMap::new();
        for round in blocks.chunks(3) {
            for subject in &subjects {
                assert!(round.iter().any(|block| block.subject == *subject));
            }
            *first.entry(round[0].subject.to_string()).or_insert(0) += 1;
        }
        assert_eq!(first.len(), 3, "{first:?}");
    }
}
