//! A worker's way through the slices of a run, and what it reports at their ends.

use std::sync::mpsc::{Receiver, Sender};

use crate::crew::{Connections, FromWorker, SliceDone};
use crate::histograms::{self, Histogram};
use crate::kinds::Kinds;
use crate::load_meter::LoadMeter;
use crate::recorder::Recorder;
use crate::timeline::{Phase, Slice, Timeline};

/// Where a worker is in the run, and whom it reports to.
pub(crate) struct Slices {
    /// Its number.
    pub(crate) worker: usize,
    /// The phases.
    pub(crate) timeline: Timeline,
    /// The slice at hand.
    pub(crate) slice: Slice,
    reported: Reported,
    to_crew: Sender<FromWorker>,
    spares: Receiver<Histogram>,
}

/// Counters at the last end of a slice.
#[derive(Clone, Copy, Default)]
struct Reported {
    sent: u64,
    answered: u64,
    failed: u64,
    kinds: Kinds,
    connections: Connections,
}

impl Slices {
    /// Those of worker number `worker`. It reports to `to_crew` and takes cleared histograms
    /// back from `spares`.
    pub(crate) fn new(
        worker: usize,
        to_crew: Sender<FromWorker>,
        spares: Receiver<Histogram>,
    ) -> Self {
        let timeline = Timeline {
            start: 0,
            measure_from: 0,
            end: 0,
            interval: 1,
        };
        Self {
            worker,
            slice: timeline.first(),
            timeline,
            reported: Reported::default(),
            to_crew,
            spares,
        }
    }

    /// The run begins. Connections that were opened before it are in no slice.
    pub(crate) fn begin<D>(
        &mut self,
        timeline: Timeline,
        recorder: &mut Recorder<D>,
        connections: Connections,
    ) {
        self.timeline = timeline;
        self.slice = timeline.first();
        self.reported.connections = connections;
        recorder.books.measure_from = timeline.measure_from;
        recorder.enter(self.slice.phase);
    }

    /// Measuring ends at `at`, if it does not end before.
    pub(crate) fn end_by(&mut self, at: u64) {
        self.timeline.end = self.timeline.end.min(at);
        self.slice.end = self.slice.end.min(self.timeline.end).max(self.slice.start);
    }

    /// Enters the slice of `now`, and reports those before it.
    pub(crate) fn keep_time<D>(
        &mut self,
        now: u64,
        recorder: &mut Recorder<D>,
        connections: Connections,
        meter: &mut LoadMeter,
    ) {
        while now >= self.slice.end {
            let next = self.timeline.after(&self.slice);
            self.hand_over(self.slice.end, recorder, connections);
            if next.phase == Phase::Measured && self.slice.phase == Phase::Warmup {
                meter.begin(now);
            }
            recorder.enter(next.phase);
            self.slice = next;
        }
        if !meter.has_begun() && self.slice.phase == Phase::Measured {
            meter.begin(now);
        }
    }

    /// Reports the slice at hand, which ended at `end`.
    pub(crate) fn hand_over<D>(
        &mut self,
        end: u64,
        recorder: &mut Recorder<D>,
        connections: Connections,
    ) {
        let books = &recorder.books;
        let now = Reported {
            sent: books.sent(),
            answered: books.warmup.answered() + books.measured.answered(),
            failed: books.warmup.failed_total() + books.measured.failed_total(),
            kinds: Kinds::of(books),
            connections,
        };
        let empty = self
            .spares
            .try_recv()
            .unwrap_or_else(|_| histograms::empty());
        let done = SliceDone {
            worker: self.worker,
            slice: Slice { end, ..self.slice },
            sent: now.sent - self.reported.sent,
            answered: now.answered - self.reported.answered,
            failed: now.failed - self.reported.failed,
            kinds: now.kinds.since(&self.reported.kinds),
            connections: now.connections.since(&self.reported.connections),
            response: std::mem::replace(&mut recorder.response, empty),
        };
        self.reported = now;
        self.report(FromWorker::Slice(Box::new(done)));
    }

    /// Tells the crew, which may be gone.
    pub(crate) fn report(&self, what: FromWorker) {
        let _ = self.to_crew.send(what);
    }
}
