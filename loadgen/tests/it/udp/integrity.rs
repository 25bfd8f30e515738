//! What does not come back as it should is told by kind.

use std::time::Instant;

use super::echo::{Datagram, echo, last};
use super::{Ran, ran};

/// 1,000 datagrams to an echo; `answers` gets the number of what came, from 1, and itself.
fn with(words: &str, answers: impl Fn(usize, Datagram) -> Vec<Datagram> + Send + 'static) -> Ran {
    let echo = echo(move |all| answers(all.len(), last(all)));
    let words = format!("--rate 5k/s --requests 1000 --clients 1 {words}");
    let ran = ran(echo.at, &words);
    assert_eq!(echo.end().len(), 1_000);
    ran
}

#[test]
fn losses_are_counted() {
    let ran = with("--timeout 2s", |number, datagram| {
        if number.is_multiple_of(10) {
            vec![]
        } else {
            vec![datagram]
        }
    });
    assert_eq!(ran.output.status.code(), Some(1), "{}", ran.shown());
    assert_eq!((ran.failed("lost"), ran.udp.lost), (100, 100));
    assert_eq!(ran.record.counts.acked, 900);
    assert_eq!(ran.udp.reordered, 0);
}

#[test]
fn what_is_not_waited_for_is_unanswered() {
    let ran = with("--timeout 1m --drain 100ms", |number, datagram| {
        if number == 500 {
            vec![]
        } else {
            vec![datagram]
        }
    });
    let counts = &ran.record.counts;
    assert!(
        counts.unanswered >= 1 && ran.failed("lost") == 0,
        "{counts:?}"
    );
}

#[test]
fn duplicates_are_counted_and_the_first_is_right() {
    let ran = with("--timeout 10s", |number, datagram| {
        let copies = if number.is_multiple_of(4) { 3 } else { 1 };
        vec![datagram; copies]
    });
    assert_eq!(ran.output.status.code(), Some(1), "{}", ran.shown());
    assert_eq!(ran.record.counts.acked, 1_000);
    // Copies of the last may come when all have come back and the run is over.
    assert!((498..=500).contains(&ran.udp.duplicated), "{}", ran.shown());
    assert_eq!(ran.extra("duplicated"), ran.udp.duplicated);
}

#[test]
fn an_overtaken_datagram_is_right_and_counted() {
    let echo = echo(|all| match all {
        [.., before, last] if all.len().is_multiple_of(2) => vec![last.clone(), before.clone()],
        _ => vec![],
    });
    let ran = ran(
        echo.at,
        "--rate 5k/s --requests 1000 --clients 1 --timeout 10s",
    );
    ran.assert_went_well();
    assert_eq!(ran.udp.reordered, 500);
}

#[test]
fn damage_is_seen_wherever_it_is() {
    let ran = with(
        "--payload 200 --timeout 500ms",
        |number, (to, mut bytes)| {
            if number.is_multiple_of(5) {
                let bit = number / 5 * 8 % (200 * 8);
                bytes[bit / 8] ^= 1 << (number % 8);
            }
            if number == 7 {
                bytes.truncate(100);
            }
            if number == 8 {
                bytes.push(0);
            }
            vec![(to, bytes)]
        },
    );
    assert_eq!(ran.output.status.code(), Some(1), "{}", ran.shown());
    // Where the mark at the front was hit it is not known to be ours: bytes 0 to 3 of 200.
    assert_eq!((ran.udp.corrupted, ran.udp.unexpected), (198, 4));
    assert_eq!(ran.udp.lost, 202);
    // Where who or which it is was hit, nobody knows what it answered.
    assert!(ran.failed("corrupted") >= 180, "{}", ran.shown());
    assert!(ran.failed("lost") >= 4, "{}", ran.shown());
}

#[test]
fn a_damaged_copy_beside_a_right_one_costs_nothing_but_is_told() {
    let ran = with("--timeout 10s", |number, (to, bytes)| {
        let mut damaged = bytes.clone();
        damaged[50] ^= 1;
        if number.is_multiple_of(100) {
            vec![(to, damaged), (to, bytes)]
        } else {
            vec![(to, bytes)]
        }
    });
    assert_eq!(ran.record.counts.acked, 1_000);
    assert_eq!((ran.extra("corrupted"), ran.udp.corrupted), (10, 10));
    assert_eq!(ran.output.status.code(), Some(1));
}

#[test]
fn a_datagram_of_another_socket_is_misrouted() {
    let echo = echo(|all| {
        let (from, bytes) = last(all);
        // Every tenth goes to whom the one before came from.
        let to = match all {
            [.., (before, _), _] if all.len().is_multiple_of(10) => *before,
            _ => from,
        };
        vec![(to, bytes)]
    });
    let ran = ran(
        echo.at,
        "--rate 5k/s --requests 1000 --clients 2 --threads 1 --timeout 500ms",
    );
    assert_eq!(ran.output.status.code(), Some(1), "{}", ran.shown());
    assert_eq!(ran.udp.lost, ran.udp.misrouted);
    assert!(ran.udp.misrouted > 0, "{}", ran.shown());
    assert_eq!(ran.extra("misrouted"), ran.udp.misrouted);
}

#[test]
fn what_nobody_sent_is_unexpected() {
    let ran = with("--timeout 10s", |number, datagram| {
        let garbage = (datagram.0, b"hello".to_vec());
        if number.is_multiple_of(200) {
            vec![garbage, datagram]
        } else {
            vec![datagram]
        }
    });
    assert_eq!((ran.udp.unexpected, ran.extra("unexpected")), (5, 5));
    assert_eq!(ran.record.counts.acked, 1_000);
    assert_eq!(ran.output.status.code(), Some(1));
}

#[test]
fn one_that_comes_after_its_time_was_lost_and_is_late() {
    // Every tenth comes back when half a second is over.
    let mut held: Vec<(Instant, Datagram)> = vec![];
    let echo = echo(move |all| {
        let mut answers = vec![];
        if all.len().is_multiple_of(10) {
            held.push((Instant::now(), last(all)));
        } else {
            answers.push(last(all));
        }
        let is_due = |(since, _): &(Instant, Datagram)| since.elapsed().as_millis() > 500;
        while held.first().is_some_and(is_due) {
            answers.push(held.remove(0).1);
        }
        answers
    });
    let words = "--rate 500/s --duration 1500ms --clients 1 --timeout 200ms";
    let ran = ran(echo.at, words);
    assert_eq!(ran.output.status.code(), Some(1), "{}", ran.shown());
    assert!(ran.udp.late > 0, "{}", ran.shown());
    let given_up = ran.failed("lost") + ran.record.counts.unanswered;
    assert_eq!(given_up, ran.udp.late + ran.udp.lost);
    assert_eq!(ran.extra("late"), ran.udp.late);
    assert_eq!(ran.record.counts.acked + ran.udp.late, ran.udp.returned);
}
