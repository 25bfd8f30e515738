//! Bad input: one line that names what is wrong and what is accepted, and nothing started.

use std::process::Command;

use crate::bad_input::each_is_refused;
use crate::program::{loadgen, run, shown};

#[test]
fn a_shard_needs_all_that_belongs_to_it() {
    let whole = "--seed 1 --start-at +1s --out /no/such";
    let (no_seed, no_start, no_out) = (
        "--shard 0/4 --start-at +1s --out /no/such",
        "--shard 0/4 --seed 1 --out /no/such",
        "--shard 0/4 --seed 1 --start-at +1s",
    );
    let few = format!("--shard 0/4 --connections 3 {whole}");
    let less = format!("--shard 0/4 --requests 3 {whole}");
    let many = format!("--shard 0/4 --connections 8 --threads 3 {whole}");
    let cases = [
        ("--shard 4/4", "from 0/4 to 3/4"),
        ("--shard 1", "such as 0/4"),
        ("--shard 0/0", "1 to 100000 shards"),
        ("--shard auto/x", "auto/4"),
        ("--start-at +1s", "--start-at needs --shard"),
        ("--start-within 1s", "--start-within needs --shard"),
        ("--out /no/such", "--out needs --shard"),
        ("--shard 0/4 --start-at soon", "+10s"),
        ("--shard 0/4 --start-at -5", "+10s"),
        ("--shard 0/4 --start-within x", "250ms"),
        (no_seed, "--shard needs --seed"),
        (no_start, "--shard needs --start-at"),
        (no_out, "--shard needs --out"),
        (
            "--shard 0/4 --seed 1 --out /no/such --start-at +25h",
            "25 h ahead: at most 24 h",
        ),
        (
            "--shard 0/4 --seed 1 --out /no/such --start-at 1767225600000",
            "expected seconds of the Unix epoch",
        ),
        (
            "--shard 0/4 --seed 1 --out /no/such --start-at 1767225600",
            "that run has been over for",
        ),
        (
            few.as_str(),
            "--connections 3 is less than one for each of 4 shards",
        ),
        (
            less.as_str(),
            "--requests 3 is less than one for each of 4 shards",
        ),
        (
            many.as_str(),
            "--threads 3 needs at least as many --connections in each shard, got 2",
        ),
    ];
    each_is_refused("foo", &cases);
}

#[test]
fn each_load_refuses_what_cannot_be_shared_out() {
    let whole = "--shard 0/9 --seed 1 --start-at +1s --out /no/such";
    let clients = format!("--clients 8 {whole}");
    each_is_refused("udp", &[(&clients, "--clients 8 is less than one")]);
    let connections = format!("--connections 8 {whole}");
    let lines = format!("--lines 80 --lines-per-datagram 10 {whole}");
    let cases = [
        (connections.as_str(), "--connections 8 is less than one"),
        (lines.as_str(), "--lines, in datagrams, 8 is less than one"),
    ];
    each_is_refused("statsd", &cases);
    each_is_refused("tcp", &[(&connections, "--connections 8 is less than one")]);
}

#[test]
fn a_directory_that_cannot_be_written_is_refused_before_anything_starts() {
    let flags = "--shard 0/4 --seed 1 --start-at +1h --out /proc/no/such";
    each_is_refused("foo", &[(flags, "--out: cannot make /proc/no/such")]);
}

/// Takes away what an engine that runs this test may say.
pub(super) fn without_engine(command: &mut Command) {
    for (name, _) in std::env::vars() {
        let prefixes = ["OMPI_", "PMI_", "SLURM_", "JOB_COMPLETION_", "NOMAD_"];
        if prefixes.iter().any(|prefix| name.starts_with(prefix)) {
            command.env_remove(name);
        }
    }
}

#[test]
fn an_environment_that_does_not_say_enough_is_refused_by_name() {
    let cases = [
        (
            "auto",
            "",
            "none of OMPI_COMM_WORLD_RANK, PMI_RANK, SLURM_PROCID",
        ),
        ("auto", "SLURM_PROCID=1", "SLURM_NTASKS is not"),
        (
            "auto/3",
            "SLURM_PROCID=1 SLURM_NTASKS=4",
            "say that there are 4",
        ),
        ("auto", "SLURM_PROCID=x SLURM_NTASKS=4", "got \"x\""),
        ("auto", "JOB_COMPLETION_INDEX=1", "--shard auto/8"),
        ("auto/4", "NOMAD_ALLOC_INDEX=4", "say 4 of 4"),
    ];
    for (shard, variables, expected) in cases {
        let mut command = loadgen(&format!(
            "foo --connect 127.0.0.1:1 --shard {shard} --seed 1 --start-at +1s --out /no/such"
        ));
        without_engine(&mut command);
        let variables = variables.split(' ').filter_map(|one| one.split_once('='));
        let output = run(command.envs(variables));
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{}", shown(&output));
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(stderr.contains(expected), "{expected}: {stderr}");
    }
}
