//! The parts of a run before, during and after its faults: what the load clients measured
//! in each, and how soon the proxy took notice.

use hdrhistogram::Histogram;
use loadgen::record::Interval;

use super::{Finding, Outcome};
use crate::bound::{Bound, Metric};
use crate::evidence::{Block, FaultEvidence};
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

/// What a figure is in a part of the run, and whether that is within the bound.
pub(super) fn metric(
    scenario: &ScenarioRun,
    figures: &Figures,
    bound: &Bound,
    part: Part,
) -> Finding {
    let word = bound.metric.word();
    let when = part.word();
    let of_part = || slices(scenario, figures, part);
    if of_part().next().is_none() {
        let said = format!("no slice of time lies {when} the faults");
        return (Outcome::Inconclusive, said);
    }
    let judged = |value: f64, said: String| {
        let holds = bound.op.holds(value, bound.value);
        (if holds { Outcome::Pass } else { Outcome::Fail }, said)
    };
    match bound.metric {
        Metric::Failed => {
            let failed: u64 = of_part().map(|slice| slice.failed).sum();
            let sent: u64 = of_part().map(|slice| slice.sent).sum();
            let [shown, of] = [failed, sent].map(number::count);
            judged(failed as f64, format!("{word} is {shown} of {of} {when}"))
        }
        Metric::FailedConnections => {
            let failed: u64 = of_part().map(|slice| slice.connections_failed).sum();
            let opened: u64 = of_part().map(|slice| slice.connections_opened).sum();
            let [shown, of] = [failed, opened].map(number::count);
            let said = format!("{word} is {shown} beside {of} that were opened {when}");
            judged(failed as f64, said)
        }
        Metric::Rate => {
            let answered: u64 = of_part().map(|slice| slice.answered).sum();
            let time_s: f64 = of_part().map(|slice| slice.length_s).sum();
            let rate = answered as f64 / time_s.max(1e-9);
            judged(rate, format!("{word} is {} {when}", number::rate(rate)))
        }
        metric => match metric.quantile().and_then(|q| quantile_us(of_part(), q)) {
            Some(micros) => judged(micros, format!("{word} is {} {when}", number::micros(micros))),
            None => (
                Outcome::Inconclusive,
                format!("nobody was answered {when}: there is no {word}"),
            ),
        },
    }
}

fn quantile_us<'a>(slices: impl Iterator<Item = &'a Interval>, quantile: f64) -> Option<f64> {
    let mut sum: Option<Histogram<u64>> = None;
    for one in slices.filter_map(|slice| decode(&slice.response)) {
        match &mut sum {
            None => sum = Some(one),
            Some(sum) => drop(sum.add(&one)),
        }
    }
    let sum = sum.filter(|sum| !sum.is_empty())?;
    Some(sum.value_at_quantile(quantile) as f64 / 1e3)
}

/// What a proxy calls a backend to which it sends nobody new.
const OUT: [&str; 4] = ["down", "ejected", "draining", "disabled"];

fn is_out(state: &str) -> bool {
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
    let fits = |to: &str| is_out(to) == (change == Change::Ejected);
    // A proxy may be quicker than whoever watches it: what came just before counts too.
    let found = block.transitions.iter().find(|change| {
        change.transition.backend == backend
            && fits(&change.transition.to)
            && change.mono_ns.saturating_add(SLACK_NS) >= since
    });
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

/// How much earlier than the fault a transition may seem to be: proxies count milliseconds.
const SLACK_NS: u64 = 20_000_000;

/// A backend that is unwell from the start is to be found out from the first request on.
fn first_load(block: &Block) -> Option<u64> {
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
