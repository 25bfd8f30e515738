//! Merges the records of 10, 30, 100 … shards, as many as are asked for, and measures time
//! and memory: both should grow with the number of shards, and memory hardly at all.
//!
//! `cargo run --release -p shards --example simulation -- --shards 1000 --intervals 3600`
//!
//! The shards are made from a real one: what `loadgen` recorded in a few seconds against the
//! reference server (or any record, with `--from`) is drawn from anew for every interval.
//! Every set of shards is written, merged by a process of its own, checked sum for sum, and
//! deleted. 1,000 shards of an hour take some 5 GB on disk for that time.

mod made;
mod measured;
mod recorded;

use std::error::Error;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use crate::made::{Pool, Shape};

/// Sizes at which it is measured, as far as they are not beyond what is asked for.
const SIZES: [u64; 5] = [10, 30, 100, 300, 1_000];

/// Merge simulated shards and measure time and memory.
#[derive(Debug, Parser)]
struct Args {
    /// Merge up to this many shards
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    shards: u64,

    /// Give each this many intervals of one second
    #[arg(long, default_value_t = 3_600, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    intervals: u64,

    /// Give each interval of a shard this many samples
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    samples: u64,

    /// Draw from this record instead of recording one
    #[arg(long, value_name = "RECORD.json")]
    from: Option<PathBuf>,

    /// Draw all randomness from this number
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Write the shards below this directory
    #[arg(long, value_name = "DIR", default_value_os_t = std::env::temp_dir())]
    dir: PathBuf,

    /// Leave the shards of the last size where they are
    #[arg(long)]
    keep: bool,
}

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().collect();
    // The processes of the simulation are this program once more.
    let part = args.get(1).and_then(|word| word.to_str());
    match part {
        Some("upstream") => return upstream::run(args[1..].to_vec()),
        Some("loadgen") => return loadgen::run(args[1..].to_vec()),
        Some(measured::COMMAND) => return ended(measured::merge(&args[2..])),
        _ => {}
    }
    ended(simulate(&Args::parse()))
}

fn ended(outcome: Result<(), Box<dyn Error>>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn simulate(args: &Args) -> Result<(), Box<dyn Error>> {
    let record = match &args.from {
        Some(file) => serde_json::from_slice(&std::fs::read(file)?)?,
        None => recorded::record()?,
    };
    let pool = Pool::drawn(&record, args.samples, args.seed)?;
    println!(
        "{} samples in {} recorded intervals; {} drawn anew, {} bytes each on average",
        record.latency_us.response.count,
        record.intervals.len(),
        pool.len(),
        pool.mean_bytes()
    );
    println!(
        "{:>7} {:>9} {:>9} {:>11} {:>12}",
        "shards", "files", "merged in", "peak memory", "for a shard"
    );
    let sizes = SIZES.into_iter().filter(|size| *size < args.shards);
    for shards in sizes.chain([args.shards]) {
        let directory = tempfile::Builder::new()
            .prefix("shards-")
            .tempdir_in(&args.dir)?;
        let shape = Shape {
            shards,
            intervals: args.intervals,
            seed: args.seed,
        };
        let expected = pool.write(&record, shape, directory.path())?;
        let seen = measured::measure(directory.path())?;
        expected.check(&seen.record)?;
        println!(
            "{shards:>7} {:>6.0} MB {:>7.2} s {:>7.0} MiB {:>9.1} ms",
            expected.bytes as f64 / 1e6,
            seen.seconds,
            seen.peak_kib as f64 / 1024.0,
            seen.seconds * 1e3 / shards as f64
        );
        if args.keep && shards == args.shards {
            println!("kept: {}", directory.keep().display());
        }
    }
    Ok(())
}
