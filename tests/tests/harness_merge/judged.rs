//! The whole is judged and rendered as any run.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use report::run::RunFile;
use tempfile::TempDir;
use tests::scenario::Run;

use crate::HARNESS;
use crate::made::{End, Request, calm, record, write};

fn shards_of(requests: &[Request]) -> TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    for index in 0..4 {
        write(directory.path(), &record(requests, Some((index, 4))));
    }
    directory
}

fn merge(directory: TempDir, args: &[&str]) -> Run {
    Run::in_directory(directory, HARNESS, &[&["merge", "."], args].concat())
}

/// What the upstream of the calm load counted.
fn told(directory: &TempDir, requests: u64) {
    let record = serde_json::json!({
        "connections_total": 4, "connections_open": 0, "requests": requests, "acks": requests,
        "naks": 0, "decode_errors": 0, "too_long": 0, "wrong_replies": 0, "bytes_in": 1,
        "bytes_out": 1,
    });
    let file = directory.path().join("upstream.json");
    fs::write(file, format!("{record}\n")).expect("a file");
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("a directory");
    let name = |entry: fs::DirEntry| entry.file_name().into_string().expect("UTF-8");
    let mut names: Vec<String> = entries
        .map(|entry| name(entry.expect("an entry")))
        .collect();
    names.sort();
    names
}

#[test]
fn a_calm_load_passes_and_leaves_what_every_run_does() {
    let run = merge(shards_of(&calm()), &["--expect", "p99 < 2ms"]);
    run.expect_code(0)
        .expect_text("4 shards on 4 machines, open loop at 1,000/s, 4 connections")
        .expect_text("SHARDS  4 shards on 4 machines")
        .expect_text("pass  merge  p99 < 2ms")
        .expect_text("pass  merge  load is valid")
        .expect_text("pass  merge  failed = 0")
        .expect_text("pass  merge  unanswered = 0")
        .expect_text("± 900 µs");
    assert_eq!(
        names(&run.path("out")),
        [
            "events.jsonl",
            "junit.xml",
            "report.html",
            "report.md",
            "report.txt",
            "run.json"
        ]
    );
    let text = fs::read_to_string(run.file("run.json")).expect("a run file");
    let file: RunFile = serde_json::from_str(&text).expect("a run file");
    let load = file.scenarios[0].blocks[0].loads[0].record.as_ref();
    let load = load.expect("a record");
    assert_eq!((load.counts.sent, load.shards.len()), (3_000, 4));
    assert!(file.elapsed_s >= 4.0, "it lasted as long as the load");
    // Shown again, it is the same, whatever was computed before.
    let mut command = Command::new(HARNESS);
    command.arg("report").arg(run.path("out"));
    let Output { status, stdout, .. } = command.output().expect("the harness");
    assert_eq!(status.code(), Some(0));
    let shown = String::from_utf8(stdout).expect("UTF-8");
    assert!(shown.contains("SHARDS  4 shards on 4 machines"), "{shown}");
    // The events are all that it is made of.
    let events = fs::read_to_string(run.file("events.jsonl")).expect("events");
    let events = events
        .lines()
        .map(|line| serde_json::from_str(line).expect("an event"));
    let again = RunFile::from_events(&events.collect::<Vec<_>>());
    assert_eq!(again.scenarios[0].blocks, file.scenarios[0].blocks);
    assert_eq!(again.scenarios[0].verdicts, file.scenarios[0].verdicts);
}

#[test]
fn what_is_demanded_is_judged() {
    merge(shards_of(&calm()), &["--expect", "p99<100us"])
        .expect_code(1)
        .expect_text("FAIL  merge  p99 < 100us");
    let mut requests = calm();
    requests[3_500].end = End::Unanswered;
    merge(shards_of(&requests), &[])
        .expect_code(1)
        .expect_text("FAIL  merge  unanswered = 0");
}

#[test]
fn counts_are_reconciled_with_those_of_the_upstream() {
    // It counts the warm-up, too.
    let upstream = ["--upstream", "upstream.json"];
    let directory = shards_of(&calm());
    told(&directory, 4_000);
    merge(directory, &upstream)
        .expect_code(0)
        .expect_text("pass  merge  counts reconcile");
    let directory = shards_of(&calm());
    told(&directory, 3_999);
    merge(directory, &upstream)
        .expect_code(1)
        .expect_text("3999 counted, 4000 expected");
}

#[test]
fn what_cannot_be_judged_is_exit_3_or_a_warning() {
    // All are in time by themselves: one came late to slow answers only.
    let late = |args: &[&str]| {
        let directory = shards_of(&calm());
        let mut requests = calm();
        for (slot, request) in requests
            .iter_mut()
            .enumerate()
            .filter(|(slot, _)| slot % 4 == 1)
        {
            request.response_ns = 9_000_000 + slot as u64;
            request.lag_ns = 800_000;
        }
        write(directory.path(), &record(&requests, Some((1, 4))));
        // Three in four are answered soon, so that 800 µs are too much for p99 of all.
        for index in [0, 2, 3] {
            write(directory.path(), &record(&calm(), Some((index, 4))));
        }
        merge(directory, args)
    };
    late(&["--expect", "p50 < 2ms"]).expect_code(0);
    let directory = shards_of(&calm());
    let mut shard = record(&calm(), Some((1, 4)));
    let lag = record(
        &calm()
            .into_iter()
            .map(|request| Request {
                lag_ns: 800_000,
                ..request
            })
            .collect::<Vec<_>>(),
        Some((1, 4)),
    );
    shard
        .histograms
        .insert("send_lag".to_owned(), lag.histograms["send_lag"].clone());
    write(directory.path(), &shard);
    let run = merge(directory, &[]);
    run.expect_code(3)
        .expect_text("the client itself came late");
    run.again(HARNESS, &["merge", ".", "--lenient"])
        .expect_code(0);
}
