//! How soon after a fault a load is served as before.
//!
//! It is so from the first slice of time on with which three in a row have no failure, 0.9
//! of the rate before the faults, and a 99th percentile of at most twice that before and
//! 2 ms. Another fault in these slices is no recovery of the first.

use loadgen::record::{Interval, LoadRecord};

use super::phases::{added, is_in, is_touched_by, span};
use super::{Finding, Outcome, claims::worst};
use crate::evidence::{Block, FaultEvidence};
use crate::expect::Part;
use crate::figures::decode;
use crate::run::ScenarioRun;
use crate::text::number;

/// Slices in a row that show it.
const IN_A_ROW: usize = 3;

/// The share of the rate before that must be served.
const LEAST_RATE: f64 = 0.9;

/// How far below that chance brings few requests, in standard deviations of a Poisson
/// process.
const CHANCE: f64 = 2.0;

/// How many times the 99th percentile before it may be.
const MOST_TIMES: f64 = 2.0;

/// And how much more, in microseconds: a busy machine does as much to a few requests.
const MORE_US: f64 = 2_000.0;

/// What came of a load after a fault.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Recovery {
    /// It was served as before after so many microseconds.
    After(f64),
    /// It was not, until the next fault began after so many.
    NotBeforeTheNext(f64),
    /// It was not, until the load ended after so many.
    NotByTheEnd(f64),
}

impl Recovery {
    /// The one that took longer, or never came.
    pub(crate) fn worse(self, other: Self) -> Self {
        let rank = |recovery: &Self| match recovery {
            Self::After(us) => (0, *us),
            Self::NotBeforeTheNext(us) => (1, *us),
            Self::NotByTheEnd(us) => (2, *us),
        };
        let [one, another] = [&self, &other].map(rank);
        let is_worse = another
            .0
            .cmp(&one.0)
            .then(another.1.total_cmp(&one.1))
            .is_gt();
        if is_worse { other } else { self }
    }
}

/// What it was like before the faults.
struct Before {
    /// Answers per second.
    rate: f64,
    p99_us: f64,
}

/// The recoveries of one load from the faults of its block, in their order; none for those
/// that were not done, were not over while it ran, or ended while another went on. Nothing
/// if there is nothing to compare with.
pub(crate) fn of_load<'a>(
    block: &'a Block,
    record: &LoadRecord,
) -> Option<Vec<(&'a FaultEvidence, Option<Recovery>)>> {
    let slices = measured(record);
    let before = before(block, &slices)?;
    let of_fault = |fault: &'a FaultEvidence| (fault, recovery(block, fault, &slices, &before));
    Some(block.faults.iter().map(of_fault).collect())
}

/// The slices in which requests were due: neither those of the warm-up nor those in which
/// only late answers came.
fn measured(record: &LoadRecord) -> Vec<&Interval> {
    let end = record.started_mono_ns + (record.measured_s * 1e9) as u64;
    let slices = record.intervals.iter();
    slices
        .filter(|slice| !slice.warmup && slice.start_mono_ns < end)
        .collect()
}

fn before(block: &Block, slices: &[&Interval]) -> Option<Before> {
    let before = slices
        .iter()
        .filter(|slice| is_in(block, Part::Before, slice));
    let sums = added(before.copied())?;
    Some(Before {
        rate: sums.rate(),
        p99_us: sums.quantile_us(0.99)?,
    })
}

fn recovery(
    block: &Block,
    fault: &FaultEvidence,
    slices: &[&Interval],
    before: &Before,
) -> Option<Recovery> {
    let over = fault.ended_mono_ns.filter(|_| fault.problem.is_none())?;
    let last = span(slices.last()?).1;
    let first = slices.iter().position(|slice| span(slice).1 > over)?;
    let since = |mono_ns: u64| mono_ns.saturating_sub(over) as f64 / 1e3;
    // A slice that another fault is in says nothing about this one.
    let others = || {
        let others = block.faults.iter();
        others.filter(|other| other.fault.id != fault.fault.id && other.problem.is_none())
    };
    let next = others()
        .map(|other| (other.began_mono_ns, other.ended_mono_ns))
        .filter(|(_, ended)| ended.is_none_or(|ended| ended > over))
        .map(|(began, _)| began.max(over))
        .min();
    if next == Some(over) {
        return None;
    }
    let is_disturbed = |slice: &&&Interval| others().any(|other| is_touched_by(other, slice));
    for window in slices[first..].windows(IN_A_ROW) {
        let reaches_the_next = next.is_some_and(|next| span(window[IN_A_ROW - 1]).1 > next);
        if reaches_the_next && window.iter().any(|slice| is_disturbed(&slice)) {
            return next.map(|next| Recovery::NotBeforeTheNext(since(next)));
        }
        if is_as(before, window) {
            let from = window[0].start_mono_ns.max(over);
            return Some(Recovery::After(since(from)));
        }
    }
    Some(Recovery::NotByTheEnd(since(last)))
}

/// Whether each of these slices has no failure and is as quick as before, and all together
/// have as many answers.
fn is_as(before: &Before, window: &[&Interval]) -> bool {
    let seconds: f64 = window.iter().map(|slice| slice.length_s).sum();
    let answered: u64 = window.iter().map(|slice| slice.answered).sum();
    let least = LEAST_RATE * before.rate * seconds;
    let is_served = answered > 0 && answered as f64 >= least - CHANCE * least.sqrt();
    let is_clean = |slice: &&Interval| {
        let extra: u64 = slice.failed_kinds.values().sum();
        slice.failed == 0 && slice.connections_failed == 0 && extra == 0
    };
    let is_quick = |slice: &&Interval| {
        p99_us(slice).is_none_or(|p99| p99 <= MOST_TIMES * before.p99_us + MORE_US)
    };
    is_served && window.iter().all(is_clean) && window.iter().all(is_quick)
}

fn p99_us(slice: &Interval) -> Option<f64> {
    slice.p99_us.or_else(|| {
        let response = decode(&slice.response).filter(|response| !response.is_empty())?;
        Some(response.value_at_quantile(0.99) as f64 / 1e3)
    })
}

/// Whether every load, or the one that is named, was served as before soon enough after
/// every fault.
pub(super) fn claim(scenario: &ScenarioRun, load: Option<&str>, within_us: f64) -> Finding {
    let records = scenario.judged().flat_map(|block| {
        let loads = block.loads.iter();
        let loads = loads.filter(move |found| load.is_none_or(|load| found.name == load));
        loads.filter_map(move |load| Some((block, load.record.as_ref()?)))
    });
    worst(records.map(|(block, record)| of_block(block, record, within_us)))
}

fn of_block(block: &Block, record: &LoadRecord, within_us: f64) -> Finding {
    if block.faults.is_empty() {
        return (Outcome::Inconclusive, "there was no fault".to_owned());
    }
    let Some(recoveries) = of_load(block, record) else {
        let said = "nobody was answered before the first fault: there is no \"as before\"";
        return (Outcome::Inconclusive, said.to_owned());
    };
    let told: Vec<_> = recoveries
        .iter()
        .filter_map(|(fault, recovery)| Some((*fault, (*recovery)?)))
        .collect();
    // The slowest of those that came back is what is told.
    let slowest = told
        .iter()
        .filter_map(|(fault, recovery)| match recovery {
            Recovery::After(us) => Some((*fault, *us)),
            _ => None,
        })
        .max_by(|one, other| one.1.total_cmp(&other.1));
    let broken = told.iter().find_map(|(fault, recovery)| {
        let (waited, until) = match recovery {
            Recovery::After(_) => return None,
            Recovery::NotBeforeTheNext(us) => (*us, "when the next fault began"),
            Recovery::NotByTheEnd(us) => (*us, "when the load ended"),
        };
        (waited >= within_us).then(|| {
            let waited = number::micros(waited);
            let said = format!("not served as before {waited} after it was over, {until}");
            (Outcome::Fail, format!("{}: {said}", fault.words()))
        })
    });
    if let Some(broken) = broken {
        return broken;
    }
    let ended = told
        .iter()
        .find(|(_, recovery)| matches!(recovery, Recovery::NotByTheEnd(_)));
    match (slowest, ended) {
        (Some((fault, us)), _) if us >= within_us => (
            Outcome::Fail,
            format!("{}: {}", fault.words(), of_several(us, told.len())),
        ),
        (_, Some((fault, _))) => (
            Outcome::Inconclusive,
            format!("{}: the load ended too soon after it", fault.words()),
        ),
        (Some((fault, us)), None) => (
            Outcome::Pass,
            format!("{}: {}", fault.words(), of_several(us, told.len())),
        ),
        (None, None) => (
            Outcome::Inconclusive,
            "no fault was over for long enough while the load ran".to_owned(),
        ),
    }
}

fn of_several(us: f64, faults: usize) -> String {
    let after = after(us);
    match faults {
        1 => format!("served as before {after}"),
        _ => format!("served as before {after}, the slowest of {faults}"),
    }
}

/// As in a sentence. What a slice of time does not show is at once.
pub(crate) fn after(us: f64) -> String {
    if us == 0.0 {
        "at once".to_owned()
    } else {
        format!("after {}", number::micros(us))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expect::Expectation;
    use crate::fixtures::{Story, load_record};
    use crate::run::RunFile;

    /// Slices of 100 ms from 100 ms to 1,100 ms, changed in this way, and a fault from
    /// 310 ms to 500 ms.
    fn judged(within: &str, change: impl Fn(&mut Vec<Interval>)) -> (Outcome, String) {
        story(within, change, |story| story)
    }

    fn story(
        within: &str,
        change: impl Fn(&mut Vec<Interval>),
        more: fn(Story) -> Story,
    ) -> (Outcome, String) {
        let mut record = load_record(100, 90);
        change(&mut record.intervals);
        let demand = Expectation::recovery(within, None).unwrap();
        let story = Story::new(vec![demand]).block("builtin");
        let story = more(story.fault("upstream", "freeze", 310, 500));
        let run = RunFile::from_events(&story.load(record).end().0);
        let verdict = &run.scenarios[0].verdicts[0];
        (verdict.outcome, verdict.evidence.clone())
    }

    #[test]
    fn the_first_of_three_good_slices_counts() {
        let (outcome, said) = judged("< 100ms", |_| {});
        assert_eq!(outcome, Outcome::Pass, "{said}");
        // Slice 4 is from 500 ms on; what goes wrong in slice 5 puts it off to 700 ms.
        type Spoil = fn(&mut Interval);
        let trouble: [(&str, Spoil); 4] = [
            ("failed", |slice| slice.failed = 1),
            ("few", |slice| slice.answered = 0),
            ("slow", |slice| slice.p99_us = Some(2_300.0)),
            ("twice", |slice| {
                slice.failed_kinds.insert("duplicated".to_owned(), 1);
            }),
        ];
        for (what, spoil) in trouble {
            let late = |within: &str| judged(within, |slices| spoil(&mut slices[5]));
            let (outcome, said) = late("< 201ms");
            assert_eq!(outcome, Outcome::Pass, "{what}: {said}");
            assert!(said.contains("after 200.0 ms"), "{what}: {said}");
            assert_eq!(late("< 200ms").0, Outcome::Fail, "{what}");
        }
        // A little slower, and a little less, is as before.
        let (outcome, _) = judged("< 100ms", |slices| {
            slices[5].p99_us = Some(2_100.0);
            slices[5].answered = 1_850;
        });
        assert_eq!(outcome, Outcome::Pass);
    }

    #[test]
    fn a_run_that_ends_too_soon_shows_nothing_unless_the_time_is_over() {
        let never = |within: &str| {
            judged(within, |slices| {
                slices[4..].iter_mut().for_each(|slice| slice.failed = 1);
            })
        };
        // The load ends at 1,100 ms.
        assert_eq!(never("< 700ms").0, Outcome::Inconclusive);
        assert_eq!(never("< 600ms").0, Outcome::Fail);
        // Two good slices at the end are not three.
        let short = |within: &str| {
            judged(within, |slices| {
                slices[4..8].iter_mut().for_each(|slice| slice.failed = 1);
            })
        };
        assert_eq!(short("< 700ms").0, Outcome::Inconclusive);
    }

    #[test]
    fn late_answers_after_the_last_request_are_no_slices() {
        let (outcome, said) = judged("< 700ms", |slices| {
            slices[4..].iter_mut().for_each(|slice| slice.failed = 1);
            for number in 10..14_u64 {
                let mut drain = slices[0].clone();
                drain.start_mono_ns = (100 + number * 100) * 1_000_000;
                slices.push(drain);
            }
        });
        assert_eq!(outcome, Outcome::Inconclusive, "{said}");
    }

    #[test]
    fn the_next_fault_is_no_recovery_of_the_first() {
        let next = |story: Story| story.fault("upstream", "kill", 650, 700);
        let spoil = |slices: &mut Vec<Interval>| slices[4].failed = 1;
        // 150 ms until the next fault are too few to say, and it is over after 50 more.
        let (outcome, said) = story("< 200ms", spoil, next);
        assert_eq!(outcome, Outcome::Pass, "{said}");
        assert!(said.contains("kill upstream"), "{said}");
        let (outcome, said) = story("< 100ms", spoil, next);
        assert_eq!(outcome, Outcome::Fail, "{said}");
        assert!(said.contains("when the next fault began"), "{said}");
    }

    #[test]
    fn a_fault_that_ends_within_another_has_no_recovery_of_its_own() {
        let spoil = |slices: &mut Vec<Interval>| slices[4].failed = 1;
        let longer = |story: Story| story.fault("upstream", "kill", 400, 650);
        let (outcome, said) = story("< 100ms", spoil, longer);
        assert_eq!(outcome, Outcome::Pass, "{said}");
        assert!(said.contains("kill upstream"), "{said}");
        assert!(!said.contains("of 2"), "{said}");
    }

    #[test]
    fn nothing_before_and_no_end_are_nothing_to_judge() {
        let (outcome, said) = judged("< 1s", |slices| {
            slices.drain(..3);
        });
        assert_eq!(outcome, Outcome::Inconclusive, "{said}");
        let demand = || vec![Expectation::recovery("< 1s", None).unwrap()];
        let story = Story::new(demand()).block("builtin");
        let run = RunFile::from_events(&story.load(load_record(100, 90)).end().0);
        let verdict = &run.scenarios[0].verdicts[0];
        assert_eq!(verdict.outcome, Outcome::Inconclusive);
    }
}
