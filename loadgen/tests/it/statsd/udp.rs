//! Datagrams: every line once, at the rate that was asked for, and what was not sent told.

use std::io::{BufRead as _, BufReader};
use std::net::UdpSocket;
use std::process::Stdio;

use super::sink::{datagrams, numbers};
use super::{assert_each_once, ran, read};
use crate::program::{files, with_events_on_stdout};

#[test]
fn every_number_comes_once_whatever_the_threads_and_sockets() {
    let sink = datagrams();
    let ran = ran(&format!(
        "--connect {} --rate 20k/s --duration 300ms --warmup 100ms --interval 100ms \
         --threads 2 --connections 3 --lines-per-datagram 7 --keys 50 --seed 7",
        sink.at
    ));
    ran.assert_went_well();
    let came = sink.end();
    let statsd = &ran.statsd;
    assert_each_once(numbers(&came), statsd.numbers);
    assert_eq!(statsd.datagrams_total, came.len() as u64);
    let bytes: usize = came.iter().map(Vec::len).sum();
    assert_eq!(statsd.bytes_total, bytes as u64);
    // 20,000 lines/s for 0.3 s, by the seven.
    assert!(
        (5_993..=6_007).contains(&ran.record.counts.sent),
        "{}",
        ran.shown()
    );
    assert!((1_993..=2_007).contains(&(statsd.numbers - ran.record.counts.sent)));
    assert_eq!(statsd.datagrams * 7, ran.record.counts.sent);
    let slices: u64 = ran.record.intervals.iter().map(|slice| slice.sent).sum();
    assert_eq!(slices, statsd.lines_total);
    assert_eq!(ran.record.latency_us.response.count, 0, "none is claimed");
    assert_eq!(ran.record.latency_us.send_lag.count, statsd.datagrams);
}

#[test]
fn random_gaps_have_the_same_rate() {
    let sink = datagrams();
    let ran = ran(&format!(
        "--connect {} --rate 50k/s --arrivals poisson --duration 500ms --warmup 0 --seed 3",
        sink.at
    ));
    ran.assert_went_well();
    assert_each_once(numbers(&sink.end()), ran.statsd.numbers);
    // Five standard deviations of a Poisson number of 25,000.
    assert!(
        (24_210..=25_790).contains(&ran.statsd.numbers),
        "{}",
        ran.shown()
    );
}

#[test]
fn a_number_of_lines_is_kept_to_the_line() {
    for pace in [
        "--rate 30k/s",
        "--max",
        "--rate max --segmentation off",
        "--burst 300@5ms",
    ] {
        let sink = datagrams();
        let ran = ran(&format!(
            "--connect {} {pace} --lines 1k --threads 2 --lines-per-datagram 9",
            sink.at
        ));
        ran.assert_went_well();
        assert_eq!(
            (ran.statsd.numbers, ran.record.counts.sent),
            (1_000, 1_000),
            "{pace}"
        );
        assert_each_once(numbers(&sink.end()), 1_000);
    }
}

#[test]
fn a_burst_leaves_all_at_once() {
    let sink = datagrams();
    let ran = ran(&format!(
        "--connect {} --burst 500@50ms --duration 200ms --warmup 0 --lines-per-datagram 30",
        sink.at
    ));
    ran.assert_went_well();
    assert_eq!(ran.record.target_rate, Some(10_000.0));
    let came = sink.end();
    assert_each_once(numbers(&came), 2_000);
    let sizes: Vec<usize> = came
        .iter()
        .map(|one| numbers(std::slice::from_ref(one)).len())
        .collect();
    let burst: Vec<usize> = std::iter::repeat_n(30, 16).chain([20]).collect();
    assert_eq!(sizes, burst.repeat(4));
}

#[test]
fn no_datagram_is_longer_than_the_mtu() {
    let sink = datagrams();
    let ran = ran(&format!(
        "--connect {} --rate 50k/s --lines 5000 --lines-per-datagram 100 --mtu 512",
        sink.at
    ));
    ran.assert_went_well();
    let came = sink.end();
    assert_each_once(numbers(&came), 5_000);
    let longest = came.iter().map(Vec::len).max().expect("some");
    assert!((480..=512).contains(&longest), "{longest}");
}

#[test]
fn full_datagrams_have_as_many_lines_as_there_is_room_for() {
    let sink = datagrams();
    let ran = ran(&format!(
        "--connect {} --rate 100k/s --lines 20k --lines-per-datagram full --types c,ms",
        sink.at
    ));
    ran.assert_went_well();
    let came = sink.end();
    assert_each_once(numbers(&came), 20_000);
    let per_datagram = ran.statsd.lines_per_datagram;
    assert_eq!(
        came.len() as u64,
        20_000_u64.div_ceil(per_datagram),
        "none is cut"
    );
    assert!((50..=70).contains(&per_datagram), "{per_datagram}");
}

#[test]
fn what_nobody_listens_to_is_told_and_ends_nothing() {
    let gone = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let at = gone.local_addr().expect("an address");
    drop(gone);
    let ran = ran(&format!("--connect {at} --rate 2k/s --lines 500"));
    assert_eq!(ran.output.status.code(), Some(1), "{}", ran.shown());
    let statsd = &ran.statsd;
    assert_eq!(statsd.numbers, 500);
    assert!(statsd.not_sent["refused"] > 0, "{}", ran.shown());
    assert!(statsd.datagrams_refused > 0, "{}", ran.shown());
    assert_eq!(
        ran.record.counts.sent + ran.record.counts.never_written,
        500
    );
}

#[test]
fn a_run_that_is_stopped_leaves_no_number_out() {
    let sink = datagrams();
    let files = files();
    let words = format!(
        "statsd --connect {} --rate 50k/s --threads 2 --warmup 0 --duration 60s --events-fd 3",
        sink.at
    );
    let mut child = with_events_on_stdout(&words)
        .arg("--json")
        .arg(&files.json)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut events = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut line = String::new();
    while !line.contains("measuring") {
        line.clear();
        assert!(events.read_line(&mut line).expect("events") > 0, "it ended");
    }
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
    // Until it closes the pipe, or it would wait for its reader.
    std::io::copy(&mut events, &mut std::io::sink()).expect("events");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(143));
    let ran = read(output, &files.json);
    assert!(ran.record.notes.iter().any(|note| note.contains("partial")));
    assert_each_once(numbers(&sink.end()), ran.statsd.numbers);
}
