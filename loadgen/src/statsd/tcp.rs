//! Lines as streams: connections that are opened again when they break.

use std::io;
use std::time::Duration;

use eventloop::{Events, Interest, Poller};
use rustix::io::Errno;
use rustix::net::RecvFlags;
use service::clock::mono_ns;

use super::ledger::Ledger;
use super::parcel::Parcel;
use super::plan::StatsdPlan;
use super::stream::{MOST_UNWRITTEN, Stream};
use crate::dialer::{Dialer, failure_of};
use crate::histograms::{self, Histogram};
use crate::plan::nanos;
use crate::tally::{Breakage, ConnectFailure, ConnectTally, NotSent};
use crate::transport::Transport;

/// From a connection that could not be opened to the next try.
const RETRY_NS: u64 = 100_000_000;

/// From one look at what is to be opened to the next.
const LOOK_NS: u64 = 5_000_000;

/// Longest wait while connections are opened.
const LONGEST_WAIT: Duration = Duration::from_millis(20);

/// The connections of a worker, used in turn.
pub(super) struct Tcp {
    places: Vec<Place>,
    turn: usize,
    dialer: Dialer,
    patience: u64,
    poller: Poller,
    /// When to look again whether connections are to be opened.
    look_at: u64,
    pub(super) connects: ConnectTally,
    pub(super) connect_time: Histogram,
}

enum Place {
    /// To be opened at this moment.
    Empty(u64),
    Opening(Stream, u64),
    Open(Stream),
}

impl Tcp {
    /// The connections of worker `worker`, to be opened.
    pub(super) fn new(plan: &StatsdPlan, worker: usize) -> io::Result<Self> {
        let transport = Transport::default();
        Ok(Self {
            places: (0..plan.connections_of(worker))
                .map(|_| Place::Empty(0))
                .collect(),
            turn: 0,
            dialer: Dialer::new(plan.targets.clone(), &transport, false, worker),
            patience: nanos(plan.connect_timeout),
            poller: Poller::new()?,
            look_at: 0,
            connects: ConnectTally::default(),
            connect_time: histograms::empty(),
        })
    }

    /// Tries to open each connection once, and says how many are open.
    pub(super) fn open(
        &mut self,
        ledger: &mut Ledger,
        events: &mut Events,
        stopped: impl Fn() -> bool,
    ) -> io::Result<usize> {
        self.dial(mono_ns())?;
        let opening = |place: &Place| matches!(place, Place::Opening(..));
        while self.places.iter().any(opening) && !stopped() {
            self.wait(LONGEST_WAIT, ledger, events)?;
        }
        let open = |place: &&Place| matches!(place, Place::Open(_));
        Ok(self.places.iter().filter(open).count())
    }

    /// Waits for something to happen, no longer than `timeout`, and does what can be done.
    pub(super) fn wait(
        &mut self,
        timeout: Duration,
        ledger: &mut Ledger,
        events: &mut Events,
    ) -> io::Result<()> {
        self.poller.wait(events, Some(timeout))?;
        for (at, _) in events.iter() {
            self.go_on(at as usize, ledger);
        }
        self.keep_open(mono_ns())
    }

    /// Dials what is to be opened now, and gives up what takes too long.
    fn keep_open(&mut self, now: u64) -> io::Result<()> {
        if now < self.look_at {
            return Ok(());
        }
        self.look_at = now + LOOK_NS;
        for place in &mut self.places {
            if let Place::Opening(_, since) = place
                && now.saturating_sub(*since) >= self.patience
            {
                self.connects.fail(ConnectFailure::Timeout);
                *place = Place::Empty(now + RETRY_NS);
            }
        }
        self.dial(now)
    }

    fn dial(&mut self, now: u64) -> io::Result<()> {
        for (at, place) in self.places.iter_mut().enumerate() {
            match place {
                Place::Empty(when) if *when <= now => {}
                _ => continue,
            }
            *place = match self.dialer.dial() {
                Ok(fd) => {
                    self.poller.add(&fd, at as u64, Interest::Edge)?;
                    Place::Opening(Stream::new(fd), now)
                }
                Err(error) => {
                    self.dialer.failed();
                    self.connects.fail(failure_of(&error));
                    Place::Empty(now + RETRY_NS)
                }
            };
        }
        Ok(())
    }

    /// Something happened to connection `at`.
    fn go_on(&mut self, at: usize, ledger: &mut Ledger) {
        let place = &mut self.places[at];
        if let Place::Opening(stream, since) = place {
            let now = mono_ns();
            if let Err(error) = eventloop::net::connect_result(&*stream) {
                self.dialer.failed();
                self.connects.fail(failure_of(&error));
                *place = Place::Empty(now + RETRY_NS);
                return;
            }
            if rustix::net::getpeername(&*stream).is_err() {
                return;
            }
            self.connect_time.saturating_record(now - *since);
            self.connects.opened += 1;
            let Place::Opening(stream, _) = std::mem::replace(place, Place::Empty(0)) else {
                return;
            };
            *place = Place::Open(stream);
        }
        let Place::Open(stream) = place else { return };
        if let Err(how) = read_to_end(stream) {
            self.broke(at, how, ledger);
        } else if stream.flush().is_err() {
            self.broke(at, Some(Breakage::Reset), ledger);
        }
    }

    fn broke(&mut self, at: usize, how: Option<Breakage>, ledger: &mut Ledger) {
        let empty = Place::Empty(mono_ns());
        self.look_at = 0;
        let Place::Open(stream) = std::mem::replace(&mut self.places[at], empty) else {
            return;
        };
        match how {
            Some(how) => self.connects.breaks(how),
            None if stream.unwritten() > 0 => self.connects.breaks(Breakage::ClosedEarly),
            None => self.connects.closed_idle += 1,
        }
        stream.give_up(NotSent::Broken, ledger);
    }

    /// Whether something can be written at once.
    pub(super) fn has_room(&self) -> bool {
        let room = |place: &Place| matches!(place, Place::Open(stream) if stream.unwritten() == 0);
        self.places.iter().any(room)
    }

    /// Whether all is written.
    pub(super) fn is_empty(&self) -> bool {
        let waits = |place: &Place| matches!(place, Place::Open(stream) if stream.unwritten() > 0);
        !self.places.iter().any(waits)
    }

    /// Sends `parcel` over the next connection that has room, and accounts for it.
    pub(super) fn send(&mut self, parcel: &Parcel, ledger: &mut Ledger) {
        let pieces = parcel.firsts.iter().zip(&parcel.lines);
        let mut why = NotSent::NoConnection;
        for _ in 0..self.places.len() {
            self.turn = (self.turn + 1) % self.places.len();
            let at = self.turn;
            let Place::Open(stream) = &mut self.places[at] else {
                continue;
            };
            if stream.unwritten() >= MOST_UNWRITTEN {
                why = NotSent::NoRoom;
                continue;
            }
            for (at, (first, lines)) in pieces.enumerate() {
                let bytes = parcel.batch.get(at..at + 1);
                stream.push(bytes, *first, *lines, parcel.counts);
                ledger.sent(parcel.counts, *lines, 0, bytes.len() as u64);
            }
            if stream.flush().is_err() {
                self.broke(at, Some(Breakage::Reset), ledger);
            }
            return;
        }
        for (first, lines) in pieces {
            ledger.not_sent(parcel.counts, *first, *lines, why);
        }
    }

    /// Ends all connections. What is not written is given up.
    pub(super) fn end(&mut self, ledger: &mut Ledger) {
        for place in &mut self.places {
            let Place::Open(stream) = std::mem::replace(place, Place::Empty(u64::MAX)) else {
                continue;
            };
            let _ = rustix::net::shutdown(&stream, rustix::net::Shutdown::Write);
            self.connects.completed += 1;
            stream.give_up(NotSent::NoRoom, ledger);
        }
    }
}

/// Reads what came, which nobody wants, until nothing is there.
///
/// # Errors
/// That the target ended the connection, or how it broke.
fn read_to_end(stream: &Stream) -> Result<(), Option<Breakage>> {
    let mut scratch = [0; 4_096];
    loop {
        match rustix::net::recv(stream, &mut scratch[..], RecvFlags::empty()) {
            Ok((0, _)) => return Err(None),
            Ok(_) | Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return Ok(()),
            Err(_) => return Err(Some(Breakage::Reset)),
        }
    }
}
