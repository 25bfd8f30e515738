//! Whether a run's figures may be judged: pure rules over what was seen.

use std::time::Duration;

use crate::histograms::Histogram;
use crate::outcome::{Outcome, seconds};
use crate::plan::{Mode, Plan};
use crate::tally::NotSent;

/// Share of the asked rate that must be reached.
pub const LEAST_ACHIEVED: f64 = 0.99;

/// Send lag that is always allowed at p99.
const LAG_ALLOWED_NS: u64 = 100_000;

/// Share of the response time that send lag may be, both at p99.
const LAG_SHARE: f64 = 0.1;

/// Share of its core that a worker may be busy.
pub const MOST_BUSY: f64 = 0.9;

/// Why the figures of a run may not be judged, one sentence each; empty if they may.
/// Only an open loop claims latency under load, so only an open loop can be invalid.
#[must_use]
pub fn invalid_reasons(plan: &Plan, outcome: &Outcome) -> Vec<String> {
    let Some(target) = plan.own_rate() else {
        return vec![];
    };
    let rules = [
        short_of_target(plan, target, outcome),
        late(&outcome.send_lag, &outcome.response),
        busy(outcome),
        backlog(plan, outcome),
        not_taken(outcome),
        dropped(outcome),
    ];
    rules.into_iter().flatten().collect()
}

fn short_of_target(plan: &Plan, target: f64, outcome: &Outcome) -> Option<String> {
    let wanted = wanted(plan, target, outcome);
    let reached = outcome.sent_in_time as f64 / wanted.max(1.0);
    // One request more or less says nothing about a run of a few.
    if reached >= LEAST_ACHIEVED || wanted - outcome.sent_in_time as f64 <= 1.0 {
        return None;
    }
    // A target that answered nothing for as long as the requests are short of did not
    // take part: that is its failure, which the response times and counts tell.
    let short_ns = (wanted - outcome.sent_in_time as f64) / target * 1e9;
    if outcome.silent_ns as f64 >= short_ns * 0.9 {
        return None;
    }
    Some(format!(
        "only {:.1} % of the asked rate was achieved ({:.0} of {target:.0} requests/s), although the target took part",
        reached * 100.0,
        achieved(outcome),
    ))
}

/// Requests that should have been written while measuring.
fn wanted(plan: &Plan, target: f64, outcome: &Outcome) -> f64 {
    let in_time = target * seconds(outcome.measured_ns);
    plan.requests
        .map_or(in_time, |all| in_time.min(plan.part.share(all) as f64))
}

/// Requests per second written while measuring.
#[must_use]
pub fn achieved(outcome: &Outcome) -> f64 {
    outcome.sent_in_time as f64 / seconds(outcome.measured_ns).max(1e-9)
}

/// Why times are not to be judged if the client itself was late for its requests.
#[must_use]
pub fn late(send_lag: &Histogram, response: &Histogram) -> Option<String> {
    let lag = send_lag.value_at_quantile(0.99);
    let response = response.value_at_quantile(0.99);
    let allowed = LAG_ALLOWED_NS.max((response as f64 * LAG_SHARE) as u64);
    (!send_lag.is_empty() && lag > allowed).then(|| {
        format!(
            "the client itself came late to due requests: send lag p99 {:.1} µs, allowed are {:.1} µs \
             (100 µs, or 10 % of the response p99)",
            lag as f64 / 1e3,
            allowed as f64 / 1e3,
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

fn backlog(plan: &Plan, outcome: &Outcome) -> Option<String> {
    (outcome.missed > 0).then(|| {
        format!(
            "more than {} due requests waited for a free place, so that {} of them were given up",
            plan.part.share(plan.max_backlog),
            outcome.missed
        )
    })
}

fn not_taken(outcome: &Outcome) -> Option<String> {
    let unsent = &outcome.datagrams.as_ref()?.unsent_measured;
    let ours = NotSent::ALL.iter().filter(|kind| !kind.is_the_targets());
    let kinds: Vec<_> = ours
        .map(|kind| (kind.name(), unsent.of(*kind)))
        .filter(|(_, datagrams)| *datagrams > 0)
        .map(|(kind, datagrams)| format!("{datagrams} {kind}"))
        .collect();
    (!kinds.is_empty()).then(|| format!("datagrams could not be sent: {}", kinds.join(", ")))
}

fn dropped(outcome: &Outcome) -> Option<String> {
    let drops = outcome.datagrams.as_ref()?.kernel_drops;
    (drops > 0).then(|| {
        format!("the client itself lost {drops} answers, because it came too late to read them")
    })
}

/// What to know when reading the figures.
#[must_use]
pub fn notes(plan: &Plan, outcome: &Outcome) -> Vec<String> {
    let mut notes = Vec::new();
    if plan.mode.rate().is_none() {
        notes.push(format!(
            "{}: a slow answer delays the next request, so these times claim nothing about latency under load",
            if plan.mode == Mode::Max { "max rate" } else { "closed loop" }
        ));
        if outcome.busiest > MOST_BUSY {
            notes.push(format!(
                "a worker was busy for {:.0} % of its core: the client may have been the limit",
                outcome.busiest * 100.0
            ));
        }
    }
    let late = outcome.waiting_at_end.saturating_sub(outcome.never_written);
    if late > 0 {
        notes.push(format!(
            "{late} due requests were waiting for a free place when measuring ended, and were written after it"
        ));
    }
    if outcome.measured.never_written > 0 {
        notes.push(format!(
            "{} due requests were never written: no place became free for them{}, and the response \
             times do not know of them",
            outcome.measured.never_written,
            if plan.transport.one_try {
                " or no connection could be opened"
            } else {
                ""
            }
        ));
    }
    if outcome.stopped {
        notes.push(format!(
            "interrupted after {:.1} s of measuring",
            Duration::from_nanos(outcome.measured_ns).as_secs_f64()
        ));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::tests::good;
    use crate::plan::tests::open_loop;

    fn reasons(spoil: impl FnOnce(&mut Outcome)) -> Vec<String> {
        let mut outcome = good();
        spoil(&mut outcome);
        invalid_reasons(&open_loop(), &outcome)
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
        assert_eq!(
            reasons(|o| o.sent_in_time = 9_900),
            [""; 0],
            "99 % are enough"
        );
        assert_eq!(reasons(|o| o.busiest = 0.9), [""; 0]);
    }

    #[test]
    fn a_rate_that_was_not_achieved_is_the_targets_failure_only_while_it_is_silent() {
        let short = |o: &mut Outcome| o.sent_in_time = 8_000;
        assert_one(&reasons(short), "only 80.0 % of the asked rate");
        let silent = reasons(|o| {
            short(o);
            o.silent_ns = 2_000_000_000;
        });
        assert_eq!(
            silent, [""; 0],
            "2,000 requests were due in the 2 s without an answer"
        );
    }

    #[test]
    fn send_lag_may_be_100_us_or_a_tenth_of_the_response() {
        let lag = |nanos: u64| {
            move |o: &mut Outcome| {
                o.send_lag.record_n(nanos, 1_000).expect("within bounds");
            }
        };
        assert_eq!(reasons(lag(99_000)), [""; 0]);
        assert_one(
            &reasons(lag(120_000)),
            "send lag p99 120.1 µs, allowed are 100.0 µs",
        );
        let beside_slow_answers = reasons(|o| {
            lag(120_000)(o);
            o.response
                .record_n(2_000_000, 10_000)
                .expect("within bounds");
        });
        assert_eq!(beside_slow_answers, [""; 0], "200 µs are allowed");
    }

    #[test]
    fn a_busy_worker_and_a_full_backlog_are_named() {
        assert_one(&reasons(|o| o.busiest = 0.95), "busy for 95 % of its core");
        assert_one(
            &reasons(|o| o.missed = 3),
            "more than 500 due requests waited",
        );
    }

    #[test]
    fn a_closed_loop_says_what_it_cannot_say() {
        let plan = Plan {
            mode: Mode::Closed,
            ..open_loop()
        };
        let mut outcome = good();
        outcome.busiest = 1.0;
        assert_eq!(invalid_reasons(&plan, &outcome), [""; 0]);
        let notes = notes(&plan, &outcome).join("\n");
        assert!(
            notes.contains("closed loop: a slow answer delays"),
            "{notes}"
        );
        assert!(notes.contains("busy for 100 %"), "{notes}");
    }
}
