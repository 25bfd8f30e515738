//! How lines go out: by datagrams or by streams.

use std::io;
use std::time::Duration;

use eventloop::Events;

use super::feed::Lot;
use super::ledger::Ledger;
use super::parcel::Parcel;
use super::plan::StatsdPlan;
use super::tcp::Tcp;
use super::udp::Udp;
use crate::args::WayArg;
use crate::histograms::{self, Histogram};
use crate::tally::ConnectTally;

/// A worker's way out.
pub(super) enum Way {
    Udp(Udp),
    Tcp(Box<Tcp>),
}

impl Way {
    /// That of worker `worker`.
    pub(super) fn new(plan: &StatsdPlan, worker: usize) -> io::Result<Self> {
        Ok(match plan.way {
            WayArg::Udp => Self::Udp(Udp::open(plan, worker)?),
            WayArg::Tcp => Self::Tcp(Box::new(Tcp::new(plan, worker)?)),
        })
    }

    /// Opens what is to be opened, and says how much is open.
    pub(super) fn open(
        &mut self,
        ledger: &mut Ledger,
        events: &mut Events,
        stopped: impl Fn() -> bool,
    ) -> io::Result<usize> {
        match self {
            Self::Udp(udp) => Ok(udp.len()),
            Self::Tcp(tcp) => tcp.open(ledger, events, stopped),
        }
    }

    /// Writes the lines of `lot` and sends them.
    pub(super) fn send(
        &mut self,
        plan: &StatsdPlan,
        lot: &Lot,
        parcel: &mut Parcel,
        ledger: &mut Ledger,
    ) {
        match self {
            Self::Udp(udp) => {
                parcel.fill_datagrams(lot, &plan.lines, plan.mtu);
                udp.send(parcel, ledger);
            }
            Self::Tcp(tcp) => {
                parcel.fill_stream(lot, &plan.lines);
                tcp.send(parcel, ledger);
            }
        }
    }

    /// Waits for `timeout`, and does in the meantime what can be done.
    pub(super) fn wait(
        &mut self,
        timeout: Duration,
        ledger: &mut Ledger,
        events: &mut Events,
    ) -> io::Result<()> {
        match self {
            Self::Udp(_) => {
                std::thread::sleep(timeout);
                Ok(())
            }
            Self::Tcp(tcp) => tcp.wait(timeout, ledger, events),
        }
    }

    /// Does what can be done without waiting.
    pub(super) fn look(&mut self, ledger: &mut Ledger, events: &mut Events) -> io::Result<()> {
        match self {
            Self::Udp(_) => Ok(()),
            Self::Tcp(tcp) => tcp.wait(Duration::ZERO, ledger, events),
        }
    }

    /// Whether something can be sent at once.
    pub(super) fn has_room(&self) -> bool {
        match self {
            Self::Udp(_) => true,
            Self::Tcp(tcp) => tcp.has_room(),
        }
    }

    /// Whether all is handed to the system.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Udp(_) => true,
            Self::Tcp(tcp) => tcp.is_empty(),
        }
    }

    /// Ends it. What is not handed over is given up.
    pub(super) fn end(&mut self, ledger: &mut Ledger) {
        match self {
            Self::Udp(_) => {}
            Self::Tcp(tcp) => tcp.end(ledger),
        }
    }

    /// What happened to sockets and connections.
    pub(super) fn connects(&self) -> ConnectTally {
        match self {
            Self::Udp(udp) => {
                let mut connects = ConnectTally::default();
                connects.opened = udp.len() as u64;
                connects
            }
            Self::Tcp(tcp) => tcp.connects,
        }
    }

    /// How long connecting took.
    pub(super) fn connect_time(&self) -> Histogram {
        match self {
            Self::Udp(_) => histograms::empty(),
            Self::Tcp(tcp) => tcp.connect_time.clone(),
        }
    }

    /// Datagrams that came back.
    pub(super) fn came_back(&mut self) -> u64 {
        match self {
            Self::Udp(udp) => udp.came_back(),
            Self::Tcp(_) => 0,
        }
    }

    /// Whether the kernel cut up datagrams.
    pub(super) fn segments(&self) -> bool {
        match self {
            Self::Udp(udp) => udp.segments(),
            Self::Tcp(_) => false,
        }
    }
}
