//! What a run leaves behind: record, interval log, events, report.

use std::path::Path;

use crate::program::{files, loadgen, record, run, shown, with_descriptors};
use crate::server::serve_rightly;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
use loadgen::histograms;
use loadgen::record::LoadEvent;

#[test]
fn a_run_leaves_record_log_events_and_report() {
    let words = format!(
        "foo --connect {} --rate 2k/s --duration 500ms --warmup 100ms --interval 100ms \
         --verify digest --connections 4 --floor 50ms --seed 7 --events-fd 3 --ready-fd 4",
        serve_rightly()
    );
    let files = files();
    let output = run(with_descriptors(&words, &files.events, &files.ready)
        .arg("--json")
        .arg(&files.json)
        .arg("--hlog")
        .arg(&files.hlog));
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
    let words = format!(
        "foo --connect {} --closed --requests 500 --floor 0 --json - --quiet",
        serve_rightly()
    );
    let output = run(&mut loadgen(&words));
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
