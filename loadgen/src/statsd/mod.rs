//! `loadgen statsd`: statsd lines that nobody answers, each with a number, each accounted
//! for.
//!
//! In reading order: `plan` says what to do; `feed` says when lines are due, `lines` writes
//! their text with the keys of `keys`, `parcel` packs them; `way` is `udp` or `tcp`, which
//! sends them and enters in the `ledger` what became of each; `worker` does all that on one
//! thread; `summary` makes a record of it, which `validity` judges.

mod feed;
mod keys;
mod ledger;
mod lines;
mod parcel;
mod plan;
mod stream;
mod summary;
mod tcp;
mod udp;
mod validity;
mod way;
mod worker;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use anyhow::Context as _;
use service::cli::USAGE;
use service::signals::Stop;
use service::units::format_duration;

pub use self::keys::{MOST_KEYS, Popularity};
pub use self::lines::Type;
pub(crate) use self::lines::{Lines, Text};
pub(crate) use self::plan::{Pace, StatsdPlan};
use self::summary::{Outcome, record, record_of_nothing};
use self::worker::Worker;
use crate::args::StatsdArgs;
use crate::config::{Machine, StatsdConfig, fresh_seed};
use crate::metered;
use crate::output::{Output, Unit, Wanted};
use crate::stop::{StopFlag, on_signals};
use crate::summary::exit_code;

/// Carries out the arguments.
pub(crate) fn run(args: &StatsdArgs) -> ExitCode {
    let config = match StatsdConfig::new(args, Machine::look(), fresh_seed()) {
        Ok(config) => config,
        Err(error) => return service::cli::exit(Err(error), USAGE),
    };
    let plan = &config.plan;
    let wanted = Wanted {
        json: args.outputs.json.as_deref(),
        shard: config.shard.as_ref(),
        hlog: None,
        events_fd: args.outputs.events_fd,
        ready_fd: args.outputs.ready_fd,
        quiet: args.outputs.quiet,
        program: "loadgen statsd",
        target: args.connect.to_string(),
        lasts: plan.duration.map(|long| long + plan.warmup),
        unit: Unit::Lines,
    };
    Output::used(wanted, |output| measure(args, &config, output))
}

fn measure(
    args: &StatsdArgs,
    config: &StatsdConfig,
    mut output: Output,
) -> anyhow::Result<ExitCode> {
    let stop = StopFlag::default();
    let signal = on_signals(stop.clone()).context("cannot listen for signals")?;
    output.say(&headline(args, config));
    let mut config = config.clone();
    match output.meet(config.shard.as_mut(), &stop) {
        Ok(start) => config.plan.start_unix_ns = start,
        Err(error) => return output.not_begun(&error, &signal),
    }
    let config = &config;
    let plan = Arc::new(config.plan.clone());
    let numbers = config.shard.is_none().then(Arc::<AtomicU64>::default);
    let seen = metered::run(
        plan.threads,
        plan.start_unix_ns,
        |start| plan.timeline(start),
        |index, meter| Worker::new(index, plan.clone(), stop.clone(), numbers.clone(), meter),
        &stop,
        &mut output,
    );
    let seen = match seen {
        Ok(seen) => seen,
        Err(error) => {
            return output.nothing_came(&error, &signal, |connects, why| {
                record_of_nothing(config, connects, why)
            });
        }
    };
    let outcome = Outcome::new(&plan, seen);
    let mut record = record(config, &outcome);
    let stopped = signal.try_recv().ok();
    if stopped.is_some() {
        record
            .notes
            .push("stopped early by a signal: this record is partial".to_owned());
    }
    if let Some(shard) = &config.shard {
        let slots = plan.rate().map(|_| outcome.send_lag.len());
        shard.enter(&mut record, outcome.late_ns, slots, stopped.is_some());
    }
    output.finish_statsd(&record)?;
    Ok(ExitCode::from(
        stopped.map_or_else(|| exit_code(&record), Stop::exit_code),
    ))
}

/// What is about to run, in one line.
fn headline(args: &StatsdArgs, config: &StatsdConfig) -> String {
    let shard = config
        .shard
        .as_ref()
        .map_or_else(String::new, |shard| format!("{}: ", shard.place));
    let plan = &config.plan;
    let pace = match plan.pace {
        Pace::Rate { rate, .. } => format!("{rate} lines/s"),
        Pace::Bursts { lines, every } => {
            format!("{lines} lines at once every {}", format_duration(every))
        }
        Pace::Max => "as many lines as the socket takes".to_owned(),
    };
    format!(
        "loadgen statsd → {} ({}): {shard}{pace}, {} in a datagram, {} keys, {} threads, {} sockets, \
         pacer {}, seed {}",
        args.connect,
        plan.way.name(),
        plan.pack,
        args.keys,
        plan.threads,
        plan.connections,
        plan.pacer.name(),
        plan.seed,
    )
}
