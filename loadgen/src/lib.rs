//! The load client: sends requests at a rate, whatever the target does, and measures
//! what a user would have waited.
//!
//! In reading order: [`args`] and [`config`] turn a command line into a [`plan`];
//! [`schedule`] says when requests are due, [`stride`] whose they are, among workers and among
//! the machines of which this is one `shard`, `start` when all begin; a `dialect` says how
//! they are written and their replies are read: Foo, which carries a [`payload`] and is known by [`judge`], or
//! the [`echoes`] of `words`. `feed`, `connection`, `worker` and [`pacer`] send them over
//! a `link`, made by `dialer` as [`transport`] says; [`tracker`] decides what each reply
//! is, counted by [`tally`] and timed into [`histograms`]; [`crew`] starts the workers and
//! adds up their `slices` of the [`timeline`] into an [`outcome`]; [`validity`] and
//! [`summary`] make it a [`record`], which `output` writes. [`floor`] measures this tool
//! alone, `idle` holds connections that say nothing, `bulk` transfers bytes instead of
//! messages, [`statsd`] sends lines that nobody answers, packed into `datagrams`; the crew
//! of both is `metered`. `udp` has datagrams sent back. `check` is the original client.
//!
//! Nothing prints while it measures except `output`, which the workers never call. It
//! knows nothing of the harness that may have started it.

use std::ffi::OsString;
use std::process::ExitCode;

pub mod args;
mod bulk;
mod check;
pub mod config;
mod connection;
pub mod crew;
mod datagrams;
mod dialect;
mod dialer;
mod echo;
pub mod echoes;
mod feed;
pub mod floor;
mod foo;
pub mod histograms;
mod idle;
pub mod judge;
mod kinds;
mod link;
mod load_meter;
mod merge;
mod metered;
pub mod mix;
pub mod outcome;
mod output;
pub mod pacer;
pub mod payload;
pub mod plan;
pub mod record;
mod recorder;
pub mod schedule;
mod shard;
mod slices;
mod start;
pub mod statsd;
pub mod stop;
pub mod stride;
pub mod summary;
pub mod tally;
mod tcp;
mod throttle;
pub mod timeline;
mod tls;
pub mod tracker;
pub mod transport;
mod udp;
pub mod validity;
mod words;
mod worker;

/// The program: arguments from the process, exit code to it.
#[must_use]
pub fn main() -> ExitCode {
    run(std::env::args_os().collect())
}

/// The program with arguments of the caller's. The first is the name that help shows.
#[must_use]
pub fn run(args: Vec<OsString>) -> ExitCode {
    match service::cli::parse::<args::Cli>(args) {
        Ok(cli) => match cli.command {
            args::Command::Foo(args) => foo::run(&args),
            args::Command::Tcp(args) => tcp::run(&args),
            args::Command::Udp(args) => udp::run(&args),
            args::Command::Statsd(args) => statsd::run(&args),
            args::Command::Check(args) => check::run(&args),
        },
        Err(code) => code,
    }
}
