//! What is seen of the target, and the exit code that it gives.

use std::io::{BufRead, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use fuzzclient::FuzzRecord;
use rustix::process::{Pid, Signal, kill_process};

use crate::client::{command, run, run_mode};
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
    let record = run(addr, &["--until-crash", "--probe", "off"], 4);
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
        "--probe",
        "off",
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
fn a_target_that_never_stops_sending_does_not_keep_a_run_from_ending() {
    let addr = mortal(usize::MAX, |stream| {
        while stream.write_all(&[b'x'; 10_000]).is_ok() {}
    });
    let flags = [
        "--bytes",
        "10",
        "--duration",
        "100ms",
        "--hang-after",
        "200ms",
    ];
    let record = run(addr, &flags, 0);
    assert_eq!(ends(&record), ["interrupted"]);
    assert!(record.bytes_received > 0);
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

/// A server that answers lines until one of them is not to its taste.
fn answering(taste: impl Fn(&str) -> Taste + Send + Sync + 'static) -> SocketAddr {
    let (addr, listener) = listen();
    let taste = Arc::new(taste);
    // The listener dies with what holds it, as it does with a process.
    let listener = Arc::new(Mutex::new(Some(listener)));
    std::thread::spawn(move || {
        loop {
            let accepted = match &*listener.lock().unwrap() {
                Some(listener) => {
                    listener.set_nonblocking(true).unwrap();
                    listener.accept()
                }
                None => return,
            };
            let Ok((stream, _)) = accepted else {
                std::thread::yield_now();
                continue;
            };
            stream.set_nonblocking(false).unwrap();
            let (taste, listener) = (Arc::clone(&taste), Arc::clone(&listener));
            std::thread::spawn(move || {
                let mut answers = stream.try_clone().unwrap();
                for line in std::io::BufReader::new(stream).split(b'\n') {
                    let Ok(line) = line else { return };
                    match taste(&String::from_utf8_lossy(&line)) {
                        Taste::Answer(answer) => drop(answers.write_all(answer.as_bytes())),
                        Taste::Die => *listener.lock().unwrap() = None,
                        Taste::Hang => loop {
                            std::thread::park();
                        },
                    }
                }
            });
        }
    });
    addr
}

/// What a probe sends.
const PROBE: [&str; 4] = ["REQ 1 alive", "REQ 2 and", "REQ 3 kicking", "REQ 4"];

enum Taste {
    Answer(String),
    Die,
    Hang,
}

#[test]
fn probes_tell_that_the_target_died_hung_or_errs() {
    let fine = |line: &str| {
        let seq = line.split(' ').nth(1).unwrap_or("0");
        Taste::Answer(format!("ACK {seq} yes\n"))
    };
    let seen = Arc::new(AtomicBool::new(false));
    let poisoned = |line: &str| !PROBE.contains(&line);
    let flags = [
        "--until-crash",
        "--strategy",
        "mutate",
        "--hang-after",
        "200ms",
    ];
    let judged = |addr| {
        let record = run(addr, &flags, 4);
        let what: Vec<_> = record
            .findings
            .iter()
            .map(|found| found.what.clone())
            .collect();
        (
            what.last().cloned().unwrap(),
            record.stopped_by.clone(),
            record.probes.unwrap().made > 0,
        )
    };
    let dies = answering(move |line| {
        if poisoned(line) {
            Taste::Die
        } else {
            fine(line)
        }
    });
    assert_eq!(judged(dies), ("refuses".into(), "crash".into(), true));
    let state = Arc::clone(&seen);
    let hangs = answering(move |line| {
        let hung = state.load(Ordering::Relaxed) || poisoned(line);
        state.store(hung, Ordering::Relaxed);
        if hung { Taste::Hang } else { fine(line) }
    });
    let (what, stopped_by, _) = judged(hangs);
    assert_eq!((what.as_str(), stopped_by.as_str()), ("hung", "hung"));
    let errs = Arc::new(AtomicBool::new(false));
    let wrong = answering(move |line| {
        errs.fetch_or(poisoned(line), Ordering::Relaxed);
        if errs.load(Ordering::Relaxed) {
            Taste::Answer("ACK 9 no\n".to_owned())
        } else {
            fine(line)
        }
    });
    let (what, stopped_by, _) = judged(wrong);
    assert_eq!((what.as_str(), stopped_by.as_str()), ("wrong", "wrong"));
}

#[test]
fn a_target_that_errs_before_any_garbage_is_not_accused() {
    let addr = answering(|_| Taste::Answer("HTTP/1.1 400 Bad Request\n".to_owned()));
    let output = command(addr, &["--until-crash"]).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains("no valid answer") && stderr.lines().count() == 1,
        "{stderr}"
    );
}

#[test]
fn anything_with_a_port_is_asked_what_it_is_told_to() {
    let addr = answering(|line| {
        if line == "ping" {
            Taste::Answer("pong\n".to_owned())
        } else {
            Taste::Answer("?\n".to_owned())
        }
    });
    let flags = [
        "--until-crash",
        "--probe-send",
        "ping\\n",
        "--probe-expect",
        "pong",
        "--strategy",
        "churn",
        "--duration",
        "300ms",
    ];
    let record = run_mode("tcp", addr, &flags, 0);
    assert_eq!(record.stopped_by, "duration");
    let probes = record.probes.unwrap();
    assert!(
        probes.made > 0 && probes.made == probes.answered,
        "{probes:?}"
    );
}

#[test]
fn a_port_without_a_listener_refuses_datagrams() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let addr = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        socket.recv(&mut [0; 100]).unwrap();
        socket.recv(&mut [0; 100]).unwrap();
    });
    let record = run_mode("statsd", addr, &["--until-crash"], 4);
    assert!(
        record.target_gone && record.stopped_by == "crash",
        "{record:?}"
    );
}
