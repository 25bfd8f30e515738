//! The search for the highest rate that holds: subjects take turns, and each is asked for
//! the rate that its own blocks so far lead to.

use report::capacity::{self, CapacityPlan};
use report::evidence::Block;
use report::run::ScenarioRun;

use super::BlockPlan;
use crate::descriptor::Descriptor;
use crate::plan::split;

/// The plan of a search within one scenario.
#[derive(Clone, Debug)]
pub struct Search {
    /// What is searched for.
    pub plan: CapacityPlan,
    /// What is measured, in the order of the turns.
    pub subjects: Vec<Descriptor>,
    /// All chance comes from here.
    pub seed: u64,
}

impl Search {
    /// The block after those that `seen` holds: that of the subject that has had the
    /// fewest, so that what drifts over time meets all of them.
    #[must_use]
    pub fn next(&self, seen: &ScenarioRun) -> Option<BlockPlan> {
        let mut waiting: Vec<(usize, &Descriptor)> = self
            .subjects
            .iter()
            .map(|subject| (blocks(seen, subject).count(), subject))
            .collect();
        // The sort is stable: among equals the order of the turns is kept.
        waiting.sort_by_key(|(count, _)| *count);
        waiting.into_iter().find_map(|(count, subject)| {
            let rate = capacity::next(&self.plan, blocks(seen, subject))?;
            let round = u32::try_from(count).unwrap_or(u32::MAX).saturating_add(1);
            Some(BlockPlan {
                round,
                subject: subject.clone(),
                seed: split(self.seed, &format!("round {round}")),
                arm: None,
                rate: Some(rate),
            })
        })
    }

    /// Blocks that such a search usually takes.
    #[must_use]
    pub fn expected(&self) -> usize {
        self.subjects.len() * capacity::usual_blocks(&self.plan)
    }

    /// Blocks that it takes at most, whatever they show.
    #[must_use]
    pub fn most(&self) -> usize {
        self.subjects.len() * capacity::most_blocks(&self.plan)
    }
}

fn blocks<'a>(
    seen: &'a ScenarioRun,
    subject: &Descriptor,
) -> impl Iterator<Item = &'a Block> + use<'a> {
    let name = subject.to_string();
    seen.blocks
        .iter()
        .filter(move |block| block.subject == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_take_turns_and_a_search_without_figures_ends() {
        let search = Search {
            plan: CapacityPlan {
                bound: "p99 < 2ms".parse().unwrap(),
                first_rate: 5_000.0,
                resolution: 0.05,
                rounds: 2,
                most: 1e6,
            },
            subjects: vec![Descriptor::Direct, "nginx".parse().unwrap()],
            seed: 7,
        };
        let mut seen = ScenarioRun::default();
        let mut order = Vec::new();
        while let Some(plan) = search.next(&seen) {
            order.push((plan.subject.to_string(), plan.round, plan.rate));
            seen.blocks.push(Block {
                round: plan.round,
                subject: plan.subject.to_string(),
                rate: plan.rate,
                ended_mono_ns: Some(0),
                ..Block::default()
            });
            assert!(order.len() <= search.most(), "{order:?}");
        }
        let block = |subject: &str, round, rate| (subject.to_owned(), round, Some(rate));
        assert_eq!(
            order,
            [
                block("direct", 1, 5_000.0),
                block("nginx", 1, 5_000.0),
                block("direct", 2, 5_000.0),
                block("nginx", 2, 5_000.0),
            ],
            "what says nothing is repeated once"
        );
    }
}
