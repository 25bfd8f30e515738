//! The command line.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use service::addr::HostPort;
use service::ready::InheritedFd;
use service::units::{Rate, parse_duration};

use crate::judge::Verify;
use crate::pacer::PacerChoice;
use crate::payload::Lengths;
use crate::schedule::Arrivals;

mod shard;
mod statsd;
mod tcp;
mod udp;

pub(crate) use shard::MOST_SHARDS;
pub use shard::{ShardArg, ShardArgs, StartAt};
pub use statsd::{BurstArg, PackArg, SegmentationArg, StatsdArgs, WayArg};
pub use tcp::{BulkArg, ReadRate, TcpArgs};
pub use udp::UdpArgs;

/// Load a server or a proxy, and measure what a user would have waited.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Send Foo requests at a rate, or as many as there are answers, and report latency
    Foo(Box<FooArgs>),
    /// Load anything that echoes bytes, or transfer bytes in bulk, and check every byte
    Tcp(Box<TcpArgs>),
    /// Load anything that sends datagrams back, and account for each
    Udp(Box<UdpArgs>),
    /// Send statsd lines at a rate, whatever becomes of them, and account for each
    Statsd(Box<StatsdArgs>),
    /// Send 100 Foo requests one at a time and say OK! or FAILED!
    Check(CheckArgs),
}

const FOO_EXAMPLES: &str = "\
Examples:
  10,000 requests/s for 10 s, whatever the server does (open loop):
    loadgen foo --connect localhost:8001
  50,000 requests/s over 200 connections, record as JSON on stdout:
    loadgen foo --connect localhost:8002 --rate 50k/s --connections 200 --json -
  As much as one request per connection at a time allows (closed loop):
    loadgen foo --connect localhost:8002 --closed --threads 1
  The most the server takes:
    loadgen foo --connect localhost:8002 --rate max
  Connect, one request, answer, close, as often as possible:
    loadgen foo --connect localhost:8002 --closed --requests-per-connection 1
  200,000 requests/s from four machines, started on each with its number, 0 to 3:
    loadgen foo --connect proxy.example:8001 --allow-remote --rate 200k/s --seed 1 \\
      --shard 0/4 --start-at 1767225600 --out /shared/run
  The same from all tasks of a Slurm job (srun), of MPI, or of an array:
    loadgen foo --connect proxy.example:8001 --allow-remote --rate 200k/s --seed 1 \\
      --shard auto --start-at $START --out /shared/run

Exit codes: 0 every request was answered rightly; 1 something failed; 2 usage;
3 the run is invalid, its figures mean nothing; 130 or 143 interrupted.";

/// The arguments of `loadgen foo`.
#[derive(Debug, Args)]
#[command(after_help = FOO_EXAMPLES, allow_negative_numbers = true)]
pub struct FooArgs {
    /// What every load has.
    #[command(flatten)]
    pub load: LoadArgs,

    /// Check replies: by sequence number, by the reference server's digest, or not at all
    #[arg(long, value_enum, value_name = "HOW", default_value = "seq")]
    pub verify: Verify,

    /// Send this many bytes of data in each request: a number or a range
    #[arg(long, value_name = "BYTES", default_value_t = Lengths::default())]
    pub payload: Lengths,
}

/// The arguments of every load.
#[derive(Clone, Debug, Args)]
pub struct LoadArgs {
    /// Connect to this address: HOST:PORT, or :PORT for this machine
    #[arg(long, value_name = "ADDR")]
    pub connect: HostPort,

    /// Send this many requests per second, such as 500 or 20k/s, or `max` for as many as
    /// are answered [default: 10k/s]
    #[arg(long, value_name = "RATE|max")]
    pub rate: Option<RateArg>,

    /// Send the next request when an answer has come, instead of at a rate
    #[arg(long)]
    pub closed: bool,

    /// Open this many connections
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub connections: usize,

    /// Keep up to this many requests open on each connection [default: 16, 1 with
    /// --closed, 64 with --rate max]
    #[arg(long, value_name = "N")]
    pub pipeline: Option<usize>,

    /// Measure for this long [default: 10s, 10m if --requests is given]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub duration: Option<Duration>,

    /// Measure this many requests
    #[arg(long, value_name = "N")]
    pub requests: Option<u64>,

    /// Spread requests over time at fixed gaps, or at random ones as independent users do
    /// [default: uniform]
    #[arg(long, value_enum, value_name = "HOW")]
    pub arrivals: Option<Arrivals>,

    /// Wait for due requests by sleeping, by sleeping until 60 µs before and then
    /// polling (hybrid), or by polling (spin) [default: auto: hybrid if a core is left]
    #[arg(long, value_enum, value_name = "HOW")]
    pub pacer: Option<PacerChoice>,

    /// Derive all randomness from this number [default: a random one, reported]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,

    /// Use this many worker threads [default: one per core; at a rate one per 250k/s, at
    /// most one per core]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,

    /// Send for this long before measuring [default: 1s, 0 if --requests is given]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub warmup: Option<Duration>,

    /// Report the run in slices of this length, at least 10ms
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_duration)]
    pub interval: Duration,

    /// Close a connection after this many requests and open another; 0 for never
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub requests_per_connection: u64,

    /// Measure this tool alone for this long before the run, against an echo in the same
    /// process; 0 to skip
    #[arg(long, value_name = "TIME", default_value = "300ms", value_parser = parse_duration)]
    pub floor: Duration,

    /// Wait this long for late answers at the end
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = parse_duration)]
    pub drain: Duration,

    /// Give up a connection that is not open after this time
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = parse_duration)]
    pub connect_timeout: Duration,

    /// Let at most this many due requests wait for a place; past it the run is invalid
    /// [default: those of 10 s, at least 10,000]
    #[arg(long, value_name = "N")]
    pub max_backlog: Option<u64>,

    /// Write response times per interval as an HdrHistogram log
    #[arg(long, value_name = "PATH")]
    pub hlog: Option<PathBuf>,

    /// Where it goes, and where its record goes.
    #[command(flatten)]
    pub outputs: OutputArgs,

    /// Whether other machines send the rest.
    #[command(flatten)]
    pub shard: ShardArgs,
}

/// What each kind of load may be told of its outputs, and of how far it may go.
#[derive(Clone, Debug, Args)]
pub struct OutputArgs {
    /// Write the record as JSON to this file, or to stdout for `-`
    #[arg(long, value_name = "PATH|-")]
    pub json: Option<PathBuf>,

    /// Write events as JSON lines to this open descriptor while the run goes on
    #[arg(long, value_name = "FD")]
    pub events_fd: Option<InheritedFd>,

    /// Write one JSON line to this open descriptor when all sockets are open
    #[arg(long, value_name = "FD")]
    pub ready_fd: Option<InheritedFd>,

    /// Allow a target that is not on this machine
    #[arg(long)]
    pub allow_remote: bool,

    /// Do not show progress
    #[arg(long)]
    pub quiet: bool,
}

const CHECK_EXAMPLES: &str = "\
Examples:
  loadgen check --connect localhost:8001
  loadgen check --connect localhost:8002 --verify digest --timeout 500ms

Prints a dot for every ten answers, then OK! (exit 0) or FAILED! and why (exit 1).";

/// The arguments of `loadgen check`.
#[derive(Debug, Args)]
#[command(after_help = CHECK_EXAMPLES, allow_negative_numbers = true)]
pub struct CheckArgs {
    /// Connect to this address: HOST:PORT, or :PORT for this machine
    #[arg(long, value_name = "ADDR")]
    pub connect: HostPort,

    /// Check replies: by sequence number, by the reference server's digest, or not at all
    #[arg(long, value_enum, value_name = "HOW", default_value = "seq")]
    pub verify: Verify,

    /// Send this many requests
    #[arg(long, value_name = "N", default_value_t = 100,
        value_parser = clap::value_parser!(u64).range(1..))]
    pub requests: u64,

    /// Wait this long for each answer
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = parse_duration)]
    pub timeout: Duration,

    /// Give up connecting after this time
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = parse_duration)]
    pub connect_timeout: Duration,

    /// Derive the requests' data from this number [default: a random one]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
}

/// `--rate`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RateArg {
    /// As many as are answered.
    Max,
    /// At this rate.
    Fixed(Rate),
}

impl FromStr for RateArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "max" {
            return Ok(Self::Max);
        }
        text.parse()
            .map(Self::Fixed)
            .map_err(|error: service::units::UnitError| format!("{error}; or max"))
    }
}

impl fmt::Display for RateArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Max => f.write_str("max"),
            Self::Fixed(rate) => rate.fmt(f),
        }
    }
}
