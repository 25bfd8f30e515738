//! All workers of a bulk transfer, and what they come to.

use std::sync::Arc;

use super::BulkPlan;
use super::judge::Judged;
use super::worker::{Done, Worker};
use crate::crew::{CrewError, Observer};
use crate::histograms::{self, Histogram};
use crate::metered::{self, Seen};
use crate::plan::{Plan, nanos};
use crate::record::Interval;
use crate::stop::StopFlag;
use crate::tally::ConnectTally;

/// What a bulk transfer came to.
pub(super) struct BulkOutcome {
    pub(super) judged: Judged,
    pub(super) connects: ConnectTally,
    pub(super) connect: Histogram,
    pub(super) handshake: Histogram,
    pub(super) intervals: Vec<Interval>,
    pub(super) started_unix_ms: u64,
    pub(super) started_mono_ns: u64,
    pub(super) measured_ns: u64,
    pub(super) warmup_ns: u64,
    /// Bytes written and read while measuring.
    pub(super) sent: u64,
    pub(super) received: u64,
    pub(super) cpu_ns: u64,
    pub(super) busiest: f64,
    pub(super) late_ns: u64,
}

/// Runs the transfer to its end, or until `stop` is set.
pub(super) fn run(
    plan: &Plan,
    bulk: &BulkPlan,
    stop: &StopFlag,
    observer: &mut dyn Observer,
) -> Result<BulkOutcome, CrewError> {
    let plan = Arc::new(plan.clone());
    let seen = metered::run(
        plan.threads,
        plan.start_unix_ns,
        |start| plan.timeline(start),
        |index, meter| Worker::new(index, plan.clone(), *bulk, stop.clone(), meter),
        stop,
        observer,
    )?;
    Ok(outcome(&plan, seen))
}

fn outcome(plan: &Plan, seen: Seen<Done>) -> BulkOutcome {
    let Seen {
        timeline,
        done: workers,
        intervals,
        last,
        started_unix_ms,
        late_ns,
    } = seen;
    let counted = intervals.iter().filter(|interval| !interval.warmup);
    let measured_s: f64 = counted.clone().map(|interval| interval.length_s).sum();
    let mut all = BulkOutcome {
        judged: Judged::default(),
        connects: ConnectTally::default(),
        connect: histograms::empty(),
        handshake: histograms::empty(),
        sent: counted.clone().map(|interval| interval.bytes_sent).sum(),
        received: counted.map(|interval| interval.bytes_received).sum(),
        intervals,
        started_unix_ms,
        started_mono_ns: timeline.measure_from,
        measured_ns: (measured_s * 1e9) as u64,
        warmup_ns: nanos(plan.warmup).min(last.saturating_sub(timeline.start)),
        cpu_ns: 0,
        busiest: 0.0,
        late_ns,
    };
    for worker in workers {
        all.judged.add(&worker.judged);
        all.connects.add(&worker.connects);
        for (to, from) in [
            (&mut all.connect, &worker.connect),
            (&mut all.handshake, &worker.handshake),
        ] {
            to.add(from).expect("both have the same bounds");
        }
        all.cpu_ns += worker.load.cpu_ns;
        all.busiest = all.busiest.max(worker.load.busy);
    }
    all
}
