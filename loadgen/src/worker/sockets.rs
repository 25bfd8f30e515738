//! A worker's open sockets: writing, reading, ending.

use std::cmp::Reverse;

use eventloop::{Fill, Readiness};
use service::clock::mono_ns;

use super::Worker;
use crate::connection::State;
use crate::dialect::Dialect;
use crate::dialer::failure_of;
use crate::feed::Feed;
use crate::tally::{Breakage, Failure};

impl<D: Dialect> Worker<D> {
    pub(super) fn flush_dirty(&mut self) {
        while let Some(at) = self.dirty.pop() {
            self.connections[at].dirty = false;
            self.flush(at);
        }
    }

    pub(super) fn flush(&mut self, at: usize) {
        let connection = &mut self.connections[at];
        if connection.state == State::Open {
            connection
                .tracker
                .written(mono_ns(), &mut self.recorder.books);
            self.send(at);
        }
    }

    /// Writes what the socket takes, and ends our side if that was the last. `false` if
    /// the connection is lost.
    fn send(&mut self, at: usize) -> bool {
        let connection = &mut self.connections[at];
        let Some(link) = &mut connection.link else {
            return false;
        };
        let sent = match link.flush() {
            Ok(true) if self.plan.transport.half_close && !connection.half_closed => {
                let quota = self.plan.requests_per_connection;
                let was_last = quota > 0 && connection.tracker.given() >= quota;
                connection.half_closed = was_last || self.ending;
                if connection.half_closed {
                    link.shutdown_write()
                } else {
                    Ok(())
                }
            }
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        if sent.is_err() {
            self.lost(at, Failure::Reset);
        }
        sent.is_ok()
    }

    /// Ends our sides of all connections when nothing more will be written.
    pub(super) fn end_ours(&mut self) {
        if self.ending || self.over.is_none() || self.waiting() > 0 {
            return;
        }
        self.ending = true;
        for at in 0..self.connections.len() {
            self.flush(at);
        }
    }

    pub(super) fn event(&mut self, at: usize, readiness: Readiness) {
        let connection = &mut self.connections[at];
        let Some(link) = &mut connection.link else {
            return;
        };
        match connection.state {
            State::Connecting(since) => {
                if !readiness.writable() {
                    return;
                }
                match eventloop::net::connect_result(&*link) {
                    Ok(()) => self.connected(at, since),
                    Err(error) => self.connect_failed(at, failure_of(&error)),
                }
            }
            State::ShakingHands(since) => self.shake_hands(at, since),
            State::Open if readiness.writable() && link.has_unsent() => {
                if !self.send(at) {
                    return;
                }
            }
            State::Open | State::Idle | State::Resting => {}
        }
        if readiness.readable() && self.connections[at].state == State::Open {
            self.read(at, readiness.ended());
        }
    }

    pub(super) fn read(&mut self, at: usize, ended: bool) {
        let connection = &mut self.connections[at];
        let Some(link) = &mut connection.link else {
            return;
        };
        // Others' connections are numbered in step with ours.
        let connections = self.next_id.saturating_add(self.ids_apart);
        self.recorder.dialect.turn_to(connection.id, connections);
        let mut now = 0;
        loop {
            if self.plan.transport.read_rate.is_some() {
                now = mono_ns();
                if let Some(when) = link.paused_until(now) {
                    self.pauses.push(Reverse((when, at)));
                    return self.freed(at, now);
                }
            }
            match link.fill(now) {
                Ok(Fill::Data(bytes)) => {
                    now = mono_ns();
                    connection.heard = true;
                    let taken = self.recorder.take(
                        link.inbound(),
                        &mut connection.tracker,
                        &mut connection.cutting,
                        now,
                    );
                    match taken {
                        Some(taken) => link.consume(taken),
                        None => return self.lost(at, Failure::Corrupted),
                    }
                    // The end of the stream is no new edge.
                    if link.is_emptied_by(bytes) && !ended {
                        return self.freed(at, now);
                    }
                }
                Ok(Fill::Blocked) => return self.freed(at, mono_ns()),
                Ok(Fill::End) => return self.ended(at),
                Err(_) => return self.lost(at, Failure::Reset),
            }
        }
    }

    /// Reads connections again that had to pause.
    pub(super) fn read_again(&mut self, now: u64) {
        while let Some(Reverse((when, at))) = self.pauses.peek().copied()
            && when <= now
        {
            self.pauses.pop();
            if self.connections[at].state == State::Open {
                self.read(at, true);
            }
        }
    }

    /// The target has ended its side.
    fn ended(&mut self, at: usize) {
        let quota = self.plan.requests_per_connection;
        let connection = &self.connections[at];
        let has_sent_all = quota > 0 && connection.tracker.given() >= quota;
        let is_done = connection.half_closed || has_sent_all;
        if !is_done || connection.tracker.open() > 0 {
            return self.lost(at, Failure::Closed);
        }
        self.complete(at);
        if matches!(self.feed, Feed::Closed(_)) {
            self.refill(at, mono_ns());
        } else {
            self.list(at);
        }
    }

    /// Closes a connection that has done its part.
    fn complete(&mut self, at: usize) {
        self.connects.completed += 1;
        self.settle_rest(at);
        let connection = &mut self.connections[at];
        connection.tracker.finish(&mut self.recorder.books);
        connection.disconnect(State::Idle);
    }

    /// Settles bytes that are no whole reply, on a connection that ends.
    fn settle_rest(&mut self, at: usize) {
        let connection = &mut self.connections[at];
        if let Some(link) = &connection.link {
            let rest = link.inbound().len();
            self.recorder
                .take_rest(rest, &mut connection.tracker, &connection.cutting);
        }
    }

    /// Replies may have freed places on an open connection.
    pub(super) fn freed(&mut self, at: usize, now: u64) {
        let quota = self.plan.requests_per_connection;
        let connection = &self.connections[at];
        let is_done = quota > 0
            && connection.tracker.given() >= quota
            && connection.tracker.open() == 0
            && !self.plan.transport.half_close;
        if is_done {
            self.complete(at);
        }
        match self.feed {
            Feed::Open(_) => self.list(at),
            Feed::Closed(_) => self.refill(at, now),
        }
    }

    pub(super) fn list(&mut self, at: usize) {
        let connection = &mut self.connections[at];
        let quota = self.plan.requests_per_connection;
        if !connection.listed && connection.places(self.plan.pipeline, quota) > 0 {
            connection.listed = true;
            self.ready.push_back(at);
        }
    }

    /// Closed loop: fills all free places and writes.
    pub(super) fn refill(&mut self, at: usize, now: u64) {
        if self.over.is_some() || now >= self.slices.timeline.end {
            return;
        }
        let quota = self.plan.requests_per_connection;
        let connection = &mut self.connections[at];
        let places = connection.places(self.plan.pipeline, quota);
        if places == 0 {
            return;
        }
        let Feed::Closed(closed) = &mut self.feed else {
            return;
        };
        if closed.left == 0 {
            return;
        }
        if connection.state == State::Idle {
            // It is filled when it is open, or tried again when it cannot be opened.
            return self.dial(at, now);
        }
        for _ in 0..places {
            if !closed.take(now, self.slices.timeline.measure_from) {
                break;
            }
            connection.push(now, &self.recorder.dialect);
        }
        self.flush(at);
    }

    pub(super) fn lost(&mut self, at: usize, why: Failure) {
        self.settle_rest(at);
        let connection = &mut self.connections[at];
        let is_idle = connection.tracker.open() == 0;
        match (why, connection.heard) {
            (Failure::Reset, _) | (Failure::Closed, _) if is_idle => self.connects.closed_idle += 1,
            (Failure::Reset, false) => self.connects.breaks(Breakage::ResetBeforeByte),
            (Failure::Reset, true) => self.connects.breaks(Breakage::Reset),
            (Failure::Closed, false) => self.connects.breaks(Breakage::ClosedBeforeByte),
            (Failure::Closed, true) => self.connects.breaks(Breakage::ClosedEarly),
            _ => self.connects.breaks(Breakage::Spoilt),
        }
        connection.tracker.end(why, &mut self.recorder.books);
        self.rest(at);
    }
}
