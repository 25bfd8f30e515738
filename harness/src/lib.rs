//! The harness: scenarios in, processes run, verdicts out.
//!
//! In reading order: [`cli`] is the command line, [`scenario`] the schema and the
//! scenarios that are built in, [`descriptor`] names what is under test, [`installed`]
//! finds programs of other people ([`peers`] those that nobody packages), [`revision`] builds our own as it was, [`plan`] puts
//! all in order, [`engine`] runs a plan, [`block`] one part of it with fresh processes,
//! [`foreign`] knows how other people's proxies are started, [`supervisor`] keeps the
//! children, [`recorder`] takes the events, [`progress`] shows them, [`output`] writes
//! what is left, [`host`] describes the machine.
//!
//! [`distribute`] has a load run on the machines of somebody else's engine, [`merged`] makes
//! a run of what many load clients recorded elsewhere.
//!
//! [`crash`] attacks a target until something is wrong with it, and keeps what shows it again.
//!
//! It measures nothing in its own process: every part of a run is a child, mostly this
//! same executable once more, so that nothing can be stale. What the events mean is
//! decided in the crate `report`.

pub mod block;
pub mod cli;
pub mod comparison;
pub mod crash;
pub mod descriptor;
pub mod distribute;
pub mod engine;
pub mod foreign;
pub mod history;
pub mod host;
pub mod installed;
pub mod merged;
pub mod noise;
pub mod output;
pub mod peers;
pub mod plan;
pub mod ports;
pub mod progress;
pub mod recorder;
pub mod revision;
pub mod scenario;
pub mod schedule;
pub mod supervisor;

use std::ffi::OsString;
use std::process::ExitCode;

/// Runs the harness with the arguments of this process.
pub fn main() -> ExitCode {
    run(std::env::args_os().collect())
}

/// Runs the harness with these arguments; the first is the program's name. The first
/// word after it may make this executable another program: one of the parts of a run.
#[must_use]
pub fn run(mut args: Vec<OsString>) -> ExitCode {
    let part = args.get(1).and_then(|arg| arg.to_str()).unwrap_or_default();
    let part: fn(Vec<OsString>) -> ExitCode = match part {
        "proxy" => proxy::run,
        "loadgen" => loadgen::run,
        "fuzzclient" => fuzzclient::run,
        "upstream" => upstream::run,
        supervisor::guard::COMMAND => return supervisor::guard::run(),
        _ => return cli::run(args),
    };
    let word = args.remove(1);
    args[0] = ["harness".into(), word].join(&OsString::from(" "));
    part(args)
}
