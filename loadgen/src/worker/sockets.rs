//! A worker's sockets: opening, writing, reading, ending and opening again.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::io;

use eventloop::{Events, Fill, Interest, Readiness, Stream};
use service::clock::mono_ns;

use super::{LONGEST_WAIT, Worker};
use crate::connection::State;
use crate::dialer::failure_of;
use crate::feed::Feed;
use crate::plan::nanos;
use crate::tally::{ConnectFailure, Failure};

/// Connections of a worker that are opened at the same time before the run. Several
/// workers together stay well below the backlog of any listener.
const OPENING_AT_ONCE: usize = 64;

/// First pause before a failed connection is tried again; each failure doubles it.
const FIRST_REST_NS: u64 = 10_000_000;

/// Longest pause before a failed connection is tried again.
const LONGEST_REST_NS: u64 = 1_000_000_000;

/// Bytes that a read offers room for at least; fewer than that is all there was.
const SHORT_READ: usize = 64 * 1024;

impl Worker {
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
        let State::Open = connection.state else {
            return;
        };
        let Some(stream) = &mut connection.stream else {
            return;
        };
        connection
            .tracker
            .written(mono_ns(), &mut self.recorder.books);
        if stream.flush().is_err() {
            self.lost(at, Failure::Reset);
        }
    }

    pub(super) fn event(&mut self, at: usize, readiness: Readiness) {
        let connection = &mut self.connections[at];
        let Some(stream) = &mut connection.stream else {
            return;
        };
        if let State::Connecting(since) = connection.state {
            if !readiness.writable() {
                return;
            }
            match eventloop::net::connect_result(&*stream) {
                Ok(()) => self.opened(at, since),
                Err(error) => self.connect_failed(at, failure_of(&error)),
            }
            if !readiness.readable() {
                return;
            }
        } else if readiness.writable() && stream.unsent() > 0 && stream.flush().is_err() {
            self.lost(at, Failure::Reset);
            return;
        }
        if readiness.readable() {
            self.read(at, readiness.ended());
        }
    }

    pub(super) fn read(&mut self, at: usize, ended: bool) {
        let connection = &mut self.connections[at];
        let Some(stream) = &mut connection.stream else {
            return;
        };
        self.recorder.judge.connection = connection.id;
        // Other workers' connections are numbered in step with ours.
        self.recorder.judge.connections = self.next_id.saturating_add(self.plan.threads as u32);
        loop {
            match stream.fill() {
                Ok(Fill::Data(bytes)) => {
                    let now = mono_ns();
                    let inbound = stream.inbound();
                    match self.recorder.take(inbound, &mut connection.tracker, now) {
                        Some(taken) => stream.consume(taken),
                        None => return self.lost(at, Failure::Corrupted),
                    }
                    // A short read has emptied the socket, and what comes later is a
                    // new edge; the end of the stream is none.
                    if bytes < SHORT_READ && !ended {
                        return self.freed(at, now);
                    }
                }
                Ok(Fill::Blocked) => return self.freed(at, mono_ns()),
                Ok(Fill::End) => return self.lost(at, Failure::Closed),
                Err(_) => return self.lost(at, Failure::Reset),
            }
        }
    }

    /// Replies may have freed places on an open connection.
    pub(super) fn freed(&mut self, at: usize, now: u64) {
        let quota = self.plan.requests_per_connection;
        let connection = &mut self.connections[at];
        if quota > 0 && connection.tracker.given() >= quota && connection.tracker.open() == 0 {
            connection.tracker.finish(&mut self.recorder.books);
            connection.stream = None;
            connection.state = State::Idle;
            connection.tracker.restart();
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
            connection.push(now, &self.payload);
        }
        self.flush(at);
    }

    pub(super) fn dial(&mut self, at: usize, now: u64) {
        let connection = &mut self.connections[at];
        connection.id = self.next_id;
        self.next_id = self.next_id.wrapping_add(self.plan.threads as u32);
        let dialed = self.dialer.dial().and_then(|fd| {
            self.poller.add(&fd, at as u64, Interest::Edge)?;
            Ok(fd)
        });
        match dialed {
            Ok(fd) => {
                connection.stream = Some(Stream::new(fd));
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
        self.connect_time.saturating_record(now - since);
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
        self.rest(at);
    }

    pub(super) fn lost(&mut self, at: usize, why: Failure) {
        self.connections[at]
            .tracker
            .end(why, &mut self.recorder.books);
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
        connection.tracker.restart();
        connection.stream = None;
        connection.state = State::Resting;
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
            if connection.id == *id && connection.state == State::Connecting(*since) {
                return;
            }
            self.connecting.pop_front();
        }
    }
}
