//! `harness distribute` with a real Slurm: a controller and four nodes on this host, each
//! test with a cluster of its own.

mod cluster;
mod refusals;

use std::fs;
use std::path::Path;
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};
use tests::scenario::read_json;
use tests::{Program, eventually, proc};

use cluster::Cluster;

const HARNESS: &str = env!("CARGO_BIN_EXE_test-harness");

/// A server on this host.
fn server() -> Program {
    Program::start(HARNESS, &["upstream", "foo", "--listen", "127.0.0.1:0"])
}

/// `harness distribute` in four shards on four nodes, with these arguments before and after
/// `--`. All processes of its job carry the mark.
fn distribute(cluster: &Cluster, mark: &str, before: &[&str], load: &[&str]) -> Program {
    let mut command = Command::new(HARNESS);
    command
        .args(["distribute", "--slurm", "--nodes", "4", "--shards", "4"])
        .args(["--start-after", "2s", "--out"])
        .arg(cluster.out())
        .args(before)
        .arg("--")
        .args(load)
        .env("SLURM_CONF", cluster.configuration())
        .env("HARNESS_TEST_MARK", mark);
    Program::spawn(command, None)
}

/// A load that no busy machine makes invalid: it goes at the pace of the answers, and may
/// begin late.
fn load<'a>(connect: &'a str, length: [&'a str; 2]) -> Vec<&'a str> {
    let rest = ["--closed", "--connections", "8", "--start-within", "10s"];
    [&["foo", "--connect", connect][..], &rest, &length].concat()
}

fn mark(test: &str) -> String {
    format!("slurm-{test}-{}", std::process::id())
}

/// The load client of a shard, once it runs.
fn client(mark: &str, shard: usize) -> u32 {
    let rank = format!("SLURM_PROCID={shard}");
    let is_it = |pid: &u32| {
        let read = |file| fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        let (environment, words) = (read("environ"), read("cmdline"));
        let has_rank = environment
            .split(|byte| *byte == 0)
            .any(|variable| variable == rank.as_bytes());
        // The batch script and srun have a rank as well, of the script's own step: 0.
        has_rank && words.starts_with(HARNESS.as_bytes())
    };
    eventually("the client of the shard", || {
        proc::marked(mark).into_iter().find(is_it)
    })
}

fn names(directory: &Path, ending: &str) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("a directory").flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.starts_with("shard-") && name.ends_with(ending))
        .collect();
    names.sort();
    names
}

#[test]
fn a_load_goes_through_slurm_and_comes_back_as_one() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let server = server();
    let connect = server.socket("listen");
    let load = load(&connect, ["--requests", "2000"]);
    let mut harness = distribute(&cluster, &mark("whole"), &["--expect", "failed = 0"], &load);
    let status = harness.wait();
    assert_eq!(status.code(), Some(0), "{}", harness.describe());
    for text in ["submitted: 4 shards", "on node[1-4]", "merging 4 shards"] {
        assert!(harness.stderr().contains(text), "{}", harness.describe());
    }
    assert!(
        harness.stdout().contains("SHARDS  4 shards"),
        "{}",
        harness.describe()
    );
    let run = read_json(&cluster.out().join("run.json"));
    let record = &run["scenarios"][0]["blocks"][0]["loads"][0]["record"];
    assert_eq!(record["counts"]["sent"], 2000);
    for shard in record["shards"].as_array().expect("shards") {
        assert_eq!(shard["sent"], 500);
        assert_eq!(shard["told_by"], "SLURM_PROCID, SLURM_NTASKS");
    }
    let expected: Vec<String> = (0..4).map(|n| format!("shard-{n}-of-4.json")).collect();
    assert_eq!(names(&cluster.out(), ".json"), expected);

    // What is left there is not mixed with another load.
    let mut again = distribute(&cluster, &mark("again"), &[], &load);
    assert_eq!(again.wait().code(), Some(2));
    let said = again.stderr();
    assert!(
        said.contains("is there already") && said.lines().count() == 1,
        "{said}"
    );
    // By hand, as the script itself says.
    let mut merge = Command::new(HARNESS);
    let (out, report) = (cluster.out(), cluster.path("report"));
    merge.arg("merge").arg(out).arg("--out").arg(&report);
    assert_eq!(Program::spawn(merge, None).wait().code(), Some(0));
    assert!(report.join("run.json").exists());
}

#[test]
fn a_shard_that_is_killed_is_named_and_nothing_is_merged() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let server = server();
    let connect = server.socket("listen");
    let mark = mark("killed");
    let load = load(&connect, ["--duration", "3s"]);
    let mut harness = distribute(&cluster, &mark, &["--lenient"], &load);
    let client = i32::try_from(client(&mark, 2)).ok().and_then(Pid::from_raw);
    kill_process(client.expect("a pid"), Signal::KILL).expect("a running client");
    let status = harness.wait();
    assert_eq!(status.code(), Some(3), "{}", harness.describe());
    let said = harness.stderr();
    for text in ["shard 2 of 4 left no record", "Killed", "shard-2-of-4.json"] {
        assert!(said.contains(text), "{text}: {}", harness.describe());
    }
    // The others were left alone, and told the truth.
    let others: Vec<String> = [0, 1, 3].map(|n| format!("shard-{n}-of-4.json")).into();
    assert_eq!(names(&cluster.out(), ".json"), others);
    assert!(!cluster.out().join("run.json").exists());
}

#[test]
fn whoever_ends_the_harness_ends_the_job() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let server = server();
    let connect = server.socket("listen");
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let mark = mark(&format!("ended-{code}"));
        let load = load(&connect, ["--duration", "10m"]);
        let mut harness = distribute(&cluster, &mark, &[], &load);
        let client = client(&mark, 3);
        harness.signal(signal);
        assert_eq!(harness.wait().code(), Some(code), "{}", harness.describe());
        assert_eq!(cluster.ask("squeue", &["--noheader"]), "");
        eventually("the client to be gone", || {
            (!proc::marked(&mark).contains(&client)).then_some(())
        });
        assert!(!cluster.out().join("run.json").exists());
        // A client that is asked to end leaves what it has, which is no part of a whole.
        fs::remove_dir_all(cluster.out()).expect("our own directory");
    }
}

#[test]
fn a_job_that_waits_says_why_and_one_that_is_cancelled_has_no_shards() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let drain = ["update", "nodename=node[1-4]", "state=drain", "reason=test"];
    cluster.ask("scontrol", &drain);
    let load = load("127.0.0.1:9", ["--requests", "100"]);
    let mut harness = distribute(&cluster, &mark("waits"), &[], &load);
    harness.expect_log("pending: ");
    let job = cluster.ask("squeue", &["--noheader", "--format=%i"]);
    cluster.ask("scancel", &[job.trim()]);
    assert_eq!(harness.wait().code(), Some(3), "{}", harness.describe());
    for text in ["cancelled", "never began", "nothing to merge"] {
        assert!(harness.stderr().contains(text), "{}", harness.describe());
    }
}
