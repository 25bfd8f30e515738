//! From what a run came to, to its record and its exit code.

use std::collections::BTreeMap;

use crate::config::Config;
use crate::histograms::{encode, percentiles};
use crate::outcome::{Outcome, seconds};
use crate::record::{Client, Latencies, LoadRecord, Percentiles, SCHEMA_VERSION};
use crate::tally::{ConnectTally, counts};
use crate::udp;
use crate::validity::{achieved, invalid_reasons, notes};

/// The record of a run.
#[must_use]
pub fn record(config: &Config, outcome: &Outcome, floor: Option<Percentiles>) -> LoadRecord {
    let plan = &config.plan;
    let invalid_reasons = invalid_reasons(plan, outcome);
    let mut histograms = vec![
        ("response", &outcome.response),
        ("service", &outcome.service),
        ("send_lag", &outcome.send_lag),
        ("connect", &outcome.connect),
    ];
    if plan.transport.tls.is_some() {
        histograms.push(("handshake", &outcome.handshake));
    }
    LoadRecord {
        schema_version: SCHEMA_VERSION,
        config: config.flags.clone(),
        seed: plan.seed,
        mode: plan.mode.name().to_owned(),
        valid: invalid_reasons.is_empty(),
        invalid_reasons,
        notes: notes(plan, outcome),
        target_rate: plan.own_rate(),
        achieved_rate: achieved(outcome),
        started_unix_ms: outcome.started_unix_ms,
        started_mono_ns: outcome.started_mono_ns,
        measured_s: seconds(outcome.measured_ns),
        warmup_s: seconds(outcome.warmup_ns),
        counts: counts(&outcome.measured, &outcome.connects),
        latency_us: Latencies {
            response: percentiles(&outcome.response),
            service: percentiles(&outcome.service),
            send_lag: percentiles(&outcome.send_lag),
            connect: percentiles(&outcome.connect),
            handshake: percentiles(&outcome.handshake),
        },
        histograms: histograms
            .into_iter()
            .map(|(name, h)| (name.to_owned(), encode(h)))
            .collect(),
        intervals: outcome.intervals.clone(),
        client: Client {
            threads: plan.threads,
            cpu_s: seconds(outcome.cpu_ns),
            busiest_worker: outcome.busiest,
            pacer: plan.pacer.name().to_owned(),
            floor_us: floor,
        },
        bulk: None,
        statsd: None,
        udp: udp::told(plan, outcome.datagrams.as_ref()),
        shard: None,
        shards: vec![],
    }
}

/// The record of a run that could not begin because no connection could be opened.
#[must_use]
pub fn record_of_nothing(config: &Config, connects: &ConnectTally, why: &str) -> LoadRecord {
    let plan = &config.plan;
    let mut record = LoadRecord {
        schema_version: SCHEMA_VERSION,
        config: config.flags.clone(),
        seed: plan.seed,
        mode: plan.mode.name().to_owned(),
        valid: false,
        invalid_reasons: vec![why.to_owned()],
        notes: vec![],
        target_rate: plan.own_rate(),
        achieved_rate: 0.0,
        started_unix_ms: 0,
        started_mono_ns: service::clock::mono_ns(),
        measured_s: 0.0,
        warmup_s: 0.0,
        counts: counts(&crate::tally::Tally::default(), connects),
        latency_us: Latencies::default(),
        histograms: BTreeMap::new(),
        intervals: vec![],
        client: Client {
            threads: plan.threads,
            pacer: plan.pacer.name().to_owned(),
            ..Client::default()
        },
        bulk: None,
        statsd: None,
        udp: None,
        shard: None,
        shards: vec![],
    };
    if let Some(shard) = &config.shard {
        shard.enter(&mut record, 0, None, false);
    }
    record
}

/// 0 when all is well, 1 when something failed, 3 when the run is invalid.
#[must_use]
pub fn exit_code(record: &LoadRecord) -> u8 {
    let counts = &record.counts;
    let failed = counts.failed_total() > 0
        || counts.unanswered > 0
        || counts.never_written > 0
        || !counts.extra_answers.is_empty()
        || !counts.connect_failed.is_empty()
        || !counts.connections_broken.is_empty()
        || counts
            .idle
            .as_ref()
            .is_some_and(|idle| !idle.failed.is_empty() || !idle.connect_failed.is_empty())
        || record
            .statsd
            .as_ref()
            .is_some_and(|statsd| statsd.datagrams_refused > 0)
        || counts.acked + counts.naked + counts.one_way == 0;
    match (failed, record.valid) {
        (true, _) => 1,
        (false, false) => 3,
        (false, true) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Counts;

    #[test]
    fn failures_go_before_invalidity() {
        let empty = LoadRecord {
            schema_version: SCHEMA_VERSION,
            config: BTreeMap::new(),
            seed: 0,
            mode: "open".to_owned(),
            valid: true,
            invalid_reasons: vec![],
            notes: vec![],
            target_rate: None,
            achieved_rate: 0.0,
            started_unix_ms: 0,
            started_mono_ns: 0,
            measured_s: 0.0,
            warmup_s: 0.0,
            counts: Counts {
                sent: 2,
                acked: 1,
                naked: 1,
                ..Counts::default()
            },
            latency_us: Latencies::default(),
            histograms: BTreeMap::new(),
            intervals: vec![],
            client: Client::default(),
            bulk: None,
            statsd: None,
            udp: None,
            shard: None,
            shards: vec![],
        };
        assert_eq!(exit_code(&empty), 0);
        let invalid = LoadRecord {
            valid: false,
            ..empty.clone()
        };
        assert_eq!(exit_code(&invalid), 3);
        let one = || BTreeMap::from([("kind".to_owned(), 1)]);
        let good = invalid.counts.clone();
        for counts in [
            Counts {
                failed: one(),
                ..good.clone()
            },
            Counts {
                extra_answers: one(),
                ..good.clone()
            },
            Counts {
                connect_failed: one(),
                ..good.clone()
            },
            Counts {
                unanswered: 1,
                ..good.clone()
            },
            Counts {
                never_written: 1,
                ..good.clone()
            },
            Counts::default(),
        ] {
            assert_eq!(
                exit_code(&LoadRecord {
                    counts,
                    ..invalid.clone()
                }),
                1
            );
        }
    }
}
