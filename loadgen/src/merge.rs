//! Adding up the workers' parts of each slice of the run.

use std::collections::BTreeMap;

use crate::crew::{Connections, Observer, SliceDone};
use crate::histograms::{self, Histogram};
use crate::kinds::Kinds;
use crate::outcome::seconds;
use crate::record::Interval;
use crate::timeline::{Phase, Slice};

/// Adds up the workers' parts of each slice.
pub(crate) struct Merge {
    /// Slices that each worker has reported; the largest number when it is done.
    reported: Vec<usize>,
    open: BTreeMap<usize, Pending>,
    /// Response times of what counts.
    pub(crate) response: Histogram,
    /// The slices so far.
    pub(crate) intervals: Vec<Interval>,
}

struct Pending {
    slice: Slice,
    sent: u64,
    answered: u64,
    failed: u64,
    kinds: Kinds,
    connections: Connections,
    response: Histogram,
}

impl Merge {
    pub(crate) fn new(workers: usize) -> Self {
        Self {
            reported: vec![0; workers],
            open: BTreeMap::new(),
            response: histograms::empty(),
            intervals: Vec::new(),
        }
    }

    /// Adds a part, and gives its histogram back, empty, if it is not needed.
    pub(crate) fn add(&mut self, part: SliceDone) -> Option<Histogram> {
        let SliceDone {
            worker,
            slice,
            sent,
            answered,
            failed,
            kinds,
            connections,
            mut response,
        } = part;
        self.reported[worker] = slice.index + 1;
        let Some(pending) = self.open.get_mut(&slice.index) else {
            let pending = Pending {
                slice,
                sent,
                answered,
                failed,
                kinds,
                connections,
                response,
            };
            self.open.insert(slice.index, pending);
            return None;
        };
        pending.slice.end = pending.slice.end.max(slice.end);
        pending.sent += sent;
        pending.answered += answered;
        pending.failed += failed;
        pending.kinds.add(&kinds);
        pending.connections.add(&connections);
        pending
            .response
            .add(&response)
            .expect("both have the same bounds");
        response.reset();
        Some(response)
    }

    /// Notes that a worker reports no more slices.
    pub(crate) fn worker_is_done(&mut self, worker: usize) {
        self.reported[worker] = usize::MAX;
    }

    /// Reports the slices that no worker will add to.
    pub(crate) fn report(&mut self, observer: &mut dyn Observer) {
        let complete = self.reported.iter().copied().min().unwrap_or(usize::MAX);
        while let Some(first) = self.open.first_entry()
            && *first.key() < complete
        {
            let pending = first.remove();
            let idle = pending.sent + pending.answered + pending.failed == 0;
            if pending.slice.phase == Phase::Drain && idle {
                continue;
            }
            let interval = pending.interval();
            if !interval.warmup {
                self.response
                    .add(&pending.response)
                    .expect("both have the same bounds");
            }
            observer.slice(&interval, &pending.response);
            self.intervals.push(interval);
        }
    }
}

impl Pending {
    fn interval(&self) -> Interval {
        let percentiles = histograms::percentiles(&self.response);
        Interval {
            start_mono_ns: self.slice.start,
            length_s: seconds(self.slice.end.saturating_sub(self.slice.start)),
            warmup: self.slice.phase == Phase::Warmup,
            sent: self.sent,
            answered: self.answered,
            failed: self.failed,
            failed_kinds: self.kinds.named(),
            connections_opened: self.connections.opened,
            connections_completed: self.connections.completed,
            connections_failed: self.connections.failed,
            bytes_sent: 0,
            bytes_received: 0,
            p50_us: percentiles.p50,
            p99_us: percentiles.p99,
            max_us: percentiles.max,
            response: histograms::encode(&self.response),
        }
    }
}
