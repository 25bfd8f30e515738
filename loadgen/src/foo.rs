//! `loadgen foo` and the messages of `loadgen tcp`: from arguments to an exit code.

use std::process::ExitCode;

use anyhow::Context as _;
use service::cli::USAGE;
use service::signals::Stop;

use crate::args::{FooArgs, LoadArgs};
use crate::config::{Config, Machine, fresh_seed};
use crate::crew;
use crate::floor;
use crate::idle::{Crowd, IdlePlan};
use crate::output::{Output, Unit, Wanted};
use crate::stop::{StopFlag, on_signals};
use crate::summary::{exit_code, record, record_of_nothing};

/// Carries out the arguments.
pub(crate) fn run(args: &FooArgs) -> ExitCode {
    let machine = Machine::look();
    let config = match Config::new(args, machine, fresh_seed()) {
        Ok(config) => config,
        Err(error) => return service::cli::exit(Err(error), USAGE),
    };
    carry_out(&args.load, &config, machine, None)
}

/// Runs what is configured, with idle connections beside it if they are wanted.
pub(crate) fn carry_out(
    args: &LoadArgs,
    config: &Config,
    machine: Machine,
    idle: Option<&IdlePlan>,
) -> ExitCode {
    Output::used(Wanted::of(args, config, Unit::Requests), |output| {
        measure(args, config, machine, idle, output)
    })
}

fn measure(
    args: &LoadArgs,
    config: &Config,
    machine: Machine,
    idle: Option<&IdlePlan>,
    mut output: Output,
) -> anyhow::Result<ExitCode> {
    let stop = StopFlag::default();
    let signal = on_signals(stop.clone()).context("cannot listen for signals")?;
    let floor = if args.floor.is_zero() {
        None
    } else {
        floor::measure(&config.plan, args.floor, machine.descriptors, &stop)
    };
    let mut config = config.clone();
    match output.meet(config.shard.as_mut(), &stop) {
        Ok(start) => config.plan.start_unix_ns = start,
        Err(error) => return output.not_begun(&error, &signal),
    }
    let config = &config;
    output.begin(config);
    let mut crowd = match idle {
        Some(idle) => Some(Crowd::gather(&config.plan, idle, &stop).context("idle connections")?),
        None => None,
    };
    let outcome = match crew::run(&config.plan, &stop, &mut output) {
        Ok(outcome) => outcome,
        Err(error) => {
            return output.nothing_came(&error, &signal, |connects, why| {
                record_of_nothing(config, connects, why)
            });
        }
    };
    let mut record = record(config, &outcome, floor);
    if let Some(crowd) = &mut crowd {
        record.counts.idle = Some(crowd.check(&stop).context("idle connections")?);
    }
    let stopped = signal.try_recv().ok();
    if let Some(stopped) = stopped {
        let name = match stopped {
            Stop::Interrupt => "SIGINT",
            Stop::Terminate => "SIGTERM",
        };
        record
            .notes
            .push(format!("stopped early by {name}: this record is partial"));
    }
    if let Some(shard) = &config.shard {
        let slots = config.plan.mode.rate().map(|_| outcome.send_lag.len());
        shard.enter(&mut record, outcome.late_ns, slots, stopped.is_some());
    }
    output.finish(&record, &outcome)?;
    Ok(ExitCode::from(
        stopped.map_or_else(|| exit_code(&record), Stop::exit_code),
    ))
}
