//! One schedule, sent by one client and by four: merged, it is the same count for count.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use loadgen::record::LoadRecord;
use rustix::process::Signal;
use tests::Program;
use tests::scenario::{Run, read_json};

use crate::HARNESS;

/// A server that takes its time: beside its answers, a client on a busy machine is in time.
fn server() -> Program {
    let args = ["upstream", "foo", "--listen", "127.0.0.1:0"];
    Program::start(HARNESS, &[&args[..], &["--defect", "slow=400ms"]].concat())
}

/// 800 requests as shard `index` of `count`.
fn shard(server: &Program, index: usize, count: usize, start: &str, out: &Path) -> Child {
    let words = format!(
        "loadgen foo --connect {} --rate 400/s --requests 800 --connections 8 --pipeline 64 \
         --interval 250ms --floor 0 --seed 7 --quiet --start-within 5s --shard {index}/{count} \
         --start-at {start} --out",
        server.socket("listen"),
    );
    Command::new(HARNESS)
        .args(words.split_whitespace())
        .arg(out)
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn()
        .expect("it starts")
}

/// What comes of merging so many shards, and what the server says that it counted.
fn merged(count: usize) -> (LoadRecord, u64) {
    let mut server = server();
    let directory = tempfile::tempdir().expect("a directory");
    let soon = SystemTime::now() + Duration::from_secs(1);
    let soon = soon.duration_since(UNIX_EPOCH).expect("a time of today");
    let start = format!("{:.3}", soon.as_secs_f64());
    let shards = (0..count).map(|index| shard(&server, index, count, &start, directory.path()));
    let shards: Vec<Child> = shards.collect();
    for mut shard in shards {
        let status = shard.wait().expect("it ends");
        assert!(status.success(), "{status}");
    }
    server.signal(Signal::TERM);
    assert!(server.wait().success());
    let told = server.stdout();
    fs::write(directory.path().join("upstream.json"), &told).expect("a file");
    let run = Run::in_directory(
        directory,
        HARNESS,
        &["merge", ".", "--upstream", "upstream.json"],
    );
    run.expect_code(0)
        .expect_text("pass  merge  counts reconcile");
    let run = read_json(&run.file("run.json"));
    let record = run["scenarios"][0]["blocks"][0]["loads"][0]["record"].clone();
    let told: serde_json::Value = serde_json::from_str(told.trim()).expect("a record");
    (
        serde_json::from_value(record).expect("a record"),
        told["requests"].as_u64().expect("a number"),
    )
}

#[test]
fn four_shards_are_one_client_count_for_count() {
    let (one, told_of_one) = merged(1);
    let (four, told_of_four) = merged(4);
    assert_eq!((told_of_one, told_of_four), (800, 800));
    assert_eq!(one.counts, four.counts);
    let answered = one.counts.acked + one.counts.naked;
    assert_eq!((one.counts.sent, answered), (800, 800));
    assert_eq!((one.target_rate, one.seed), (four.target_rate, four.seed));
    let answers = |record: &LoadRecord| record.latency_us.response.count;
    assert_eq!((answers(&one), answers(&four)), (800, 800));
    // Each slice was added to its like: none is lost, whatever a busy machine sent later.
    for record in [&one, &four] {
        let sent = record.intervals.iter().map(|slice| slice.sent);
        assert_eq!(sent.sum::<u64>(), 800);
    }
    assert_eq!(four.shards.len(), 4);
    assert!(four.shards.iter().all(|shard| shard.sent == 200));
}
