//! A worker's sockets before they are open: connecting, agreeing on TLS, failing, trying
//! again.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::io;

use eventloop::{Events, Interest};
use service::clock::mono_ns;

use super::{LONGEST_WAIT, Worker};
use crate::connection::State;
use crate::dialect::Dialect;
use crate::dialer::{failure_of, first_bytes};
use crate::feed::Feed;
use crate::link::Link;
use crate::plan::nanos;
use crate::tally::{ConnectFailure, Failure};

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
        // A request that is tried once has a connection of its own, so that only whether
        // anybody is there is to be found out now.
        let wanted = match self.plan.transport.one_try {
            true => 1,
            false => self.connections.len(),
        };
        for at in wanted..self.connections.len() {
            self.connections[at].state = State::Idle;
            self.list(at);
        }
        loop {
            while next < wanted && self.connecting.len() < OPENING_AT_ONCE {
                self.dial(next, mono_ns());
                next += 1;
            }
            self.drop_settled();
            if self.connecting.is_empty() && next == wanted || self.stop.is_set() {
                return Ok(());
            }
            self.poller.wait(events, Some(LONGEST_WAIT))?;
            for (token, readiness) in events.iter() {
                self.event(token as usize, readiness);
            }
            self.time_out_connects(mono_ns());
        }
    }

    /// The socket is connected: it is open, unless TLS is to be agreed on first.
    pub(super) fn connected(&mut self, at: usize, since: u64) {
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

    pub(super) fn shake_hands(&mut self, at: usize, since: u64) {
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

    pub(super) fn dial(&mut self, at: usize, now: u64) {
        let connection = &mut self.connections[at];
        connection.id = self.next_id;
        self.next_id = self.next_id.wrapping_add(self.ids_apart);
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
        if matches!(self.feed, Feed::Closed(_)) && self.slices.timeline.start > 0 {
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
        if self.opens_when_due() {
            self.give_up(at);
        } else {
            self.rest(at);
        }
    }

    /// Whether connections are only opened for requests that are due, one for each try.
    fn opens_when_due(&self) -> bool {
        self.plan.transport.one_try && self.slices.timeline.start > 0
    }

    /// Gives up the requests of a connection that could not be opened; the next request
    /// opens another.
    pub(super) fn give_up(&mut self, at: usize) {
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
        if self.opens_when_due() {
            self.connections[at].disconnect(State::Idle);
            return self.list(at);
        }
        let connection = &mut self.connections[at];
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
