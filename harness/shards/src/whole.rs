//! The record of the whole, from its parts and their sums.

use std::collections::BTreeMap;

use loadgen::record::{Client, Counts, Latencies, LoadRecord, Percentiles, SCHEMA_VERSION};
use loadgen::validity;
use serde_json::Value;

use crate::add;
use crate::notes;
use crate::part::Part;
use crate::refusal::{Refusal, Why};
use crate::sums::{Finished, Total};

/// Puts the record together. `parts` are all of them, in the order of their numbers.
pub(crate) fn record(mut parts: Vec<Part>, finished: Finished) -> Result<LoadRecord, Refusal> {
    let shards = parts.iter().map(Part::figures).collect();
    let config = config(&parts);
    let measured_s = longest(&parts, |record| record.measured_s);
    let sent_in_time: f64 = parts
        .iter()
        .map(|part| part.record.achieved_rate * part.record.measured_s)
        .sum();
    let mut counts = Counts::default();
    let (mut bulk, mut statsd, mut udp) = (None, None, None);
    for part in &mut parts {
        add::counts(&mut counts, &part.record.counts);
        add::bulk(&mut bulk, part.record.bulk.take(), measured_s);
        add::statsd(&mut statsd, part.record.statsd.take());
        add::udp(&mut udp, part.record.udp.take());
    }
    let first = &parts[0];
    if let Some(statsd) = &mut statsd {
        let ranges = std::mem::take(&mut statsd.not_sent_ranges);
        statsd.not_sent_ranges = add::joined(ranges).ok_or_else(|| {
            let why = "a line that it did not send is one of another shard's too";
            first.refusal(Why::Sums(why.to_owned()))
        })?;
    }
    let target_rate = target_rate(&parts);
    let invalid_reasons: Vec<String> = target_rate
        .and_then(|_| late(&finished.totals))
        .into_iter()
        .collect();
    let times = |name: &str| {
        let total = finished.totals.get(name);
        total.map_or_else(Percentiles::default, |total| total.percentiles.clone())
    };
    Ok(LoadRecord {
        schema_version: SCHEMA_VERSION,
        config,
        seed: first.record.seed,
        mode: first.record.mode.clone(),
        valid: invalid_reasons.is_empty(),
        invalid_reasons,
        notes: notes::of(&parts),
        target_rate,
        achieved_rate: sent_in_time / measured_s.max(1e-9),
        started_unix_ms: parts
            .iter()
            .map(|part| part.record.started_unix_ms)
            .min()
            .unwrap_or_default(),
        started_mono_ns: first.record.started_mono_ns,
        measured_s,
        warmup_s: longest(&parts, |record| record.warmup_s),
        counts,
        latency_us: Latencies {
            response: times("response"),
            service: times("service"),
            send_lag: times("send_lag"),
            connect: times("connect"),
            handshake: times("handshake"),
        },
        histograms: finished
            .totals
            .into_iter()
            .map(|(name, total)| (name, total.text))
            .collect(),
        intervals: finished.intervals,
        client: client(&parts),
        bulk,
        statsd,
        udp,
        shard: None,
        shards,
    })
}

fn longest(parts: &[Part], of: fn(&LoadRecord) -> f64) -> f64 {
    parts
        .iter()
        .map(|part| of(&part.record))
        .fold(0.0, f64::max)
}

/// The rate of the whole. Shares of it are not all exact, but the sum of them is as close as
/// a millionth of a request.
fn target_rate(parts: &[Part]) -> Option<f64> {
    let sum: Option<f64> = parts.iter().map(|part| part.record.target_rate).sum();
    sum.map(|rate| (rate * 1e6).round() / 1e6)
}

/// Each of them may have come late to what was slow anyway, and the whole to what was not.
fn late(totals: &BTreeMap<String, Total>) -> Option<String> {
    let of = |name: &str| totals.get(name).map(|total| &total.histogram);
    validity::late(of("send_lag")?, of("response")?)
}

/// What all were told; what each was told apart is of no use to the whole.
fn config(parts: &[Part]) -> BTreeMap<String, Value> {
    let first = parts[0].record.config.clone();
    let is_shared = |key: &String, value: &Value| {
        let mut others = parts.iter();
        others.all(|part| part.record.config.get(key) == Some(value))
    };
    let config = first.into_iter();
    config
        .filter(|(key, value)| is_shared(key, value))
        .collect()
}

fn client(parts: &[Part]) -> Client {
    let all = || parts.iter().map(|part| &part.record.client);
    let mut pacers: Vec<&str> = all().map(|client| client.pacer.as_str()).collect();
    pacers.sort_unstable();
    pacers.dedup();
    // Floors cannot be added, and the highest of them bounds what any machine put in.
    let floors = all().filter_map(|client| client.floor_us.as_ref());
    let slowest = floors.max_by(|one, other| {
        let p50 = |floor: &Percentiles| floor.p50.unwrap_or_default();
        p50(one).total_cmp(&p50(other))
    });
    Client {
        threads: all().map(|client| client.threads).sum(),
        cpu_s: all().map(|client| client.cpu_s).sum(),
        busiest_worker: all()
            .map(|client| client.busiest_worker)
            .fold(0.0, f64::max),
        pacer: pacers.join(", "),
        floor_us: slowest.cloned(),
    }
}
