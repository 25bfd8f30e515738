//! What is sent: the same bytes for the same seed, as many as asked for, and kept.

use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::sync::mpsc::channel;
use std::time::Instant;

use fuzzclient::generate::{ByteStream, Protocol, Recipe, Strategy};
use fuzzclient::recording::{read, read_directory};

use crate::client::{run, run_mode, run_with_input};
use crate::target::Sink;

/// The first bytes of a connection.
fn stream(strategy: Strategy, seed: u64, connection: u64, len: usize) -> Vec<u8> {
    let recipe = Recipe {
        protocol: Protocol::Foo,
        strategy,
        seed,
        corpus: None,
    };
    let mut stream = ByteStream::new(recipe.stream(connection));
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
    let all = [
        (Strategy::Random, "random"),
        (Strategy::Lines, "lines"),
        (Strategy::Mutate, "mutate"),
        (Strategy::Grammar, "grammar"),
    ];
    for (strategy, name) in all {
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

#[test]
fn slow_connections_send_their_bytes_one_by_one_and_short_ones_end_in_every_way() {
    let sink = Sink::reading(100);
    let flags = [
        "--strategy",
        "slow",
        "--duration",
        "300ms",
        "--connections",
        "20",
    ];
    let record = run(sink.addr, &flags, 0);
    let sessions = record
        .sessions
        .iter()
        .filter(|session| session.bytes_sent > 0)
        .count();
    let total: usize = sink.received(sessions).iter().map(Vec::len).sum();
    assert_eq!(total as u64, record.bytes_sent);
    // A thousand per second and connection, the first of each at once.
    let most = 20.0 * 1000.0 * record.elapsed_s + record.sessions.len() as f64;
    assert!(total as f64 <= most, "{total} bytes");

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("churn.rec");
    let flags = [
        "--strategy",
        "churn",
        "--bytes",
        "50KB",
        "--record",
        path.to_str().unwrap(),
    ];
    let record = run(sink.addr, &flags, 0);
    assert_eq!(
        (record.stopped_by.as_str(), record.bytes_sent),
        ("bytes", 50_000)
    );
    let recorded = read(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(recorded.len(), record.sessions.len());
    for connection in &recorded {
        let bytes = connection.bytes();
        assert!(bytes[..] == stream(Strategy::Churn, 1, connection.number, bytes.len()));
    }
    let mut endings: Vec<_> = recorded
        .iter()
        .filter_map(|connection| connection.ending)
        .collect();
    endings.sort_unstable();
    endings.dedup();
    assert_eq!(endings.len(), 3, "half-closed, closed and reset");
}

#[test]
fn what_was_recorded_is_replayed_and_recorded_again() {
    let sink = Sink::reading(1000);
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (first, again, many) = (path("first"), path("again"), path("many/"));
    let flags = [
        "--strategy",
        "mutate",
        "--bytes",
        "60KB",
        "--connections",
        "3",
        "--record",
        &first,
    ];
    run(sink.addr, &flags, 0);
    let mut sent = sink.received(3);
    sent.sort();
    for kept in [&again, &many] {
        let record = run(sink.addr, &["--replay", &first, "--record", kept], 0);
        assert_eq!(
            (record.stopped_by.as_str(), record.bytes_sent),
            ("source_ended", 60_000)
        );
        let mut received = sink.received(3);
        received.sort();
        assert!(received == sent);
    }
    let bytes = |all: &[fuzzclient::recording::Recorded]| -> Vec<_> {
        all.iter()
            .map(|one| (one.number, one.bytes(), one.ending))
            .collect()
    };
    let first = bytes(&read(&std::fs::read(&first).unwrap()).unwrap());
    assert_eq!(
        bytes(&read(&std::fs::read(&again).unwrap()).unwrap()),
        first
    );
    assert_eq!(bytes(&read_directory(many.as_ref()).unwrap()), first);
    // A directory is replayed as well.
    run(sink.addr, &["--replay", &many], 0);
    let mut received = sink.received(3);
    received.sort();
    assert!(received == sent);
}

#[test]
fn a_corpus_is_sent_as_it_is_and_then_mutated() {
    let sink = Sink::reading(1000);
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("1"), b"MODEL one\n").unwrap();
    std::fs::write(dir.path().join("2"), b"MODEL two\nMODEL three\n").unwrap();
    let path = dir.path().to_str().unwrap();
    let flags = [
        "--corpus",
        path,
        "--bytes",
        "40KB",
        "--session-bytes",
        "20KB",
    ];
    let record = run(sink.addr, &flags, 0);
    assert_eq!((record.bytes_sent, record.sessions.len()), (40_000, 4));
    let received = sink.received(4);
    assert_eq!(received[0], b"MODEL one\n");
    assert_eq!(received[1], b"MODEL two\nMODEL three\n");
    let mutated = [&received[2][..], &received[3]].concat();
    let models = mutated.windows(5).filter(|part| part == b"MODEL").count();
    assert!(models > 20, "{models}");
    assert_eq!(received[2].len(), 20_000);
}

#[test]
fn datagrams_are_met_to_the_byte_recorded_and_replayed() {
    let target = UdpSocket::bind("127.0.0.1:0").unwrap();
    let addr = target.local_addr().unwrap();
    let (sender, receiver) = channel();
    // All the time: a socket's buffer does not hold many.
    std::thread::spawn(move || {
        let mut datagram = vec![0; 70_000];
        while let Ok(n) = target.recv(&mut datagram) {
            if sender.send(datagram[..n].to_vec()).is_err() {
                return;
            }
        }
    });
    let receive = |wanted: u64| -> Vec<Vec<u8>> {
        (0..wanted)
            .map(|_| receiver.recv_timeout(crate::target::DEADLINE).unwrap())
            .collect()
    };
    let dir = tempfile::tempdir().unwrap();
    for strategy in ["random", "lines", "mutate", "grammar", "slow", "churn"] {
        let path = dir.path().join(strategy);
        let path = path.to_str().unwrap();
        let flags = [
            "--strategy",
            strategy,
            "--bytes",
            "20000",
            "--rate",
            "10k/s",
            "--duration",
            "50ms",
            "--connections",
            "2",
            "--record",
            path,
        ];
        let record = run_mode("statsd", addr, &flags, 0);
        let sums = record.datagrams.unwrap();
        let received = receive(sums.sent);
        let bytes: usize = received.iter().map(Vec::len).sum();
        assert_eq!(record.bytes_sent, bytes as u64, "{strategy}");
        assert!(
            bytes <= 20_000 && sums.sent <= 501,
            "{strategy}: {bytes} in {}",
            sums.sent
        );
        assert!(
            strategy == "slow" || bytes == 20_000 || sums.sent > 400,
            "{strategy}: {bytes}"
        );
        let again = run_mode("statsd", addr, &["--replay", path, "--rate", "10k/s"], 0);
        let mut replayed = receive(sums.sent);
        assert_eq!(again.stopped_by, "source_ended");
        let mut sent = received;
        sent.sort();
        replayed.sort();
        assert!(replayed == sent, "{strategy}: each datagram again");
    }
}
