//! Garbage for servers and proxies: seeded, fast, and recorded.
//!
//! In reading order: `args` is the command line, [`plan`] what it asks for, [`generate`]
//! makes the bytes of each connection, `budget` says how many of them may leave now,
//! `session` is one connection, [`attack`] opens and drives them, [`datagram`] is the same
//! over UDP; [`probe`] asks whether the target lives, `prober` does so again and again,
//! [`watch`] says what to make of it, `observed` collects what becomes of the sessions,
//! [`recording`] keeps what was sent, `outcome` ends in a [`record`], `report` says it in
//! text. [`Interrupt`] ends a run from outside.
//!
//! It never uses a codec for what it sends raw, never sends to another machine unless
//! told to, and never lets the target's answers pile up: it reads all the time.

mod args;
pub mod attack;
mod budget;
pub mod datagram;
pub mod generate;
mod interrupt;
mod observed;
mod outcome;
pub mod plan;
pub mod probe;
mod prober;
pub mod record;
pub mod recording;
mod report;
mod session;
pub mod stalls;
pub mod watch;

use std::ffi::OsString;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;

use service::cli::USAGE;
use service::ready::Ready;
use service::signals::StopSignals;

use args::{FuzzClient, Mode, Settled};
pub use attack::Attack;
pub use datagram::Barrage;
pub use interrupt::Interrupt;
pub use plan::Plan;
pub use record::{FuzzRecord, SessionRecord};

/// Exit code when the target was never reached, or the client itself failed.
const FAILED: u8 = 1;

/// Exit code when the target is gone, hangs or answers wrongly.
const TARGET_LOST: u8 = 4;

/// Runs the client with the arguments of this process.
pub fn main() -> ExitCode {
    run(std::env::args_os().collect())
}

/// Runs the client with these arguments; the first is the program's name.
#[must_use]
pub fn run(args: Vec<OsString>) -> ExitCode {
    let mode = match service::cli::parse::<FuzzClient>(args) {
        Ok(client) => client.mode,
        Err(code) => return code,
    };
    let outcome = match mode.settle() {
        Ok(settled) => attack(&mode, settled),
        Err(error) => {
            eprintln!("error: {error:#}");
            return ExitCode::from(USAGE);
        }
    };
    service::cli::exit(outcome.map_err(|error| format!("{error:#}")), FAILED)
}

/// What these arguments are refused for, without running anything; the first is the
/// program's name.
///
/// # Errors
/// What is wrong, and what is accepted.
pub fn check(args: &[String]) -> Result<(), String> {
    use clap::Parser;
    let client = FuzzClient::try_parse_from(args).map_err(|error| error.to_string())?;
    let settled = client.mode.settle();
    settled.map(drop).map_err(|error| format!("{error:#}"))
}

/// A run that is ready to start.
type Run = Box<dyn FnOnce() -> io::Result<FuzzRecord> + Send>;

fn prepare(settled: Settled) -> io::Result<(Run, Arc<Interrupt>)> {
    service::limits::raise_descriptors();
    if settled.datagrams {
        let barrage = Barrage::new(settled.plan)?;
        let interrupt = Arc::clone(&barrage.interrupt);
        Ok((Box::new(move || barrage.run()), interrupt))
    } else {
        let attack = Attack::new(settled.plan)?;
        let interrupt = Arc::clone(&attack.interrupt);
        Ok((Box::new(move || attack.run()), interrupt))
    }
}

/// Sends what was asked for, reports, and chooses the exit code.
fn attack(mode: &Mode, mut settled: Settled) -> anyhow::Result<ExitCode> {
    let flags = mode.flags();
    let output = report::Output::open(flags.json.as_deref(), flags.quiet)?;
    let target = settled.target.clone();
    if !settled.plan.find_the_living() {
        anyhow::bail!("{target} gives no valid answer, before any garbage was sent");
    }
    let (run, interrupt) = prepare(settled)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (record, stopped) = runtime.block_on(async {
        let mut signals = StopSignals::listen()?;
        let name = format!("fuzzclient {}", mode.name());
        Ready::new(&name, []).announce(flags.ready_fd)?;
        let mut running = tokio::task::spawn_blocking(run);
        let mut stopped = None;
        loop {
            tokio::select! {
                record = &mut running => return Ok::<_, anyhow::Error>((record??, stopped)),
                stop = signals.next() => {
                    stopped.get_or_insert(stop);
                    interrupt.now();
                }
            }
        }
    })?;
    // A thread may still wait for stdin, and nobody needs it any more.
    runtime.shutdown_background();
    output.write(&record)?;
    if let Some(stop) = stopped {
        return Ok(ExitCode::from(stop.exit_code()));
    }
    let is_reached = match &record.datagrams {
        Some(_) => record.bytes_sent > 0,
        None => record.observations.contains_key(observed::CONNECTED),
    };
    if !is_reached {
        anyhow::bail!("{target} was never reached");
    }
    Ok(ExitCode::from(if is_lost(&record) {
        TARGET_LOST
    } else {
        0
    }))
}

/// Whether the target did not survive, or not unharmed. That it is slow is no harm.
fn is_lost(record: &FuzzRecord) -> bool {
    record.target_gone
        || record.observations.contains_key(observed::HUNG)
        || record.findings.iter().any(|finding| finding.what != "slow")
}
