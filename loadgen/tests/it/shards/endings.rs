//! How a shard ends that is late, killed, called off or not wanted.

use std::io::{BufRead, BufReader, Read as _};
use std::process::{Child, Stdio};

use loadgen::record::LoadEvent;
use rustix::process::{Pid, Signal, kill_process};

use super::{file, from_now, names};
use crate::program::{loadgen, record, run, shown, with_events_on_stdout};
use crate::server::serve_rightly;

#[test]
fn a_late_shard_sends_all_says_so_and_is_invalid() {
    let dir = tempfile::tempdir().expect("a directory");
    let words = format!(
        "foo --connect {} --rate 400/s --requests 80 --connections 4 --seed 1 --floor 0 --quiet \
         --shard 1/4 --start-at {} --out",
        serve_rightly(),
        from_now(-2_000)
    );
    let output = run(loadgen(&words).arg(dir.path()));
    assert_eq!(output.status.code(), Some(3), "{}", shown(&output));
    let record = record(&file(dir.path(), 1, 4));
    assert!(!record.valid);
    let reason = "at most 100ms are allowed (--start-within)";
    let reasons = &record.invalid_reasons;
    assert!(
        reasons.iter().any(|one| one.contains(reason)),
        "{reasons:?}"
    );
    let shard = record.shard.expect("a shard");
    assert!(shard.late_ns >= 2_000_000_000, "{shard:?}");
    assert_eq!(
        (shard.late_allowed_ns, shard.slots),
        (100_000_000, Some(20))
    );
    assert_eq!((record.counts.sent, record.counts.never_written), (20, 0));
    // The last slot was due 0.2 s after the start: its answer took 1.8 s at least.
    let median = record.latency_us.response.p50.expect("answers");
    assert!(median > 1_750_000.0, "due times were shifted: {median} µs");
}

#[test]
fn a_killed_shard_leaves_no_file() {
    let dir = tempfile::tempdir().expect("a directory");
    let words = format!(
        "foo --connect {} --rate 400/s --duration 1m --warmup 0 --seed 1 --floor 0 --quiet \
         --events-fd 3 --interval 50ms --shard 0/4 --start-at +10ms --out",
        serve_rightly(),
    );
    let mut child = with_events_on_stdout(&words)
        .arg(dir.path())
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
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    assert_eq!(names(dir.path()), [""; 0]);
}

#[test]
fn a_stopped_shard_is_no_part_of_the_whole() {
    let dir = tempfile::tempdir().expect("a directory");
    let words = format!(
        "foo --connect {} --rate 400/s --duration 1m --warmup 0 --seed 1 --floor 0 --quiet \
         --events-fd 3 --interval 50ms --shard 0/4 --start-at +10ms --out",
        serve_rightly(),
    );
    let mut child = with_events_on_stdout(&words)
        .arg(dir.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut events = BufReader::new(child.stdout.take().expect("piped")).lines();
    let has_begun = |line: Result<String, _>| line.expect("an event").contains("measuring");
    assert!(events.any(has_begun));
    kill_process(Pid::from_child(&child), Signal::TERM).expect("it runs");
    assert!(events.any(|line| line.expect("an event").contains("done")));
    assert_eq!(child.wait().expect("it ends").code(), Some(143));
    let record = record(&file(dir.path(), 0, 4));
    let reason = "stopped early: the other shards went on".to_owned();
    assert!(!record.valid && record.invalid_reasons.contains(&reason));
}

/// The first line on stderr, and what reads the rest.
fn first_line(child: &mut Child, part: &str) -> BufReader<std::process::ChildStderr> {
    let mut stderr = BufReader::new(child.stderr.take().expect("piped"));
    let mut line = String::new();
    while !line.contains(part) {
        line.clear();
        let bytes = stderr.read_line(&mut line).expect("a line");
        assert!(bytes > 0, "it ended without saying {part}");
    }
    stderr
}

#[test]
fn who_is_stopped_while_waiting_ends_at_once_and_leaves_nothing() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        for load in [
            "foo --floor 0",
            "udp --floor 0",
            "statsd",
            "tcp --bulk echo",
        ] {
            let dir = tempfile::tempdir().expect("a directory");
            let words = format!(
                "{load} --connect {} --seed 1 --shard 1/4 --start-at {} --out",
                serve_rightly(),
                from_now(3_600_000)
            );
            let mut child = loadgen(&words)
                .arg(dir.path())
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .expect("it starts");
            let mut stderr = first_line(&mut child, "shard 1 of 4: waiting 3");
            kill_process(Pid::from_child(&child), signal).expect("it runs");
            let mut rest = String::new();
            stderr.read_to_string(&mut rest).expect("text");
            let status = child.wait().expect("it ends");
            assert_eq!(status.code(), Some(code), "{load}: {rest}");
            assert_eq!(names(dir.path()), [""; 0], "{load}");
        }
    }
}

#[test]
fn nobody_there_is_a_record_that_says_so() {
    let dir = tempfile::tempdir().expect("a directory");
    // Below the ports that the kernel gives out: nobody listens there.
    let words = "foo --connect 127.0.0.1:1 --seed 1 --floor 0 --quiet --shard 3/4 \
                 --start-at +1h --out";
    let output = run(loadgen(words).arg(dir.path()));
    assert_eq!(output.status.code(), Some(1), "{}", shown(&output));
    let record = record(&file(dir.path(), 3, 4));
    assert!(!record.valid && record.invalid_reasons[0].contains("refused"));
    assert_eq!(record.shard.map(|shard| shard.index), Some(3));
}

#[test]
fn a_file_that_is_there_is_not_touched() {
    let dir = tempfile::tempdir().expect("a directory");
    let there = file(dir.path(), 2, 4);
    std::fs::write(&there, "mine").expect("room");
    let words = "foo --connect 127.0.0.1:1 --seed 1 --shard 2/4 --start-at +1s --out";
    let output = run(loadgen(words).arg(dir.path()));
    assert_eq!(output.status.code(), Some(2), "{}", shown(&output));
    let stderr = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.contains("shard-2-of-4.json exists"), "{stderr}");
    assert_eq!(std::fs::read_to_string(&there).unwrap(), "mine");
    assert_eq!(names(dir.path()).len(), 1);
}

#[test]
fn the_environment_says_which_shard_it_is() {
    let dir = tempfile::tempdir().expect("a directory");
    let words = format!(
        "foo --connect {} --closed --requests 10 --connections 2 --seed 1 --floor 0 --quiet \
         --shard auto/2 --start-at +50ms --start-within 1m --out",
        serve_rightly(),
    );
    let mut command = loadgen(&words);
    super::bad_input::without_engine(&mut command);
    let output = run(command.env("JOB_COMPLETION_INDEX", "1").arg(dir.path()));
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
    let shard = record(&file(dir.path(), 1, 2)).shard.expect("a shard");
    assert_eq!(shard.told_by, "JOB_COMPLETION_INDEX");
    assert_eq!(shard.slots, None);
}

#[test]
fn shards_that_come_one_after_the_other_start_together() {
    let dir = tempfile::tempdir().expect("a directory");
    let words = format!(
        "foo --connect {} --rate 400/s --requests 80 --connections 4 --seed 1 --floor 0 \
         --start-within 1m --start-at together+300ms --out",
        serve_rightly(),
    );
    let spawn = |shard: u64| {
        let mut command = loadgen(&words);
        command.arg(dir.path()).arg(format!("--shard={shard}/3"));
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        command.spawn().expect("it starts")
    };
    let mut shards = vec![];
    for shard in [2, 0, 1] {
        let mut child = spawn(shard);
        let stderr = first_line(&mut child, &format!("shard {shard} of 3: waiting"));
        shards.push((child, stderr));
    }
    for (mut child, mut stderr) in shards {
        let mut said = String::new();
        stderr.read_to_string(&mut said).expect("text");
        let status = child.wait().expect("it ends");
        assert!(matches!(status.code(), Some(0 | 3)), "{status}: {said}");
    }
    let records = [0, 1, 2].map(|shard| record(&file(dir.path(), shard, 3)));
    let starts = records
        .each_ref()
        .map(|record| record.shard.as_ref().map(|shard| shard.start_unix_ns));
    assert!(starts.iter().all(|start| *start == starts[0]), "{starts:?}");
    let sent: u64 = records.iter().map(|record| record.counts.sent).sum();
    assert_eq!(sent, 80);
    assert_eq!(records[0].config["start-at"], "together+300ms");
}

#[test]
fn who_waits_for_others_ends_when_it_is_asked_to() {
    let dir = tempfile::tempdir().expect("a directory");
    let words = format!(
        "statsd --connect {} --seed 1 --shard 1/3 --start-at together --out",
        serve_rightly(),
    );
    let mut child = loadgen(&words)
        .arg(dir.path())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let _stderr = first_line(&mut child, "shard 1 of 3: waiting for the others");
    kill_process(Pid::from_child(&child), Signal::TERM).expect("it runs");
    assert_eq!(child.wait().expect("it ends").code(), Some(143));
    assert_eq!(names(dir.path()), [""; 0]);
}
