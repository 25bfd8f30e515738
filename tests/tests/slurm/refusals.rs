//! What cannot be distributed is refused in one line, and nothing is left behind.

use std::process::Command;

use tests::Program;

use crate::cluster::Cluster;
use crate::{HARNESS, distribute, mark};

/// Runs `harness distribute` where there is no Slurm; gives its exit code and stderr.
fn refused(args: &[&str]) -> (Option<i32>, String) {
    let directory = tempfile::tempdir().expect("a directory");
    let mut command = Command::new(HARNESS);
    command
        .arg("distribute")
        .args(args)
        .current_dir(directory.path())
        .env("PATH", "/nonexistent");
    let mut harness = Program::spawn(command, None);
    let code = harness.wait().code();
    let left = directory.path().read_dir().expect("a directory").count();
    assert_eq!(left, 0, "{}", harness.describe());
    (code, harness.stderr())
}

#[test]
fn what_cannot_be_distributed_is_refused_before_slurm_is_looked_for() {
    let foo = "foo --connect 127.0.0.1:1";
    let cases = [
        (format!("--shards 4 -- {foo}"), "--slurm"),
        (format!("--slurm -- {foo}"), "--nodes"),
        (format!("--slurm --shards 0 -- {foo}"), "--shards"),
        (
            format!("--slurm --shards 2 --nodes 4 -- {foo}"),
            "--nodes 4",
        ),
        (
            format!("--slurm --nodes 2 --partition ; -- {foo}"),
            "--partition",
        ),
        (
            format!("--slurm --nodes 2 --expect p98<1 -- {foo}"),
            "--expect",
        ),
        ("--slurm --nodes 2".to_owned(), "LOAD"),
        (format!("--slurm --nodes 2 -- {foo} --shard 0/2"), "--shard"),
        (
            format!("--slurm --nodes 2 -- {foo} --connections 1"),
            "--connections",
        ),
        (
            "--slurm --nodes 2 -- foo --connect 192.0.2.1:80".to_owned(),
            "--allow-remote",
        ),
        (
            format!("--slurm --nodes 2 --out {} -- {foo}", "/tmp/%t"),
            "without %",
        ),
    ];
    for (line, says) in cases {
        let args: Vec<&str> = line.split_whitespace().collect();
        let (code, said) = refused(&args);
        assert_eq!(code, Some(2), "{line}: {said}");
        assert!(
            said.contains(says) && said.lines().count() == 1,
            "{line}: {said}"
        );
    }
}

#[test]
fn without_slurm_nothing_is_begun() {
    let line = "--slurm --nodes 2 -- foo --connect 127.0.0.1:1";
    let args: Vec<&str> = line.split_whitespace().collect();
    let (code, said) = refused(&args);
    // In the place where Debian has it, no PATH is needed to find a server's program.
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains("sbatch is not installed"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn a_job_that_slurm_does_not_take_is_told_in_one_line() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let load = ["foo", "--connect", "127.0.0.1:9", "--requests", "100"];
    let before = ["--partition", "none-such"];
    let mut harness = distribute(&cluster, &mark("partition"), &before, &load);
    assert_eq!(harness.wait().code(), Some(5), "{}", harness.describe());
    let said = harness.stderr();
    assert!(said.contains("Invalid partition name"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}
