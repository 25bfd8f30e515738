//! What a run came to: plain sums over its workers.

use std::time::{SystemTime, UNIX_EPOCH};

use service::clock::mono_ns;

use crate::crew::WorkerDone;
use crate::histograms::{self, Histogram};
use crate::merge::Merge;
use crate::plan::{Plan, nanos};
use crate::record::Interval;
use crate::stop::StopFlag;
use crate::tally::{ConnectTally, Tally};
use crate::timeline::Timeline;
use crate::udp::Ledger;

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What happened to the requests that count.
    pub measured: Tally,
    /// What happened to connections.
    pub connects: ConnectTally,
    /// Response times.
    pub response: Histogram,
    /// Service times.
    pub service: Histogram,
    /// How late workers came to due slots.
    pub send_lag: Histogram,
    /// How long connecting took.
    pub connect: Histogram,
    /// How long agreeing on TLS took.
    pub handshake: Histogram,
    /// The run in slices.
    pub intervals: Vec<Interval>,
    /// When measuring began, on the wall clock.
    pub started_unix_ms: u64,
    /// When measuring began, in monotonic nanoseconds.
    pub started_mono_ns: u64,
    /// How long it lasted, in nanoseconds.
    pub measured_ns: u64,
    /// How long the warm-up lasted, in nanoseconds.
    pub warmup_ns: u64,
    /// Requests written before measuring ended.
    pub sent_in_time: u64,
    /// Requests that were due and waited for a place when measuring ended.
    pub waiting_at_end: u64,
    /// From the last reply while measuring to its end, in nanoseconds.
    pub silent_ns: u64,
    /// Requests that were due and not even written when the drain ended.
    pub never_written: u64,
    /// Requests that were given up because too many waited.
    pub missed: u64,
    /// CPU time used while measuring, in nanoseconds.
    pub cpu_ns: u64,
    /// The largest share of its core that a worker used, spinning apart.
    pub busiest: f64,
    /// Whether it was ended early.
    pub stopped: bool,
    /// By how much later than its start it was ready.
    pub late_ns: u64,
    /// What datagrams came to, if they were what was sent.
    pub(crate) datagrams: Option<Ledger>,
}

/// Nanoseconds as seconds.
#[must_use]
pub fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

pub(crate) fn outcome(
    timeline: Timeline,
    plan: &Plan,
    stop: &StopFlag,
    workers: &[WorkerDone],
    merge: Merge,
) -> Outcome {
    let ended = workers
        .iter()
        .map(|worker| worker.ended)
        .max()
        .unwrap_or(timeline.start);
    let measured_ns = ended.saturating_sub(timeline.measure_from);
    let last_reply = workers
        .iter()
        .map(|worker| worker.last_reply)
        .max()
        .unwrap_or(0);
    let since_start_ns = mono_ns().saturating_sub(timeline.measure_from);
    let mut all = Outcome {
        measured: Tally::default(),
        connects: ConnectTally::default(),
        response: merge.response,
        service: histograms::empty(),
        send_lag: histograms::empty(),
        connect: histograms::empty(),
        handshake: histograms::empty(),
        intervals: merge.intervals,
        started_unix_ms: unix_ms().saturating_sub(since_start_ns / 1_000_000),
        started_mono_ns: timeline.measure_from,
        measured_ns,
        warmup_ns: nanos(plan.warmup).min(ended.saturating_sub(timeline.start)),
        sent_in_time: 0,
        waiting_at_end: 0,
        silent_ns: ended.saturating_sub(last_reply.max(timeline.measure_from)),
        never_written: 0,
        missed: 0,
        cpu_ns: 0,
        busiest: 0.0,
        stopped: stop.is_set(),
        late_ns: 0,
        datagrams: None,
    };
    for worker in workers {
        all.measured.add(&worker.measured);
        all.connects.add(&worker.connects);
        for (to, from) in [
            (&mut all.service, &worker.service),
            (&mut all.send_lag, &worker.send_lag),
            (&mut all.connect, &worker.connect),
            (&mut all.handshake, &worker.handshake),
        ] {
            to.add(from).expect("both have the same bounds");
        }
        if let Some(datagrams) = &worker.datagrams {
            all.datagrams.get_or_insert_default().add(datagrams);
        }
        all.sent_in_time += worker.sent_in_time;
        all.waiting_at_end += worker.waiting_at_end;
        all.never_written += worker.never_written;
        all.missed += worker.missed;
        all.cpu_ns += worker.load.cpu_ns;
        all.busiest = all.busiest.max(worker.load.busy);
    }
    if !plan.waits_apart() {
        all.service = all.response.clone();
    }
    all
}

pub(crate) fn unix_ms() -> u64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The times of an open loop that went well: 10,000 requests in 10 s, each
    /// answered in 200 µs.
    pub(crate) fn good() -> Outcome {
        let mut response = histograms::empty();
        response.record_n(200_000, 10_000).expect("within bounds");
        let mut send_lag = histograms::empty();
        send_lag.record_n(1_000, 10_000).expect("within bounds");
        Outcome {
            measured: Tally::default(),
            connects: ConnectTally::default(),
            service: response.clone(),
            response,
            send_lag,
            connect: histograms::empty(),
            handshake: histograms::empty(),
            intervals: vec![],
            started_unix_ms: 0,
            started_mono_ns: 0,
            measured_ns: 10_000_000_000,
            warmup_ns: 0,
            sent_in_time: 10_000,
            waiting_at_end: 0,
            silent_ns: 1_000_000,
            never_written: 0,
            missed: 0,
            cpu_ns: 1_000_000_000,
            busiest: 0.1,
            stopped: false,
            late_ns: 0,
            datagrams: None,
        }
    }
}
