//! What the figures mean: response times against a server that freezes, slices, limits.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::server::{plan, run, serve, serve_rightly};
use loadgen::plan::{Mode, Plan};
use loadgen::schedule::Arrivals;
use loadgen::validity::invalid_reasons;
use service::clock::mono_ns;

/// The value that this share of the others is not above; in nanoseconds.
fn quantile(values: &mut [u64], share: f64) -> u64 {
    values.sort_unstable();
    values[(values.len() as f64 * share) as usize - 1]
}

#[test]
fn response_times_are_those_of_arithmetic_when_the_server_freezes() {
    const FREEZE: Duration = Duration::from_secs(1);
    const REQUESTS: usize = 2_000;
    let answered_at = Arc::new(Mutex::new(Vec::new()));
    let target = serve({
        let answered_at = Arc::clone(&answered_at);
        move |n, right, _| {
            if n == 400 {
                std::thread::sleep(FREEZE);
            }
            answered_at.lock().expect("a lock").push(mono_ns());
            Some(right)
        }
    });
    let rate = 1_000.0;
    let plan = Plan {
        mode: Mode::Open {
            rate,
            arrivals: Arrivals::Uniform,
        },
        duration: Some(Duration::from_secs(2)),
        requests: None,
        ..plan(target)
    };
    let (outcome, _) = run(&plan);
    assert_eq!(outcome.measured.answered(), REQUESTS as u64);
    // A request waits from when it was due until it is answered: that is when the server
    // has answered it, and before the server sees the one that takes over its place.
    let answered_at = answered_at.lock().expect("a lock");
    let due = |n: usize| outcome.started_mono_ns + (n as f64 * 1e9 / rate) as u64;
    let until_the_answer = |later: usize| -> Vec<u64> {
        let at = |n: usize| answered_at.get(n + later).copied();
        (0..REQUESTS)
            .map(|n| at(n).map_or(u64::MAX, |at| at - due(n)))
            .collect()
    };
    let (mut least, mut most) = (until_the_answer(0), until_the_answer(plan.pipeline));
    for share in [0.6, 0.75, 0.9, 0.99] {
        let seen = outcome.response.value_at_quantile(share);
        let (least, most) = (quantile(&mut least, share), quantile(&mut most, share));
        // The histogram has three digits.
        let (floor, ceiling) = (least - least / 500, most.saturating_add(most / 500));
        assert!(
            (floor..=ceiling).contains(&seen),
            "p{}: {seen} ns, by arithmetic from {least} to {most}",
            share * 100.0
        );
    }
    // Half of them came in the freeze, evenly, and none could be answered before its end.
    let p75 = outcome.response.value_at_quantile(0.75);
    assert!(p75 >= 450_000_000, "p75 {p75} ns");
    // Measured from the late write, all but 16 would seem to have been answered at once.
    let service_p90 = outcome.service.value_at_quantile(0.9);
    assert!(service_p90 < 500_000_000, "service p90 {service_p90} ns");
    assert_eq!(
        outcome.send_lag.len(),
        REQUESTS as u64,
        "waiting for a place is not send lag"
    );
}

#[test]
fn slices_add_up_to_the_whole_and_the_warm_up_is_apart() {
    let plan = Plan {
        warmup: Duration::from_millis(120),
        duration: Some(Duration::from_millis(230)),
        requests: None,
        threads: 2,
        connections: 4,
        ..plan(serve_rightly())
    };
    let (outcome, seen) = run(&plan);
    let warmup: Vec<_> = seen
        .slices
        .iter()
        .filter(|(slice, _)| slice.warmup)
        .collect();
    let measured: Vec<_> = seen
        .slices
        .iter()
        .filter(|(slice, _)| !slice.warmup)
        .collect();
    let total = |slices: &[&(_, u64)]| slices.iter().map(|(_, count)| *count).sum::<u64>();
    assert_eq!(warmup.len(), 3, "50, 50 and 20 ms");
    assert!(total(&warmup) > 0);
    assert_eq!(total(&measured), outcome.measured.answered());
    assert_eq!(outcome.measured.answered(), 1_150, "5,000/s for 230 ms");
    assert_eq!(seen.measuring, Some(outcome.started_mono_ns));
    let mut ends = seen.slices.iter().map(|(s, _)| s.start_mono_ns);
    let first = ends.next().unwrap();
    assert_eq!(outcome.started_mono_ns - first, 120_000_000);
}

#[test]
fn a_server_that_is_too_slow_makes_the_run_invalid() {
    let target = serve(|_, right, _| {
        std::thread::sleep(Duration::from_millis(1));
        Some(right)
    });
    let slow = Plan {
        mode: Mode::Open {
            rate: 50_000.0,
            arrivals: Arrivals::Poisson,
        },
        duration: Some(Duration::from_millis(300)),
        requests: None,
        drain: Duration::from_millis(50),
        max_backlog: 1_000,
        ..plan(target)
    };
    let (outcome, _) = run(&slow);
    let reasons = invalid_reasons(&slow, &outcome).join("\n");
    assert!(outcome.missed > 0);
    assert!(
        reasons.contains("more than 1000 due requests waited"),
        "{reasons}"
    );
    assert!(
        reasons.contains("of the asked rate was achieved"),
        "{reasons}"
    );
    let closed = Plan {
        mode: Mode::Closed,
        ..slow
    };
    assert_eq!(
        invalid_reasons(&closed, &outcome),
        [""; 0],
        "only an open loop has a target"
    );
}
