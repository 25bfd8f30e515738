//! Lines as datagrams.

use std::io;

use super::ledger::Ledger;
use super::parcel::Parcel;
use super::plan::{Pace, StatsdPlan};
use crate::datagrams::Socket;
use crate::tally::NotSent;

/// The sockets of a worker, used in turn.
pub(super) struct Udp {
    sockets: Vec<Socket>,
    turn: usize,
    /// Whether a full socket is waited for: not when lines are due by a schedule.
    patient: bool,
}

impl Udp {
    /// Opens the sockets of worker `worker`, to the first target that there is a way to.
    pub(super) fn open(plan: &StatsdPlan, worker: usize) -> io::Result<Self> {
        let sockets = (0..plan.connections_of(worker))
            .map(|_| Socket::connect_first(&plan.targets, plan.segments));
        Ok(Self {
            sockets: sockets.collect::<io::Result<_>>()?,
            turn: 0,
            patient: plan.pace == Pace::Max,
        })
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.sockets.len()
    }

    /// Sends `parcel` and accounts for it.
    pub(super) fn send(&mut self, parcel: &Parcel, ledger: &mut Ledger) {
        self.turn = (self.turn + 1) % self.sockets.len();
        self.sockets[self.turn].send(&parcel.batch, self.patient, |some, what| match what {
            Ok(()) => {
                let lines = parcel.lines[some.clone()].iter().sum();
                let bytes = parcel.batch.get(some.clone()).len() as u64;
                ledger.sent(parcel.counts, lines, some.len() as u64, bytes);
            }
            Err(errno) => {
                let kind = NotSent::of(errno);
                for at in some {
                    let (first, lines) = (parcel.firsts[at], parcel.lines[at]);
                    ledger.not_sent(parcel.counts, first, lines, kind);
                }
            }
        });
    }

    /// Datagrams that the target's host has sent back, as far as is known.
    pub(super) fn came_back(&mut self) -> u64 {
        let sockets = self.sockets.iter_mut();
        sockets
            .map(|socket| {
                socket.take_refused();
                socket.came_back()
            })
            .sum()
    }

    /// Whether datagrams of one size leave in one piece.
    pub(super) fn segments(&self) -> bool {
        self.sockets.iter().any(Socket::segments)
    }
}
