//! Bulk transfers: what is counted, and that a wrong byte is found.

use std::io::{Read, Write};
use std::net::SocketAddr;

use super::server::serve;
use crate::program::{files, loadgen, record, run, shown};
use loadgen::mix::mix;
use loadgen::record::{Bulk, LoadRecord};

/// Bytes of each transfer: no whole number of anything.
const BYTES: u64 = 3_000_001;

/// The first bytes of the stream, by the definition in the help of the reference servers.
fn stream(seed: u64) -> Vec<u8> {
    let word =
        |at: u64| mix(seed, at / 8).wrapping_add((at % 8).wrapping_mul(0xD1B5_4A32_D192_ED03));
    let mut bytes: Vec<u8> = (0..=BYTES / 8)
        .flat_map(|at| word(at).to_le_bytes())
        .collect();
    bytes.truncate(BYTES as usize);
    bytes
}

fn bulk(target: SocketAddr, flags: &str) -> (LoadRecord, Bulk, Option<i32>) {
    let files = files();
    let words =
        format!("tcp --connect {target} --bytes {BYTES} --connections 2 --quiet {flags} --json");
    let output = run(loadgen(&words).arg(&files.json));
    assert!(files.json.exists(), "{}", shown(&output));
    let record = record(&files.json);
    let bulk = record.bulk.clone().expect("a bulk transfer");
    (record, bulk, output.status.code())
}

/// Sends the stream as this makes it, and ends.
fn source(spoil: impl Fn(&mut Vec<u8>) + Send + Sync + 'static) -> SocketAddr {
    serve(move |number, mut connection| {
        let mut bytes = stream(7);
        if number == 1 {
            spoil(&mut bytes);
        }
        connection.write_all(&bytes).ok()
    })
}

/// Sends back what comes, up to so many bytes.
fn echo(most: u64) -> SocketAddr {
    serve(move |_, connection| {
        let mut back = connection.try_clone().ok()?;
        std::io::copy(&mut connection.take(most), &mut back).ok()?;
        back.shutdown(std::net::Shutdown::Write).ok()
    })
}

#[test]
fn what_a_source_sends_is_counted_and_right() {
    let (record, bulk, code) = bulk(source(|_| {}), "--bulk receive --pattern-seed 7");
    assert_eq!((record.counts.sent, record.counts.acked), (2, 2));
    assert_eq!((bulk.bytes_received, bulk.bytes_sent), (2 * BYTES, 0));
    assert_eq!((bulk.wrong_bytes, bulk.missing_bytes), (0, 0));
    let sliced: u64 = record
        .intervals
        .iter()
        .map(|slice| slice.bytes_received)
        .sum();
    assert_eq!(sliced, 2 * BYTES);
    assert!(bulk.received_gbit_per_s > 0.0 && record.client.cpu_s > 0.0);
    assert_eq!(code, Some(0));
}

#[test]
fn a_wrong_byte_is_found_where_it_is() {
    let wrong = source(|bytes| bytes[1_234_567] ^= 1);
    let (record, bulk, code) = bulk(wrong, "--bulk receive --pattern-seed 7");
    assert_eq!(
        (record.counts.acked, record.counts.failed["corrupted"]),
        (1, 1)
    );
    assert_eq!(
        (bulk.wrong_bytes, bulk.first_wrong_at),
        (1, Some(1_234_567))
    );
    assert_eq!(code, Some(1));
}

#[test]
fn unchecked_bytes_are_only_counted() {
    let wrong = source(|bytes| bytes[1_234_567] ^= 1);
    let (record, bulk, code) = bulk(wrong, "--bulk receive --verify none");
    assert_eq!((record.counts.acked, bulk.wrong_bytes), (2, 0));
    assert_eq!((bulk.bytes_received, code), (2 * BYTES, Some(0)));
}

#[test]
fn a_source_that_ends_early_leaves_bytes_missing() {
    let short = source(|bytes| bytes.truncate(1_000_000));
    let (record, bulk, code) = bulk(short, "--bulk receive --pattern-seed 7");
    assert_eq!((record.counts.acked, record.counts.failed["lost"]), (1, 1));
    assert_eq!(record.counts.connections_broken["closed_early"], 1);
    assert_eq!((bulk.missing_bytes, code), (BYTES - 1_000_000, Some(1)));
}

#[test]
fn an_echo_must_send_back_what_it_was_sent() {
    let (record, come, code) = bulk(echo(u64::MAX), "--bulk echo");
    assert_eq!(record.counts.acked, 2, "{come:?}");
    assert_eq!(
        (come.bytes_sent, come.bytes_received),
        (2 * BYTES, 2 * BYTES)
    );
    assert_eq!(code, Some(0));

    let slow = "--bulk echo --read-rate 10MB/s";
    let (record, _, code) = bulk(echo(u64::MAX), slow);
    assert_eq!((record.counts.acked, code), (2, Some(0)));

    let (record, come, code) = bulk(echo(BYTES - 1), "--bulk echo");
    // What it leaves unread may make its end a reset.
    assert_eq!(record.counts.failed_total(), 2, "{:?}", record.counts);
    assert!(come.missing_bytes >= 2, "{come:?}");
    assert_eq!(code, Some(1));
}

#[test]
fn a_sink_takes_everything_and_may_tell_how_much() {
    let sink = |report: fn(u64) -> Vec<u8>| {
        serve(move |_, mut connection| {
            let taken = std::io::copy(&mut connection, &mut std::io::sink()).ok()?;
            connection.write_all(&report(taken)).ok()
        })
    };
    for report in [|_| vec![], |taken: u64| taken.to_be_bytes().to_vec()] {
        let (record, bulk, code) = bulk(sink(report), "--bulk send");
        assert_eq!((record.counts.acked, bulk.bytes_sent), (2, 2 * BYTES));
        assert_eq!(code, Some(0));
    }
    let (record, bulk, code) = bulk(
        sink(|taken| (taken - 5).to_be_bytes().to_vec()),
        "--bulk send",
    );
    assert_eq!((record.counts.failed["lost"], bulk.missing_bytes), (2, 10));
    assert_eq!(code, Some(1));
}

#[test]
fn both_directions_at_once() {
    let target = serve(|_, mut connection| {
        let mut out = connection.try_clone().ok()?;
        let sender = std::thread::spawn(move || out.write_all(&stream(1)));
        let taken = std::io::copy(&mut connection, &mut std::io::sink()).ok()?;
        sender.join().ok()?.ok()?;
        (taken == BYTES).then_some(())
    });
    let (record, bulk, code) = bulk(target, "--bulk both");
    assert_eq!(record.counts.acked, 2, "{bulk:?}");
    assert_eq!(
        (bulk.bytes_sent, bulk.bytes_received),
        (2 * BYTES, 2 * BYTES)
    );
    assert_eq!(code, Some(0));
}

#[test]
fn a_reset_in_the_middle_is_told() {
    let target = serve(|_, mut connection| {
        connection.write_all(&stream(1)[..5_000]).ok()?;
        let mut some = [0; 100];
        connection.read_exact(&mut some).ok()?;
        eventloop::net::reset_on_close(&connection).ok()
    });
    let (record, _, code) = bulk(target, "--bulk both");
    assert_eq!(record.counts.failed["reset"], 2, "{:?}", record.counts);
    assert_eq!(code, Some(1));
}

#[test]
fn a_target_that_says_and_takes_nothing_has_done_nothing() {
    let silent = serve(|_, mut connection| {
        // Waits until the client has gone, without an end of its own.
        let mut byte = [0];
        while connection.peek(&mut byte).is_ok_and(|bytes| bytes > 0) {
            connection.read_exact(&mut byte).ok()?;
        }
        std::thread::park();
        Some(())
    });
    for direction in ["receive", "send", "both", "echo"] {
        let flags = format!("--bulk {direction} --duration 200ms --drain 100ms");
        let (record, _, code) = bulk(silent, &flags);
        assert_eq!(
            record.counts.unanswered, 2,
            "{direction}: {:?}",
            record.counts
        );
        assert_eq!(record.counts.connections_broken["no_end"], 2, "{direction}");
        assert_eq!(code, Some(1), "{direction}");
    }
}
