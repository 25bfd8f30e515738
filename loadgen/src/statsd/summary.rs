//! From what the workers came to, to a record.

use std::collections::BTreeMap;

use super::ledger::{Ranges, Sums};
use super::plan::StatsdPlan;
use super::validity::{invalid_reasons, notes};
use super::worker::Done;
use crate::config::StatsdConfig;
use crate::histograms::{self, Histogram, encode, percentiles};
use crate::metered::Seen;
use crate::outcome::seconds;
use crate::plan::nanos;
use crate::record::{Client, Counts, Interval, Latencies, LoadRecord, SCHEMA_VERSION, Statsd};
use crate::tally::{ConnectTally, Tally, counts};

/// What a run came to.
pub(super) struct Outcome {
    pub(super) all: Sums,
    pub(super) measured: Sums,
    pub(super) ranges: Vec<[u64; 2]>,
    pub(super) ranges_complete: bool,
    pub(super) connects: ConnectTally,
    pub(super) connect: Histogram,
    pub(super) send_lag: Histogram,
    pub(super) intervals: Vec<Interval>,
    pub(super) started_unix_ms: u64,
    pub(super) started_mono_ns: u64,
    pub(super) measured_ns: u64,
    pub(super) warmup_ns: u64,
    /// Lines sent before measuring ended, or kept from it by the target.
    pub(super) tried_in_time: u64,
    /// Lines that were due and not even written.
    pub(super) missed: u64,
    pub(super) came_back: u64,
    pub(super) segments: bool,
    pub(super) cpu_ns: u64,
    pub(super) busiest: f64,
    /// By how much later than its start it was ready.
    pub(super) late_ns: u64,
}

impl Outcome {
    /// Adds up the workers' parts.
    pub(super) fn new(plan: &StatsdPlan, seen: Seen<Done>) -> Self {
        let timeline = seen.timeline;
        let (ranges, ranges_complete) = Ranges::join(seen.done.iter().map(|one| &one.ranges));
        let mut all = Self {
            all: Sums::default(),
            measured: Sums::default(),
            ranges,
            ranges_complete,
            connects: ConnectTally::default(),
            connect: histograms::empty(),
            send_lag: histograms::empty(),
            intervals: seen.intervals,
            started_unix_ms: seen.started_unix_ms,
            late_ns: seen.late_ns,
            started_mono_ns: timeline.measure_from,
            measured_ns: seen.last.saturating_sub(timeline.measure_from),
            warmup_ns: nanos(plan.warmup).min(seen.last.saturating_sub(timeline.start)),
            tried_in_time: 0,
            missed: 0,
            came_back: 0,
            segments: false,
            cpu_ns: 0,
            busiest: 0.0,
        };
        for worker in &seen.done {
            all.all.add(&worker.all);
            all.measured.add(&worker.measured);
            all.connects.add(&worker.connects);
            for (to, from) in [
                (&mut all.connect, &worker.connect),
                (&mut all.send_lag, &worker.send_lag),
            ] {
                to.add(from).expect("both have the same bounds");
            }
            all.tried_in_time += worker.tried_in_time;
            all.missed += worker.missed;
            all.came_back += worker.came_back;
            all.segments |= worker.segments;
            all.cpu_ns += worker.load.cpu_ns;
            all.busiest = all.busiest.max(worker.load.busy);
        }
        all
    }

    /// So many per second while measuring.
    pub(super) fn per_second(&self, number: u64) -> f64 {
        if self.measured_ns == 0 {
            return 0.0;
        }
        number as f64 / seconds(self.measured_ns)
    }
}

/// The record of a run.
pub(super) fn record(config: &StatsdConfig, outcome: &Outcome) -> LoadRecord {
    let plan = &config.plan;
    let measured = &outcome.measured;
    let invalid_reasons = invalid_reasons(plan, outcome);
    let histograms = [
        ("send_lag", &outcome.send_lag),
        ("connect", &outcome.connect),
    ];
    LoadRecord {
        valid: invalid_reasons.is_empty(),
        invalid_reasons,
        notes: notes(plan, outcome),
        achieved_rate: outcome.per_second(measured.lines),
        started_unix_ms: outcome.started_unix_ms,
        started_mono_ns: outcome.started_mono_ns,
        measured_s: seconds(outcome.measured_ns),
        warmup_s: seconds(outcome.warmup_ns),
        counts: Counts {
            sent: measured.lines,
            one_way: measured.lines,
            never_written: measured.not_sent_total() + outcome.missed,
            ..counts(&Tally::default(), &outcome.connects)
        },
        latency_us: Latencies {
            send_lag: percentiles(&outcome.send_lag),
            connect: percentiles(&outcome.connect),
            ..Latencies::default()
        },
        histograms: histograms
            .map(|(name, histogram)| (name.to_owned(), encode(histogram)))
            .into(),
        intervals: outcome.intervals.clone(),
        client: Client {
            cpu_s: seconds(outcome.cpu_ns),
            busiest_worker: outcome.busiest,
            ..client(plan)
        },
        statsd: Some(Statsd {
            lines_total: outcome.all.lines,
            datagrams_total: outcome.all.datagrams,
            bytes_total: outcome.all.bytes,
            numbers: outcome.all.lines + outcome.all.not_sent_total(),
            not_sent: outcome.all.kinds(),
            not_sent_ranges: outcome.ranges.clone(),
            not_sent_ranges_complete: outcome.ranges_complete,
            datagrams_refused: outcome.came_back,
            datagrams: measured.datagrams,
            bytes: measured.bytes,
            lines_per_s: outcome.per_second(measured.lines),
            datagrams_per_s: outcome.per_second(measured.datagrams),
            bytes_per_s: outcome.per_second(measured.bytes),
            segmentation: outcome.segments,
            ..asked(config)
        }),
        ..empty(config)
    }
}

/// The record of a run that could not begin because no connection could be opened.
pub(super) fn record_of_nothing(
    config: &StatsdConfig,
    connects: &ConnectTally,
    why: &str,
) -> LoadRecord {
    let mut record = LoadRecord {
        invalid_reasons: vec![why.to_owned()],
        counts: counts(&Tally::default(), connects),
        ..empty(config)
    };
    if let Some(shard) = &config.shard {
        shard.enter(&mut record, 0, None, false);
    }
    record
}

fn empty(config: &StatsdConfig) -> LoadRecord {
    let plan = &config.plan;
    LoadRecord {
        schema_version: SCHEMA_VERSION,
        config: config.flags.clone(),
        seed: plan.seed,
        mode: plan.mode().to_owned(),
        valid: false,
        invalid_reasons: vec![],
        notes: vec![],
        target_rate: plan.own_rate(),
        achieved_rate: 0.0,
        started_unix_ms: 0,
        started_mono_ns: service::clock::mono_ns(),
        measured_s: 0.0,
        warmup_s: 0.0,
        counts: Counts::default(),
        latency_us: Latencies::default(),
        histograms: BTreeMap::new(),
        intervals: vec![],
        client: client(plan),
        bulk: None,
        statsd: Some(asked(config)),
        udp: None,
        shard: None,
        shards: vec![],
    }
}

fn client(plan: &StatsdPlan) -> Client {
    Client {
        threads: plan.threads,
        pacer: plan.pacer.name().to_owned(),
        ..Client::default()
    }
}

/// What was asked for.
fn asked(config: &StatsdConfig) -> Statsd {
    let plan = &config.plan;
    let lines = &plan.lines;
    Statsd {
        sender: lines.sender().to_owned(),
        transport: plan.way.name().to_owned(),
        not_sent_ranges_complete: true,
        lines_per_datagram: plan.pack,
        mtu: plan.mtu as u64,
        keys: lines.keys().number(),
        popularity: lines.keys().popularity().to_string(),
        types: lines.types(),
        ..Statsd::default()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// 10,000 lines in 10 s, none of them late.
    pub(in crate::statsd) fn good() -> Outcome {
        let mut send_lag = histograms::empty();
        send_lag.record_n(1_000, 10_000).expect("within bounds");
        Outcome {
            all: Sums::default(),
            measured: Sums::default(),
            ranges: vec![],
            ranges_complete: true,
            connects: ConnectTally::default(),
            connect: histograms::empty(),
            send_lag,
            intervals: vec![],
            started_unix_ms: 0,
            started_mono_ns: 0,
            measured_ns: 10_000_000_000,
            warmup_ns: 0,
            tried_in_time: 10_000,
            missed: 0,
            came_back: 0,
            segments: false,
            cpu_ns: 0,
            busiest: 0.1,
            late_ns: 0,
        }
    }
}
