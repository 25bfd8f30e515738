//! Records of shards as clients would have left them: of a whole load that was made up, each
//! has the requests whose slots are its own.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use loadgen::histograms::{Histogram, empty, encode, percentiles};
use loadgen::record::{
    Client, Counts, Interval, Latencies, LoadRecord, SCHEMA_VERSION, Shard, WallClock,
};
use serde_json::json;

/// Slices of time: one of warm-up, three that are measured, and what is answered after them.
pub(crate) const SLICES: usize = 5;

const SECOND: u64 = 1_000_000_000;

/// When the first slice begins on the machine of a shard: their clocks have nothing in common.
fn begin(shard: u64) -> u64 {
    (shard + 1) * 1_000 * SECOND + shard
}

/// A request of the whole load.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// The slice in which it ends.
    pub(crate) slice: usize,
    /// How long the answer took.
    pub(crate) response_ns: u64,
    /// How late it was sent.
    pub(crate) lag_ns: u64,
    /// What came of it.
    pub(crate) end: End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Acked,
    Naked,
    Lost,
    Reset,
    Unanswered,
    NeverWritten,
}

/// A calm load: 4,000 requests, one a millisecond, each answered in a time of its own.
pub(crate) fn calm() -> Vec<Request> {
    let request = |slot: u64| Request {
        slice: (slot / 1_000) as usize,
        response_ns: 200_000 + slot * 37 % 90_000,
        lag_ns: 900 + slot % 300,
        end: if slot.is_multiple_of(8) {
            End::Naked
        } else {
            End::Acked
        },
    };
    (0..4_000).map(request).collect()
}

/// The record of those requests; those of shard I of N, or of one client if none is given.
pub(crate) fn record(requests: &[Request], shard: Option<(u64, u64)>) -> LoadRecord {
    let (index, count) = shard.unwrap_or((0, 1));
    let own = |slot: &usize| *slot as u64 % count == index;
    let own = (0..requests.len()).filter(own).map(|slot| &requests[slot]);
    let mut sums = Sums::default();
    own.for_each(|request| sums.take(request));
    let [response, service, send_lag, connect] =
        [&sums.response, &sums.response, &sums.lag, &empty()].map(Histogram::clone);
    let histograms = [
        ("response", &response),
        ("service", &service),
        ("send_lag", &send_lag),
        ("connect", &connect),
    ];
    let slots = sums.counts.sent + sums.counts.never_written;
    LoadRecord {
        schema_version: SCHEMA_VERSION,
        config: config(shard),
        seed: 7,
        mode: "open".to_owned(),
        valid: true,
        invalid_reasons: vec![],
        notes: vec!["told by all".to_owned()],
        target_rate: Some(1_000.0 / count as f64),
        achieved_rate: sums.counts.sent as f64 / 3.0,
        started_unix_ms: 1_795_243_513_000,
        started_mono_ns: begin(index) + SECOND,
        measured_s: 3.0,
        warmup_s: 1.0,
        latency_us: Latencies {
            response: percentiles(&response),
            service: percentiles(&service),
            send_lag: percentiles(&send_lag),
            ..Latencies::default()
        },
        histograms: histograms
            .map(|(name, histogram)| (name.to_owned(), encode(histogram)))
            .into(),
        intervals: sums.intervals(begin(index)),
        counts: Counts {
            connections: 1,
            ..sums.counts
        },
        client: Client {
            threads: 1,
            cpu_s: 0.25,
            busiest_worker: 0.1 + index as f64 / 1e3,
            pacer: "hybrid".to_owned(),
            floor_us: None,
        },
        bulk: None,
        statsd: None,
        udp: None,
        shard: shard.map(|(index, count)| Shard {
            index,
            count,
            told_by: "--shard".to_owned(),
            host: format!("node-{index}"),
            start_unix_ns: 1_795_243_512 * SECOND,
            late_ns: 0,
            late_allowed_ns: 100_000_000,
            clock: WallClock {
                synchronised: true,
                max_error_us: Some(900),
                estimated_error_us: Some(12),
            },
            slots: Some(slots),
        }),
        shards: vec![],
    }
}

fn config(shard: Option<(u64, u64)>) -> BTreeMap<String, serde_json::Value> {
    let mut config = BTreeMap::new();
    for (key, value) in [
        ("connect", json!("127.0.0.1:8002")),
        ("rate", json!(1_000.0)),
        ("connections", json!(4)),
        ("warmup", json!("1s")),
        ("duration", json!("3s")),
        ("interval", json!("1s")),
        ("requests", json!(null)),
        ("seed", json!(7)),
        ("verify", json!("seq")),
    ] {
        config.insert(key.to_owned(), value);
    }
    if let Some((index, count)) = shard {
        config.insert("shard".to_owned(), json!(format!("{index}/{count}")));
        config.insert("threads".to_owned(), json!(index + 1));
        config.insert("out".to_owned(), json!(format!("/node-{index}/results")));
    }
    config
}

struct Sums {
    counts: Counts,
    response: Histogram,
    lag: Histogram,
    slices: Vec<(Interval, Histogram)>,
}

impl Default for Sums {
    fn default() -> Self {
        Self {
            counts: Counts::default(),
            response: empty(),
            lag: empty(),
            slices: (0..SLICES)
                .map(|_| (Interval::default(), empty()))
                .collect(),
        }
    }
}

impl Sums {
    fn take(&mut self, request: &Request) {
        let Request {
            slice,
            response_ns,
            lag_ns,
            end,
        } = request;
        let (interval, histogram) = &mut self.slices[*slice];
        let mut unseen = Counts::default();
        let counts = if *slice == 0 {
            &mut unseen
        } else {
            &mut self.counts
        };
        if *end == End::NeverWritten {
            counts.never_written += 1;
            return;
        }
        counts.sent += 1;
        interval.sent += 1;
        match end {
            End::Acked => counts.acked += 1,
            End::Naked => counts.naked += 1,
            End::Unanswered => counts.unanswered += 1,
            End::Lost | End::Reset | End::NeverWritten => {
                let kind = if *end == End::Lost { "lost" } else { "reset" };
                *counts.failed.entry(kind.to_owned()).or_default() += 1;
                interval.failed += 1;
                *interval.failed_kinds.entry(kind.to_owned()).or_default() += 1;
            }
        }
        let is_answered = matches!(end, End::Acked | End::Naked);
        if is_answered {
            interval.answered += 1;
            histogram.record(*response_ns).expect("within bounds");
        }
        if *slice > 0 {
            self.lag.record(*lag_ns).expect("within bounds");
            if is_answered {
                self.response.record(*response_ns).expect("within bounds");
            }
        }
    }

    /// The slices; what is answered after them only if anything is, as clients leave it.
    fn intervals(&self, begin: u64) -> Vec<Interval> {
        let slices = self.slices.iter().enumerate();
        let slices = slices.filter(|(at, (interval, _))| *at + 1 < SLICES || interval.sent > 0);
        slices
            .map(|(at, (interval, histogram))| {
                let times = percentiles(histogram);
                Interval {
                    start_mono_ns: begin + at as u64 * SECOND,
                    length_s: if at + 1 < SLICES { 1.0 } else { 0.5 },
                    warmup: at == 0,
                    p50_us: times.p50,
                    p99_us: times.p99,
                    max_us: times.max,
                    response: encode(histogram),
                    ..interval.clone()
                }
            })
            .collect()
    }
}

/// Writes a shard's record where a load client would.
pub(crate) fn write(directory: &Path, record: &LoadRecord) {
    let shard = record.shard.as_ref().expect("a shard");
    let name = format!("shard-{}-of-{}.json", shard.index, shard.count);
    let text = serde_json::to_string(record).expect("a record");
    fs::write(directory.join(name), text).expect("a file");
}
