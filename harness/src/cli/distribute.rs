//! `harness distribute`.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use ::report::expect::Expectation;
use clap::Args;
use service::signals::StopSignals;
use service::units::parse_duration;

use super::merge::{self, Merge};
use super::{failed, say, usage};
use crate::distribute::load::Load;
use crate::distribute::records::{self, Records};
use crate::distribute::script::{self, Job};
use crate::distribute::slurm::Slurm;
use crate::distribute::watch::{End, Watched};
use crate::{host, output};

/// Run one load in shards on machines that Slurm gives, and merge what they measured
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Distribute {
    /// Submit it to Slurm, whose commands must be installed here
    #[arg(long, required = true)]
    slurm: bool,

    /// Run on this many nodes [default: as Slurm places the shards]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=MOST))]
    nodes: Option<u64>,

    /// Cut the load into this many shards [default: one for each node]
    #[arg(long, value_name = "M", value_parser = clap::value_parser!(u64).range(1..=MOST))]
    shards: Option<u64>,

    /// Submit it to this partition [default: Slurm's]
    #[arg(long, value_name = "P")]
    partition: Option<String>,

    /// Let Slurm end the job after this time, e.g. 10m; it counts in whole minutes
    /// [default: the partition's]
    #[arg(long, value_name = "T", value_parser = parse_duration)]
    time_limit: Option<Duration>,

    /// Start the schedule this long after the job has begun: all shards must be ready by
    /// then
    #[arg(long, value_name = "T", default_value = "10s", value_parser = parse_duration)]
    start_after: Duration,

    /// Have shards, logs and reports written to this directory, which all nodes must see
    /// [default: .harness/runs/<id>]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Demand this of the merged load, e.g. 'p99 < 2ms'; may be given several times
    #[arg(long = "expect", value_name = "EXPECTATION", value_parser = merge::expectation)]
    expectations: Vec<Expectation>,

    /// Take what could not be judged for a warning: exit 0 instead of 3
    #[arg(long)]
    lenient: bool,

    /// Show nothing while it runs
    #[arg(long, short)]
    quiet: bool,

    /// The load as for "harness loadgen", with figures of the whole: each shard takes its share
    #[arg(last = true, required = true, value_name = "LOAD")]
    load: Vec<String>,
}

/// Most shards, and most nodes: beyond what was measured of a merge.
const MOST: u64 = 10_000;

const EXAMPLES: &str = "\
Examples:
  400,000 requests/s from four machines, as one schedule:
    harness distribute --slurm --nodes 4 --out /shared/results -- \\
      foo --connect proxy.lab:8002 --allow-remote --rate 400k/s --duration 1m
  Two shards on each of 50 machines of a partition, and a demand on the whole:
    harness distribute --slurm --nodes 50 --shards 100 --partition load --expect 'p99 < 2ms' \\
      --out /shared/results -- tcp --connect proxy.lab:8002 --allow-remote --rate 2M/s

DIR/job.sh is what was submitted, and can be by hand: sbatch DIR/job.sh, and when the job has
ended, harness merge DIR. This executable must be at the same path on all nodes. Whatever else
Slurm has to be told goes into its variables: SBATCH_ACCOUNT=lab, SBATCH_EXCLUSIVE=user.

Exit codes: those of harness merge; 2 usage error, nothing was submitted; 5 Slurm is not there
or did not take the job; 130 and 143 interrupted, and the job was cancelled.";

pub(super) fn execute(distribute: &Distribute) -> ExitCode {
    let Some(count) = distribute.shards.or(distribute.nodes) else {
        return usage("--slurm: expected --nodes N, --shards M or both");
    };
    let load = match checked(distribute, count) {
        Ok(load) => load,
        Err(message) => return usage(&message),
    };
    let slurm = match Slurm::find() {
        Ok(slurm) => slurm,
        Err(message) => return failed(&format!("--slurm: {message}")),
    };
    let records = match directory(distribute.out.as_deref(), count) {
        Ok(records) => records,
        Err(code) => return code,
    };
    match prepared(distribute, records, load)
        .and_then(|job| submit_and_wait(distribute, &slurm, &job))
    {
        Ok(code) => code,
        Err(error) => failed(&error.to_string()),
    }
}

/// What can be refused before anything is touched.
fn checked(distribute: &Distribute, count: u64) -> Result<Load, String> {
    if let Some(nodes) = distribute.nodes.filter(|nodes| *nodes > count) {
        return Err(format!(
            "--shards {count}: expected at least one for each of --nodes {nodes}"
        ));
    }
    if let Some(partition) = &distribute.partition
        && !script::is_partition(partition)
    {
        return Err(format!(
            "--partition {partition:?}: expected a name, or several with commas"
        ));
    }
    if let Some(out) = &distribute.out
        && !script::is_path_for_slurm(out)
    {
        return Err(not_for_slurm(out));
    }
    Load::new(&distribute.load, count, host::random_seed()).map_err(|error| error.to_string())
}

/// The directory of the load, without shards of another.
fn directory(out: Option<&Path>, count: u64) -> Result<Records, ExitCode> {
    if let Some(out) = out.filter(|out| out.exists()) {
        match records::left_before(out) {
            Ok(None) => {}
            Ok(Some(file)) => {
                return Err(usage(&format!(
                    "--out {}: {} is there already; expected a directory without shards",
                    out.display(),
                    file.file_name().unwrap_or_default().display()
                )));
            }
            Err(error) => return Err(usage(&format!("--out {}: {error}", out.display()))),
        }
    }
    let made = output::directory(out, "distribute", service::clock::unix_ms())
        .and_then(|(_, directory)| directory.canonicalize());
    let directory = made.map_err(|error| failed(&error.to_string()))?;
    if script::is_path_for_slurm(&directory) {
        Ok(Records { directory, count })
    } else {
        Err(usage(&not_for_slurm(&directory)))
    }
}

fn not_for_slurm(directory: &Path) -> String {
    format!("--out {directory:?}: expected a path without % and \\, to which Slurm gives a meaning")
}

/// The job, its script written.
fn prepared(distribute: &Distribute, records: Records, load: Load) -> io::Result<Job> {
    let job = Job {
        records,
        nodes: distribute.nodes,
        partition: distribute.partition.clone(),
        time_limit: distribute.time_limit,
        start_after: distribute.start_after,
        program: std::env::current_exe()?,
        load,
    };
    let path = job.records.directory.join(script::FILE);
    output::whole(&path, job.script().as_bytes())?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
    Ok(job)
}

fn submit_and_wait(distribute: &Distribute, slurm: &Slurm, job: &Job) -> io::Result<ExitCode> {
    let tell = |line: &str| {
        if !distribute.quiet {
            say(line);
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let records = &job.records;
    let begun = runtime.block_on(async {
        // Before there is a job that a signal would have to end.
        let mut signals = StopSignals::listen()?;
        let number = slurm.submit(&records.directory.join(script::FILE)).await?;
        let directory = records.directory.display();
        let count = records.count;
        tell(&format!(
            "job {number} submitted: {count} shards, seed {}, {directory}",
            job.load.seed
        ));
        let watched = Watched {
            slurm,
            job: number,
            records,
            tell: &tell,
        };
        let end = watched.to_its_end(&mut signals).await;
        Ok::<_, io::Error>((number, end, signals))
    });
    let (number, end, mut signals) = begun?;
    let began = match end {
        End::Stopped(stop, still_runs) => {
            if let Some(why) = still_runs {
                say(&format!(
                    "job {number} may still run: {why} (scancel {number})"
                ));
            }
            return Ok(ExitCode::from(stop.exit_code()));
        }
        End::Lost(said) => {
            say(&format!("what became of the job is not known: {said}"));
            true
        }
        End::Job(state) => state.is_none_or(|state| !state.nodes.is_empty()),
    };
    let missing = records.missing();
    if !began {
        say("the job never began");
    } else if !missing.is_empty() {
        say_what_is_missing(records, &missing);
    }
    if missing.len() as u64 == records.count {
        say("error: no shard left a record: there is nothing to merge");
        return Ok(ExitCode::from(merge::NOT_JUDGED));
    }
    // What can be told of a load whose shards are not all there, merging tells.
    let merge = Merge {
        directories: vec![records.directory.clone()],
        out: Some(records.directory.clone()),
        expectations: distribute.expectations.clone(),
        lenient: distribute.lenient,
        upstreams: Vec::new(),
        quiet: distribute.quiet,
    };
    let merging = runtime.spawn_blocking(move || merge::execute(&merge));
    let code = runtime.block_on(async {
        tokio::select! {
            stop = signals.next() => Ok(ExitCode::from(stop.exit_code())),
            code = merging => code.map_err(io::Error::other),
        }
    });
    // Merging that was interrupted ends with us: its files are whole or not there.
    runtime.shutdown_background();
    code
}

/// Tells of the shards that left no record: what they said last, and what the script did.
fn say_what_is_missing(records: &Records, missing: &[u64]) {
    for line in records.told(missing) {
        say(&line);
    }
    let log = records.directory.join(records::JOB_LOG);
    match records::last_words(&log) {
        Some(words) => say(&format!("the job: {words}")),
        None => say(&format!(
            "the job wrote no {}: do its nodes see this directory?",
            log.display()
        )),
    }
}
