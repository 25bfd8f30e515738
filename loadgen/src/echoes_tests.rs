use proptest::prelude::*;

use super::*;
use crate::tally::{Books, Extra, Tally};
use crate::tracker::Tracker;

const CONNECTION: u32 = 1;
const BYTES: usize = 64;

fn echoes() -> Echoes {
    let lengths = Lengths {
        min: BYTES,
        max: BYTES,
    };
    let mut echoes = Echoes::new(Integrity::Full, 5, lengths);
    echoes.turn_to(CONNECTION, 4);
    echoes
}

fn message(connection: u32, seq: u64) -> Vec<u8> {
    let mut out = Vec::new();
    echoes().write(connection, seq, &mut out);
    out
}

/// What 20 requests come to when the echo of all is relayed so, read in pieces.
fn relayed(pieces: usize, relay: impl FnOnce(&mut Vec<u8>)) -> Tally {
    let mut stream: Vec<u8> = (1..=20).flat_map(|seq| message(CONNECTION, seq)).collect();
    relay(&mut stream);
    received(20, &stream, pieces)
}

fn received(requests: u64, stream: &[u8], pieces: usize) -> Tally {
    let mut books = Books::default();
    let mut tracker = Tracker::new(requests as usize);
    for _ in 0..requests {
        tracker.push(1);
    }
    tracker.written(2, &mut books);
    let mut echoes = echoes();
    let mut skipping = Skipping::default();
    let mut inbound = Vec::new();
    for piece in stream.chunks(pieces) {
        inbound.extend_from_slice(piece);
        let mut at = 0;
        while let Some((reply, bytes)) =
            echoes.next(&inbound[at..], tracker.oldest(), &mut skipping)
        {
            assert!(bytes > 0, "it goes on");
            if let Some(reply) = reply {
                tracker.reply(&reply, &mut echoes, &mut books);
            }
            at += bytes;
        }
        inbound.drain(..at);
    }
    if tracker.open() == 0 && echoes.is_left_over(inbound.len(), &skipping) {
        tracker.left_over(&mut books);
    }
    tracker.finish(&mut books);
    let tally = books.measured;
    let settled = tally.answered() + tally.failed_total() + tally.unanswered;
    assert_eq!(tally.sent, settled, "{tally:?}");
    tally
}

/// What went wrong, by kind.
fn wrong(tally: &Tally) -> Vec<(&'static str, u64)> {
    let failed = Failure::ALL
        .iter()
        .map(|kind| (kind.name(), tally.failed(*kind)));
    let extra = Extra::ALL
        .iter()
        .map(|kind| (kind.name(), tally.extra_of(*kind)));
    let open = [("unanswered", tally.unanswered)];
    let all = failed.chain(extra).chain(open);
    all.filter(|(_, count)| *count > 0).collect()
}

/// Where message `seq` begins.
fn at(seq: usize) -> usize {
    (seq - 1) * BYTES
}

/// Pieces that a relay may read and write: whole, odd, and single bytes.
const PIECES: [usize; 3] = [100_000, 37, 1];

#[test]
fn an_echo_is_right_however_it_is_cut() {
    for pieces in PIECES {
        let tally = relayed(pieces, |_| {});
        assert_eq!((wrong(&tally), tally.acked), (vec![], 20));
    }
}

#[test]
fn a_dropped_byte_loses_its_message_and_no_other() {
    for (pieces, byte) in [
        (100_000, 0),
        (100_000, 30),
        (100_000, 63),
        (37, 0),
        (37, 30),
    ] {
        let tally = relayed(pieces, |stream| {
            stream.remove(at(7) + byte);
        });
        assert_eq!(
            wrong(&tally),
            [("lost", 1)],
            "byte {byte} in pieces of {pieces}"
        );
    }
}

#[test]
fn a_flipped_bit_corrupts_its_message_and_no_other() {
    for pieces in PIECES {
        for byte in [0, 20, 63] {
            let tally = relayed(pieces, |stream| stream[at(7) + byte] ^= 4);
            assert_eq!(
                wrong(&tally),
                [("corrupted", 1)],
                "byte {byte}, pieces of {pieces}"
            );
        }
    }
}

#[test]
fn bytes_of_another_connection_are_misrouted() {
    for pieces in PIECES {
        let whole = relayed(pieces, |stream| {
            stream[at(7)..at(8)].copy_from_slice(&message(2, 7));
        });
        assert_eq!(wrong(&whole), [("misrouted", 1)]);
        let part = relayed(pieces, |stream| {
            stream[at(7) + 13..at(8)].copy_from_slice(&message(2, 9)[13..]);
        });
        assert_eq!(wrong(&part), [("misrouted", 1)]);
        let beside = relayed(pieces, |stream| {
            let more = message(3, 1);
            stream.splice(at(7)..at(7), more);
        });
        assert_eq!((wrong(&beside), beside.acked), (vec![("misrouted", 1)], 20));
    }
}

#[test]
fn messages_lost_sent_twice_or_out_of_order_are_told_apart() {
    for pieces in PIECES {
        let lost = relayed(pieces, |stream| drop(stream.drain(at(7)..at(9))));
        assert_eq!(wrong(&lost), [("lost", 2)]);
        let twice = relayed(pieces, |stream| {
            let again = message(CONNECTION, 7);
            stream.splice(at(8)..at(8), again);
        });
        assert_eq!((wrong(&twice), twice.acked), (vec![("duplicated", 1)], 20));
        let swapped = relayed(pieces, |stream| stream[at(7)..at(9)].rotate_left(BYTES));
        assert_eq!(wrong(&swapped), [("reordered", 1)]);
        let misplaced = relayed(pieces, |stream| {
            let other = message(CONNECTION, 3)[16..].to_vec();
            stream[at(7) + 16..at(8)].copy_from_slice(&other);
        });
        assert_eq!(wrong(&misplaced), [("reordered", 1)]);
    }
}

#[test]
fn bytes_that_nobody_sent_are_unexpected() {
    for pieces in PIECES {
        let between = relayed(pieces, |stream| {
            stream.splice(at(7)..at(7), *b"what?");
        });
        assert_eq!(
            (wrong(&between), between.acked),
            (vec![("unexpected", 1)], 20)
        );
        let behind = relayed(pieces, |stream| stream.extend(*b"what?"));
        assert_eq!(
            (wrong(&behind), behind.acked),
            (vec![("unexpected", 1)], 20)
        );
    }
    let zeroed = relayed(100_000, |stream| stream[at(7)..at(10)].fill(0));
    assert_eq!(wrong(&zeroed), [("corrupted", 3)]);
}

#[test]
fn without_integrity_only_bytes_are_counted() {
    let mut echoes = echoes();
    echoes.integrity = Integrity::None;
    let mut skipping = Skipping::default();
    assert!(echoes.next(&[0; BYTES - 1], 1, &mut skipping).is_none());
    let (reply, bytes) = echoes.next(&[0; BYTES], 1, &mut skipping).expect("whole");
    assert_eq!(bytes, BYTES);
    assert!(matches!(reply, Some(Reply::Answer { seq: 1, .. })));
}

proptest! {
    #[test]
    fn whatever_comes_every_request_is_settled_once(
        edits in proptest::collection::vec((0_usize..1_200, 0_usize..90, any::<[u8; 3]>()), 0..6),
        pieces in 1_usize..300,
    ) {
        relayed(pieces, |stream| {
            for (from, drop, put) in &edits {
                let from = (*from).min(stream.len());
                let to = (from + drop).min(stream.len());
                stream.splice(from..to, *put);
            }
        });
    }

    #[test]
    fn messages_of_all_lengths_come_back(
        min in 8_usize..40, more in 0_usize..60, pieces in 1_usize..200, connection in any::<u32>(),
    ) {
        let mut echoes = Echoes::new(Integrity::Full, 9, Lengths { min, max: min + more });
        echoes.turn_to(connection, connection.saturating_add(1));
        let mut stream = Vec::new();
        (1..=50).for_each(|seq| echoes.write(connection, seq, &mut stream));
        let (mut inbound, mut oldest) = (Vec::new(), 1);
        for piece in stream.chunks(pieces) {
            inbound.extend_from_slice(piece);
            while let Some((reply, bytes)) = echoes.next(&inbound, oldest, &mut Skipping::default()) {
                let right = matches!(reply, Some(Reply::Answer { seq, .. }) if seq.cast_unsigned() == oldest);
                prop_assert!(right);
                prop_assert!((min..=min + more).contains(&bytes));
                inbound.drain(..bytes);
                oldest += 1;
            }
        }
        prop_assert_eq!(oldest, 51);
    }
}
