//! Whether a run's figures may be judged: pure rules over what was seen.

use super::plan::{Pace, StatsdPlan};
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
    let Some(rate) = plan.own_rate() else {
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
        .map_or(in_time, |all| in_time.min(plan.part.share(all) as f64));
    let reached = outcome.tried_in_time as f64 / wanted.max(1.0);
    // One datagram or burst more or less says nothing about a run of a few.
    let at_once = match plan.pace {
        Pace::Bursts { lines, .. } => lines,
        Pace::Rate { .. } | Pace::Max => plan.pack,
    };
    if reached >= LEAST_ACHIEVED || wanted - outcome.tried_in_time as f64 <= at_once as f64 {
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::statsd::plan::tests::at_a_rate;
    use crate::statsd::summary::tests::good;

    fn reasons(spoil: impl FnOnce(&mut Outcome)) -> Vec<String> {
        let mut outcome = good();
        spoil(&mut outcome);
        invalid_reasons(&at_a_rate(), &outcome)
    }

    fn assert_one(reasons: &[String], part: &str) {
        assert!(
            reasons.len() == 1 && reasons[0].contains(part),
            "{reasons:?}"
        );
    }

    #[test]
    fn a_run_that_went_well_is_valid() {
        assert_eq!(reasons(|_| {}), [""; 0]);
        assert_eq!(reasons(|o| o.tried_in_time = 9_900), [""; 0]);
        assert_eq!(notes(&at_a_rate(), &good()), [""; 0]);
    }

    #[test]
    fn a_client_that_did_not_keep_up_is_named() {
        assert_one(
            &reasons(|o| o.tried_in_time = 8_000),
            "only 80.0 % of the asked rate was achieved (800 of 1000 lines/s)",
        );
        assert_one(&reasons(|o| o.busiest = 0.95), "busy for 95 %");
        assert_one(&reasons(|o| o.missed = 7), "7 not reached");
        let late = |o: &mut Outcome| o.send_lag.record_n(11_000_000, 500).expect("in bounds");
        assert_one(&reasons(late), "send lag p99");
    }

    #[test]
    fn lag_that_is_allowed_is_told() {
        let mut outcome = good();
        outcome
            .send_lag
            .record_n(2_000_000, 500)
            .expect("in bounds");
        assert_eq!(invalid_reasons(&at_a_rate(), &outcome), [""; 0]);
        assert!(notes(&at_a_rate(), &outcome)[0].contains("send lag p99 was 2"));
    }

    #[test]
    fn only_what_this_machine_refused_makes_a_run_invalid() {
        let refused = |kind| move |o: &mut Outcome| o.measured.refuse(kind, 3);
        assert_one(&reasons(refused(NotSent::NoBuffer)), "3 no_buffer");
        assert_one(&reasons(refused(NotSent::WouldBlock)), "3 would_block");
        assert_eq!(reasons(refused(NotSent::Refused)), [""; 0]);
        assert_eq!(reasons(refused(NotSent::Broken)), [""; 0]);
    }

    #[test]
    fn a_burst_more_or_less_says_nothing() {
        let bursts = StatsdPlan {
            pace: Pace::Bursts {
                lines: 2_000,
                every: Duration::from_secs(2),
            },
            ..at_a_rate()
        };
        let mut outcome = good();
        outcome.tried_in_time = 8_000;
        assert_eq!(invalid_reasons(&bursts, &outcome), [""; 0]);
        outcome.tried_in_time = 7_999;
        assert_eq!(invalid_reasons(&bursts, &outcome).len(), 1);
    }

    #[test]
    fn the_most_claims_nothing() {
        let most = StatsdPlan {
            pace: Pace::Max,
            ..at_a_rate()
        };
        let mut outcome = good();
        outcome.busiest = 1.0;
        outcome.tried_in_time = 0;
        assert_eq!(invalid_reasons(&most, &outcome), [""; 0]);
        let notes = notes(&most, &outcome).join("\n");
        assert!(notes.contains("whether anybody received them"), "{notes}");
        assert!(notes.contains("the client was the limit"), "{notes}");
    }
}
