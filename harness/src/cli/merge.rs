//! `harness merge`.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use loadgen::record::LoadRecord;
use report::event::RunHeader;
use report::expect::{Expectation, Origin};
use report::run::RunFile;

use super::{failed, print, say, usage};
use crate::merged::{self, Told};
use crate::{host, output};

/// The exit code where something could not be judged.
pub(super) const NOT_JUDGED: u8 = 3;

/// Merge the records of shards, exactly, and judge and report the whole
///
/// Shards are written by "loadgen … --shard I/N --out DIR". All of one load must be there,
/// valid, in time, of the same configuration and start; else all that is wrong is told and
/// nothing is written. Counts and histograms are added, in total and for each interval;
/// percentiles are those of the sums.
#[derive(Args, Debug, Clone)]
#[command(after_help = EXAMPLES)]
pub(super) struct Merge {
    /// Directories with the shards' records, such as shard-2-of-4.json
    #[arg(value_name = "DIR", required = true)]
    pub(super) directories: Vec<PathBuf>,

    /// Write the run's files to this directory [default: .harness/runs/<id>]
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,

    /// Demand this of the load: METRIC OP VALUE; may be given several times
    #[arg(long = "expect", value_name = "EXPECTATION", value_parser = expectation)]
    pub(super) expectations: Vec<Expectation>,

    /// Take what could not be judged for a warning: exit 0 instead of 3. Shards that cannot be
    /// merged are none the less refused
    #[arg(long)]
    pub(super) lenient: bool,

    /// Compare the counts with those that "harness upstream" wrote to this file at its end;
    /// once for each server, if there are several
    #[arg(long = "upstream", value_name = "FILE")]
    pub(super) upstreams: Vec<PathBuf>,

    /// Do not say what is merged
    #[arg(long, short)]
    pub(super) quiet: bool,
}

const EXAMPLES: &str = "\
Metrics of --expect: p50, p90, p99, p99.9, max (as 2ms), rate (as 20k/s), failed, unanswered,
lost, duplicated, reordered, corrupted, misrouted (as 0); with <, <=, >, >=, =. Without being
asked for, an open loop must be valid, and no request failed or unanswered.

Exit codes: 0 every expectation passed, 1 one failed, 2 a shard's file cannot be read, or is of
another configuration, count or version, or there twice, 3 a shard is missing, late or invalid,
or an expectation could not be judged.

Examples:
  Four shards, one of them on another machine:
    loadgen foo --connect 10.0.0.9:8002 --allow-remote --rate 40k/s --seed 7 \\
      --shard 0/4 --start-at 1795243512 --out results
    scp node-3:results/shard-3-of-4.json results/
    harness merge results --expect 'p99<2ms'
  From several directories, beside what the server counted:
    harness merge node-*/results --upstream upstream.json --out report
  In a CI job:
    harness merge results --out report --lenient --quiet && cat report/report.md";

pub(super) fn expectation(text: &str) -> Result<Expectation, report::expect::ExpectError> {
    Expectation::load(text, None, Origin::CommandLine)
}

pub(super) fn execute(merge: &Merge) -> ExitCode {
    let upstreams = merge.upstreams.iter().map(|file| merged::told(file));
    let upstreams: Vec<Told> = match upstreams.collect() {
        Ok(upstreams) => upstreams,
        Err(message) => return usage(&format!("--upstream: {message}")),
    };
    let files = match shards::find(&merge.directories) {
        Ok(files) => files,
        Err(error) => return usage(&error.to_string()),
    };
    if !merge.quiet {
        let plural = if files.len() == 1 { "" } else { "s" };
        say(&format!("merging {} shard{plural}", files.len()));
    }
    let record = match shards::merge(&files) {
        Ok(record) => record,
        Err(refusals) => return refused(&refusals),
    };
    let outcome = conclude(merge, record, &upstreams).and_then(|(run, directory)| {
        let shown = directory.display().to_string();
        print(&report::text::render(&run, Some(&shown)))?;
        Ok(run.exit_code)
    });
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(error) => failed(&error.to_string()),
    }
}

/// Says all that is wrong. Nothing has been written.
fn refused(refusals: &shards::Refusals) -> ExitCode {
    for refusal in &refusals.0 {
        say(&refusal.to_string().replace('\n', " "));
    }
    say("error: these shards are not merged, and nothing is written (see --help)");
    ExitCode::from(if refusals.is_usage() {
        service::cli::USAGE
    } else {
        NOT_JUDGED
    })
}

/// Judges the whole and writes its files.
fn conclude(
    merge: &Merge,
    record: LoadRecord,
    upstreams: &[Told],
) -> io::Result<(RunFile, PathBuf)> {
    let expectations = merged::expectations(&record, &merge.expectations, upstreams);
    let out = merge.out.as_deref();
    let (id, directory) = output::directory(out, "merge", service::clock::unix_ms())?;
    let header = RunHeader {
        id,
        command: std::env::args().collect(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        seed: record.seed,
        lenient: merge.lenient,
        started_unix_ms: record.started_unix_ms,
        host: host::describe(),
        ..RunHeader::default()
    };
    let events = merged::events(header, record, expectations, upstreams);
    write(events, &directory).map(|run| (run, directory))
}

fn write(events: Vec<report::event::Stamped>, directory: &Path) -> io::Result<RunFile> {
    merged::keep(&events, directory)?;
    let run = RunFile::from_events(&events);
    // Of an hour, these hold tens of megabytes that nobody needs any more.
    drop(events);
    output::write(&run, directory)?;
    Ok(run)
}
