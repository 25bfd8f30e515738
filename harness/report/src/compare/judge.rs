//! Judging: from the blocks of a run to words.
//!
//! `sample` is one metric before its level is known; all judged metrics of all scenarios
//! of one candidate are a family for [`holm`](super::holm); [`word`](super::word) says what
//! an interval at such a level means, and `why` puts it into a sentence.

use super::design::{BlockFigures, Conduct, Design, HistoryScenario, Kind};
use super::holm::{ALPHA, step_down};
use super::sample::Sample;
use super::{Comparison, MetricComparison, ScenarioComparison, Word};
use super::{blocks, conduct, metrics, notes, signed_rank, why};
use crate::bound::Metric;
use crate::evidence::Block;
use crate::figures::DIRECT;
use crate::run::{RunFile, ScenarioRun};

pub use super::metrics::JUDGED;

/// Pairs below which nothing is judged, unless fewer were planned. Of five or six the
/// interval would span all that was seen, and one disturbed block would decide.
pub const LEAST_PAIRS: usize = 8;

/// Blocks of each side below which nothing is compared with an earlier run. There are
/// many more ways to divide blocks that are in no pairs, so fewer are needed.
const LEAST_BLOCKS: usize = 5;

/// What came of everything that a run set out to compare, one for each candidate.
#[must_use]
pub fn of(run: &RunFile) -> Vec<Comparison> {
    let Some(design) = &run.header.design else {
        return Vec::new();
    };
    let candidates = design.candidates.iter();
    candidates
        .map(|candidate| comparison(run, design, candidate))
        .collect()
}

/// Judges pairs of blocks by themselves: the baseline's figures first in each. `noise` are
/// the ln ratios of pairs of like to like. The judged metrics are the family.
#[must_use]
pub fn pairs(
    pairs: &[(BlockFigures, BlockFigures)],
    noise: &[BlockFigures],
    is_open_loop: bool,
) -> Vec<MetricComparison> {
    let samples = metrics::COMPARED.into_iter().filter_map(|metric| {
        let is_judged = metrics::is_judged(metric, is_open_loop);
        Sample::paired(metric, is_judged, pairs, noise)
    });
    let mut case = Case {
        samples: samples.collect(),
        needed: LEAST_PAIRS,
        pairs: pairs.len(),
        is_timed: true,
        ..Case::default()
    };
    let levels = levels(std::slice::from_mut(&mut case));
    let judged = case.judged(levels.first().map_or(&[], Vec::as_slice));
    judged.into_iter().map(|(metric, _)| metric).collect()
}

/// The word over the judged ones among these metrics.
#[must_use]
pub fn word(metrics: &[MetricComparison]) -> Word {
    let judged = metrics.iter().filter(|metric| metric.is_judged);
    judged
        .map(|metric| metric.word)
        .min()
        .unwrap_or(Word::Invalid)
}

/// Pairs without which none of so many tests together can be significant, even if every
/// pair says the same; and no fewer than the least that is judged at all.
#[must_use]
pub fn pairs_needed(tests: usize) -> u32 {
    let level = ALPHA / tests.max(1) as f64;
    let mut pairs = LEAST_PAIRS;
    while !signed_rank::can_reach(pairs, level) {
        pairs += 1;
    }
    pairs as u32
}

/// One scenario, before it is judged.
#[derive(Debug, Default)]
struct Case {
    scenario: String,
    samples: Vec<Sample>,
    /// Pairs, or blocks of each side, without which a metric is not judged.
    needed: usize,
    pairs: usize,
    left_out: Vec<String>,
    baseline: Conduct,
    candidate: Conduct,
    conduct: conduct::Finding,
    is_timed: bool,
    /// Why nothing can be judged, if so.
    invalid: Option<String>,
    notes: Vec<String>,
}

fn comparison(run: &RunFile, design: &Design, candidate: &str) -> Comparison {
    let scenarios = run.scenarios.iter();
    let mut cases: Vec<Case> = scenarios
        .map(|scenario| case(scenario, design, candidate))
        .collect();
    let levels = levels(&mut cases);
    let mut notes = notes::of_run(run, design);
    let is_one = cases.len() == 1;
    let label = |scenario: &str, text: &str| {
        if is_one {
            text.to_owned()
        } else {
            format!("{scenario}: {text}")
        }
    };
    for case in &cases {
        let all = case.conduct.notes.iter().chain(&case.notes);
        notes.extend(all.map(|note| label(&case.scenario, note)));
    }
    let cases = cases.into_iter().zip(&levels);
    let scenarios: Vec<ScenarioComparison> =
        cases.map(|(case, levels)| case.concluded(levels)).collect();
    let word = scenarios.iter().map(|scenario| scenario.word).min();
    let word = word.unwrap_or(Word::Invalid);
    let deciding = scenarios.iter().filter(|scenario| scenario.word == word);
    let mut reasons: Vec<String> = Vec::new();
    for scenario in deciding {
        // That nothing differs need not be said of each scenario.
        if word != Word::Equivalent || reasons.is_empty() {
            let all = word == Word::Equivalent;
            let why = &scenario.why;
            reasons.push(if all {
                why.clone()
            } else {
                label(&scenario.scenario, why)
            });
        }
    }
    if reasons.is_empty() {
        reasons.push("nothing was run".to_owned());
    }
    Comparison {
        baseline: design.baseline.clone(),
        candidate: candidate.to_owned(),
        word,
        why: reasons.join("; "),
        notes,
        scenarios,
    }
}

fn case(scenario: &ScenarioRun, design: &Design, candidate: &str) -> Case {
    let mut case = if design.kind == Kind::History {
        beside_history(scenario, design, candidate)
    } else {
        interleaved(scenario, design, candidate)
    };
    case.scenario.clone_from(&scenario.header.name);
    case.is_timed = blocks::is_timed(scenario);
    if case.is_timed {
        case.notes.extend(notes::of_scenario(
            scenario,
            design,
            case.pairs,
            &case.samples,
        ));
        return case;
    }
    case.samples.clear();
    case.left_out.clear();
    case.pairs = case.baseline.blocks.min(case.candidate.blocks) as usize;
    let is_enough = case.pairs > 0 && scenario.complete;
    let cut = "it was cut short: there is too little to compare what became of both";
    case.invalid = (!is_enough).then(|| cut.to_owned());
    case
}

/// Whether the loads of these blocks kept to a schedule of their own.
fn is_open_loop<'a>(mut blocks: impl Iterator<Item = &'a Block>) -> bool {
    blocks.all(|block| {
        let record = blocks::load_of(block).and_then(|load| load.record.as_ref());
        record.is_none_or(|record| record.mode == "open")
    })
}

fn interleaved(scenario: &ScenarioRun, design: &Design, candidate: &str) -> Case {
    let all = blocks::paired(scenario, design, candidate);
    let wanted = design.pairs.max(1) as usize;
    let (fit, left_out) = blocks::fit_pairs(&all, wanted);
    let known = || scenario.noise.as_ref().map(|noise| noise.pairs.clone());
    let own = Some(blocks::noise_pairs(scenario)).filter(|noise| !noise.is_empty());
    let noise = own.or_else(known).unwrap_or_default();
    let is_open_loop = is_open_loop(scenario.blocks.iter());
    let samples = metrics::COMPARED.into_iter().filter_map(|metric| {
        Sample::paired(
            metric,
            metrics::is_judged(metric, is_open_loop),
            &fit,
            &noise,
        )
    });
    let baseline = conduct::of(blocks::of_baseline(scenario, design));
    let candidate = conduct::of(blocks::of_candidate(scenario, design, candidate));
    let both: Vec<_> = all
        .iter()
        .flat_map(|pair| {
            pair.baseline
                .iter()
                .copied()
                .zip(pair.candidate.iter().copied())
        })
        .collect();
    let needed = LEAST_PAIRS.min(wanted);
    let invalid = (fit.len() < needed).then(|| {
        let first = left_out
            .first()
            .map_or_else(String::new, |why| format!(" ({why})"));
        let valid = fit.len();
        format!("{valid} valid pairs, and {needed} are needed{first}")
    });
    Case {
        samples: samples.collect(),
        needed,
        pairs: fit.len(),
        left_out,
        conduct: conduct::compare(&baseline, &candidate, Some(&both)),
        baseline,
        candidate,
        invalid,
        ..Case::default()
    }
}

fn beside_history(scenario: &ScenarioRun, design: &Design, candidate: &str) -> Case {
    let earlier = design.history.iter().flat_map(|history| &history.scenarios);
    let before = earlier
        .into_iter()
        .find(|earlier| earlier.name == scenario.header.name);
    let mut then: HistoryScenario = before.cloned().unwrap_or_default();
    if design.baseline == DIRECT {
        // As figures of one side: see `figures_of_side`.
        for figures in &mut then.blocks {
            figures.remove(&Metric::CpuPerMsg);
        }
    }
    let (mut now, mut left_out) = (Vec::new(), Vec::new());
    for block in blocks::of_candidate(scenario, design, candidate) {
        match blocks::unfit(block) {
            None => now.push(blocks::figures_of_side(block)),
            Some(why) => left_out.push(format!("block {}: {why}", block.round)),
        }
    }
    let anchors = blocks::anchors(scenario);
    let noise = scenario
        .noise
        .as_ref()
        .map_or(&[][..], |noise| &noise.pairs);
    let is_open_loop = is_open_loop(scenario.blocks.iter());
    let samples = metrics::COMPARED.into_iter().filter_map(|metric| {
        let is_judged = metrics::is_judged(metric, is_open_loop);
        Sample::apart(
            metric,
            is_judged,
            [&then.blocks, &now],
            noise,
            [&then.anchors, &anchors],
        )
    });
    let after = conduct::of(blocks::of_candidate(scenario, design, candidate));
    let needed = LEAST_BLOCKS.min(design.pairs.max(1) as usize);
    let (was, is) = (then.blocks.len(), now.len());
    let invalid = match before {
        None => Some("the earlier run does not have this scenario".to_owned()),
        Some(_) => (was.min(is) < needed).then(|| {
            format!("{was} valid blocks of then and {is} of now, and {needed} of each are needed")
        }),
    };
    Case {
        samples: samples.collect(),
        needed,
        pairs: was.min(is),
        left_out,
        conduct: conduct::compare(&then.conduct, &after, None),
        baseline: then.conduct,
        candidate: after,
        invalid,
        ..Case::default()
    }
}

/// The level of each sample of each case, by Holm over all of them that are judged. If
/// none of them could be significant whatever was seen, all are invalid.
fn levels(cases: &mut [Case]) -> Vec<Vec<f64>> {
    let family: Vec<(usize, usize)> = cases
        .iter()
        .enumerate()
        .filter(|(_, case)| case.invalid.is_none())
        .flat_map(|(at, case)| {
            let samples = case.samples.iter().enumerate();
            let in_family = samples.filter(|(_, sample)| case.is_in_family(sample));
            in_family.map(move |(nth, _)| (at, nth))
        })
        .collect();
    let sample = |(at, nth): &(usize, usize)| &cases[*at].samples[*nth];
    let p_values: Vec<f64> = family.iter().map(|at| sample(at).p()).collect();
    let strictest = ALPHA / family.len().max(1) as f64;
    let is_hopeless =
        !family.is_empty() && !family.iter().any(|at| sample(at).can_reach(strictest));
    let mut levels: Vec<Vec<f64>> = cases
        .iter()
        .map(|case| vec![ALPHA; case.samples.len()])
        .collect();
    for ((at, nth), step) in family.iter().zip(step_down(&p_values, ALPHA)) {
        levels[*at][*nth] = step.level;
    }
    if is_hopeless {
        let (tests, needed) = (family.len(), pairs_needed(family.len()));
        for case in cases.iter_mut().filter(|case| !case.samples.is_empty()) {
            let pairs = case.pairs;
            case.invalid.get_or_insert_with(|| {
                format!("{tests} tests with {pairs} pairs can never be significant together: {needed} pairs are needed")
            });
        }
    }
    levels
}

impl Case {
    fn is_in_family(&self, sample: &Sample) -> bool {
        sample.is_judged && sample.pairs() >= self.needed
    }

    /// The metrics at their levels, each with the reason of its word.
    fn judged(&self, levels: &[f64]) -> Vec<(MetricComparison, String)> {
        let samples = self.samples.iter().zip(levels);
        let judged = samples.map(|(sample, level)| {
            let is_short = sample.pairs() < self.needed;
            let forced = (self.invalid.is_some() || is_short).then_some(Word::Invalid);
            let metric = sample.at(*level, forced);
            let why = if is_short {
                let (name, pairs, needed) = (metric.metric.word(), sample.pairs(), self.needed);
                format!("{name} is known in {pairs} pairs only, and {needed} are needed")
            } else {
                why::of(&metric, sample.unrest(*level), sample.drift())
            };
            (metric, why)
        });
        judged.collect()
    }

    fn concluded(self, levels: &[f64]) -> ScenarioComparison {
        let judged = self.judged(levels);
        let (word, why) = if let Some((word, why)) = &self.conduct.worse {
            (*word, why.clone())
        } else if let Some(why) = &self.invalid {
            (Word::Invalid, why.clone())
        } else if !self.is_timed {
            let why = "nobody did worse; where harm is done nothing is timed";
            (Word::Equivalent, why.to_owned())
        } else {
            let reasons: Vec<_> = judged
                .iter()
                .map(|(metric, why)| (metric, why.as_str()))
                .collect();
            why::sum_up(&reasons)
        };
        ScenarioComparison {
            scenario: self.scenario,
            word,
            why,
            pairs: self.pairs,
            left_out: self.left_out,
            baseline: self.baseline,
            candidate: self.candidate,
            metrics: judged.into_iter().map(|(metric, _)| metric).collect(),
        }
    }
}

#[cfg(test)]
mod tests;
