//! What is sent: the same bytes for the same seed, as many as asked for, and kept.

use std::collections::BTreeMap;
use std::time::Instant;

use fuzzclient::generate::{ByteStream, Strategy};

use crate::client::{run, run_with_input};
use crate::target::Sink;

/// The first bytes of a connection.
fn stream(strategy: Strategy, seed: u64, connection: u64, len: usize) -> Vec<u8> {
    let mut stream = ByteStream::new(strategy.generator(seed, connection));
    let mut all = Vec::new();
    while all.len() < len {
        let (_, bytes) = stream.peek(len - all.len()).unwrap();
        all.extend_from_slice(bytes);
        let n = bytes.len();
        stream.take(n);
    }
    all
}

#[test]
fn the_same_seed_sends_the_same_bytes_however_they_are_read() {
    for (strategy, name) in [(Strategy::Random, "random"), (Strategy::Lines, "lines")] {
        for step in [7, 100_000] {
            let sink = Sink::reading(step);
            let flags = ["--seed", "42", "--bytes", "200001", "--strategy", name];
            let record = run(sink.addr, &flags, 0);
            let received = sink.received(1).remove(0);
            assert!(
                received == stream(strategy, 42, 0, 200_001),
                "{name} read by {step}"
            );
            let lines = received.iter().filter(|&&b| b == b'\n').count() as u64;
            assert_eq!((record.bytes_sent, record.lines_sent), (200_001, lines));
            assert_eq!((record.replies, record.bytes_received), (lines, 3 * lines));
            assert_eq!(record.stopped_by, "bytes");
        }
    }
}

#[test]
fn the_limit_is_met_to_the_byte_and_other_connections_change_nothing() {
    let sink = Sink::reading(100_000);
    let flags = [
        "--bytes",
        "1000003",
        "--connections",
        "4",
        "--first-connection",
        "10",
    ];
    let record = run(sink.addr, &flags, 0);
    let mut received = sink.received(4);
    received.sort();
    let mut expected: Vec<_> = [250_001, 250_001, 250_001, 250_000]
        .into_iter()
        .zip(10..)
        .map(|(len, connection)| stream(Strategy::Random, 1, connection, len))
        .collect();
    expected.sort();
    assert!(received == expected);
    assert_eq!(record.bytes_sent, 1_000_003);
    let numbers: Vec<u64> = record
        .sessions
        .iter()
        .map(|session| session.connection)
        .collect();
    assert_eq!(numbers, [10, 11, 12, 13]);
    assert_eq!(
        record.observations,
        BTreeMap::from([("connected".into(), 4), ("finished".into(), 4)])
    );
}

#[test]
fn the_recording_of_one_connection_is_what_was_sent() {
    let sink = Sink::reading(100_000);
    let file = tempfile::NamedTempFile::new().unwrap();
    run(
        sink.addr,
        &[
            "--bytes",
            "300000",
            "--record",
            file.path().to_str().unwrap(),
        ],
        0,
    );
    assert!(std::fs::read(file.path()).unwrap() == sink.received(1)[0]);
}

#[test]
fn the_recording_of_several_connections_can_be_split() {
    let sink = Sink::reading(100_000);
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    run(
        sink.addr,
        &["--bytes", "600000", "--connections", "3", "--record", path],
        0,
    );
    let split = fuzzclient::recording::split(&std::fs::read(path).unwrap()).unwrap();
    let mut received = sink.received(3);
    received.sort();
    assert_eq!(split.keys().copied().collect::<Vec<_>>(), [0, 1, 2]);
    let mut kept: Vec<_> = split.into_values().collect();
    kept.sort();
    assert!(kept == received);
}

#[test]
fn a_file_goes_to_every_connection_and_stdin_to_one() {
    let sink = Sink::reading(1000);
    let file = tempfile::NamedTempFile::new().unwrap();
    let contents: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
    std::fs::write(file.path(), &contents).unwrap();
    let path = file.path().to_str().unwrap();
    let record = run(sink.addr, &["--source", path, "--connections", "2"], 0);
    assert_eq!(record.stopped_by, "source_ended");
    assert!(
        sink.received(2)
            .iter()
            .all(|received| *received == contents)
    );

    let record = run_with_input(sink.addr, &["--source", "-"], &contents, 0);
    assert_eq!(
        (record.stopped_by.as_str(), record.bytes_sent),
        ("source_ended", 800_000)
    );
    assert!(sink.received(1)[0] == contents);

    let record = run(sink.addr, &["--source", "/dev/zero", "--bytes", "70000"], 0);
    assert_eq!(
        (record.stopped_by.as_str(), record.bytes_sent),
        ("bytes", 70_000)
    );
    assert!(sink.received(1)[0] == [0; 70_000]);
}

#[test]
fn the_rate_is_a_limit_and_the_duration_another() {
    let sink = Sink::reading(100_000);
    let started = Instant::now();
    let flags = [
        "--bytes",
        "200KB",
        "--rate",
        "400KB/s",
        "--connections",
        "3",
    ];
    let record = run(sink.addr, &flags, 0);
    assert_eq!(record.bytes_sent, 200_000);
    assert!(
        started.elapsed().as_secs_f64() >= 0.5,
        "{:?}",
        started.elapsed()
    );

    let record = run(sink.addr, &["--rate", "1KB/s", "--duration", "300ms"], 0);
    assert_eq!(record.stopped_by, "duration");
    assert!(
        record.bytes_sent as f64 <= 1000.0 * record.elapsed_s,
        "{record:?}"
    );
    assert!(record.bytes_sent > 0);
}
