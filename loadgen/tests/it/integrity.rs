//! Servers that spoil replies, over real sockets: each fault must be found under its name.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::server::{plan, run, serve, serve_rightly};
use loadgen::plan::{Mode, Plan};
use loadgen::schedule::Arrivals;
use loadgen::tally::{Extra, Failure};
use loadgen::validity::achieved;

/// Every hundredth reply is spoilt, and never the last.
fn is_spoilt(n: u64) -> bool {
    n % 100 == 50
}

#[test]
fn a_right_server_has_no_failures_in_any_mode() {
    let target = serve_rightly();
    let open = plan(target);
    let modes = [
        open.clone(),
        Plan {
            mode: Mode::Closed,
            pipeline: 1,
            connections: 7,
            threads: 2,
            ..open.clone()
        },
        Plan {
            mode: Mode::Max,
            pipeline: 64,
            connections: 3,
            threads: 3,
            ..open.clone()
        },
        Plan {
            mode: Mode::Closed,
            requests_per_connection: 1,
            pipeline: 1,
            connections: 5,
            ..open.clone()
        },
        Plan {
            requests_per_connection: 3,
            connections: 4,
            threads: 2,
            ..open
        },
    ];
    for plan in modes {
        let (outcome, seen) = run(&plan);
        assert_eq!(
            outcome.measured.answered(),
            1_000,
            "{plan:?}: {:?}",
            outcome.measured
        );
        assert_eq!(outcome.measured.sent, 1_000);
        assert_eq!(seen.opened, Some(plan.connections));
        let quota = plan.requests_per_connection;
        let least = 1_000_u64
            .checked_div(quota)
            .unwrap_or(plan.connections as u64);
        assert!(
            outcome.connects.opened >= least,
            "{plan:?}: {:?}",
            outcome.connects
        );
        if quota == 0 {
            assert_eq!(outcome.connects.opened, least);
        }
    }
}

#[test]
fn dropped_replies_are_lost() {
    let target = serve(|n, right, _| Some(if is_spoilt(n) { vec![] } else { right }));
    let (outcome, _) = run(&plan(target));
    assert_eq!(
        outcome.measured.failed(Failure::Lost),
        10,
        "{:?}",
        outcome.measured
    );
    assert_eq!(outcome.measured.answered(), 990);
}

#[test]
fn repeated_replies_are_duplicated() {
    let target = serve(|n, right, _| Some(if is_spoilt(n) { right.repeat(2) } else { right }));
    let (outcome, _) = run(&plan(target));
    assert_eq!(
        outcome.measured.extra_of(Extra::Duplicated),
        10,
        "{:?}",
        outcome.measured
    );
    assert_eq!(outcome.measured.answered(), 1_000);
}

#[test]
fn swapped_replies_are_reordered_and_not_lost() {
    let target = serve(|n, right, held| {
        if is_spoilt(n) {
            held.push(right);
            return Some(vec![]);
        }
        Some([right, held.pop().unwrap_or_default()].concat())
    });
    let (outcome, _) = run(&plan(target));
    assert_eq!(
        outcome.measured.failed(Failure::Reordered),
        10,
        "{:?}",
        outcome.measured
    );
    assert_eq!(outcome.measured.answered(), 990);
}

#[test]
fn flipped_digits_are_corrupted() {
    let target = serve(|n, mut right, _| {
        if is_spoilt(n) {
            let at = right.len() - 2;
            right[at] = if right[at] == b'0' { b'1' } else { b'0' };
        }
        Some(right)
    });
    let (outcome, _) = run(&plan(target));
    assert_eq!(
        outcome.measured.failed(Failure::Corrupted),
        10,
        "{:?}",
        outcome.measured
    );
}

#[test]
fn replies_to_another_connection_are_misrouted() {
    // What connection number 1 would be answered to its request 50.
    let mut other = Vec::new();
    let own = plan("127.0.0.1:1".parse().unwrap());
    loadgen::payload::Payload::new(own.seed, own.payload).write(1, 50, &mut other);
    let mut foreign = Vec::new();
    protocol::foo::Answer::to(50, &other).encode(&mut foreign);
    let sent = AtomicU64::new(0);
    let target = serve(move |n, right, _| {
        let first = n == 50 && right != foreign && sent.fetch_add(1, Ordering::Relaxed) == 0;
        Some(if first { foreign.clone() } else { right })
    });
    let (outcome, _) = run(&Plan {
        connections: 2,
        ..plan(target)
    });
    assert_eq!(
        outcome.measured.failed(Failure::Misrouted),
        1,
        "{:?}",
        outcome.measured
    );
    assert_eq!(outcome.measured.answered(), 999);
}

#[test]
fn after_a_close_the_load_goes_on_over_a_new_connection() {
    let target = serve(|n, right, _| (n < 200).then_some(right));
    let (outcome, _) = run(&Plan {
        connections: 2,
        ..plan(target)
    });
    let tally = &outcome.measured;
    let ended = tally.failed(Failure::Closed) + tally.failed(Failure::Reset);
    assert!((1..=5 * 16).contains(&ended), "{tally:?}");
    assert_eq!(tally.answered() + ended, 1_000, "{tally:?}");
    assert!(outcome.connects.opened > 4, "{:?}", outcome.connects);
}

/// 50 requests over this many connections, of which each takes one, to a server that
/// never answers.
fn unanswered(connections: usize) -> Plan {
    Plan {
        connections,
        threads: 1,
        pipeline: 1,
        mode: Mode::Open {
            rate: 100.0,
            arrivals: Arrivals::Uniform,
        },
        requests: None,
        duration: Some(Duration::from_millis(500)),
        drain: Duration::from_millis(50),
        ..plan(serve(|_, _, _| Some(vec![])))
    }
}

#[test]
fn requests_without_a_place_are_never_written_and_not_part_of_sent() {
    let (outcome, _) = run(&unanswered(2));
    let tally = &outcome.measured;
    assert_eq!(
        (tally.sent, tally.unanswered, tally.never_written),
        (2, 2, 48),
        "{tally:?}"
    );
}

#[test]
fn requests_that_are_given_up_are_never_written_either() {
    let (outcome, _) = run(&Plan {
        max_backlog: 10,
        ..unanswered(1)
    });
    assert_eq!((outcome.missed, outcome.measured.never_written), (39, 49));
}

#[test]
fn a_number_of_requests_that_had_to_wait_took_as_long_as_they_waited() {
    let target = serve(|_, right, _| {
        std::thread::sleep(Duration::from_millis(20));
        Some(right)
    });
    let (outcome, _) = run(&Plan {
        connections: 1,
        threads: 1,
        pipeline: 1,
        requests: Some(5),
        ..plan(target)
    });
    let rate = achieved(&outcome);
    assert_eq!(outcome.measured.answered(), 5);
    assert!(
        rate <= 5.0 / 0.08,
        "the last was written after four answers: {rate}"
    );
}

#[test]
fn answers_that_never_come_are_unanswered() {
    let target = serve(|n, right, _| Some(if n > 990 { vec![] } else { right }));
    let (outcome, _) = run(&Plan {
        // Long enough for the other answers, however busy the machine is.
        drain: Duration::from_secs(2),
        ..plan(target)
    });
    assert_eq!(outcome.measured.unanswered, 10, "{:?}", outcome.measured);
}
