//! The parts of a run before, during and after its faults: what the load clients measured
//! in each, and how soon the proxy took notice.

use hdrhistogram::Histogram;
use loadgen::record::Interval;

use super::{Finding, Outcome};
use crate::bound::{Bound, Metric};
use crate::evidence::{Block, FaultEvidence, TimedTransition};
use crate::expect::{Change, Part};
use crate::figures::{Figures, decode};
use crate::run::ScenarioRun;
use crate::text::number;

/// The slices of time of one part, of all judged blocks of one load.
fn slices<'a>(
    scenario: &'a ScenarioRun,
    figures: &'a Figures,
    part: Part,
) -> impl Iterator<Item = &'a Interval> {
    scenario.judged().flat_map(move |block| {
        let loads = block.loads.iter().filter(|load| load.name == figures.load);
        let records = loads.filter_map(|load| load.record.as_ref());
        records
            .flat_map(|record| &record.intervals)
            .filter(move |slice| !slice.warmup && is_in(block, part, slice))
    })
}

/// Whether a slice belongs to a part. A slice in which a fault began or ended belongs to
/// the fault; one between two faults belongs to neither part.
fn is_in(block: &Block, part: Part, slice: &Interval) -> bool {
    let (from, to) = span(slice);
    let mut faults = block.faults.iter();
    let end = |fault: &FaultEvidence| fault.ended_mono_ns.unwrap_or(u64::MAX);
    match part {
        Part::Before => !block.faults.is_empty() && faults.all(|fault| to <= fault.began_mono_ns),
        Part::During => faults.any(|fault| from <= end(fault) && to > fault.began_mono_ns),
        Part::After => !block.faults.is_empty() && faults.all(|fault| from > end(fault)),
    }
}

fn span(slice: &Interval) -> (u64, u64) {
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
    seconds: f64,
    response: Option<Histogram<u64>>,
}

impl Sums {
    fn add(&mut self, slice: &Interval) {
        self.sent += slice.sent;
        self.answered += slice.answered;
        self.failed += slice.failed;
        self.connections_opened += slice.connections_opened;
        self.connections_failed += slice.connections_failed;
        self.seconds += slice.length_s;
        match (&mut self.response, decode(&slice.response)) {
            (Some(sum), Some(one)) => drop(sum.add(&one)),
            (none @ None, Some(one)) => *none = Some(one),
            (_, None) => {}
        }
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
    let mut sums = Sums::default();
    slices(scenario, figures, part).for_each(|slice| sums.add(slice));
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
    let (value, said) = match bound.metric {
        Metric::Failed => {
            let [shown, of] = [sums.failed, sums.sent].map(number::count);
            (Some(sums.failed as f64), format!("{shown} of {of}"))
        }
        Metric::FailedConnections => {
            let [shown, of] = [sums.connections_failed, sums.connections_opened].map(number::count);
            let said = format!("{shown} beside {of} that were opened");
            (Some(sums.connections_failed as f64), said)
        }
        Metric::Rate => (Some(sums.rate()), number::rate(sums.rate())),
        metric => {
            let micros = metric.quantile().and_then(|q| sums.quantile_us(q));
            (micros, number::micros_or_dash(micros))
        }
    };
    let Some(value) = value else {
        let said = format!("nobody was answered {when} the faults: there is no {word}");
        return (Outcome::Inconclusive, said);
    };
    let holds = bound.op.holds(value, bound.value);
    let outcome = if holds { Outcome::Pass } else { Outcome::Fail };
    (outcome, format!("{word} is {said} {when} the faults"))
}

/// What a proxy calls a backend to which it sends nobody new.
const OUT: [&str; 4] = ["down", "ejected", "draining", "disabled"];

pub(crate) fn is_out(state: &str) -> bool {
    let state = state.to_lowercase();
    OUT.iter().any(|out| state.starts_with(out))
}

/// How soon after a fault the proxy thought differently of a backend.
pub(super) fn backend(block: &Block, backend: &str, change: Change, within_us: f64) -> Finding {
    let concerns = |fault: &&FaultEvidence| {
        fault.fault.target == backend || fault.fault.backend.as_deref() == Some(backend)
    };
    let faults: Vec<&FaultEvidence> = block.faults.iter().filter(concerns).collect();
    let since = match change {
        Change::Ejected => faults.first().map(|fault| fault.began_mono_ns),
        Change::Readmitted => faults.iter().filter_map(|fault| fault.ended_mono_ns).max(),
    };
    let word = change.word();
    let Some(since) = since.or_else(|| first_load(block).filter(|_| faults.is_empty())) else {
        let said = format!("{backend} was to be {word} after a fault that was not over");
        return (Outcome::Inconclusive, said);
    };
    if block.transitions.is_empty() {
        let said = "the proxy does not tell what it thinks of its backends".to_owned();
        return (Outcome::Inconclusive, said);
    }
    let found = transition(block, backend, change, since);
    let Some(found) = found else {
        return (Outcome::Fail, format!("{backend} was never {word}"));
    };
    let after_us = found.mono_ns.saturating_sub(since) as f64 / 1e3;
    let took = number::micros(after_us);
    let why = match found.transition.why.as_str() {
        "" => String::new(),
        why => format!(" ({why})"),
    };
    let holds = after_us < within_us;
    let outcome = if holds { Outcome::Pass } else { Outcome::Fail };
    (outcome, format!("{backend} was {word} after {took}{why}"))
}

/// The first change of that kind since then.
pub(crate) fn transition<'a>(
    block: &'a Block,
    backend: &str,
    change: Change,
    since: u64,
) -> Option<&'a TimedTransition> {
    let fits = |to: &str| is_out(to) == (change == Change::Ejected);
    // A proxy may be quicker than whoever watches it: what came just before counts too.
    block.transitions.iter().find(|found| {
        found.transition.backend == backend
            && fits(&found.transition.to)
            && found.mono_ns.saturating_add(SLACK_NS) >= since
    })
}

/// How much earlier than the fault a transition may seem to be: proxies count milliseconds.
const SLACK_NS: u64 = 20_000_000;

/// A backend that is unwell from the start is to be found out from the first request on.
pub(crate) fn first_load(block: &Block) -> Option<u64> {
    let records = block.loads.iter().filter_map(|load| load.record.as_ref());
    let slices = records.flat_map(|record| &record.intervals);
    slices.map(|slice| slice.start_mono_ns).min()
}

/// Whether all that was to be done was done.
pub(super) fn faults_done(scenario: &ScenarioRun) -> Finding {
    let all = || scenario.blocks.iter().flat_map(|block| &block.faults);
    let count = number::count(all().count() as u64);
    match all().find_map(|fault| Some((fault, fault.problem.as_ref()?))) {
        Some((fault, problem)) => (Outcome::Fail, format!("{}: {problem}", fault.words())),
        None => (Outcome::Pass, format!("{count} faults were done")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expect::Expectation;
    use crate::fixtures::{Story, load, load_record};
    use crate::run::RunFile;

    /// Slices of 100 ms from 100 ms on; a fault from 310 ms to 580 ms, in which eight
    /// requests fail, and what the proxy says of it.
    fn judged(demand: Expectation, told: &[(u64, &str, &str)]) -> (Outcome, String) {
        let mut record = load_record(100, 90);
        record.intervals[3].failed = 8;
        let mut story =
            Story::new(vec![demand])
                .block("builtin")
                .fault("upstream.1", "kill", 310, 580);
        for (ms, from, to) in told {
            story = story.changed(*ms, "upstream.1", from, to);
        }
        let run = RunFile::from_events(&story.load(record).end().0);
        let verdict = &run.scenarios[0].verdicts[0];
        (verdict.outcome, verdict.evidence.clone())
    }

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
    fn only_what_slices_tell_can_be_asked_of_a_part() {
        let error = load("cpu_per_msg < 1s").in_part(Part::During).unwrap_err();
        assert!(error.to_string().contains("accepted: p50"), "{error}");
    }

    #[test]
    fn a_proxy_is_judged_by_when_it_took_notice() {
        let ejected = || Expectation::backend("upstream.1", Change::Ejected, "< 100ms").unwrap();
        let back = || Expectation::backend("upstream.1", Change::Readmitted, "< 100ms").unwrap();
        let quick = [
            (200, "down", "up"),
            (350, "up", "ejected"),
            (600, "ejected", "up"),
        ];
        assert_eq!(judged(ejected(), &quick).0, Outcome::Pass);
        assert_eq!(judged(back(), &quick).0, Outcome::Pass);
        let slow = [
            (200, "down", "up"),
            (500, "up", "down"),
            (900, "down", "slow-start"),
        ];
        assert_eq!(judged(ejected(), &slow).0, Outcome::Fail);
        assert_eq!(judged(back(), &slow).0, Outcome::Fail);
        let never = [(200, "down", "up")];
        assert_eq!(judged(ejected(), &never).0, Outcome::Fail);
        assert_eq!(
            judged(ejected(), &[]).0,
            Outcome::Inconclusive,
            "it tells nothing"
        );
    }

    #[test]
    fn what_could_not_be_done_fails_the_run() {
        let story = |reason: Option<&str>| {
            let mut story = Story::new(Vec::new())
                .block("builtin")
                .fault("proxy", "upgrade", 310, 580);
            if let Some(reason) = reason {
                let failed = crate::event::Event::FaultFailed {
                    id: "upgrade 310".to_owned(),
                    reason: reason.to_owned(),
                };
                story = story.at(590, failed);
            }
            RunFile::from_events(&story.load(load_record(100, 90)).end().0)
        };
        assert_eq!(story(None).exit_code, 0);
        let run = story(Some("started none"));
        assert_eq!(run.exit_code, 1);
        let said = &run.scenarios[0].verdicts;
        assert!(
            said.iter()
                .any(|v| v.evidence.contains("upgrade proxy: started none"))
        );
    }
}
