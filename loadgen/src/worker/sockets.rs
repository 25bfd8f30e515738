//! A worker's sockets: opening, writing, reading, ending and opening again.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::io;

use eventloop::{Events, Fill, Interest, Readiness};
use service::clock::mono_ns;

use super::{LONGEST_WAIT, Worker};
use crate::connection::State;
use crate::dialect::Dialect;
use crate::dialer::{failure_of, first_bytes};
use crate::feed::Feed;
use crate::link::Link;
use crate::plan::nanos;
use crate::tally::{Breakage, ConnectFailure, Failure};

/// Connections of a worker that are opened at the same time before the run. Several
/// workers together stay well below the backlog of any listener.
const OPENING_AT_ONCE: usize = 64;

/// First pause before a failed connection is tried again; each failure doubles it.
const FIRST_REST_NS: u64 = 10_000_000;

/// Longest pause before a failed connection is tried again.
const LONGEST_REST_NS: u64 = 1_000_000_000;

impl<D: Dialect> Worker<D> {
    pub(super) fn open_all(&mut self, events: &mut Events) -> io::Result<()> {
        let mut next = 0;
        loop {
            while next < self.connections.len() && self.connecting.len() < OPENING_AT_ONCE {
                self.dial(next, mono_ns());
                next += 1;
            }
            self.drop_settled();
            if self.connecting.is_empty() && next == self.connections.len() || self.stop.is_set() {
                return Ok(());
            }
            self.poller.wait(events, Some(LONGEST_WAIT))?;
            for (token, readiness) in events.iter() {
                self.event(token as usize, readiness);
            }
            self.time_out_connects(mono_ns());
        }
    }

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

    /// The socket is connected: it is open, unless TLS is to be agreed on first.
    fn connected(&mut self, at: usize, since: u64) {
        let now = mono_ns();
        self.connect_time.saturating_record(now - since);
        let connection = &mut self.connections[at];
        if connection.link.as_ref().is_some_and(Link::is_shaking_hands) {
            connection.state = State::ShakingHands(now);
            self.connecting.push_back((now, at, connection.id));
            return self.shake_hands(at, now);
        }
        self.opened(at, since);
    }

    fn shake_hands(&mut self, at: usize, since: u64) {
        let Some(link) = &mut self.connections[at].link else {
            return;
        };
        match link.shake_hands() {
            Ok(true) => {
                self.handshake_time.saturating_record(mono_ns() - since);
                self.opened(at, since);
            }
            Ok(false) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                self.connect_failed(at, ConnectFailure::Reset);
            }
            Err(error) => self.connect_failed(at, failure_of(&error)),
        }
    }

    pub(super) fn read(&mut self, at: usize, ended: bool) {
        let connection = &mut self.connections[at];
        let Some(link) = &mut connection.link else {
            return;
        };
        // Other workers' connections are numbered in step with ours.
        let connections = self.next_id.saturating_add(self.plan.threads as u32);
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
        let connection = &mut self.connections[at];
        if !connection.half_closed || connection.tracker.open() > 0 {
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
        if self.over.is_some() || now >= self.timeline.end {
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
            if !closed.take(now, self.timeline.measure_from) {
                break;
            }
            connection.push(now, &self.recorder.dialect);
        }
        self.flush(at);
    }

    pub(super) fn dial(&mut self, at: usize, now: u64) {
        let connection = &mut self.connections[at];
        connection.id = self.next_id;
        self.next_id = self.next_id.wrapping_add(self.plan.threads as u32);
        let transport = &self.plan.transport;
        let dialed = self.dialer.dial().and_then(|fd| {
            self.poller.add(&fd, at as u64, Interest::Edge)?;
            let first = first_bytes(transport, &fd, self.dialer.target())?;
            Link::new(fd, transport, &first)
        });
        match dialed {
            Ok(link) => {
                connection.link = Some(link);
                connection.state = State::Connecting(now);
                self.connecting.push_back((now, at, connection.id));
                self.list(at);
            }
            Err(error) => self.connect_failed(at, failure_of(&error)),
        }
    }

    pub(super) fn opened(&mut self, at: usize, since: u64) {
        let now = mono_ns();
        self.connects.opened += 1;
        let connection = &mut self.connections[at];
        connection.state = State::Open;
        connection.failures = 0;
        self.list(at);
        self.flush(at);
        // Before the start a closed loop is filled by `begin`.
        if matches!(self.feed, Feed::Closed(_)) && self.timeline.start > 0 {
            // A request that had to wait for its connection was due when that was begun.
            let due = if self.plan.requests_per_connection > 0 {
                since
            } else {
                now
            };
            self.refill(at, due);
        }
    }

    pub(super) fn connect_failed(&mut self, at: usize, why: ConnectFailure) {
        self.connects.fail(why);
        self.dialer.failed();
        if self.plan.transport.one_try && self.timeline.start > 0 {
            self.give_up(at);
        } else {
            self.rest(at);
        }
    }

    /// Gives up the requests of a connection that could not be opened; the next request
    /// opens another.
    fn give_up(&mut self, at: usize) {
        let Feed::Open(open) = &mut self.feed else {
            return self.rest(at);
        };
        let connection = &mut self.connections[at];
        let mut unsent = VecDeque::new();
        connection.tracker.take_unwritten(&mut unsent);
        if unsent.is_empty() {
            // It failed at once, before it was given the request that it was opened for.
            unsent.extend(open.take());
        }
        for due in unsent {
            let books = &mut self.recorder.books;
            books.of(due).never_written += 1;
            self.given_up += u64::from(due >= books.measure_from && self.over.is_none());
        }
        connection.disconnect(State::Idle);
        self.list(at);
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

    /// Gives back what was not written, and tries again after a pause.
    pub(super) fn rest(&mut self, at: usize) {
        let connection = &mut self.connections[at];
        let mut unsent = VecDeque::new();
        connection.tracker.take_unwritten(&mut unsent);
        connection
            .tracker
            .end(Failure::Reset, &mut self.recorder.books);
        if let Feed::Open(open) = &mut self.feed {
            open.returned().append(&mut unsent);
        }
        connection.disconnect(State::Resting);
        let pause = FIRST_REST_NS << connection.failures.min(7);
        connection.failures += 1;
        self.rests
            .push(Reverse((mono_ns() + pause.min(LONGEST_REST_NS), at)));
    }

    /// Opens connections again whose pause is over.
    pub(super) fn try_again(&mut self, now: u64) {
        while let Some(Reverse((when, at))) = self.rests.peek().copied()
            && when <= now
        {
            self.rests.pop();
            self.dial(at, now);
        }
    }

    pub(super) fn time_out_connects(&mut self, now: u64) {
        self.drop_settled();
        while let Some((since, at, _)) = self.connecting.front().copied()
            && now.saturating_sub(since) >= nanos(self.plan.connect_timeout)
        {
            self.connecting.pop_front();
            self.connect_failed(at, ConnectFailure::Timeout);
            self.drop_settled();
        }
    }

    /// Forgets attempts at the front of the line that are settled.
    pub(super) fn drop_settled(&mut self) {
        while let Some((since, at, id)) = self.connecting.front() {
            let connection = &self.connections[*at];
            let is_settled = connection.state != State::Connecting(*since)
                && connection.state != State::ShakingHands(*since);
            if connection.id == *id && !is_settled {
                return;
            }
            self.connecting.pop_front();
        }
    }
}
