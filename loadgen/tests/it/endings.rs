//! How a run ends, as its exit code says: failures, nobody there, an interrupt, nobody who
//! reads what it prints.

use std::io::{BufRead, BufReader, PipeWriter};
use std::process::Stdio;

use crate::program::{files, loadgen, record, run, shown, with_events_on_stdout};
use crate::server::{serve, serve_rightly};
use loadgen::record::LoadEvent;
use rustix::process::{Pid, Signal, kill_process};

/// Where connections are refused: below the ports that the kernel gives out, so that no
/// other test is given this one meanwhile.
const NOBODY: &str = "127.0.0.1:1";

#[test]
fn failures_make_the_exit_code_1() {
    let target = serve(|n, right, _| Some(if n == 5 { vec![] } else { right }));
    let words = format!(
        "foo --connect {target} --closed --requests 100 --pipeline 4 --connections 1 \
         --floor 0 --quiet"
    );
    let output = run(&mut loadgen(&words));
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
    let words = format!("foo --connect {NOBODY} --floor 0 --quiet --json");
    let output = run(loadgen(&words).arg(&files.json));
    assert_eq!(output.status.code(), Some(1), "{}", shown(&output));
    let stderr = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(
        stderr.contains("refused") && stderr.contains(NOBODY),
        "{stderr}"
    );
    let record = record(&files.json);
    assert_eq!(record.counts.connect_failed["refused"], 64);
    assert!(!record.valid);
}

#[test]
fn an_interrupt_leaves_a_partial_record() {
    let target = serve_rightly();
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let files = files();
        let words = format!(
            "foo --connect {target} --rate 1k --duration 1m --warmup 0 --connections 2 \
             --floor 0 --events-fd 3 --interval 50ms --quiet --json"
        );
        let mut child = with_events_on_stdout(&words)
            .arg(&files.json)
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let events = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut events = events.map(|line| {
            let line = line.expect("an event");
            serde_json::from_str(&line).expect(&line)
        });
        let has_answers = |event| matches!(event, LoadEvent::Interval(slice) if slice.answered > 0);
        assert!(events.any(has_answers), "answers before a minute is over");
        kill_process(Pid::from_child(&child), signal).expect("it runs");
        // Until the end, or it would be told that nobody reads.
        assert!(events.any(|event| matches!(event, LoadEvent::Done { .. })));
        let status = child.wait().expect("it ends");
        assert_eq!(status.code(), Some(code));
        let record = record(&files.json);
        assert!(record.counts.acked > 0);
        assert!(
            record.notes.iter().any(|note| note.contains("partial")),
            "{:?}",
            record.notes
        );
    }
}

/// The end of a pipe whose reader is gone.
fn unread() -> PipeWriter {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    writer
}

#[test]
fn nobody_reading_stderr_and_stdout_does_not_end_a_run() {
    let words = format!(
        "foo --connect {} --requests 20 --rate 1k/s --json",
        serve_rightly()
    );
    let files = files();
    let status = loadgen(&words)
        .arg(&files.json)
        .stdout(unread())
        .stderr(unread())
        .status()
        .expect("it starts");
    // Only the machine may be at fault: 3 says that the run is not valid.
    assert!(matches!(status.code(), Some(0 | 3)), "{status}");
    assert_eq!(record(&files.json).counts.sent, 20);
}
