//! What the load clients counted, against what is demanded of it.

use std::collections::BTreeMap;

use loadgen::record::Counts;

use super::measured::records;
use super::{Finding, Outcome};
use crate::bound::{Bound, Metric};
use crate::datagrams::Passage;
use crate::evidence::Block;
use crate::figures::Figures;
use crate::reconcile::INTEGRITY;
use crate::run::ScenarioRun;
use crate::text::number;

/// Counts are judged in an invalid run too: whether an answer is right does not depend on
/// when its request was sent.
pub(super) fn count(scenario: &ScenarioRun, figures: &Figures, bound: &Bound) -> Finding {
    let word = bound.metric.word();
    if bound.metric == Metric::ErrorRate {
        return error_rate(scenario, figures, bound);
    }
    let Some(value) = counted(scenario, figures, bound.metric) else {
        return (Outcome::Inconclusive, format!("nobody tells of {word}"));
    };
    let mut said = format!("{word} is {}", number::count(value));
    match bound.metric {
        Metric::Failed | Metric::FailedConnections | Metric::Wrong => {
            said.push_str(&kinds(scenario, figures));
        }
        Metric::Unanswered => said.push_str(&waits(scenario, figures)),
        _ => {}
    }
    let idle = idle_block(scenario, figures);
    let mut holds = bound.op.holds(value as f64, bound.value);
    if bound.percent {
        let sent = sent(scenario, figures);
        let share = value as f64 / sent.max(1) as f64;
        holds = bound.op.holds(share * 100.0, bound.value);
        let shown = number::percent_exact(share);
        said.push_str(&format!(", {shown} of {} sent", number::count(sent)));
    }
    if let Some(idle) = idle
        && (holds || value == 0)
    {
        let said = format!("{said}, but nothing was sent in round {}", idle.round);
        return (Outcome::Inconclusive, said);
    }
    (if holds { Outcome::Pass } else { Outcome::Fail }, said)
}

/// Requests that were due and got no right answer, whether they were written or not.
fn error_rate(scenario: &ScenarioRun, figures: &Figures, bound: &Bound) -> Finding {
    let (mut due, mut wrong) = (0, 0);
    for counts in counts(scenario, figures) {
        due += counts.sent + counts.never_written;
        wrong += counts.failed_total() + counts.unanswered + counts.never_written;
    }
    let share = wrong as f64 / due.max(1) as f64;
    let [shown_wrong, shown_due] = [wrong, due].map(number::count);
    let shown = number::percent_exact(share);
    let said = format!("error_rate is {shown}: {shown_wrong} of {shown_due} requests");
    if due == 0 {
        let said = "nothing was sent: there is no error_rate".to_owned();
        return (Outcome::Inconclusive, said);
    }
    let holds = bound.op.holds(share * 100.0, bound.value);
    (if holds { Outcome::Pass } else { Outcome::Fail }, said)
}

/// What 100 % is.
fn sent(scenario: &ScenarioRun, figures: &Figures) -> u64 {
    let passage = passage(scenario, figures);
    passage.map_or_else(
        || counts(scenario, figures).map(|counts| counts.sent).sum(),
        |passage| passage.sent,
    )
}

/// The datagrams of a load over all blocks, if that is what it sent.
fn passage(scenario: &ScenarioRun, figures: &Figures) -> Option<Passage> {
    Passage::over(scenario, &figures.subject, &figures.load)
}

/// A judged block in which the load sent nothing: nothing can go wrong there.
fn idle_block<'a>(scenario: &'a ScenarioRun, figures: &Figures) -> Option<&'a Block> {
    scenario.judged().find(|block| {
        let mut loads = block.loads.iter().filter(|load| load.name == figures.load);
        !loads.any(|load| {
            let record = load.record.as_ref();
            record.is_some_and(|record| record.counts.sent > 0)
        })
    })
}

fn counts<'a>(scenario: &'a ScenarioRun, figures: &'a Figures) -> impl Iterator<Item = &'a Counts> {
    records(scenario, figures).map(|record| &record.counts)
}

/// A count over all blocks; none if nobody knows. An answer that came twice is not in the
/// sum of the requests, nor is a connection that could not be opened, and both are failures
/// nevertheless.
fn counted(scenario: &ScenarioRun, figures: &Figures, metric: Metric) -> Option<u64> {
    if let Some(passage) = passage(scenario, figures) {
        // What was late is not lost, and a datagram out of order is no failure, but is one.
        match metric {
            Metric::Lost => return Some(passage.lost),
            Metric::Duplicated => return Some(passage.duplicated),
            Metric::Reordered => return Some(passage.reordered),
            Metric::LostThere => return Some(passage.there?.lost),
            Metric::LostBack => return Some(passage.there?.lost_back),
            _ => {}
        }
    }
    if matches!(metric, Metric::LostThere | Metric::LostBack) {
        return None;
    }
    let sums = counts(scenario, figures).map(|counts| match metric {
        Metric::Unanswered => counts.unanswered + counts.never_written,
        Metric::FailedConnections => failed_connections(counts),
        Metric::Wrong => INTEGRITY.map(|kind| of_kind(counts, kind)).iter().sum(),
        Metric::Failed => {
            counts.failed_total()
                + counts.extra_answers.values().sum::<u64>()
                + counts.connect_failed.values().sum::<u64>()
        }
        kind => of_kind(counts, kind.word()),
    });
    Some(sums.sum())
}

/// Idle ones included.
fn failed_connections(counts: &Counts) -> u64 {
    let idle = counts.idle.iter();
    let idle = idle.flat_map(|idle| idle.connect_failed.values().chain(idle.failed.values()));
    let working = counts.connect_failed.values();
    working
        .chain(counts.connections_broken.values())
        .chain(idle)
        .sum()
}

/// Failed requests and answers too many of this kind.
pub(super) fn of_kind(counts: &Counts, kind: &str) -> u64 {
    let of = |kinds: &BTreeMap<String, u64>| kinds.get(kind).copied().unwrap_or(0);
    of(&counts.failed) + of(&counts.extra_answers)
}

fn kinds(scenario: &ScenarioRun, figures: &Figures) -> String {
    let mut sums = BTreeMap::new();
    let mut sent = 0;
    for counts in counts(scenario, figures) {
        sent += counts.sent;
        let answers = counts.failed.iter().chain(&counts.extra_answers);
        let answers = answers.map(|(kind, count)| (kind.clone(), count));
        let connections = counts.connect_failed.iter();
        let connections =
            connections.map(|(kind, count)| (format!("connection not opened: {kind}"), count));
        let broken = counts.connections_broken.iter();
        let broken = broken.map(|(kind, count)| (format!("connection broken: {kind}"), count));
        let idle = counts.idle.iter();
        let idle = idle.flat_map(|idle| idle.connect_failed.iter().chain(&idle.failed));
        let idle = idle.map(|(kind, count)| (format!("idle connection: {kind}"), count));
        let all = answers.chain(connections).chain(broken).chain(idle);
        for (kind, count) in all.filter(|(_, count)| **count > 0) {
            *sums.entry(kind).or_insert(0) += count;
        }
    }
    let kinds: Vec<String> = sums
        .iter()
        .map(|(kind, count)| format!("{kind} {}", number::count(*count)))
        .collect();
    let of = format!(" of {} requests", number::count(sent));
    if kinds.is_empty() {
        of
    } else {
        format!("{of} ({})", kinds.join(", "))
    }
}

/// How many of the unanswered were not even written.
fn waits(scenario: &ScenarioRun, figures: &Figures) -> String {
    let never_written: u64 = counts(scenario, figures)
        .map(|counts| counts.never_written)
        .sum();
    if never_written == 0 {
        return String::new();
    }
    let count = number::count(never_written);
    format!(" ({count} of them were due and never written: no place became free)")
}
