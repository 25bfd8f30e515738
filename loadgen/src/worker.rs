//! A worker: one thread with its own event loop, connections, schedule share and
//! histograms. It shares nothing with the others while a message passes.
//!
//! One turn of the loop: write what is due, wait for sockets or for the next due slot,
//! read what came. Everything due for a connection in one turn leaves in one write.

mod opening;
mod phases;
mod sockets;

pub(crate) use self::phases::DRAIN_WHEN_STOPPED_NS;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use eventloop::{Events, Poller};
use service::clock::mono_ns;

use crate::connection::{Connection, State};
use crate::crew::{Connections, FromWorker, Hand, Seat};
use crate::dialect::Dialect;
use crate::dialer::Dialer;
use crate::feed::{ClosedLoop, Feed, OpenLoop};
use crate::histograms::{self, Histogram};
use crate::load_meter::LoadMeter;
use crate::plan::{Plan, nanos};
use crate::recorder::Recorder;
use crate::slices::Slices;
use crate::stop::StopFlag;
use crate::tally::ConnectTally;
use crate::timeline::Timeline;

/// Longest wait: a request to stop is seen within this time.
const LONGEST_WAIT: Duration = Duration::from_millis(20);

/// A worker and all it owns.
pub(crate) struct Worker<D: Dialect> {
    plan: Arc<Plan>,
    stop: StopFlag,
    poller: Poller,
    dialer: Dialer,
    connections: Vec<Connection<D>>,
    next_id: u32,
    /// From one connection's number to the next: those in between are others'.
    ids_apart: u32,
    /// Connections with free places, the one that waited longest first.
    ready: VecDeque<usize>,
    dirty: Vec<usize>,
    connecting: VecDeque<(u64, usize, u32)>,
    rests: BinaryHeap<Reverse<(u64, usize)>>,
    /// Connections that may be read again from some moment on.
    pauses: BinaryHeap<Reverse<(u64, usize)>>,
    feed: Feed,
    recorder: Recorder<D>,
    connects: ConnectTally,
    connect_time: Histogram,
    handshake_time: Histogram,
    send_lag: Histogram,
    meter: LoadMeter,
    slices: Slices,
    /// When sending was over, and what was known then.
    over: Option<Over>,
    /// Requests that count and were given up with a connection that could not be opened.
    given_up: u64,
    /// Whether our sides of all connections are ended as soon as they are written.
    ending: bool,
}

#[derive(Clone, Copy)]
struct Over {
    at: u64,
    sent: u64,
    waiting: u64,
    last_reply: u64,
    deadline: u64,
}

impl<D: Dialect> Hand for Worker<D> {
    /// Opens all connections, reports, waits for the start, and runs to the end.
    fn run(mut self, start: &Receiver<Timeline>) -> io::Result<()> {
        // With the default slack of 50 µs every sleep would end that much later.
        let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
        let mut events = Events::new();
        self.open_all(&mut events)?;
        let open = self
            .connections
            .iter()
            .filter(|c| c.state == State::Open)
            .count();
        self.slices.report(FromWorker::Opened {
            open,
            connects: self.connects,
        });
        // The sender is gone when the run was called off.
        let Ok(timeline) = start.recv() else {
            return Ok(());
        };
        self.begin(timeline);
        while self.turn(&mut events)? {}
        self.done();
        Ok(())
    }
}

impl<D: Dialect> Worker<D> {
    /// The worker of `seat`.
    pub(crate) fn new(seat: Seat, dialect: D) -> io::Result<Self> {
        let Seat { plan, stop, slices } = seat;
        let stride = plan.seat(slices.worker);
        let own = stride.share(plan.connections as u64) as usize;
        let feed = match plan.schedule() {
            Some(schedule) => {
                let slots = schedule.share(stride);
                let bound = stride.share(plan.max_backlog).max(1);
                Feed::Open(OpenLoop::new(slots, plan.slot_end(&schedule), bound))
            }
            None => {
                let left = plan.requests.map_or(u64::MAX, |all| stride.share(all));
                Feed::Closed(ClosedLoop { left })
            }
        };
        let spread = plan.requests_per_connection > 0 || plan.own_connections() > 20_000;
        Ok(Self {
            stop,
            poller: Poller::new()?,
            dialer: Dialer::new(
                plan.targets.clone(),
                &plan.transport,
                spread,
                stride.first as usize,
            ),
            connections: (0..own).map(|_| Connection::new(plan.pipeline)).collect(),
            next_id: stride.first as u32,
            ids_apart: stride.step as u32,
            ready: VecDeque::with_capacity(own),
            dirty: Vec::with_capacity(own),
            connecting: VecDeque::with_capacity(own),
            rests: BinaryHeap::new(),
            pauses: BinaryHeap::new(),
            feed,
            recorder: Recorder::new(dialect, plan.waits_apart()),
            connects: ConnectTally::default(),
            connect_time: histograms::empty(),
            handshake_time: histograms::empty(),
            send_lag: histograms::empty(),
            meter: LoadMeter::default(),
            slices,
            over: None,
            given_up: 0,
            ending: false,
            plan,
        })
    }

    fn begin(&mut self, timeline: Timeline) {
        let connections = Connections::of(&self.connects);
        self.slices.begin(timeline, &mut self.recorder, connections);
        if let Feed::Open(open) = &mut self.feed {
            open.begin(timeline.start);
        }
        // Until the start there is nothing to do; late connections can wait as well.
        while mono_ns() + 1_000_000 < timeline.start && !self.stop.is_set() {
            std::thread::sleep(Duration::from_millis(1));
        }
        if matches!(self.feed, Feed::Closed(_)) {
            while mono_ns() < timeline.start {
                std::hint::spin_loop();
            }
            for at in 0..self.connections.len() {
                self.refill(at, mono_ns());
            }
        }
    }

    /// One turn. `false` when the run is over.
    fn turn(&mut self, events: &mut Events) -> io::Result<bool> {
        let now = mono_ns();
        self.keep_time(now);
        let sent_before = self.recorder.books.sent();
        let more_due = self.write_due(now);
        let wrote = self.recorder.books.sent() > sent_before;
        self.try_again(now);
        self.read_again(now);
        self.time_out_connects(now);
        if self.plan.transport.half_close {
            self.end_ours();
        }
        if let Some(over) = self.over
            && (now >= over.deadline || !self.awaits_something())
        {
            return Ok(false);
        }
        let (timeout, polling) = if more_due {
            (Duration::ZERO, false)
        } else {
            self.wait_time(mono_ns())
        };
        self.poller.wait(events, Some(timeout))?;
        if polling && !wrote && events.is_empty() {
            self.meter.spun(mono_ns() - now);
        }
        for (token, readiness) in events.iter() {
            self.event(token as usize, readiness);
        }
        Ok(true)
    }

    /// Whether an answer may still come, or a waiting request may still be written.
    fn awaits_something(&self) -> bool {
        let waiting = self.waiting() > 0;
        let mut connections = self.connections.iter();
        let half_close = self.plan.transport.half_close;
        connections.any(|c| {
            c.tracker.open() > 0
                || (waiting && c.state != State::Resting)
                || (half_close && c.state == State::Open)
        })
    }

    /// Writes what is due to connections with places. `true` if more may be due.
    fn write_due(&mut self, now: u64) -> bool {
        let mut more = false;
        if let (Feed::Open(open), None) = (&mut self.feed, self.over) {
            let from = self.slices.timeline.measure_from;
            more = open.reach(now, self.slices.timeline.end, from, &mut self.send_lag);
        }
        while self.waiting() > 0
            && let Some(at) = self.ready.pop_front()
        {
            self.connections[at].listed = false;
            if self.connections[at].state == State::Idle {
                self.dial(at, now);
                if self.connections[at].state == State::Idle {
                    // It failed at once, and its request was given up.
                    continue;
                }
            }
            self.give_one(at);
            self.list(at);
        }
        if let Feed::Open(open) = &mut self.feed {
            let books = &mut self.recorder.books;
            open.keep_bound(|due| books.of(due).never_written += 1);
            open.settle(now);
        }
        self.flush_dirty();
        more
    }

    /// Gives the oldest waiting request to a connection, if that has a place.
    #[inline]
    fn give_one(&mut self, at: usize) {
        let connection = &mut self.connections[at];
        let Feed::Open(open) = &mut self.feed else {
            return;
        };
        if connection.places(self.plan.pipeline, self.plan.requests_per_connection) == 0 {
            return;
        }
        let Some(due) = open.take() else { return };
        connection.push(due, &self.recorder.dialect);
        if !connection.dirty {
            connection.dirty = true;
            self.dirty.push(at);
        }
    }

    /// Due requests without a place.
    #[inline]
    fn waiting(&self) -> u64 {
        match &self.feed {
            Feed::Open(open) => open.waiting(),
            Feed::Closed(_) => 0,
        }
    }

    /// How long to wait, and whether that is polling for a due slot.
    fn wait_time(&self, now: u64) -> (Duration, bool) {
        let mut wake = now
            .saturating_add(nanos(LONGEST_WAIT))
            .min(self.slices.slice.end);
        if let Some(over) = self.over {
            wake = wake.min(over.deadline);
        } else {
            wake = wake.min(self.slices.timeline.end);
        }
        for timers in [&self.rests, &self.pauses] {
            if let Some(Reverse((when, _))) = timers.peek() {
                wake = wake.min(*when);
            }
        }
        let timer = Duration::from_nanos(wake.saturating_sub(now));
        let Feed::Open(open) = &self.feed else {
            return (timer, false);
        };
        match open.next_due() {
            Some(due) if due < wake => {
                let pace = self.plan.pacer.wait(now, due);
                (pace, pace.is_zero() && due > now)
            }
            _ => (timer, false),
        }
    }
}
