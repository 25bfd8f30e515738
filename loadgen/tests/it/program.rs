//! The program as its users see it: outputs, exit codes, and one line for bad input.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::server::{serve, serve_rightly, wait_for};
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
use loadgen::histograms;
use loadgen::record::{LoadEvent, LoadRecord};

fn loadgen(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadgen"));
    command.args(args).stdin(Stdio::null());
    command
}

fn run(args: &[&str]) -> Output {
    loadgen(args).output().expect("it starts")
}

fn shown(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!(
        "{}\n{}\n{}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    )
}

/// Starts it with descriptors 3 and 4 going to files.
fn with_descriptors(args: &[&str], events: &Path, ready: &Path) -> Command {
    let mut command = Command::new("sh");
    command
        .args([
            "-c",
            r#"exec "$0" "$@" 3>"$EVENTS" 4>"$READY""#,
            env!("CARGO_BIN_EXE_loadgen"),
        ])
        .args(args)
        .env("EVENTS", events)
        .env("READY", ready)
        .stdin(Stdio::null());
    command
}

struct Files {
    _dir: tempfile::TempDir,
    events: PathBuf,
    ready: PathBuf,
    json: PathBuf,
    hlog: PathBuf,
}

fn files() -> Files {
    let dir = tempfile::tempdir().expect("a directory");
    let at = |name: &str| dir.path().join(name);
    let (events, ready, json, hlog) = (at("events"), at("ready"), at("run.json"), at("run.hlog"));
    Files {
        _dir: dir,
        events,
        ready,
        json,
        hlog,
    }
}

fn record(json: &Path) -> LoadRecord {
    let text = std::fs::read_to_string(json).expect("a record");
    serde_json::from_str(&text).expect("a record that can be read")
}

#[test]
fn a_run_leaves_record_log_events_and_report() {
    let target = serve_rightly().to_string();
    let files = files();
    let (json, hlog) = (files.json.to_str().unwrap(), files.hlog.to_str().unwrap());
    let args = [
        "foo",
        "--connect",
        &target,
        "--rate",
        "2k/s",
        "--duration",
        "500ms",
        "--warmup",
        "100ms",
        "--interval",
        "100ms",
        "--verify",
        "digest",
        "--connections",
        "4",
        "--floor",
        "50ms",
        "--seed",
        "7",
        "--json",
        json,
        "--hlog",
        hlog,
        "--events-fd",
        "3",
        "--ready-fd",
        "4",
    ];
    let output = with_descriptors(&args, &files.events, &files.ready)
        .output()
        .expect("it starts");
    let record = record(&files.json);
    // A busy machine may make the run invalid; nothing may make it wrong.
    let expected = if record.valid { 0 } else { 3 };
    assert_eq!(output.status.code(), Some(expected), "{}", shown(&output));

    assert_eq!(record.counts.sent, 1_000);
    assert_eq!(record.counts.acked + record.counts.naked, 1_000);
    assert!(record.counts.naked > 0);
    assert_eq!(record.latency_us.response.count, 1_000);
    assert_eq!(record.latency_us.response.p99_9, None, "too few samples");
    assert_eq!(record.config["rate"], 2_000.0);
    assert_eq!((record.seed, record.mode.as_str()), (7, "open"));
    assert!(record.client.floor_us.expect("a floor").count > 0);
    for name in ["response", "service", "send_lag"] {
        let decoded = histograms::decode(&record.histograms[name]).expect("HISTF");
        assert_eq!(decoded.len(), 1_000, "{name}");
    }

    let report = String::from_utf8(output.stdout.clone()).unwrap();
    for part in [
        "p99.9",
        "send lag",
        "own floor",
        "1,000 sent = ",
        "few: too few samples",
        "█",
    ] {
        assert!(report.contains(part), "{part} is missing in:\n{report}");
    }

    let events = std::fs::read_to_string(&files.events).unwrap();
    let events: Vec<LoadEvent> = events
        .lines()
        .map(|line| serde_json::from_str(line).expect(line))
        .collect();
    let measuring = events
        .iter()
        .filter(|e| matches!(e, LoadEvent::Measuring { .. }))
        .count();
    let slices = events
        .iter()
        .filter(|e| matches!(e, LoadEvent::Interval(_)))
        .count();
    assert_eq!((measuring, slices), (1, record.intervals.len()));
    assert!(matches!(events.last(), Some(LoadEvent::Done { .. })));
    let ready = std::fs::read_to_string(&files.ready).unwrap();
    assert!(
        ready.starts_with(r#"{"ready":"loadgen foo","pid":"#),
        "{ready}"
    );

    assert_eq!(answers_in(&files.hlog), 1_000);
}

/// Answers in all slices of an interval log.
fn answers_in(hlog: &Path) -> u64 {
    let log = std::fs::read(hlog).expect("a log");
    let mut answers = 0;
    for entry in IntervalLogIterator::new(&log) {
        let LogEntry::Interval(slice) = entry.expect("a log that can be read") else {
            continue;
        };
        let histogram = histograms::decode(slice.encoded_histogram()).expect("HISTF");
        answers += histogram.len();
    }
    answers
}

#[test]
fn json_on_stdout_is_all_there_is_on_stdout() {
    let target = serve_rightly().to_string();
    let output = run(&[
        "foo",
        "--connect",
        &target,
        "--closed",
        "--requests",
        "500",
        "--floor",
        "0",
        "--json",
        "-",
        "--quiet",
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
    assert_eq!(output.stderr, b"", "{}", shown(&output));
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    for key in [
        "schema_version",
        "valid",
        "invalid_reasons",
        "target_rate",
        "achieved_rate",
    ] {
        assert!(value.get(key).is_some(), "{key}");
    }
    assert_eq!(value["mode"], "closed");
    assert_eq!(value["counts"]["sent"], 500);
    assert_eq!(value["counts"]["unanswered"], 0);
    for time in ["response", "service", "send_lag", "connect"] {
        for key in ["p50", "p90", "p99", "p99_9", "max", "mean"] {
            assert!(value["latency_us"][time].get(key).is_some(), "{time} {key}");
        }
    }
}

#[test]
fn failures_make_the_exit_code_1() {
    let target = serve(|n, right, _| Some(if n == 5 { vec![] } else { right })).to_string();
    let output = run(&[
        "foo",
        "--connect",
        &target,
        "--closed",
        "--requests",
        "100",
        "--pipeline",
        "4",
        "--connections",
        "1",
        "--floor",
        "0",
        "--quiet",
    ]);
    assert_eq!(output.status.code(), Some(1), "{}", shown(&output));
    assert!(
        shown(&output).contains("failed: 1 lost"),
        "{}",
        shown(&output)
    );
}

#[test]
fn nobody_there_is_one_line_and_a_record() {
    let files = files();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let free = listener.local_addr().unwrap().to_string();
    drop(listener);
    let json = files.json.to_str().unwrap();
    let output = run(&[
        "foo",
        "--connect",
        &free,
        "--floor",
        "0",
        "--json",
        json,
        "--quiet",
    ]);
    assert_eq!(output.status.code(), Some(1), "{}", shown(&output));
    let stderr = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(
        stderr.contains("refused") && stderr.contains(&free),
        "{stderr}"
    );
    let record = record(&files.json);
    assert_eq!(record.counts.connect_failed["refused"], 64);
    assert!(!record.valid);
}

#[test]
fn an_interrupt_leaves_a_partial_record() {
    let target = serve_rightly().to_string();
    let files = files();
    let json = files.json.to_str().unwrap();
    for (signal, code) in [
        (rustix::process::Signal::INT, 130),
        (rustix::process::Signal::TERM, 143),
    ] {
        let args = [
            "foo",
            "--connect",
            &target,
            "--rate",
            "1k",
            "--duration",
            "10m",
            "--warmup",
            "0",
            "--connections",
            "2",
            "--floor",
            "0",
            "--json",
            json,
            "--events-fd",
            "3",
            "--interval",
            "50ms",
            "--ready-fd",
            "4",
            "--quiet",
        ];
        let mut child = with_descriptors(&args, &files.events, &files.ready)
            .stdout(Stdio::null())
            .spawn()
            .expect("it starts");
        wait_for("an interval", || {
            let events = std::fs::read_to_string(&files.events).unwrap_or_default();
            events.contains("\"interval\"").then_some(())
        });
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, signal).expect("it runs");
        let status = child.wait().expect("it ends");
        assert_eq!(status.code(), Some(code));
        let record = record(&files.json);
        assert!(record.counts.acked > 0);
        assert!(
            record.notes.iter().any(|note| note.contains("partial")),
            "{:?}",
            record.notes
        );
        std::fs::remove_file(&files.events).expect("it was there");
    }
}

#[test]
fn check_says_ok_or_why_not() {
    let right = serve_rightly().to_string();
    let output = run(&["check", "--connect", &right, "--verify", "digest"]);
    assert_eq!(
        (output.status.code(), &output.stdout[..]),
        (Some(0), &b"..........OK!\n"[..])
    );

    let wrong = serve(|n, right, _| {
        Some(if n == 42 {
            b"ACK 41 0\n".to_vec()
        } else {
            right
        })
    });
    let output = run(&["check", "--connect", &wrong.to_string()]);
    assert_eq!(output.status.code(), Some(1));
    let expected = "..........FAILED!\nrequest 42: answer to 41 instead: ACK 41 0\n";
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);

    let silent = serve(|n, right, _| Some(if n == 15 { vec![] } else { right }));
    let output = run(&[
        "check",
        "--connect",
        &silent.to_string(),
        "--timeout",
        "50ms",
    ]);
    let expected = ".FAILED!\nrequest 15: no answer within 50ms\n";
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
}

#[test]
fn bad_input_is_one_line_that_says_what_is_accepted() {
    let cases: &[(&[&str], &str)] = &[
        (&["--rate", "fast"], "20k/s"),
        (&["--rate", "0"], "--rate"),
        (&["--closed", "--rate", "5k"], "--closed contradicts --rate"),
        (
            &["--closed", "--arrivals", "poisson"],
            "--arrivals needs a rate",
        ),
        (
            &["--rate", "max", "--pacer", "spin"],
            "--pacer needs a rate",
        ),
        (
            &["--closed", "--max-backlog", "5"],
            "--max-backlog needs a rate",
        ),
        (&["--max-backlog", "0"], "--max-backlog must be at least 1"),
        (
            &["--pipeline", "0"],
            "--pipeline must be from 1 to 10000, got 0",
        ),
        (&["--connections", "0"], "--connections must be at least 1"),
        (&["--connections", "100000000"], "limit of open descriptors"),
        (&["--connections", "-1"], "--connections"),
        (&["--threads", "0"], "--threads must be from 1"),
        (
            &["--threads", "8", "--connections", "4"],
            "--threads 8 needs at least as many --connections",
        ),
        (&["--requests", "0"], "--requests must be at least 1"),
        (&["--duration", "0"], "--duration must be longer than 0"),
        (&["--duration", "10"], "250ms"),
        (&["--warmup", "soon"], "250ms"),
        (&["--drain", "-1"], "250ms"),
        (&["--interval", "1ms"], "at least 10ms"),
        (
            &["--connect-timeout", "0"],
            "--connect-timeout must be longer than 0",
        ),
        (&["--payload", "5"], "14-32"),
        (&["--verify", "hard"], "digest"),
        (&["--arrivals", "late"], "poisson"),
        (&["--pacer", "fast"], "hybrid"),
        (&["--seed", "x"], "--seed"),
        (&["--events-fd", "99"], "--events-fd"),
        (&["--events-fd", "1"], "above 2"),
        (&["--ready-fd", "x"], "--ready-fd"),
        (&["--ready-fd", "98"], "descriptor 98 is not open"),
        (&["--json", "/no/such/dir/x"], "--json"),
        (&["--hlog", "/no/such/dir/x"], "--hlog"),
        (&["--connect", "example"], "HOST:PORT"),
        (&["--connect", "127.0.0.1:0"], "port 0"),
        (&["--connect", "192.0.2.1:80"], "--allow-remote"),
        (&["--frobnicate"], "--frobnicate"),
    ];
    for (args, expected) in cases {
        let mut all = vec!["foo"];
        if !args.contains(&"--connect") {
            all.extend(["--connect", "127.0.0.1:1"]);
        }
        all.extend(*args);
        let output = run(&all);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{all:?}: {}", shown(&output));
        assert_eq!(stderr.lines().count(), 1, "{all:?}: {stderr}");
        assert!(stderr.contains(expected), "{all:?}: {stderr}");
        assert_eq!(output.stdout, b"", "{all:?}");
    }
}
