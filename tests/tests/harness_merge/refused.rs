//! What is wrong with a shard is told by its number and file, and nothing is written.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use loadgen::record::{LoadRecord, Shard};
use serde_json::json;
use tempfile::TempDir;

use crate::HARNESS;
use crate::made::{calm, record, write};

/// Four sound shards in the directory `results`.
fn sound() -> TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    let results = directory.path().join("results");
    fs::create_dir(&results).expect("a directory");
    for index in 0..4 {
        write(&results, &record(&calm(), Some((index, 4))));
    }
    directory
}

fn merge(directory: &TempDir, args: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(HARNESS);
    command
        .args(["merge", "results", "--out", "out"])
        .args(args)
        .current_dir(directory.path());
    let Output { status, stderr, .. } = command.output().expect("the harness");
    (status.code(), String::from_utf8(stderr).expect("UTF-8"))
}

/// Asserts that these lines are all that is said, and that nothing is written.
fn assert_refused(directory: &TempDir, args: &[&str], code: i32, lines: &[&str]) {
    let (got, said) = merge(directory, args);
    assert_eq!(got, Some(code), "{said}");
    let told: Vec<&str> = said.lines().collect();
    let [first, refusals @ .., last] = told.as_slice() else {
        panic!("{said}");
    };
    assert!(first.starts_with("merging "), "{said}");
    assert!(last.starts_with("error: "), "{said}");
    assert_eq!(refusals, lines);
    assert!(!directory.path().join("out").exists(), "nothing is written");
    assert!(
        !directory.path().join(".harness").exists(),
        "nothing is written"
    );
}

fn path_of(directory: &TempDir, index: u64) -> std::path::PathBuf {
    directory
        .path()
        .join(format!("results/shard-{index}-of-4.json"))
}

/// Changes shard 2.
fn changed(change: impl FnOnce(&mut LoadRecord)) -> TempDir {
    let directory = sound();
    let mut shard = record(&calm(), Some((2, 4)));
    change(&mut shard);
    let text = serde_json::to_string(&shard).expect("a record");
    fs::write(path_of(&directory, 2), text).expect("a file");
    directory
}

fn of_shard(record: &mut LoadRecord) -> &mut Shard {
    record.shard.as_mut().expect("a shard")
}

fn assert_changed(code: i32, line: &str, change: impl FnOnce(&mut LoadRecord)) {
    let line = format!("shard 2 (results/shard-2-of-4.json) {line}");
    assert_refused(&changed(change), &[], code, &[&line]);
}

#[test]
fn sound_shards_are_not_refused() {
    let (code, said) = merge(&sound(), &["--quiet"]);
    assert_eq!((code, said.as_str()), (Some(0), ""));
}

#[test]
fn machines_may_differ_where_that_is_their_own_affair() {
    let directory = changed(|record| {
        for key in [
            "threads", "pacer", "json", "hlog", "quiet", "out", "start-at",
        ] {
            record.config.insert(key.to_owned(), json!("its own"));
        }
        let shard = of_shard(record);
        (shard.late_ns, shard.start_unix_ns) = (99_000_000, shard.start_unix_ns + 99_000_000);
    });
    let (code, said) = merge(&directory, &[]);
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn a_missing_shard() {
    let directory = sound();
    fs::remove_file(path_of(&directory, 2)).expect("a file");
    let line = "shard 2 (results/shard-2-of-4.json) is missing: there is no such file";
    assert_refused(&directory, &[], 3, &[line]);
    assert_refused(&directory, &["--lenient"], 3, &[line]);
}

#[test]
fn an_invalid_shard() {
    assert_changed(
        3,
        "is invalid: a worker was busy; the queue was full",
        |record| {
            record.valid = false;
            record.invalid_reasons = vec!["a worker was busy".into(), "the queue was full".into()];
        },
    );
}

#[test]
fn a_late_shard() {
    let line = "is late: ready 1.21 s after the start, at most 100 ms are allowed (--start-within)";
    assert_changed(3, line, |record| {
        record.valid = false;
        record.invalid_reasons = vec!["ready 1.21 s after the start at …".into()];
        of_shard(record).late_ns = 1_210_000_000;
    });
    let directory = changed(|record| {
        record.valid = false;
        record.invalid_reasons = vec!["ready 1.21 s after …".into(), "a worker was busy".into()];
        of_shard(record).late_ns = 1_210_000_000;
    });
    let shard = "shard 2 (results/shard-2-of-4.json)";
    let both = [
        format!("{shard} {line}"),
        format!("{shard} is invalid: a worker was busy"),
    ];
    assert_refused(&directory, &[], 3, &both.each_ref().map(String::as_str));
}

#[test]
fn another_configuration() {
    let line = "has another configuration: rate is 2000.0, the others have 1000.0";
    assert_changed(2, line, |record| {
        record.config.insert("rate".to_owned(), json!(2_000.0));
    });
    let line = "has another configuration: max-backlog is 5, the others have absent";
    assert_changed(2, line, |record| {
        record.config.insert("max-backlog".to_owned(), json!(5));
    });
}

#[test]
fn another_version() {
    let line = "has another schema version: 7, this program reads 1";
    assert_changed(2, line, |record| record.schema_version = 7);
}

#[test]
fn a_file_that_is_cut_or_something_else() {
    let directory = sound();
    let file = path_of(&directory, 2);
    let whole = fs::read(&file).expect("a file");
    let shard = "shard 2 (results/shard-2-of-4.json)";
    for length in [0, 1, whole.len() / 2, whole.len() - 1] {
        fs::write(&file, &whole[..length]).expect("a file");
        let line =
            format!("{shard} is cut: it ends after {length} bytes, in the middle of the record");
        assert_refused(&directory, &[], 2, &[&line]);
    }
    fs::write(&file, "hello").expect("a file");
    let (code, said) = merge(&directory, &[]);
    assert_eq!(code, Some(2), "{said}");
    assert!(
        said.contains("is not the record of a shard: expected value"),
        "{said}"
    );
    fs::remove_file(&file).expect("a file");
    fs::create_dir(&file).expect("a directory");
    let (code, said) = merge(&directory, &[]);
    assert_eq!(code, Some(2), "{said}");
    assert!(
        said.contains("shard 2 (results/shard-2-of-4.json) cannot be read: "),
        "{said}"
    );
}

#[test]
fn the_record_of_a_whole_run() {
    let line = "is not the record of a shard: it is that of a whole run, made without --shard";
    assert_changed(2, line, |record| record.shard = None);
}

#[test]
fn the_same_shard_twice() {
    let directory = sound();
    let more = directory.path().join("more");
    fs::create_dir(&more).expect("a directory");
    fs::copy(path_of(&directory, 2), more.join("shard-2-of-4.json")).expect("a file");
    let line = "shard 2 (results/shard-2-of-4.json) is the same shard as more/shard-2-of-4.json";
    assert_refused(&directory, &["more"], 2, &[line]);
}

#[test]
fn another_count() {
    assert_changed_to_be_missing(|record| of_shard(record).count = 8);
}

/// A shard of another whole is none of this one.
fn assert_changed_to_be_missing(change: impl FnOnce(&mut LoadRecord)) {
    let directory = changed(change);
    let other = directory.path().join("results/shard-2-of-8.json");
    fs::rename(path_of(&directory, 2), other).expect("a file");
    let lines = [
        "shard 2 (results/shard-2-of-4.json) is missing: there is no such file",
        "shard 2 (results/shard-2-of-8.json) is one of 8 shards, the others are of 4",
    ];
    assert_refused(&directory, &[], 2, &lines);
}

#[test]
fn another_start() {
    let line =
        "has another start: 150 ms after the others, at most 100 ms are allowed (--start-within)";
    assert_changed(3, line, |record| {
        of_shard(record).start_unix_ns += 150_000_000;
    });
}

#[test]
fn counts_that_do_not_add_up() {
    let line = "does not add up: 749 requests were sent, and 750 acked, naked, failed, unanswered or one way";
    assert_changed(3, line, |record| record.counts.sent -= 1);
    let line = "does not add up: 751 slots were due while measuring, and 750 requests were sent or never written";
    assert_changed(3, line, |record| of_shard(record).slots = Some(751));
    let line = "does not add up: 740 slots were due while measuring, of the others 750: slots go to shards in turn";
    assert_changed(3, line, |record| {
        of_shard(record).slots = Some(740);
        record.counts.sent -= 10;
        record.counts.acked -= 10;
    });
    let line = "does not add up: it had no slots, the others had";
    assert_changed(3, line, |record| of_shard(record).slots = None);
}

#[test]
fn histograms_that_are_not_those_of_the_counts() {
    let line = "does not add up: the histogram of response times holds 0 samples, the percentiles are of 750";
    assert_changed(3, line, |record| {
        let empty = record.histograms["connect"].clone();
        record.histograms.insert("response".to_owned(), empty);
    });
    let line = "does not add up: the histograms of its intervals hold 500 samples, that of all 750";
    assert_changed(3, line, |record| {
        record.intervals[2].response = record.histograms["connect"].clone();
    });
    let line = "is not the record of a shard: the histogram of interval 2: it is not base64";
    assert_changed(2, line, |record| {
        record.intervals[2].response = "?".to_owned();
    });
}

#[test]
fn slices_that_are_not_those_of_the_load() {
    let line = "ended early: it has 3 of 4 intervals";
    assert_changed(3, line, |record| record.intervals.truncate(3));
    let line = "does not add up: interval 1 belongs to the warm-up, and should not";
    assert_changed(3, line, |record| {
        record.intervals[1].warmup = true;
    });
}

#[test]
fn all_that_is_wrong_is_told() {
    let directory = changed(|record| {
        record.config.insert("seed".to_owned(), json!(8));
    });
    fs::remove_file(path_of(&directory, 0)).expect("a file");
    let lines = [
        "shard 0 (results/shard-0-of-4.json) is missing: there is no such file",
        "shard 2 (results/shard-2-of-4.json) has another configuration: seed is 8, the others have 7",
    ];
    assert_refused(&directory, &[], 2, &lines);
}

#[test]
fn bad_input_is_one_line() {
    let directory = sound();
    let nothing = directory.path().join("nothing");
    fs::create_dir(&nothing).expect("a directory");
    fs::write(directory.path().join("upstream.json"), "{}").expect("a file");
    let cases: [(&[&str], &str); 4] = [
        (
            &["nothing"],
            "nothing holds no records of shards: expected files such as shard-0-of-4.json",
        ),
        (&["nowhere"], "cannot read nowhere: "),
        (
            &["--upstream", "upstream.json"],
            "--upstream: upstream.json: expected what \"harness upstream\" writes",
        ),
        (&["--expect", "p98<2ms"], "accepted: p50"),
    ];
    for (args, says) in cases {
        let (code, said) = merge(&directory, args);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(says), "{said}");
        assert!(!Path::new(&directory.path().join("out")).exists(), "{said}");
    }
}
