use proptest::prelude::*;

use super::*;
use crate::judge::{Replies, Verify, reply_of};
use crate::payload::{Lengths, Payload};
use crate::tally::Tally;
use protocol::foo::{Answer, Message};

const CONNECTION: u32 = 1;

/// A connection with `requests` written requests, and the lines that answer them.
struct Scene {
    tracker: Tracker,
    judge: Replies,
    books: Books,
    right: Vec<Vec<u8>>,
}

fn payload() -> Payload {
    Payload::new(5, Lengths::default())
}

fn answer_line(connection: u32, seq: u64) -> Vec<u8> {
    let mut data = Vec::new();
    payload().write(connection, seq, &mut data);
    let mut line = Vec::new();
    Answer::to(seq.cast_signed(), &data).encode(&mut line);
    line
}

impl Scene {
    fn new(verify: Verify, requests: u64) -> Self {
        let mut judge = Replies::new(verify, payload().into());
        judge.turn_to(CONNECTION, 4);
        let mut tracker = Tracker::new(requests as usize);
        let mut books = Books::default();
        for seq in 1..=requests {
            assert_eq!(tracker.push(seq * 10), seq);
        }
        tracker.written(1_000, &mut books);
        let right = (1..=requests)
            .map(|seq| answer_line(CONNECTION, seq))
            .collect();
        Self {
            tracker,
            judge,
            books,
            right,
        }
    }

    fn receive(&mut self, line: &[u8]) -> Option<Times> {
        let (message, len) = Message::next(line).expect("a whole line");
        assert_eq!(len, line.len());
        self.tracker
            .reply(&reply_of(message), &mut self.judge, &mut self.books)
    }

    fn receive_all(mut self, lines: &[Vec<u8>]) -> Tally {
        for line in lines {
            self.receive(line);
        }
        self.tracker.finish(&mut self.books);
        let tally = self.books.measured;
        assert_identity(&tally);
        tally
    }
}

fn assert_identity(tally: &Tally) {
    let settled = tally.answered() + tally.failed_total() + tally.unanswered;
    assert_eq!(tally.sent, settled, "{tally:?}");
}

/// The counters that differ from a run where all of `sent` was answered.
fn summary(tally: &Tally) -> Vec<(&'static str, u64)> {
    let failed = Failure::ALL
        .iter()
        .map(|kind| (kind.name(), tally.failed(*kind)));
    let extra = Extra::ALL
        .iter()
        .map(|kind| (kind.name(), tally.extra_of(*kind)));
    let unanswered = [("unanswered", tally.unanswered)];
    failed
        .chain(extra)
        .chain(unanswered)
        .filter(|(_, count)| *count > 0)
        .collect()
}

fn relayed(verify: Verify, relay: impl FnOnce(&mut Vec<Vec<u8>>)) -> Tally {
    let scene = Scene::new(verify, 100);
    let mut lines = scene.right.clone();
    relay(&mut lines);
    scene.receive_all(&lines)
}

const BOTH: [Verify; 2] = [Verify::Seq, Verify::Digest];

#[test]
fn right_answers_in_order_are_all_there_is() {
    for verify in [Verify::Seq, Verify::Digest, Verify::None] {
        let tally = relayed(verify, |_| {});
        assert_eq!(summary(&tally), []);
        assert_eq!(tally.answered(), 100);
        assert!((1..40).contains(&tally.naked), "{}", tally.naked);
    }
}

#[test]
fn times_are_those_of_the_request_that_was_answered() {
    let mut scene = Scene::new(Verify::Seq, 3);
    let lines = scene.right.clone();
    assert_eq!(
        scene.receive(&lines[0]),
        Some(Times {
            due: 10,
            sent: 1_000
        })
    );
    assert_eq!(
        scene.receive(&lines[2]),
        Some(Times {
            due: 30,
            sent: 1_000
        })
    );
    assert_eq!(
        scene.receive(&lines[1]),
        None,
        "reordered: a failure has no latency"
    );
}

#[test]
fn a_relay_that_drops_an_answer_loses_it() {
    for verify in BOTH {
        let tally = relayed(verify, |lines| {
            lines.remove(50);
            lines.remove(7);
        });
        assert_eq!(summary(&tally), [("lost", 2)]);
        assert_eq!(tally.answered(), 98);
    }
}

#[test]
fn a_relay_that_repeats_an_answer_duplicates_it() {
    for verify in BOTH {
        let tally = relayed(verify, |lines| lines.insert(8, lines[7].clone()));
        assert_eq!(summary(&tally), [("duplicated", 1)]);
        assert_eq!(tally.answered(), 100);
        let at_the_end = relayed(verify, |lines| lines.push(lines[99].clone()));
        assert_eq!(summary(&at_the_end), [("duplicated", 1)]);
    }
}

#[test]
fn a_relay_that_swaps_neighbours_reorders_them_and_loses_none() {
    for verify in BOTH {
        let tally = relayed(verify, |lines| {
            lines.swap(7, 8);
            lines.swap(98, 99);
        });
        assert_eq!(summary(&tally), [("reordered", 2)]);
    }
}

#[test]
fn a_relay_that_flips_a_digit_corrupts() {
    let flip = |lines: &mut Vec<Vec<u8>>| {
        let digit = &mut lines[20][10];
        *digit = if *digit == b'0' { b'1' } else { b'0' };
    };
    assert_eq!(summary(&relayed(Verify::Digest, flip)), [("corrupted", 1)]);
    assert_eq!(
        summary(&relayed(Verify::Seq, flip)),
        [],
        "numbers and order are right"
    );
    for verify in BOTH {
        let mangled = relayed(verify, |lines| lines[20][0] = b'X');
        assert_eq!(summary(&mangled), [("corrupted", 1)]);
        let wrong_seq = relayed(verify, |lines| lines[20] = b"ACK 99999 00\n".to_vec());
        assert_eq!(summary(&wrong_seq), [("corrupted", 1)]);
        let turned = relayed(verify, |lines| lines[20][..3].copy_from_slice(b"REQ"));
        assert_eq!(summary(&turned), [("corrupted", 1)]);
    }
    let acked_for_naked = relayed(Verify::Digest, |lines| {
        let at = lines
            .iter()
            .position(|line| line[0] == b'N')
            .expect("a NAK");
        lines[at][..3].copy_from_slice(b"ACK");
    });
    assert_eq!(summary(&acked_for_naked), [("corrupted", 1)]);
}

#[test]
fn an_answer_to_another_connection_is_misrouted() {
    let tally = relayed(Verify::Digest, |lines| lines[20] = answer_line(3, 21));
    assert_eq!(summary(&tally), [("misrouted", 1)]);
    let other_number = relayed(Verify::Digest, |lines| lines[20] = answer_line(2, 60));
    assert_eq!(summary(&other_number), [("misrouted", 1)]);
}

#[test]
fn a_refusal_to_decode_a_good_request_is_its_failure() {
    for verify in [Verify::Seq, Verify::Digest, Verify::None] {
        let tally = relayed(verify, |lines| lines[3] = b"NAK 0 ERRDECODE\n".to_vec());
        assert_eq!(summary(&tally), [("err_decode", 1)]);
    }
}

#[test]
fn a_line_too_many_is_unexpected_and_the_request_is_answered() {
    for verify in BOTH {
        let tally = relayed(verify, |lines| lines.insert(20, b"what?\n".to_vec()));
        assert_eq!(summary(&tally), [("unexpected", 1)]);
        assert_eq!(tally.answered(), 100);
        let at_the_end = relayed(verify, |lines| lines.push(b"ACK 101 0\n".to_vec()));
        assert_eq!(summary(&at_the_end), [("unexpected", 1)]);
    }
}

#[test]
fn an_answer_that_was_given_up_is_late_not_duplicated() {
    let tally = relayed(Verify::Seq, |lines| {
        let held = lines.remove(2);
        lines.push(held);
    });
    assert_eq!(summary(&tally), [("lost", 1), ("late", 1)]);
}

#[test]
fn a_connection_that_ends_fails_what_was_open_and_settles_suspects() {
    let mut scene = Scene::new(Verify::Seq, 10);
    let lines = scene.right.clone();
    scene.receive(&lines[0]);
    scene.receive(&lines[2]);
    scene.tracker.end(Failure::Reset, &mut scene.books);
    assert_eq!(summary(&scene.books.measured), [("lost", 1), ("reset", 7)]);
    assert_identity(&scene.books.measured);
    scene.tracker.restart();
    assert_eq!(scene.tracker.push(5), 1, "numbers start again");
}

#[test]
fn what_was_never_written_is_given_back_and_not_sent() {
    let mut tracker = Tracker::new(4);
    let mut books = Books::default();
    tracker.push(1);
    tracker.written(2, &mut books);
    tracker.push(3);
    tracker.push(4);
    let mut back = VecDeque::new();
    tracker.take_unwritten(&mut back);
    tracker.end(Failure::Reset, &mut books);
    assert_eq!(back, [3, 4]);
    assert_eq!(books.measured.sent, 1);
    assert_identity(&books.measured);
}

#[test]
fn warm_up_has_books_of_its_own() {
    let mut scene = Scene::new(Verify::Seq, 0);
    scene.books.measure_from = 100;
    scene.tracker = Tracker::new(2);
    scene.tracker.push(99);
    scene.tracker.push(100);
    scene.tracker.written(0, &mut scene.books);
    scene.receive(b"ACK 1 0\n");
    scene.receive(b"NAK 2 0\n");
    let Books {
        warmup, measured, ..
    } = scene.books;
    assert_eq!((warmup.sent, warmup.acked, warmup.naked), (1, 1, 0));
    assert_eq!((measured.sent, measured.acked, measured.naked), (1, 0, 1));
}

/// A reply stream made of right answers, wrong ones, and rubbish.
fn replies() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let line = prop_oneof![
        6 => (1_u64..120).prop_map(|seq| answer_line(CONNECTION, seq)),
        1 => (0_u32..4, 1_u64..120).prop_map(|(c, seq)| answer_line(c, seq)),
        1 => any::<i64>().prop_map(|seq| format!("ACK {seq} 0\n").into_bytes()),
        1 => Just(b"NAK 0 ERRDECODE\n".to_vec()),
        1 => "[A-Z0-9 ]{0,9}\n".prop_map(String::into_bytes),
    ];
    proptest::collection::vec(line, 0..300)
}

proptest! {
    #[test]
    fn every_request_is_settled_once_under_any_replies(
        lines in replies(), verify in 0..3, cut in 0_usize..300, reset in any::<bool>(),
    ) {
        let verify = [Verify::Seq, Verify::Digest, Verify::None][verify as usize];
        let mut scene = Scene::new(verify, 100);
        let mut timed = 0;
        for (at, line) in lines.iter().enumerate() {
            if at == cut {
                if reset {
                    scene.tracker.end(Failure::Closed, &mut scene.books);
                }
                if scene.tracker.open() == 0 {
                    scene.tracker.push(1);
                    scene.tracker.written(2, &mut scene.books);
                }
            }
            timed += u64::from(scene.receive(line).is_some());
        }
        scene.tracker.finish(&mut scene.books);
        assert_identity(&scene.books.measured);
        prop_assert_eq!(timed, scene.books.measured.answered());
    }

    #[test]
    fn with_digests_a_request_is_answered_only_by_its_answer(lines in replies()) {
        let mut scene = Scene::new(Verify::Digest, 100);
        for line in &lines {
            let right = scene.right.contains(line);
            prop_assert!(scene.receive(line).is_none() || right);
        }
    }
}
