//! A worker: one thread with its own sockets and its share of the load.
//!
//! One turn of the loop: take what is due, claim numbers for its lines, write them,
//! send them, wait for what is due next. A number is claimed only when its line is about
//! to leave, so that none is left out, whatever happens to a worker. Shards cannot ask each
//! other: their lines have the numbers that belong to their slots.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use eventloop::Events;
use service::clock::mono_ns;

use super::feed::{Feed, Lot};
use super::ledger::{Ledger, Ranges, Sums};
use super::parcel::Parcel;
use super::plan::{Pace, StatsdPlan};
use super::way::Way;
use crate::histograms::{self, Histogram};
use crate::load_meter::LoadMeter;
use crate::metered::{self, FromWorker, Meter, ToCrew};
use crate::plan::nanos;
use crate::stop::StopFlag;
use crate::tally::{ConnectTally, NotSent};
use crate::timeline::Timeline;

/// Longest wait: a request to stop is seen within this time.
const LONGEST_WAIT: Duration = Duration::from_millis(20);

/// Longest time of polling the clock before other things are looked after.
const LONGEST_SPIN_NS: u64 = 50_000;

/// After a request to stop, how long what waits may take to be written.
const DRAIN_WHEN_STOPPED_NS: u64 = 200_000_000;

/// A worker's part of the run.
pub(super) struct Done {
    /// The whole run.
    pub(super) all: Sums,
    /// What was due while measuring.
    pub(super) measured: Sums,
    /// Numbers that were not sent.
    pub(super) ranges: Ranges,
    pub(super) connects: ConnectTally,
    pub(super) connect: Histogram,
    pub(super) send_lag: Histogram,
    pub(super) load: LoadMeter,
    /// When its sending was over.
    pub(super) ended: u64,
    /// Lines sent by then, or kept from it by the target.
    pub(super) tried_in_time: u64,
    /// Lines that were due and not sent because the worker came too late for them.
    pub(super) missed: u64,
    /// Datagrams that came back.
    pub(super) came_back: u64,
    /// Whether the kernel cut up datagrams.
    pub(super) segments: bool,
}

impl metered::Done for Done {
    fn ended(&self) -> u64 {
        self.ended
    }
}

pub(super) struct Worker {
    plan: Arc<StatsdPlan>,
    stop: StopFlag,
    /// The next number, shared by all workers; none in a shard.
    numbers: Option<Arc<AtomicU64>>,
    way: Way,
    feed: Feed,
    ledger: Ledger,
    lot: Lot,
    parcel: Parcel,
    send_lag: Histogram,
    load: LoadMeter,
    timeline: Timeline,
    over: Option<Over>,
}

/// When sending was over, and what was known then.
#[derive(Clone, Copy)]
struct Over {
    at: u64,
    tried: u64,
    deadline: u64,
}

impl metered::Worker for Worker {
    type Done = Done;

    fn run(mut self, crew: &ToCrew<Done>) -> io::Result<()> {
        // With the default slack of 50 µs every sleep would end that much later.
        let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
        let stop = self.stop.clone();
        let mut events = Events::new();
        let open = self
            .way
            .open(&mut self.ledger, &mut events, || stop.is_set())?;
        let connects = self.way.connects();
        let _ = crew.reports.send(FromWorker::Opened { open, connects });
        // The sender is gone when the run was called off.
        let Ok(timeline) = crew.start.recv() else {
            return Ok(());
        };
        self.timeline = timeline;
        self.feed.begin(timeline.start);
        while mono_ns() < timeline.start {
            std::hint::spin_loop();
        }
        while self.turn(&mut events)? {}
        let done = self.done();
        let _ = crew.reports.send(FromWorker::Done(Box::new(done)));
        Ok(())
    }
}

impl Worker {
    /// Worker number `index` of `plan`, which takes its lines' numbers from `numbers` if it
    /// is given those.
    pub(super) fn new(
        index: usize,
        plan: Arc<StatsdPlan>,
        stop: StopFlag,
        numbers: Option<Arc<AtomicU64>>,
        meter: Arc<Meter>,
    ) -> io::Result<Self> {
        Ok(Self {
            way: Way::new(&plan, index)?,
            feed: Feed::new(&plan, index),
            plan,
            stop,
            numbers,
            ledger: Ledger::new(meter),
            lot: Lot::default(),
            parcel: Parcel::default(),
            send_lag: histograms::empty(),
            load: LoadMeter::default(),
            timeline: Timeline {
                start: 0,
                measure_from: 0,
                end: 0,
                interval: 1,
            },
            over: None,
        })
    }

    /// One turn. `false` when the run is over.
    fn turn(&mut self, events: &mut Events) -> io::Result<bool> {
        let now = mono_ns();
        self.keep_time(now);
        let sent = self.send_due(now);
        let next = match self.over {
            Some(_) if self.plan.pace == Pace::Max => None,
            _ => self.feed.next_due(&self.timeline),
        };
        if let Some(over) = self.over
            && (now >= over.deadline || (next.is_none() && self.way.is_empty()))
        {
            return Ok(false);
        }
        let (timeout, polling) = self.wait_time(mono_ns(), next);
        if !timeout.is_zero() {
            self.way.wait(timeout, &mut self.ledger, events)?;
        } else if let (true, Some(due), Way::Udp(_)) = (polling, next, &self.way) {
            self.spin_until(due);
        } else {
            self.way.look(&mut self.ledger, events)?;
            if polling && !sent {
                self.load.spun(mono_ns() - now);
            }
        }
        Ok(true)
    }

    /// Polls the clock until `due`, or for a while.
    fn spin_until(&mut self, due: u64) {
        let begun = mono_ns();
        let mut before = begun;
        while before < due && before - begun < LONGEST_SPIN_NS {
            std::hint::spin_loop();
            let now = mono_ns();
            self.load.spun(now - before);
            before = now;
        }
    }

    /// Begins measuring and ends sending when it is time.
    fn keep_time(&mut self, now: u64) {
        if !self.load.has_begun() && now >= self.timeline.measure_from {
            self.load.begin(now);
        }
        if self.over.is_some() {
            return;
        }
        let mut drain = nanos(self.plan.drain);
        if let Some(stopped) = self.stop.at() {
            self.timeline.end = self.timeline.end.min(stopped);
            drain = drain.min(DRAIN_WHEN_STOPPED_NS);
        }
        let exhausted = self.feed.exhausted_at(now).unwrap_or(u64::MAX);
        let at = self.timeline.end.min(exhausted);
        if now >= at {
            let targets = NotSent::ALL.iter().filter(|kind| kind.is_the_targets());
            let measured = &self.ledger.measured;
            let kept: u64 = targets.map(|kind| measured.not_sent(*kind)).sum();
            self.over = Some(Over {
                at,
                tried: measured.lines + kept,
                deadline: now.saturating_add(drain),
            });
            self.load.end(now);
        }
    }

    /// Sends what is due, up to a batch. Says whether there was anything.
    fn send_due(&mut self, now: u64) -> bool {
        if self.plan.pace == Pace::Max && (self.over.is_some() || !self.way.has_room()) {
            return false;
        }
        self.feed.take(
            &self.plan,
            now,
            &self.timeline,
            &mut self.send_lag,
            &mut self.lot,
        );
        let lines = self.lot.lines();
        if lines == 0 {
            return false;
        }
        if let Some(numbers) = &self.numbers {
            self.lot
                .number_from(numbers.fetch_add(lines, Ordering::Relaxed));
        }
        self.way
            .send(&self.plan, &self.lot, &mut self.parcel, &mut self.ledger);
        true
    }

    /// How long to wait, and whether that is polling for a due datagram.
    fn wait_time(&self, now: u64, next: Option<u64>) -> (Duration, bool) {
        let longest = match self.over {
            Some(over) => over.deadline,
            None => self.timeline.end,
        };
        let wake = now.saturating_add(nanos(LONGEST_WAIT)).min(longest);
        match next {
            Some(_) if self.plan.pace == Pace::Max => {
                let wait = if self.way.has_room() { now } else { wake };
                (Duration::from_nanos(wait - now), false)
            }
            Some(due) if due < wake => {
                let pace = self.plan.pacer.wait(now, due);
                (pace, pace.is_zero() && due > now)
            }
            _ => (Duration::from_nanos(wake.saturating_sub(now)), false),
        }
    }

    fn done(mut self) -> Done {
        let missed = self.feed.missed(&self.plan, &self.timeline);
        self.way.end(&mut self.ledger);
        let over = self.over.unwrap_or(Over {
            at: self.timeline.start,
            tried: 0,
            deadline: 0,
        });
        Done {
            all: self.ledger.all,
            measured: self.ledger.measured,
            ranges: self.ledger.ranges,
            connects: self.way.connects(),
            connect: self.way.connect_time(),
            send_lag: self.send_lag,
            load: self.load,
            ended: over.at,
            tried_in_time: over.tried,
            missed,
            came_back: self.way.came_back(),
            segments: self.way.segments(),
        }
    }
}
