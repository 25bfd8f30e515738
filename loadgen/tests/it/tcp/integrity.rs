//! Echoes that spoil bytes, over real sockets: each fault must be found under its name.

use std::sync::{Barrier, Mutex};

use super::server::{BYTES, Then, echo, plan, right_echo};
use crate::server::run;
use loadgen::plan::{Mode, Plan};
use loadgen::tally::{Breakage, Extra, Failure};

/// Every hundredth message is spoilt, and never the last.
fn is_spoilt(n: u64) -> bool {
    n % 100 == 50
}

/// Four messages of 400 spoilt like this.
fn spoilt(spoil: impl Fn(&mut Vec<u8>) + Send + Sync + 'static) -> loadgen::outcome::Outcome {
    let target = echo(move |_, n, mut message| {
        if is_spoilt(n) {
            spoil(&mut message);
        }
        (message, Then::GoOn)
    });
    run(&plan(target)).0
}

#[test]
fn a_right_echo_has_no_failures_in_any_mode() {
    let open = plan(right_echo());
    let closed = Plan {
        mode: Mode::Closed,
        pipeline: 1,
        connections: 5,
        threads: 2,
        ..open.clone()
    };
    let modes = [
        Plan {
            connections: 7,
            threads: 2,
            ..open.clone()
        },
        Plan {
            mode: Mode::Max,
            pipeline: 64,
            ..closed.clone()
        },
        Plan {
            requests_per_connection: 3,
            pipeline: 2,
            ..closed.clone()
        },
        closed,
        open,
    ];
    for plan in modes {
        let (outcome, _) = run(&plan);
        let tally = &outcome.measured;
        assert_eq!((tally.acked, tally.naked), (400, 0), "{plan:?}: {tally:?}");
        assert_eq!(outcome.connects.broken_total(), 0);
        assert_eq!(
            outcome.connects.completed, outcome.connects.opened,
            "{plan:?}"
        );
    }
}

#[test]
fn dropped_bytes_lose_their_messages() {
    let outcome = spoilt(|message| {
        message.remove(20);
    });
    let tally = &outcome.measured;
    assert_eq!(
        (tally.failed(Failure::Lost), tally.acked),
        (4, 396),
        "{tally:?}"
    );
    let whole = spoilt(Vec::clear);
    assert_eq!(
        whole.measured.failed(Failure::Lost),
        4,
        "{:?}",
        whole.measured
    );
}

#[test]
fn flipped_bits_corrupt_their_messages() {
    for byte in [0, 33, BYTES - 1] {
        let outcome = spoilt(move |message| message[byte] ^= 0x10);
        let tally = &outcome.measured;
        assert_eq!(
            (tally.failed(Failure::Corrupted), tally.acked),
            (4, 396),
            "{tally:?}"
        );
    }
}

#[test]
fn messages_sent_twice_are_duplicated() {
    let outcome = spoilt(|message| message.extend_from_within(..));
    let tally = &outcome.measured;
    assert_eq!(
        (tally.extra_of(Extra::Duplicated), tally.acked),
        (4, 400),
        "{tally:?}"
    );
}

#[test]
fn bytes_that_nobody_sent_are_unexpected() {
    let outcome = spoilt(|message| message.extend_from_slice(b"hello"));
    let tally = &outcome.measured;
    assert_eq!(
        (tally.extra_of(Extra::Unexpected), tally.acked),
        (4, 400),
        "{tally:?}"
    );
}

#[test]
fn bytes_of_two_connections_that_are_swapped_are_misrouted() {
    let (barrier, halves) = (Barrier::new(2), Mutex::new([vec![], vec![]]));
    let target = echo(move |connection, n, message| {
        if n != 50 {
            return (message, Then::GoOn);
        }
        let (front, back) = message.split_at(BYTES / 2);
        halves.lock().expect("a lock")[connection] = back.to_vec();
        barrier.wait();
        let other = halves.lock().expect("a lock")[1 - connection].clone();
        ([front, &other].concat(), Then::GoOn)
    });
    let (outcome, _) = run(&Plan {
        connections: 2,
        ..plan(target)
    });
    let tally = &outcome.measured;
    assert_eq!(
        (tally.failed(Failure::Misrouted), tally.acked),
        (2, 398),
        "{tally:?}"
    );
}

#[test]
fn connections_that_end_in_the_middle_are_told_apart() {
    let cases = [
        (1, Then::Close, Failure::Closed, Breakage::ClosedBeforeByte),
        (3, Then::Close, Failure::Closed, Breakage::ClosedEarly),
        (1, Then::Reset, Failure::Reset, Breakage::ResetBeforeByte),
        (3, Then::Reset, Failure::Reset, Breakage::Reset),
    ];
    for (end, then, failure, breakage) in cases {
        // The first connection ends without an answer to this message.
        let target = echo(move |connection, n, message| {
            if connection == 0 && n == end {
                (vec![], then)
            } else {
                (message, Then::GoOn)
            }
        });
        let (outcome, _) = run(&Plan {
            mode: Mode::Closed,
            pipeline: 1,
            ..plan(target)
        });
        let tally = &outcome.measured;
        assert_eq!(tally.failed(failure), 1, "{then:?} at {end}: {tally:?}");
        assert_eq!(tally.acked, 399, "{then:?} at {end}: {tally:?}");
        let connects = &outcome.connects;
        assert_eq!(
            connects.broken(breakage),
            1,
            "{then:?} at {end}: {connects:?}"
        );
        assert_eq!((connects.broken_total(), connects.opened), (1, 2));
    }
}
