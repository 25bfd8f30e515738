//! What is seen of the target, and the exit code that it gives.

use std::io::Read;
use std::net::TcpStream;
use std::process::Stdio;

use fuzzclient::FuzzRecord;
use rustix::process::{Pid, Signal, kill_process};

use crate::client::{command, run};
use crate::target::{Sink, half_close, listen, mortal, nobody};

fn ends(record: &FuzzRecord) -> Vec<&str> {
    record
        .sessions
        .iter()
        .map(|session| session.end.as_str())
        .collect()
}

/// Reads a little and leaves the rest unread, so that closing is a reset.
fn read_a_little(stream: &mut TcpStream) {
    // The look whether the target is still there sends nothing.
    let _ = stream.read_exact(&mut [0; 100]);
}

#[test]
fn a_reset_of_a_target_that_lives_on() {
    let addr = mortal(usize::MAX, read_a_little);
    let record = run(addr, &[], 0);
    assert_eq!(ends(&record), ["reset"]);
    assert_eq!(
        (record.stopped_by.as_str(), record.target_gone),
        ("closed_by_target", false)
    );
}

#[test]
fn a_target_that_ends_its_side_first() {
    let addr = mortal(usize::MAX, half_close);
    let record = run(addr, &["--bytes", "1GB"], 0);
    assert_eq!(ends(&record), ["closed_by_peer"]);
    assert!(!record.target_gone);
}

#[test]
fn a_target_that_was_never_there() {
    let output = command(nobody(), &["--quiet"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.contains("was never reached") && stderr.lines().count() == 1,
        "{stderr}"
    );
    let record = run(nobody(), &["--until-crash"], 1);
    assert_eq!(ends(&record), ["refused"]);
    assert_eq!(
        (record.stopped_by.as_str(), record.target_gone),
        ("unreachable", false)
    );
}

#[test]
fn a_target_that_dies_of_its_only_session() {
    let addr = mortal(1, read_a_little);
    let record = run(addr, &[], 4);
    assert_eq!(ends(&record), ["reset"]);
    assert_eq!(
        (record.stopped_by.as_str(), record.target_gone),
        ("crash", true)
    );
}

#[test]
fn a_target_that_dies_of_the_third_session() {
    let addr = mortal(3, read_a_little);
    let record = run(addr, &["--until-crash"], 4);
    assert!(record.target_gone, "{record:?}");
    assert_eq!(record.stopped_by, "crash");
    assert_eq!(ends(&record)[..3], ["reset", "reset", "reset"]);
    assert_eq!(record.observations["connected"], 3);
}

#[test]
fn sessions_follow_each_other_until_the_bytes_are_sent() {
    let sink = Sink::reading(100_000);
    let flags = [
        "--until-crash",
        "--session-bytes",
        "1000",
        "--bytes",
        "4500",
    ];
    let record = run(sink.addr, &flags, 0);
    let sent: Vec<u64> = record
        .sessions
        .iter()
        .map(|session| session.bytes_sent)
        .collect();
    assert_eq!(sent, [1000, 1000, 1000, 1000, 500]);
    assert_eq!(record.stopped_by, "bytes");
}

#[test]
fn a_target_that_neither_reads_nor_ends() {
    let (addr, _listener) = listen();
    for bytes in ["10", "1GB"] {
        let record = run(addr, &["--hang-after", "200ms", "--bytes", bytes], 4);
        assert_eq!(ends(&record), ["hung"], "{bytes}");
        assert!(!record.target_gone);
    }
}

#[test]
fn an_interrupted_run_leaves_its_record() {
    let (addr, listener) = listen();
    let file = tempfile::NamedTempFile::new().unwrap();
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let flags = ["--rate", "1KB/s", "--duration", "1m", "--json"];
        let client = command(addr, &flags)
            .arg(file.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (mut stream, _) = listener.accept().unwrap();
        stream.read_exact(&mut [0; 10]).unwrap();
        kill_process(Pid::from_child(&client), signal).unwrap();
        let output = client.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains("stopped   by interrupted"), "{text}");
        let record: FuzzRecord =
            serde_json::from_slice(&std::fs::read(file.path()).unwrap()).unwrap();
        assert_eq!(
            (record.stopped_by.as_str(), ends(&record)),
            ("interrupted", vec!["interrupted"])
        );
        assert!(record.bytes_sent >= 10);
    }
}

#[test]
fn bad_input_is_one_line_and_nothing_is_sent() {
    let (addr, listener) = listen();
    listener.set_nonblocking(true).unwrap();
    let cases: [(&[&str], &str); 6] = [
        (&["--connect", "192.0.2.1:80"], "--allow-remote"),
        (&["--strategy", "evil"], "random"),
        (&["--bytes", "many"], "64KiB"),
        (&["--source", "/no/such/file"], "/no/such/file"),
        (&["--source", "-", "--connections", "2"], "--connections 1"),
        (&["--hang-after", "soon"], "250ms"),
    ];
    for (flags, said) in cases {
        // The last of two --connect would be refused as given twice.
        let mut client = std::process::Command::new(env!("CARGO_BIN_EXE_fuzzclient"));
        client.arg("foo").args(flags);
        if flags[0] != "--connect" {
            client.args(["--connect", &addr.to_string()]);
        }
        let output = client.output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{flags:?}: {stderr}");
        assert!(stderr.contains(said), "{flags:?}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{flags:?}: {stderr}");
    }
    assert!(listener.accept().is_err(), "nobody connected");
}
