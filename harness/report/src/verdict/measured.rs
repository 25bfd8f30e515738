//! What the load clients measured and counted, against what is demanded of it.

use loadgen::record::LoadRecord;

use super::counts::{self, of_kind};
use super::{Finding, Outcome};
use crate::bound::{Bound, Metric, TimesBound, Unit};
use crate::figures::Figures;
use crate::reconcile::INTEGRITY;
use crate::run::ScenarioRun;
use crate::text::number;

/// The figures of the judged subject.
pub(super) fn rows<'a>(
    scenario: &'a ScenarioRun,
    load: Option<&'a str>,
) -> impl Iterator<Item = &'a Figures> {
    let named = move |row: &&Figures| load.is_none_or(|load| row.load == load);
    scenario
        .figures
        .iter()
        .filter(|row| row.subject == scenario.subject())
        .filter(named)
}

/// Whether the times of a load may be judged.
pub(super) fn validity(figures: &Figures) -> Finding {
    let blocks = format!(
        "{} of {} blocks are valid",
        figures.valid_blocks, figures.blocks
    );
    if !figures.is_valid() {
        return (
            Outcome::Inconclusive,
            format!("INVALID, {blocks}: {}", figures.why_invalid()),
        );
    }
    if figures.lines.is_some() {
        // Nobody answers lines: whether they were sent in time is all there is.
        return (Outcome::Pass, blocks);
    }
    // A closed loop has no schedule to miss, and one that is never answered sends nothing.
    if figures.response_us.count == 0 {
        return (
            Outcome::Inconclusive,
            format!("{blocks}, but nobody answered: there are no times to judge"),
        );
    }
    (Outcome::Pass, blocks)
}

/// What a figure is, and whether that is within the bound.
pub(super) fn metric(scenario: &ScenarioRun, figures: &Figures, bound: &Bound) -> Finding {
    let is_count = [Unit::Count, Unit::Share].contains(&bound.metric.unit());
    if is_count && bound.metric != Metric::Missing {
        return counts::count(scenario, figures, bound);
    }
    let Some((value, said)) = figure(scenario, figures, bound.metric) else {
        let word = bound.metric.word();
        let said = format!("too few samples, or nothing measured {word}");
        return (Outcome::Inconclusive, said);
    };
    // Memory is what it is, however late the client was, and what is lost is lost.
    let is_timed = ![Metric::PeakMemory, Metric::Missing].contains(&bound.metric);
    if !figures.is_valid() && is_timed {
        let why = figures.why_invalid();
        return (
            Outcome::Inconclusive,
            format!("{said}, but the run is INVALID: {why}"),
        );
    }
    let holds = bound.op.holds(value, bound.value);
    (if holds { Outcome::Pass } else { Outcome::Fail }, said)
}

/// What a figure is beside that of another subject, and whether that is within the bound.
pub(super) fn beside(
    scenario: &ScenarioRun,
    figures: &Figures,
    subject: &str,
    bound: &TimesBound,
) -> Finding {
    let mut rows = scenario.figures.iter();
    let other = rows.find(|row| row.subject == subject && row.load == figures.load);
    let value = |row: &Figures| figure(scenario, row, bound.metric);
    let both = value(figures).zip(other.and_then(value));
    let Some(((own, said), (others, others_said))) = both else {
        let said = format!("nothing was measured of {subject} to set it beside");
        return (Outcome::Inconclusive, said);
    };
    let said = format!(
        "{said}, and of {subject} {others_said}: {:.2}x",
        own / others
    );
    let holds = bound.op.holds(own, bound.times * others);
    (if holds { Outcome::Pass } else { Outcome::Fail }, said)
}

/// What a figure is, and that in words. A quantile is infinite where more requests than
/// it leaves out never got an answer. None if nothing measured it, or not often enough.
pub(crate) fn figure(
    scenario: &ScenarioRun,
    figures: &Figures,
    metric: Metric,
) -> Option<(f64, String)> {
    let word = metric.word();
    let value = match metric {
        Metric::P50 => figures.response_us.p50,
        Metric::P90 => figures.response_us.p90,
        Metric::P99 => figures.response_us.p99,
        Metric::P99_9 => figures.response_us.p99_9,
        Metric::Max => figures.response_us.max,
        Metric::Rate => Some(figures.rate),
        Metric::CpuPerMsg => figures.cpu_us_per_msg,
        Metric::Throughput => figures.gbit_per_s,
        Metric::BitsPerCpuSecond => figures.gbit_per_cpu_s,
        Metric::LinesPerCpuSecond => figures.lines.as_ref().and_then(|lines| lines.per_cpu_s),
        Metric::Missing => missing(scenario, figures).map(|lines| lines as f64),
        Metric::PeakMemory => figures.peak_memory_bytes.map(|bytes| bytes as f64),
        _ => None,
    };
    let said = value.map(|value| {
        let shown = match metric.unit() {
            Unit::Time => number::micros(value),
            Unit::Rate => number::rate(value),
            Unit::Size => number::bytes(value as u64),
            Unit::Gigabits => number::gigabits(value) + "/s",
            Unit::Count => number::count(value as u64),
            Unit::Share => number::percent(value / 100.0),
        };
        let loop_kind = metric.quantile().and_then(|_| loop_kind(scenario, figures));
        format!("{word} is {shown}{}", loop_kind.unwrap_or_default())
    });
    let beyond = metric
        .quantile()
        .and_then(|quantile| beyond_all_answers(scenario, figures, quantile));
    match beyond {
        Some(beyond) => {
            let said = said.map_or_else(String::new, |said| format!("{said} of the answers, but "));
            // Whoever is never answered waits for ever.
            Some((f64::INFINITY, said + &beyond))
        }
        None => Some((value?, said?)),
    }
}

/// Why a quantile of the response time is beyond every time that was measured, if so many
/// requests never got an answer.
fn beyond_all_answers(scenario: &ScenarioRun, figures: &Figures, quantile: f64) -> Option<String> {
    // The same blocks that the times come from.
    let used =
        records(scenario, figures).filter(|record| record.valid || figures.valid_blocks == 0);
    let (unanswered, never_written) = used.fold((0, 0), |(unanswered, never_written), record| {
        let counts = &record.counts;
        (
            unanswered + counts.unanswered,
            never_written + counts.never_written,
        )
    });
    let missing = unanswered + never_written;
    let all = figures.response_us.count + missing;
    (missing as f64 > (1.0 - quantile) * all as f64).then(|| {
        format!(
            "{} of {} requests never got one ({} unanswered, {} never written)",
            number::count(missing),
            number::count(all),
            number::count(unanswered),
            number::count(never_written)
        )
    })
}

/// Lines that did not come, over all blocks of the subject; none if one has no account.
fn missing(scenario: &ScenarioRun, figures: &Figures) -> Option<u64> {
    let blocks = scenario.blocks.iter();
    let own = blocks.filter(|block| block.subject == figures.subject);
    own.map(|block| Some(block.account.as_ref()?.missing)).sum()
}

/// A label for times that claim nothing about latency under load.
fn loop_kind(scenario: &ScenarioRun, figures: &Figures) -> Option<&'static str> {
    let is_closed = records(scenario, figures).any(|record| record.mode != "open");
    is_closed.then_some(" (closed loop)")
}

pub(super) fn records<'a>(
    scenario: &'a ScenarioRun,
    figures: &'a Figures,
) -> impl Iterator<Item = &'a LoadRecord> {
    scenario
        .judged()
        .flat_map(|block| &block.loads)
        .filter(|load| load.name == figures.load)
        .filter_map(|load| load.record.as_ref())
}

/// Whether every answer was the right one, whichever load it was for.
pub(super) fn intact(scenario: &ScenarioRun) -> Finding {
    let all = || {
        let loads = scenario.judged().flat_map(|block| &block.loads);
        loads.filter_map(|load| Some(&load.record.as_ref()?.counts))
    };
    let found: Vec<String> = INTEGRITY
        .into_iter()
        .map(|kind| (kind, all().map(|counts| of_kind(counts, kind)).sum::<u64>()))
        .filter(|(_, count)| *count > 0)
        .map(|(kind, count)| format!("{kind} {}", number::count(count)))
        .collect();
    let sent = number::count(all().map(|counts| counts.sent).sum());
    if found.is_empty() {
        let right = number::count(all().map(|counts| counts.acked + counts.naked).sum());
        let said = format!("{right} right answers to {sent} requests, and no wrong one");
        return (Outcome::Pass, said);
    }
    let said = format!("{} of {sent} requests", found.join(", "));
    (Outcome::Fail, said)
}

#[cfg(test)]
mod tests;
