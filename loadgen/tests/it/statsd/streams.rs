//! TCP: every line once over what holds, and what did not get through told.

use std::io::Read as _;
use std::net::TcpListener;

use super::sink::{numbers, streams};
use super::{assert_each_once, ran, read};
use crate::program::{files, loadgen, run};

/// The whole lines of a stream, without the last end.
fn whole_lines(stream: &[u8]) -> Vec<u8> {
    let end = stream.iter().rposition(|byte| *byte == b'\n');
    stream[..end.unwrap_or(0)].to_vec()
}

#[test]
fn every_number_comes_once() {
    for pace in ["--rate 50k/s", "--max"] {
        let (at, sink) = streams(3);
        let ran = ran(&format!(
            "--connect {at} --transport tcp {pace} --lines 20k --connections 3 --threads 2 \
             --lines-per-datagram 10"
        ));
        ran.assert_went_well();
        let came = sink.join().expect("no panic");
        let bytes: usize = came.iter().map(Vec::len).sum();
        let lines: Vec<Vec<u8>> = came.iter().map(|stream| whole_lines(stream)).collect();
        let lines: Vec<Vec<u8>> = lines.into_iter().filter(|all| !all.is_empty()).collect();
        assert_each_once(numbers(&lines), 20_000);
        assert_eq!(ran.statsd.numbers, 20_000, "{pace}");
        assert_eq!(ran.statsd.bytes_total, bytes as u64);
        assert_eq!(
            (ran.statsd.datagrams_total, ran.statsd.transport.as_str()),
            (0, "tcp")
        );
        assert_eq!(ran.record.counts.connections, 3);
        assert_eq!(ran.record.counts.connections_completed, 3);
    }
}

#[test]
fn a_connection_that_breaks_is_opened_again() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = listener.local_addr().expect("an address");
    let sink = std::thread::spawn(move || {
        let (mut first, _) = listener.accept().expect("a connection");
        let mut some = [0; 5_000];
        first.read_exact(&mut some).expect("lines");
        drop(first);
        let (mut second, _) = listener.accept().expect("another");
        let mut all = Vec::new();
        second.read_to_end(&mut all).expect("lines");
        [some.to_vec(), all]
    });
    let ran = ran(&format!(
        "--connect {at} --transport tcp --rate 20k/s --lines 10k"
    ));
    let counts = &ran.record.counts;
    assert_eq!(counts.connections, 2, "{}", ran.shown());
    let broken: u64 = counts.connections_broken.values().sum();
    assert_eq!(
        broken + counts.connections_closed_idle,
        1,
        "{}",
        ran.shown()
    );
    let came = sink.join().expect("no panic");
    let mut seen = numbers(&came.map(|stream| whole_lines(&stream)));
    let received = seen.len() as u64;
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len() as u64, received, "none comes twice");
    assert_eq!(ran.statsd.numbers, 10_000);
    assert!(received <= ran.statsd.lines_total);
    assert!(seen.contains(&9_999), "the second connection works");
    let not_sent = |number: &u64| {
        let mut ranges = ran.statsd.not_sent_ranges.iter();
        ranges.any(|[first, last]| (first..=last).contains(&number))
    };
    assert!(
        !seen.iter().any(not_sent),
        "what was not sent does not come"
    );
}

#[test]
fn nobody_there_is_a_failure_with_a_record() {
    let gone = TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = gone.local_addr().expect("an address");
    drop(gone);
    let files = files();
    let words = format!("statsd --connect {at} --transport tcp --lines 10 --quiet");
    let output = run(loadgen(&words).arg("--json").arg(&files.json));
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        stderr.contains("refused") && stderr.lines().count() == 1,
        "{stderr}"
    );
    let ran = read(output, &files.json);
    assert_eq!(ran.record.counts.connect_failed["refused"], 1);
    assert!(!ran.record.valid);
}
