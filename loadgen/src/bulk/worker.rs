//! A worker of a bulk transfer: a thread with its own event loop and connections.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use eventloop::{Events, Interest, Poller};
use service::clock::mono_ns;

use super::BulkPlan;
use super::judge::{Judged, judge};
use super::stream::{READ, Stream};
use crate::dialer::{Dialer, failure_of, first_bytes};
use crate::histograms::{self, Histogram};
use crate::link::Link;
use crate::load_meter::LoadMeter;
use crate::metered::{self, FromWorker, Meter, ToCrew};
use crate::plan::{Plan, nanos};
use crate::stop::StopFlag;
use crate::tally::{ConnectFailure, ConnectTally};
use crate::timeline::Timeline;

/// Longest wait: a request to stop is seen within this time.
const LONGEST_WAIT: Duration = Duration::from_millis(20);

/// Connections of a worker that are opened at the same time.
const OPENING_AT_ONCE: usize = 64;

/// A worker's part of the run.
pub(super) struct Done {
    pub(super) judged: Judged,
    pub(super) connects: ConnectTally,
    pub(super) connect: Histogram,
    pub(super) handshake: Histogram,
    pub(super) load: LoadMeter,
    /// When its last byte was transferred.
    pub(super) ended: u64,
}

impl metered::Done for Done {
    fn ended(&self) -> u64 {
        self.ended
    }
}

pub(super) struct Worker {
    index: usize,
    plan: Arc<Plan>,
    bulk: BulkPlan,
    stop: StopFlag,
    poller: Poller,
    streams: Vec<Stream>,
    connects: ConnectTally,
    connect_time: Histogram,
    handshake_time: Histogram,
    load: LoadMeter,
    meter: Arc<Meter>,
}

/// A connection that is being opened.
struct Opening {
    link: Link,
    since: u64,
    connected: Option<u64>,
}

impl metered::Worker for Worker {
    type Done = Done;

    /// Opens its connections, waits for the start, transfers, and reports.
    fn run(mut self, crew: &ToCrew<Done>) -> io::Result<()> {
        let mut events = Events::new();
        self.open_all(&mut events)?;
        let _ = crew.reports.send(FromWorker::Opened {
            open: self.streams.len(),
            connects: self.connects,
        });
        // The sender is gone when the run was called off.
        let Ok(timeline) = crew.start.recv() else {
            return Ok(());
        };
        // Nothing moves before the start: it would be in no slice, and other machines wait.
        let left = timeline.start.saturating_sub(mono_ns());
        std::thread::sleep(Duration::from_nanos(left));
        let ended = self.transfer(timeline, &mut events)?;
        let mut judged = Judged::default();
        for stream in &self.streams {
            judge(&self.bulk, stream, &mut judged, &mut self.connects);
        }
        let _ = crew.reports.send(FromWorker::Done(Box::new(Done {
            judged,
            connects: self.connects,
            connect: self.connect_time,
            handshake: self.handshake_time,
            load: self.load,
            ended,
        })));
        Ok(())
    }
}

impl Worker {
    pub(super) fn new(
        index: usize,
        plan: Arc<Plan>,
        bulk: BulkPlan,
        stop: StopFlag,
        meter: Arc<Meter>,
    ) -> io::Result<Self> {
        Ok(Self {
            index,
            plan,
            bulk,
            stop,
            poller: Poller::new()?,
            streams: Vec::new(),
            connects: ConnectTally::default(),
            connect_time: histograms::empty(),
            handshake_time: histograms::empty(),
            load: LoadMeter::default(),
            meter,
        })
    }

    fn open_all(&mut self, events: &mut Events) -> io::Result<()> {
        let own = self
            .plan
            .seat(self.index)
            .share(self.plan.connections as u64) as usize;
        let plan = self.plan.clone();
        let mut dialer = Dialer::new(plan.targets.clone(), &plan.transport, false, self.index);
        let mut opening: BTreeMap<u64, Opening> = BTreeMap::new();
        let mut next = 0;
        while (next < own || !opening.is_empty()) && !self.stop.is_set() {
            while next < own && opening.len() < OPENING_AT_ONCE {
                match self.dial(&mut dialer, next as u64) {
                    Ok(one) => drop(opening.insert(next as u64, one)),
                    Err(error) => {
                        dialer.failed();
                        self.connects.fail(failure_of(&error));
                    }
                }
                next += 1;
            }
            self.poller.wait(events, Some(LONGEST_WAIT))?;
            for (token, _) in events.iter() {
                if let Some(one) = opening.get_mut(&token) {
                    let went = self.go_on(one);
                    self.settle(token, went, &mut opening)?;
                }
            }
            let now = mono_ns();
            let patience = nanos(plan.connect_timeout);
            let before = opening.len();
            opening.retain(|_, one| now.saturating_sub(one.since) < patience);
            for _ in opening.len()..before {
                self.connects.fail(ConnectFailure::Timeout);
            }
        }
        Ok(())
    }

    fn dial(&self, dialer: &mut Dialer, token: u64) -> io::Result<Opening> {
        let fd = dialer.dial()?;
        self.poller.add(&fd, token, Interest::Edge)?;
        let first = first_bytes(&self.plan.transport, &fd, dialer.target())?;
        Ok(Opening {
            link: Link::new(fd, &self.plan.transport, &first)?,
            since: mono_ns(),
            connected: None,
        })
    }

    /// Goes on opening a connection. `true` when it is open.
    fn go_on(&mut self, one: &mut Opening) -> io::Result<bool> {
        let connected = match one.connected {
            Some(connected) => connected,
            None => {
                eventloop::net::connect_result(&one.link)?;
                if rustix::net::getpeername(&one.link).is_err() {
                    return Ok(false);
                }
                let now = mono_ns();
                self.connect_time.saturating_record(now - one.since);
                one.connected = Some(now);
                now
            }
        };
        if !one.link.shake_hands()? {
            return Ok(false);
        }
        if one.link.has_tls() {
            self.handshake_time.saturating_record(mono_ns() - connected);
        }
        Ok(true)
    }

    fn settle(
        &mut self,
        token: u64,
        went: io::Result<bool>,
        opening: &mut BTreeMap<u64, Opening>,
    ) -> io::Result<()> {
        if matches!(went, Ok(false)) {
            return Ok(());
        }
        let Some(one) = opening.remove(&token) else {
            return Ok(());
        };
        match went {
            Ok(_) => {
                let at = self.streams.len() as u64;
                self.poller.modify(&one.link, at, Interest::Edge)?;
                let read_rate = self.plan.transport.read_rate;
                self.connects.opened += 1;
                self.streams.push(Stream::new(
                    one.link,
                    &self.bulk,
                    self.plan.own_connections(),
                    read_rate,
                ));
            }
            Err(error) => self.connects.fail(failure_of(&error)),
        }
        Ok(())
    }

    /// Transfers until all is done, or until the time is over and what is on its way has
    /// come. Tells when the last byte was transferred.
    fn transfer(&mut self, timeline: Timeline, events: &mut Events) -> io::Result<u64> {
        let mut buffer = vec![0; READ];
        let mut timeline = timeline;
        let mut deadline = None;
        let mut last = timeline.start;
        loop {
            let now = mono_ns();
            if let Some(stopped) = self.stop.at() {
                timeline.end = timeline.end.min(stopped);
            }
            if now >= timeline.measure_from && !self.load.has_begun() {
                self.load.begin(now);
            }
            if now >= timeline.end && deadline.is_none() {
                self.load.end(now);
                deadline = Some(now.saturating_add(nanos(self.plan.drain)));
                self.streams.iter_mut().for_each(Stream::stop_sending);
            }
            if deadline.is_some_and(|deadline| now >= deadline) {
                break;
            }
            let (wake, over) = self.step_all(&mut buffer, now, &mut last);
            if over {
                break;
            }
            let wake = wake
                .min(now.saturating_add(nanos(LONGEST_WAIT)))
                .min(deadline.unwrap_or(timeline.end));
            let timeout = Duration::from_nanos(wake.saturating_sub(mono_ns()));
            self.poller.wait(events, Some(timeout))?;
            for (token, readiness) in events.iter() {
                if let Some(stream) = self.streams.get_mut(token as usize) {
                    stream.can_read |= readiness.readable();
                    stream.can_write |= readiness.writable();
                }
            }
        }
        if deadline.is_none() {
            self.load.end(mono_ns());
        }
        Ok(last)
    }

    /// One step of each stream. Tells when the next is possible, and whether all is over.
    fn step_all(&mut self, buffer: &mut [u8], now: u64, last: &mut u64) -> (u64, bool) {
        let (mut wake, mut over) = (u64::MAX, true);
        let (mut sent, mut received) = (0, 0);
        for stream in &mut self.streams {
            let before = stream.sent + stream.incoming.bytes;
            match stream.is_runnable(now) {
                Ok(true) => {
                    stream.step(&self.bulk, buffer, now);
                    wake = now;
                }
                Ok(false) => {}
                Err(when) => wake = wake.min(when),
            }
            if stream.sent + stream.incoming.bytes > before {
                *last = mono_ns();
            }
            over &= stream.is_over();
            sent += stream.sent;
            received += stream.incoming.bytes;
        }
        self.meter.bytes_sent.store(sent, Ordering::Relaxed);
        self.meter.bytes_received.store(received, Ordering::Relaxed);
        (wake, over)
    }
}
