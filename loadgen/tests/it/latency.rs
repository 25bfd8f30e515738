//! What the figures mean: response times against a server that freezes, slices, limits.

use std::sync::Mutex;
use std::sync::mpsc;
use std::time::Duration;

use crate::server::{plan, run, serve, serve_rightly};
use loadgen::plan::{Mode, Plan};
use loadgen::schedule::Arrivals;
use loadgen::validity::invalid_reasons;
use service::clock::mono_ns;

#[test]
fn response_times_are_those_of_arithmetic_when_the_server_freezes() {
    const FREEZE: Duration = Duration::from_secs(1);
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new(tell);
    let target = serve(move |n, right, _| {
        if n == 400 {
            let before = mono_ns();
            std::thread::sleep(FREEZE);
            let _ = tell.lock().expect("a lock").send((before, mono_ns()));
        }
        Some(right)
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
    let (frozen, thawed) = told.recv().expect("it froze");
    let freeze_s = (thawed - frozen) as f64 / 1e9;
    let measured_s = outcome.measured_ns as f64 / 1e9;
    // A request that came x before the thaw waited x, and they came evenly.
    for quantile in [0.6, 0.75, 0.9, 0.99] {
        let expected_ms = (freeze_s - (1.0 - quantile) * measured_s) * 1e3;
        let seen_ms = outcome.response.value_at_quantile(quantile) as f64 / 1e6;
        let off = (seen_ms - expected_ms).abs();
        assert!(
            off <= expected_ms * 0.02 + 5.0,
            "p{}: {seen_ms:.1} ms, by arithmetic {expected_ms:.1} ms",
            quantile * 100.0
        );
    }
    // Measured from the late write, all but 16 would seem to have been answered at once.
    let service_p90_ms = outcome.service.value_at_quantile(0.9) as f64 / 1e6;
    assert!(service_p90_ms < 500.0, "service p90 {service_p90_ms} ms");
    assert_eq!(outcome.measured.answered(), 2_000);
    assert_eq!(
        outcome.send_lag.len(),
        2_000,
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
