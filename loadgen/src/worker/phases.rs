//! A worker's way through the phases of the run, and what it reports at their ends.

use std::collections::VecDeque;

use service::clock::mono_ns;

use super::{Over, Worker};
use crate::connection::State;
use crate::crew::{Connections, FromWorker, WorkerDone};
use crate::dialect::Dialect;
use crate::feed::Feed;
use crate::plan::nanos;
use crate::tally::Breakage;

/// After a request to stop, how long late answers are waited for.
pub(crate) const DRAIN_WHEN_STOPPED_NS: u64 = 200_000_000;

impl<D: Dialect> Worker<D> {
    /// Enters slices and phases, and ends sending when it is time.
    pub(super) fn keep_time(&mut self, now: u64) {
        if self.over.is_none() {
            if let Some(stopped) = self.stop.at() {
                self.slices.end_by(stopped);
            }
            let exhausted = match &self.feed {
                Feed::Open(open) => open.exhausted_at(),
                Feed::Closed(closed) => (closed.left == 0).then_some(now),
            };
            if now >= self.slices.timeline.end {
                self.end_sending(self.slices.timeline.end, now);
            } else if let Some(at) = exhausted {
                self.end_sending(at, now);
            }
        }
        let connections = Connections::of(&self.connects);
        self.slices
            .keep_time(now, &mut self.recorder, connections, &mut self.meter);
    }

    pub(super) fn end_sending(&mut self, at: u64, now: u64) {
        let waiting = match &mut self.feed {
            Feed::Open(open) => {
                let from = self.slices.timeline.measure_from;
                while open.reach(now, at, from, &mut self.send_lag) {}
                open.stop();
                open.waiting()
            }
            Feed::Closed(_) => 0,
        };
        let drain = match self.stop.at() {
            Some(_) => nanos(self.plan.drain).min(DRAIN_WHEN_STOPPED_NS),
            None => nanos(self.plan.drain),
        };
        let sent = self.recorder.books.measured.sent + self.given_up;
        let last_reply = self.recorder.last_reply;
        let deadline = now.saturating_add(drain);
        self.over = Some(Over {
            at,
            sent,
            waiting,
            last_reply,
            deadline,
        });
        self.meter.end(now);
    }

    pub(super) fn done(mut self) {
        let mut unwritten = VecDeque::new();
        if let Feed::Open(open) = &mut self.feed {
            unwritten.extend(std::iter::from_fn(|| open.take()));
        }
        for connection in &mut self.connections {
            connection.tracker.take_unwritten(&mut unwritten);
            if let Some(link) = &connection.link {
                let rest = link.inbound().len();
                self.recorder
                    .take_rest(rest, &mut connection.tracker, &connection.cutting);
            }
            if connection.state == State::Open && connection.tracker.open() == 0 {
                if self.plan.transport.half_close {
                    self.connects.breaks(Breakage::NoEnd);
                } else {
                    self.connects.completed += 1;
                }
            }
            connection.tracker.finish(&mut self.recorder.books);
        }
        for due in &unwritten {
            self.recorder.books.of(*due).never_written += 1;
        }
        let connections = Connections::of(&self.connects);
        let end = mono_ns().max(self.slices.slice.start);
        self.slices.hand_over(end, &mut self.recorder, connections);
        let Some(over) = self.over else { return };
        let never_written = unwritten.len() as u64;
        let missed = match &self.feed {
            Feed::Open(open) => open.missed(),
            Feed::Closed(_) => 0,
        };
        let done = WorkerDone {
            worker: self.slices.worker,
            measured: self.recorder.books.measured,
            connects: self.connects,
            service: self.recorder.service,
            send_lag: self.send_lag,
            connect: self.connect_time,
            handshake: self.handshake_time,
            ended: over.at,
            sent_in_time: over.sent,
            waiting_at_end: over.waiting,
            last_reply: over.last_reply,
            never_written,
            missed,
            load: self.meter,
            datagrams: None,
        };
        self.slices.report(FromWorker::Done(Box::new(done)));
    }
}
