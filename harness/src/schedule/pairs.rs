//! Two sides of a comparison, block by block in randomised ABBA order.
//!
//! A pair is four blocks, two of each side, as ABBA or as BAAB, which is left to chance:
//! what drifts evenly over time meets both sides alike, and of two blocks the mean varies
//! less than each. Pairs of the baseline with itself, in the same order, and blocks of
//! going direct stand between them.

use std::collections::BTreeSet;

use report::compare::blocks;
use report::compare::design::Arm;
use report::event::{Phase, ProbeOutcome};
use report::evidence::{Block, ProcessEvidence};
use report::run::ScenarioRun;

use super::BlockPlan;
use crate::descriptor::Descriptor;
use crate::plan::split;

/// The plan of a comparison within one scenario.
#[derive(Clone, Debug)]
pub struct Pairs {
    /// What the candidate is compared with; none if its figures are of an earlier run.
    pub baseline: Option<Descriptor>,
    /// What is compared.
    pub candidate: Descriptor,
    /// Pairs wanted.
    pub pairs: u32,
    /// Pairs that may be added, each in the place of one that has an invalid block.
    pub spares: u32,
    /// Pairs of the baseline with itself.
    pub noise_pairs: u32,
    /// Whether going direct is measured beside each pair.
    pub anchors: bool,
    /// All chance comes from here.
    pub seed: u64,
}

impl Pairs {
    /// The block after those that `seen` holds.
    ///
    /// # Errors
    /// That one side cannot do what is asked of it at all.
    pub fn next(&self, seen: &ScenarioRun) -> Result<Option<BlockPlan>, String> {
        if let Some((last, earlier)) = seen.blocks.split_last() {
            speaks(last, earlier)?;
            // It will not get better, and a crash needs no statistics.
            if is_pair_complete(seen, last) && candidate_is_down(last, seen) {
                return Ok(None);
            }
        }
        let planned = self.planned();
        if let Some(block) = planned.get(seen.blocks.len()) {
            return Ok(Some(block.clone()));
        }
        let spare = seen.blocks.len() - planned.len();
        let in_each = self.pair(1).len();
        let (used, within) = ((spare / in_each) as u32, spare % in_each);
        if within == 0 && (used >= self.spares || self.valid_pairs(seen) >= self.pairs) {
            return Ok(None);
        }
        Ok(self.pair(self.pairs + used + 1).into_iter().nth(within))
    }

    /// Blocks without spare ones.
    #[must_use]
    pub fn expected(&self) -> usize {
        self.planned().len()
    }

    fn planned(&self) -> Vec<BlockPlan> {
        let mut blocks = Vec::new();
        for number in 1..=self.pairs.max(self.noise_pairs) {
            let pair = if number <= self.pairs {
                self.pair(number)
            } else {
                Vec::new()
            };
            blocks.extend(pair);
            if number <= self.noise_pairs {
                blocks.extend(self.noise(number));
            }
            if self.anchors && number <= self.pairs {
                blocks.push(self.block(number, &Descriptor::Direct, Arm::Anchor));
            }
        }
        blocks
    }

    fn pair(&self, number: u32) -> Vec<BlockPlan> {
        let candidate = self.block(number, &self.candidate, Arm::Candidate);
        let Some(baseline) = &self.baseline else {
            return vec![candidate];
        };
        let baseline = self.block(number, baseline, Arm::Baseline);
        let is_turned = split(self.seed, &format!("order {number}")) % 2 == 1;
        let (outer, inner) = if is_turned {
            (candidate, baseline)
        } else {
            (baseline, candidate)
        };
        vec![outer.clone(), inner.clone(), inner, outer]
    }

    fn noise(&self, number: u32) -> Vec<BlockPlan> {
        let Some(baseline) = &self.baseline else {
            return Vec::new();
        };
        [
            Arm::NoiseFirst,
            Arm::NoiseSecond,
            Arm::NoiseSecond,
            Arm::NoiseFirst,
        ]
        .map(|arm| self.block(number, baseline, arm))
        .to_vec()
    }

    fn block(&self, round: u32, subject: &Descriptor, arm: Arm) -> BlockPlan {
        BlockPlan {
            round,
            subject: subject.clone(),
            seed: split(self.seed, &format!("round {round}")),
            arm: Some(arm),
            rate: None,
        }
    }

    /// Pairs all of whose blocks may be compared.
    fn valid_pairs(&self, seen: &ScenarioRun) -> u32 {
        let sides = [Arm::Baseline, Arm::Candidate];
        let is_of_pair = |block: &&Block| block.arm.is_some_and(|arm| sides.contains(&arm));
        let of_pairs = || seen.blocks.iter().filter(is_of_pair);
        let all: BTreeSet<u32> = of_pairs().map(|block| block.round).collect();
        let unfit: BTreeSet<u32> = of_pairs()
            .filter(|block| !blocks::is_valid(block))
            .map(|block| block.round)
            .collect();
        all.difference(&unfit).count() as u32
    }
}

/// Before anything is done to it, each side has to answer one valid request. One that did
/// so in an earlier block and does not now is in trouble, which is for the verdict.
fn speaks(block: &Block, earlier: &[Block]) -> Result<(), String> {
    let has_spoken = |other: &Block| {
        let proxy = other
            .proxy
            .as_ref()
            .filter(|_| other.subject == block.subject);
        proxy.is_some_and(ProcessEvidence::ever_answered)
    };
    let Some(proxy) = block
        .proxy
        .as_ref()
        .filter(|_| !earlier.iter().any(has_spoken))
    else {
        return Ok(());
    };
    let mut before = proxy
        .probes
        .iter()
        .map(|timed| &timed.probe)
        .filter(|probe| probe.phase == Phase::Before)
        .peekable();
    let was_asked = before.peek().is_some();
    if !was_asked || before.any(|probe| probe.outcome == ProbeOutcome::Answered) {
        return Ok(());
    }
    Err(format!(
        "{} does not answer a valid request even before any load: expected a proxy that relays \
         the scenario's protocol",
        block.subject
    ))
}

fn is_pair_complete(seen: &ScenarioRun, last: &Block) -> bool {
    let of_pair = |block: &&Block| {
        block.round == last.round && matches!(block.arm, Some(Arm::Baseline | Arm::Candidate))
    };
    seen.blocks.iter().filter(of_pair).count() == 4
}

/// Whether the candidate went down in this pair and the baseline did not.
fn candidate_is_down(last: &Block, seen: &ScenarioRun) -> bool {
    let is_down = |arm: Arm| {
        let blocks = seen.blocks.iter();
        let mut of_pair =
            blocks.filter(|block| block.arm == Some(arm) && block.round == last.round);
        of_pair.any(blocks::is_down)
    };
    is_down(Arm::Candidate) && !is_down(Arm::Baseline)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs() -> Pairs {
        Pairs {
            baseline: Some("nginx".parse().unwrap()),
            candidate: "haproxy".parse().unwrap(),
            pairs: 10,
            spares: 3,
            noise_pairs: 10,
            anchors: true,
            seed: 7,
        }
    }

    /// The whole order, if no load client ever keeps its schedule.
    fn order(pairs: &Pairs) -> Vec<BlockPlan> {
        let mut seen = ScenarioRun::default();
        let mut order = Vec::new();
        while let Some(block) = pairs.next(&seen).unwrap() {
            seen.blocks.push(Block {
                round: block.round,
                subject: block.subject.to_string(),
                arm: block.arm,
                loads: vec![report::evidence::LoadEvidence {
                    name: "load".into(),
                    target: report::event::Target::Proxy,
                    record: None,
                    problem: None,
                    proxy_cpu_ns: None,
                }],
                ..Block::default()
            });
            order.push(block);
        }
        order
    }

    #[test]
    fn a_pair_is_abba_or_baab_as_chance_has_it() {
        let order = order(&pairs());
        let sides: Vec<Arm> = order
            .iter()
            .filter_map(|block| block.arm)
            .filter(|arm| matches!(arm, Arm::Baseline | Arm::Candidate))
            .collect();
        let (mut abba, mut baab) = (0, 0);
        for pair in sides.chunks(4) {
            match pair {
                [Arm::Baseline, Arm::Candidate, Arm::Candidate, Arm::Baseline] => abba += 1,
                [Arm::Candidate, Arm::Baseline, Arm::Baseline, Arm::Candidate] => baab += 1,
                other => panic!("{other:?}"),
            }
        }
        assert!(abba > 0 && baab > 0, "{abba} {baab}");
    }

    #[test]
    fn both_of_a_pair_have_one_schedule_and_no_others_do() {
        let order = order(&pairs());
        for block in &order {
            for other in &order {
                assert_eq!(block.seed == other.seed, block.round == other.round);
            }
        }
    }

    #[test]
    fn spare_pairs_take_the_place_of_invalid_ones_and_are_counted() {
        let pairs = pairs();
        assert_eq!(pairs.expected(), 90);
        assert_eq!(order(&pairs).len(), 90 + 12, "three spare pairs");
        let valid = Pairs { spares: 0, ..pairs };
        assert_eq!(order(&valid).len(), 90);
    }

    #[test]
    fn history_has_one_side_and_its_anchors() {
        let history = Pairs {
            baseline: None,
            spares: 0,
            ..pairs()
        };
        let arms: Vec<Option<Arm>> = order(&history).into_iter().map(|block| block.arm).collect();
        assert_eq!(arms.len(), 20);
        assert_eq!(
            arms.iter().filter(|arm| **arm == Some(Arm::Anchor)).count(),
            10
        );
    }
}
