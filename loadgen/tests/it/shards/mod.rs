//! One load in several processes: together they send what one sends, from one moment on.

mod bad_input;
mod endings;
mod whole;

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use loadgen::record::{LoadRecord, Shard};

use crate::program::{loadgen, record, shown};

/// Shards that ran, and what each left behind.
pub(crate) struct Ran {
    pub(crate) records: Vec<LoadRecord>,
}

impl Ran {
    /// A number that each has, of all together.
    pub(crate) fn sum(&self, of: impl Fn(&LoadRecord) -> u64) -> u64 {
        self.records.iter().map(of).sum()
    }

    /// The shards' own accounts of themselves.
    pub(crate) fn shards(&self) -> impl Iterator<Item = &Shard> {
        let shards = self.records.iter().map(|record| record.shard.as_ref());
        shards.map(|shard| shard.expect("a shard"))
    }
}

/// A moment so many milliseconds from now, as `--start-at` takes it.
pub(crate) fn from_now(millis: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.expect("after 1970").as_millis();
    let moment = Duration::from_millis((now as i64 + millis) as u64);
    format!("{}.{:03}", moment.as_secs(), moment.subsec_millis())
}

/// Runs so many shards of a load at the same time, each of which must go well.
pub(crate) fn ran(words: &str, shards: u64) -> Ran {
    let dir = tempfile::tempdir().expect("a directory");
    let out = dir.path().join("run");
    let start = from_now(700);
    let children: Vec<_> = (0..shards)
        .map(|shard| {
            let of = format!("{words} --shard {shard}/{shards} --start-at {start} --seed 5");
            let mut command = loadgen(&format!("{of} --start-within 1m --quiet --out"));
            command
                .arg(&out)
                .stdout(Stdio::piped())
                .stderr(Stdio::piped());
            command.spawn().expect("it starts")
        })
        .collect();
    let outputs: Vec<Output> = children
        .into_iter()
        .map(|child| child.wait_with_output().expect("it ends"))
        .collect();
    let records = outputs.iter().zip(0..).map(|(output, shard)| {
        let file = file(&out, shard, shards);
        assert!(file.exists(), "{}", shown(output));
        let record = record(&file);
        // A busy machine may make the run invalid; nothing may make it wrong.
        let expected = if record.valid { 0 } else { 3 };
        assert_eq!(output.status.code(), Some(expected), "{}", shown(output));
        record
    });
    let records: Vec<_> = records.collect();
    assert_eq!(names(&out).len() as u64, shards, "nothing else is left");
    Ran { records }
}

/// The file of a shard's record.
pub(crate) fn file(out: &Path, shard: u64, shards: u64) -> PathBuf {
    out.join(format!("shard-{shard}-of-{shards}.json"))
}

/// All names in a directory.
pub(crate) fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).expect("a directory");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    names
        .map(|name| name.to_string_lossy().into_owned())
        .collect()
}
