//! The parts of a run before, during and after its faults: what the load clients measured
//! in each.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use loadgen::record::Interval;

use super::{Finding, Outcome};
use crate::bound::{Bound, Metric};
use crate::evidence::{Block, FaultEvidence};
use crate::expect::Part;
use crate::figures::{Figures, decode};
use crate::reconcile::INTEGRITY;
use crate::run::ScenarioRun;
use crate::text::number;

fn own_blocks<'a>(
    scenario: &'a ScenarioRun,
    figures: &'a Figures,
) -> impl Iterator<Item = &'a Block> {
    let blocks = scenario.blocks.iter();
    blocks.filter(|block| block.subject == figures.subject)
}

/// The slices of time of one load in a block, without the warm-up.
fn of_load<'a>(block: &'a Block, figures: &'a Figures) -> impl Iterator<Item = &'a Interval> {
    let loads = block.loads.iter().filter(|load| load.name == figures.load);
    let records = loads.filter_map(|load| load.record.as_ref());
    let slices = records.flat_map(|record| &record.intervals);
    slices.filter(|slice| !slice.warmup)
}

/// Whether a slice belongs to a part. A slice in which a fault began or ended belongs to
/// the fault; one between two faults belongs to neither part.
pub(super) fn is_in(block: &Block, part: Part, slice: &Interval) -> bool {
    let (from, to) = span(slice);
    let mut faults = block.faults.iter();
    match part {
        Part::Before => !block.faults.is_empty() && faults.all(|fault| to <= fault.began_mono_ns),
        Part::During => faults.any(|fault| is_touched_by(fault, slice)),
        Part::After => !block.faults.is_empty() && faults.all(|fault| from > end(fault)),
    }
}

/// Whether a slice and a fault have some time in common.
pub(super) fn is_touched_by(fault: &FaultEvidence, slice: &Interval) -> bool {
    let (from, to) = span(slice);
    from <= end(fault) && to > fault.began_mono_ns
}

/// When a fault is over, if ever.
fn end(fault: &FaultEvidence) -> u64 {
    fault.ended_mono_ns.unwrap_or(u64::MAX)
}

/// From when to when, in monotonic nanoseconds.
pub(super) fn span(slice: &Interval) -> (u64, u64) {
    let length = (slice.length_s * 1e9) as u64;
    (slice.start_mono_ns, slice.start_mono_ns + length)
}

/// What the slices of one part add up to.
#[derive(Debug, Default)]
pub(crate) struct Sums {
    pub(crate) sent: u64,
    pub(crate) answered: u64,
    pub(crate) failed: u64,
    pub(crate) connections_opened: u64,
    pub(crate) connections_failed: u64,
    kinds: BTreeMap<String, u64>,
    /// Whether somebody told of failures and not of their kinds.
    has_unknown_kinds: bool,
    seconds: f64,
    response: Option<Histogram<u64>>,
}

impl Sums {
    pub(super) fn add(&mut self, slice: &Interval) {
        self.sent += slice.sent;
        self.answered += slice.answered;
        self.failed += slice.failed;
        self.connections_opened += slice.connections_opened;
        self.connections_failed += slice.connections_failed;
        let told: u64 = slice.failed_kinds.values().sum();
        self.has_unknown_kinds |= told < slice.failed;
        for (kind, count) in &slice.failed_kinds {
            *self.kinds.entry(kind.clone()).or_insert(0) += count;
        }
        self.seconds += slice.length_s;
        match (&mut self.response, decode(&slice.response)) {
            (Some(sum), Some(one)) => drop(sum.add(&one)),
            (none @ None, Some(one)) => *none = Some(one),
            (_, None) => {}
        }
    }

    /// Failed requests and answers too many of this kind; none if the kinds are not known.
    pub(crate) fn of_kind(&self, kind: &str) -> Option<u64> {
        let count = self.kinds.get(kind).copied().unwrap_or(0);
        (!self.has_unknown_kinds).then_some(count)
    }

    /// Failed requests among those that were settled; none if none was.
    pub(crate) fn error_rate(&self) -> Option<f64> {
        let settled = self.answered + self.failed;
        (settled > 0).then(|| self.failed as f64 / settled as f64)
    }

    /// Good answers per second.
    pub(crate) fn rate(&self) -> f64 {
        self.answered as f64 / self.seconds.max(1e-9)
    }

    /// Requests written per second.
    pub(crate) fn sent_rate(&self) -> f64 {
        self.sent as f64 / self.seconds.max(1e-9)
    }

    /// A quantile of the response time; none if nobody was answered.
    pub(crate) fn quantile_us(&self, quantile: f64) -> Option<f64> {
        let response = self.response.as_ref().filter(|sum| !sum.is_empty())?;
        Some(response.value_at_quantile(quantile) as f64 / 1e3)
    }
}

/// What one load came to in one part of the run; none if no slice of time lies in it.
pub(crate) fn sums(scenario: &ScenarioRun, figures: &Figures, part: Part) -> Option<Sums> {
    added(
        own_blocks(scenario, figures).flat_map(|block| {
            of_load(block, figures).filter(move |slice| is_in(block, part, slice))
        }),
    )
}

/// What it came to while faults lasted that are the same in these words.
pub(crate) fn sums_of(scenario: &ScenarioRun, figures: &Figures, words: &str) -> Option<Sums> {
    added(own_blocks(scenario, figures).flat_map(|block| {
        let faults = block.faults.iter();
        let meant: Vec<_> = faults.filter(|fault| fault.words() == words).collect();
        of_load(block, figures)
            .filter(move |slice| meant.iter().any(|fault| is_touched_by(fault, slice)))
    }))
}

pub(super) fn added<'a>(slices: impl Iterator<Item = &'a Interval>) -> Option<Sums> {
    let mut sums = Sums::default();
    slices.for_each(|slice| sums.add(slice));
    (sums.seconds > 0.0).then_some(sums)
}

/// What a figure is in a part of the run, and whether that is within the bound.
pub(super) fn metric(
    scenario: &ScenarioRun,
    figures: &Figures,
    bound: &Bound,
    part: Part,
) -> Finding {
    let word = bound.metric.word();
    let when = part.word();
    let Some(sums) = sums(scenario, figures, part) else {
        let said = format!("no slice of time lies {when} the faults");
        return (Outcome::Inconclusive, said);
    };
    let Some((value, said)) = figure(&sums, bound) else {
        let why = if sums.has_unknown_kinds {
            "the kinds of failures are not known of each slice of time"
        } else {
            "nobody was answered"
        };
        let said = format!("{why} {when} the faults: there is no {word}");
        return (Outcome::Inconclusive, said);
    };
    let holds = bound.op.holds(value, bound.value);
    let outcome = if holds { Outcome::Pass } else { Outcome::Fail };
    (outcome, format!("{word} is {said} {when} the faults"))
}

/// The value in the unit of the bound, and that in words; none if it is not known.
fn figure(sums: &Sums, bound: &Bound) -> Option<(f64, String)> {
    let of_sent = |count: u64| {
        let [shown, of] = [count, sums.sent].map(number::count);
        if bound.percent {
            let share = count as f64 / sums.sent.max(1) as f64;
            let percent = number::percent_exact(share);
            (share * 100.0, format!("{percent}, {shown} of {of},"))
        } else {
            (count as f64, format!("{shown} of {of}"))
        }
    };
    match bound.metric {
        Metric::Failed => Some(of_sent(sums.failed)),
        Metric::Wrong => {
            let kinds = INTEGRITY.iter().map(|kind| sums.of_kind(kind));
            kinds.sum::<Option<u64>>().map(of_sent)
        }
        Metric::ErrorRate => {
            let share = sums.error_rate()?;
            Some((share * 100.0, number::percent_exact(share)))
        }
        Metric::FailedConnections => {
            let [shown, of] = [sums.connections_failed, sums.connections_opened].map(number::count);
            let said = format!("{shown} beside {of} that were opened");
            Some((sums.connections_failed as f64, said))
        }
        Metric::Rate => Some((sums.rate(), number::rate(sums.rate()))),
        kind if kind.is_kind() => sums.of_kind(kind.word()).map(of_sent),
        metric => {
            let micros = sums.quantile_us(metric.quantile()?)?;
            Some((micros, number::micros(micros)))
        }
    }
}

/// A backend that is unwell from the start is to be found out from the first request on.
pub(crate) fn first_load(block: &Block) -> Option<u64> {
    let records = block.loads.iter().filter_map(|load| load.record.as_ref());
    let slices = records.flat_map(|record| &record.intervals);
    slices.map(|slice| slice.start_mono_ns).min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{Story, load, load_record};
    use crate::run::RunFile;
    use crate::verdict::notice::tests::judged;

    fn part(text: &str, part: Part) -> Outcome {
        judged(load(text).in_part(part).unwrap(), &[]).0
    }

    #[test]
    fn each_part_is_judged_by_its_own_slices() {
        for quiet in [Part::Before, Part::After] {
            assert_eq!(part("failed = 0", quiet), Outcome::Pass);
        }
        assert_eq!(part("failed = 0", Part::During), Outcome::Fail);
        assert_eq!(part("failed <= 8", Part::During), Outcome::Pass);
        assert_eq!(part("p99 < 100us", Part::During), Outcome::Pass);
        assert_eq!(part("p99 < 80us", Part::Before), Outcome::Fail);
        let (_, said) = judged(load("failed = 0").in_part(Part::During).unwrap(), &[]);
        // The slices from 300 ms and 500 ms are touched by it.
        assert!(said.contains("8 of 6,000"), "{said}");
    }

    #[test]
    fn kinds_of_failures_belong_to_the_part_in_which_they_were_seen() {
        let judged = |text: &str, part: Part, has_kinds: bool| {
            let mut record = load_record(100, 90);
            let slice = &mut record.intervals[3];
            slice.failed = 20;
            slice.answered = 1_980;
            if has_kinds {
                let kinds = [("lost", 15), ("reset", 5), ("duplicated", 3)];
                slice.failed_kinds = kinds.map(|(kind, count)| (kind.to_owned(), count)).into();
            }
            let story = Story::new(vec![load(text).in_part(part).unwrap()])
                .block("builtin")
                .fault("upstream.1", "kill", 310, 580);
            let run = RunFile::from_events(&story.load(record).end().0);
            run.scenarios[0].verdicts[0].outcome
        };
        for text in [
            "lost = 0",
            "duplicated = 0",
            "wrong = 0",
            "error_rate < 0.1 %",
            "lost < 0.2 %",
        ] {
            assert_eq!(judged(text, Part::During, true), Outcome::Fail, "{text}");
            for quiet in [Part::Before, Part::After] {
                assert_eq!(judged(text, quiet, true), Outcome::Pass, "{text}");
                assert_eq!(judged(text, quiet, false), Outcome::Pass, "{text}");
            }
        }
        for text in [
            "lost = 15",
            "duplicated = 3",
            "wrong = 18",
            "corrupted = 0",
            // 20 of 6,000 that were settled, and 15 of 6,000 that were sent.
            "error_rate < 0.34 %",
            "lost <= 0.25 %",
        ] {
            assert_eq!(judged(text, Part::During, true), Outcome::Pass, "{text}");
        }
        // Whoever tells no kinds has not shown that none was lost.
        let unknown = judged("lost = 0", Part::During, false);
        assert_eq!(unknown, Outcome::Inconclusive);
    }

    #[test]
    fn only_what_slices_tell_can_be_asked_of_a_part() {
        let error = load("cpu_per_msg < 1s").in_part(Part::During).unwrap_err();
        assert!(error.to_string().contains("accepted: p50"), "{error}");
    }
}
