//! Whether a run's figures may be judged: pure rules over what was seen.

use super::plan::StatsdPlan;
use super::summary::Outcome;
use crate::outcome::seconds;
use crate::tally::NotSent;
use crate::validity::{LEAST_ACHIEVED, MOST_BUSY};

/// Send lag that is allowed at p99. No latency is measured here that lag could spoil: it
/// only means that lines left in bursts, which at this length any sender's do.
const LAG_ALLOWED_NS: u64 = 10_000_000;

/// Send lag from which on it is told of.
const LAG_TOLD_NS: u64 = 100_000;

/// Why the figures of a run may not be judged, one sentence each; empty if they may.
pub(super) fn invalid_reasons(plan: &StatsdPlan, outcome: &Outcome) -> Vec<String> {
    let Some(rate) = plan.rate() else {
        return vec![];
    };
    let rules = [
        short_of_target(plan, rate, outcome),
        late(outcome),
        busy(outcome),
        not_taken(outcome),
    ];
    rules.into_iter().flatten().collect()
}

fn short_of_target(plan: &StatsdPlan, rate: f64, outcome: &Outcome) -> Option<String> {
    let in_time = rate * seconds(outcome.measured_ns);
    let wanted = plan
        .measured_lines
        .map_or(in_time, |lines| in_time.min(lines as f64));
    let reached = outcome.tried_in_time as f64 / wanted.max(1.0);
    // One datagram more or less says nothing about a run of a few.
    if reached >= LEAST_ACHIEVED || wanted - outcome.tried_in_time as f64 <= plan.pack as f64 {
        return None;
    }
    Some(format!(
        "only {:.1} % of the asked rate was achieved ({:.0} of {rate:.0} lines/s)",
        reached * 100.0,
        outcome.per_second(outcome.tried_in_time),
    ))
}

fn late(outcome: &Outcome) -> Option<String> {
    let lag = outcome.send_lag.value_at_quantile(0.99);
    (!outcome.send_lag.is_empty() && lag > LAG_ALLOWED_NS).then(|| {
        format!(
            "the client itself came late to due datagrams: send lag p99 {:.1} µs, allowed are {} µs",
            lag as f64 / 1e3,
            LAG_ALLOWED_NS / 1_000,
        )
    })
}

fn busy(outcome: &Outcome) -> Option<String> {
    (outcome.busiest > MOST_BUSY).then(|| {
        format!(
            "a worker was busy for {:.0} % of its core, more than 90 %: the client may have been the limit",
            outcome.busiest * 100.0
        )
    })
}

fn not_taken(outcome: &Outcome) -> Option<String> {
    let ours = NotSent::ALL.iter().filter(|kind| !kind.is_the_targets());
    let kinds: Vec<_> = ours
        .map(|kind| (kind.name(), outcome.measured.not_sent(*kind)))
        .chain([("not reached", outcome.missed)])
        .filter(|(_, lines)| *lines > 0)
        .map(|(kind, lines)| format!("{lines} {kind}"))
        .collect();
    (!kinds.is_empty()).then(|| format!("lines could not be sent: {}", kinds.join(", ")))
}

/// What to know when reading the figures.
pub(super) fn notes(plan: &StatsdPlan, outcome: &Outcome) -> Vec<String> {
    let mut notes = vec![];
    if plan.rate().is_none() {
        notes.push(
            "max rate: as many lines as the socket took, whether anybody received them or not"
                .to_owned(),
        );
        if outcome.busiest > MOST_BUSY {
            notes.push(format!(
                "a worker was busy for {:.0} % of its core: the client was the limit",
                outcome.busiest * 100.0
            ));
        }
    }
    let lag = outcome.send_lag.value_at_quantile(0.99);
    if (LAG_TOLD_NS..=LAG_ALLOWED_NS).contains(&lag) {
        notes.push(format!(
            "send lag p99 was {:.1} µs: lines left in bursts of about that length",
            lag as f64 / 1e3
        ));
    }
    if outcome.came_back > 0 {
        notes.push(format!(
            "at least {} datagrams came back, because nobody listened there",
            outcome.came_back
        ));
    }
    notes
}
