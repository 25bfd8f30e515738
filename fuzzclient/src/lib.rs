//! Garbage for servers and proxies: seeded, fast, and recorded.
//!
//! In reading order: `args` is the command line, `plan` what it asks for, [`generate`]
//! makes the bytes of each connection, `budget` says how many of them may leave now,
//! `session` is one connection, [`attack`] opens and drives them, `observed` collects
//! what becomes of them, [`recording`] keeps what was sent, [`record`] is what is left
//! of it all, `report` says it in text. `statsd` is the same in datagrams, which are simpler.
//!
//! It never uses a codec for what it sends raw, never sends to another machine unless
//! told to, and never lets the target's answers pile up: it reads all the time.

mod args;
pub mod attack;
mod budget;
pub mod generate;
mod observed;
mod plan;
pub mod record;
pub mod recording;
mod report;
mod session;
mod statsd;

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;

use service::cli::USAGE;
use service::ready::Ready;
use service::signals::StopSignals;

use args::Mode;
pub use attack::Attack;
pub use plan::Plan;
pub use record::{FuzzRecord, SessionRecord};

/// Exit code when the target was never reached, or the client itself failed.
const FAILED: u8 = 1;

/// Exit code when the target is gone or hangs.
const TARGET_LOST: u8 = 4;

/// Runs the client with the arguments of this process.
pub fn main() -> ExitCode {
    run(std::env::args_os().collect())
}

/// Runs the client with these arguments; the first is the program's name.
#[must_use]
pub fn run(args: Vec<OsString>) -> ExitCode {
    let usage = |error: anyhow::Error| {
        eprintln!("error: {error:#}");
        ExitCode::from(USAGE)
    };
    let outcome = match service::cli::parse::<args::FuzzClient>(args) {
        Ok(client) => match client.mode {
            Mode::Foo(flags) => match flags.plan() {
                Ok(plan) => attack(&flags, plan),
                Err(error) => return usage(error),
            },
            Mode::Statsd(flags) => match flags.target() {
                Ok(target) => flags.attack(target),
                Err(error) => return usage(error),
            },
        },
        Err(code) => return code,
    };
    service::cli::exit(outcome.map_err(|error| format!("{error:#}")), FAILED)
}

/// Sends what was asked for, reports, and chooses the exit code.
fn attack(flags: &args::Foo, plan: Plan) -> anyhow::Result<ExitCode> {
    let output = report::Output::open(flags.json.as_deref(), flags.quiet)?;
    let attack = Attack::new(plan)?;
    let interrupt = Arc::clone(&attack.interrupt);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (record, stopped) = runtime.block_on(async {
        let mut signals = StopSignals::listen()?;
        Ready::new("fuzzclient foo", []).announce(flags.ready_fd)?;
        let mut running = tokio::task::spawn_blocking(move || attack.run());
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
    if !record.observations.contains_key(observed::CONNECTED) {
        anyhow::bail!("{} was never reached", flags.connect);
    }
    let lost = record.target_gone || record.observations.contains_key(observed::HUNG);
    Ok(ExitCode::from(if lost { TARGET_LOST } else { 0 }))
}
