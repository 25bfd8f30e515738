//! `loadgen tcp --bulk`: bytes as fast as the target takes or gives them, each checked.
//!
//! [`pattern`] says what the bytes are, [`stream`] moves those of one connection,
//! [`worker`] those of a thread, [`judge`] says what became of each connection, [`crew`]
//! starts the workers and looks at their meters once for each slice.

mod crew;
mod judge;
mod pattern;
mod stream;
mod worker;

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::Context as _;
use service::signals::Stop;

use self::crew::BulkOutcome;
use crate::args::{BulkArg, LoadArgs};
use crate::config::Config;
use crate::histograms::{encode, percentiles};
use crate::idle::{Crowd, IdlePlan};
use crate::outcome::seconds;
use crate::output::{Output, Unit, Wanted};
use crate::record::{Bulk, Client, Latencies, LoadRecord, SCHEMA_VERSION};
use crate::stop::{StopFlag, on_signals};
use crate::summary::{exit_code, record_of_nothing};
use crate::tally::counts;
use crate::validity::MOST_BUSY;

/// A bulk transfer.
#[derive(Clone, Copy, Debug)]
pub struct BulkPlan {
    /// Which way.
    pub direction: BulkArg,
    /// Bytes on each connection, if they are limited.
    pub bytes: Option<u64>,
    /// Seed of the bytes.
    pub seed: u64,
    /// Whether what is received is checked.
    pub verify: bool,
}

/// Carries out a bulk transfer.
pub(crate) fn carry_out(
    args: &LoadArgs,
    config: &Config,
    bulk: &BulkPlan,
    idle: Option<&IdlePlan>,
) -> ExitCode {
    Output::used(Wanted::of(args, config, Unit::Bytes), |output| {
        measure(args, config, bulk, idle, output)
    })
}

fn measure(
    args: &LoadArgs,
    config: &Config,
    bulk: &BulkPlan,
    idle: Option<&IdlePlan>,
    mut output: Output,
) -> anyhow::Result<ExitCode> {
    let stop = StopFlag::default();
    let signal = on_signals(stop.clone()).context("cannot listen for signals")?;
    output.say(&format!(
        "loadgen tcp → {}: bulk {}, {} connections, {} threads",
        args.connect,
        bulk.direction.name(),
        config.plan.own_connections(),
        config.plan.threads,
    ));
    let mut config = config.clone();
    match output.meet(config.shard.as_mut(), &stop) {
        Ok(start) => config.plan.start_unix_ns = start,
        Err(error) => return output.not_begun(&error, &signal),
    }
    let config = &config;
    let mut crowd = match idle {
        Some(idle) => Some(Crowd::gather(&config.plan, idle, &stop).context("idle connections")?),
        None => None,
    };
    let outcome = match crew::run(&config.plan, bulk, &stop, &mut output) {
        Ok(outcome) => outcome,
        Err(error) => {
            return output.nothing_came(&error, &signal, |connects, why| {
                record_of_nothing(config, connects, why)
            });
        }
    };
    let came = bulk_record(bulk, &outcome);
    let mut record = record(config, &outcome, came.clone());
    if let Some(crowd) = &mut crowd {
        record.counts.idle = Some(crowd.check(&stop).context("idle connections")?);
    }
    let stopped = signal.try_recv().ok();
    if stopped.is_some() {
        record
            .notes
            .push("stopped early by a signal: this record is partial".to_owned());
    }
    if let Some(shard) = &config.shard {
        shard.enter(&mut record, outcome.late_ns, None, stopped.is_some());
    }
    output.finish_bulk(&record, &came)?;
    Ok(ExitCode::from(
        stopped.map_or_else(|| exit_code(&record), Stop::exit_code),
    ))
}

fn bulk_record(plan: &BulkPlan, outcome: &BulkOutcome) -> Bulk {
    let per_second = |bytes: u64| bytes as f64 / seconds(outcome.measured_ns).max(1e-9);
    let (sent, received) = (per_second(outcome.sent), per_second(outcome.received));
    Bulk {
        direction: plan.direction.name().to_owned(),
        bytes_sent: outcome.sent,
        bytes_received: outcome.received,
        sent_bytes_per_s: sent,
        received_bytes_per_s: received,
        sent_gbit_per_s: sent * 8.0 / 1e9,
        received_gbit_per_s: received * 8.0 / 1e9,
        wrong_bytes: outcome.judged.wrong,
        first_wrong_at: outcome.judged.first_wrong,
        missing_bytes: outcome.judged.missing,
    }
}

fn record(config: &Config, outcome: &BulkOutcome, bulk: Bulk) -> LoadRecord {
    let plan = &config.plan;
    let mut histograms = BTreeMap::from([("connect".to_owned(), encode(&outcome.connect))]);
    if plan.transport.tls.is_some() {
        histograms.insert("handshake".to_owned(), encode(&outcome.handshake));
    }
    let mut notes = vec![];
    if outcome.busiest > MOST_BUSY {
        notes.push(format!(
            "a worker was busy for {:.0} % of its core: the client may have been the limit",
            outcome.busiest * 100.0
        ));
    }
    LoadRecord {
        schema_version: SCHEMA_VERSION,
        config: config.flags.clone(),
        seed: plan.seed,
        mode: plan.mode.name().to_owned(),
        valid: true,
        invalid_reasons: vec![],
        notes,
        target_rate: None,
        achieved_rate: 0.0,
        started_unix_ms: outcome.started_unix_ms,
        started_mono_ns: outcome.started_mono_ns,
        measured_s: seconds(outcome.measured_ns),
        warmup_s: seconds(outcome.warmup_ns),
        counts: counts(&outcome.judged.tally, &outcome.connects),
        latency_us: Latencies {
            connect: percentiles(&outcome.connect),
            handshake: percentiles(&outcome.handshake),
            ..Latencies::default()
        },
        histograms,
        intervals: outcome.intervals.clone(),
        client: Client {
            threads: plan.threads,
            cpu_s: seconds(outcome.cpu_ns),
            busiest_worker: outcome.busiest,
            pacer: plan.pacer.name().to_owned(),
            floor_us: None,
        },
        bulk: Some(bulk),
        statsd: None,
        udp: None,
        shard: None,
        shards: vec![],
    }
}
