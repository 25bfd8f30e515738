//! `loadgen statsd`, against sinks in this process.

mod bad_input;
pub(crate) mod sink;
mod streams;
mod text;
mod udp;

use std::path::Path;
use std::process::Output;

use loadgen::record::{LoadRecord, Statsd};

use crate::program::{loadgen, record, run, shown};

/// What a run left behind.
pub(crate) struct Ran {
    pub(crate) output: Output,
    pub(crate) record: LoadRecord,
    pub(crate) statsd: Statsd,
}

impl Ran {
    /// How it ended and what it said.
    pub(crate) fn shown(&self) -> String {
        shown(&self.output)
    }

    /// All went well. A busy machine may make the run invalid; nothing may make it wrong.
    pub(crate) fn assert_went_well(&self) {
        let expected = if self.record.valid { 0 } else { 3 };
        assert_eq!(
            self.output.status.code(),
            Some(expected),
            "{}",
            self.shown()
        );
        assert_eq!(self.statsd.not_sent.len(), 0, "{}", self.shown());
        assert_eq!(self.record.counts.sent, self.record.counts.one_way);
    }
}

/// Runs `loadgen statsd` with these words, and reads its record.
pub(crate) fn ran(words: &str) -> Ran {
    let dir = tempfile::tempdir().expect("a directory");
    let json = dir.path().join("run.json");
    let output = run(loadgen(&format!("statsd {words}")).arg("--json").arg(&json));
    read(output, &json)
}

/// Reads what a run left behind, which must be consistent in itself.
pub(crate) fn read(output: Output, json: &Path) -> Ran {
    let record = record(json);
    let statsd = record.statsd.clone().expect("what lines came to");
    let not_sent: u64 = statsd.not_sent.values().sum();
    assert_eq!(statsd.lines_total + not_sent, statsd.numbers);
    let ranges = statsd.not_sent_ranges.iter();
    let told: u64 = ranges.map(|[first, last]| last - first + 1).sum();
    assert!(statsd.not_sent_ranges_complete);
    assert_eq!(told, not_sent, "{:?}", statsd.not_sent_ranges);
    Ran {
        output,
        record,
        statsd,
    }
}

/// Asserts that `numbers` are all from 0 on, each once.
pub(crate) fn assert_each_once(mut numbers: Vec<u64>, count: u64) {
    numbers.sort_unstable();
    let wrong = numbers.iter().zip(0..).find(|(number, at)| *number != at);
    assert_eq!((wrong, numbers.len() as u64), (None, count));
}
