//! One socket: what is due on it, what left, and what comes back.

use std::io;

use eventloop::datagram::Receiver;
use protocol::probe::{Probe, Read};
use rustix::io::Errno;

use super::flight::Flight;
use super::ledger::{ClientSums, Ledger};
use crate::datagrams::{Batch, Socket};
use crate::mix::mix;
use crate::payload::Lengths;
use crate::plan::Plan;
use crate::recorder::Recorder;
use crate::tally::{Extra, NotSent};
use crate::tracker::Times;

/// Room for answers that wait to be read: those of a pause of some 10 ms at the highest
/// rates.
const RECEIVE_BUFFER_BYTES: usize = 8 << 20;

/// Batches read before others get their turn.
const BATCHES_PER_TURN: usize = 16;

/// What the datagrams of a run have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    pub(super) run: u32,
    pub(super) seed: u64,
    pub(super) lengths: Lengths,
}

impl Form {
    /// Bytes of a datagram.
    fn bytes(&self, client: u32, number: u64) -> usize {
        let Lengths { min, max } = self.lengths;
        if min == max {
            return min;
        }
        let draw = mix(self.seed ^ (u64::from(client) << 40), number);
        min + (draw % (max - min + 1) as u64) as usize
    }
}

/// A socket and its numbers.
pub(super) struct Client {
    number: u32,
    socket: Socket,
    flight: Flight,
    /// When those were due that are to be sent now.
    pub(super) due: Vec<u64>,
    sent: u64,
}

impl Client {
    /// Number `number` of the run.
    pub(super) fn open(number: u32, plan: &Plan, segments: bool) -> io::Result<Self> {
        let socket = Socket::connect_first(&plan.targets, segments)?;
        socket.make_room(RECEIVE_BUFFER_BYTES)?;
        Ok(Self {
            number,
            socket,
            flight: Flight::default(),
            due: vec![],
            sent: 0,
        })
    }

    pub(super) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Datagrams that may still come back in time.
    #[inline]
    pub(super) fn open_requests(&self) -> usize {
        self.flight.open()
    }

    /// Sends what is due. If `patient`, a full socket is waited for.
    pub(super) fn send(
        &mut self,
        now: u64,
        form: &Form,
        patient: bool,
        batch: &mut Batch,
        recorder: &mut Recorder<()>,
        ledger: &mut Ledger,
    ) {
        batch.clear();
        let first = self.flight.numbers();
        for due in &self.due {
            let times = Times {
                due: *due,
                sent: now,
            };
            let probe = Probe {
                run: form.run,
                client: self.number,
                sequence: self.flight.push(times),
                sent_ns: now,
            };
            probe.write(form.bytes(self.number, probe.sequence), batch.bytes());
            batch.end();
        }
        let books = &mut recorder.books;
        self.socket.send(batch, patient, |some, what| {
            let dues = &self.due[some.clone()];
            match what {
                Ok(()) => {
                    self.sent += some.len() as u64;
                    ledger.sent += some.len() as u64;
                    ledger.bytes_sent += batch.get(some).len() as u64;
                    dues.iter().for_each(|due| books.of(*due).sent += 1);
                }
                Err(errno) => {
                    let kind = NotSent::of(errno);
                    for (at, due) in some.zip(dues) {
                        self.flight.not_sent(first + at as u64);
                        books.of(*due).never_written += 1;
                        ledger.unsent.add(kind, 1);
                        if *due >= books.measure_from {
                            ledger.unsent_measured.add(kind, 1);
                        }
                    }
                }
            }
        });
        self.due.clear();
    }

    /// Takes what has come back. `now` tells the time once something is read; what left
    /// `timeout` before that is given up.
    pub(super) fn receive(
        &mut self,
        receiver: &mut Receiver,
        form: &Form,
        timeout: u64,
        now: impl Fn() -> u64,
        recorder: &mut Recorder<()>,
        ledger: &mut Ledger,
    ) {
        for _ in 0..BATCHES_PER_TURN {
            match self.socket.receive(receiver) {
                Ok(0) => break,
                Ok(datagrams) => {
                    ledger.received += datagrams as u64;
                    let now = now();
                    recorder.last_reply = now;
                    self.expire(now.saturating_sub(timeout), recorder);
                    for datagram in receiver.datagrams() {
                        self.take(datagram.bytes, form, now, recorder, ledger);
                    }
                    if !receiver.is_full() {
                        return;
                    }
                }
                // What came back is taken note of below.
                Err(Errno::CONNREFUSED | Errno::HOSTUNREACH | Errno::NETUNREACH) => {}
                Err(_) => break,
            }
        }
        self.socket.take_refused();
    }

    #[inline]
    fn take(
        &mut self,
        bytes: &[u8],
        form: &Form,
        now: u64,
        recorder: &mut Recorder<()>,
        ledger: &mut Ledger,
    ) {
        let books = &mut recorder.books;
        match Probe::read(bytes) {
            Read::Sound(probe) if (probe.run, probe.client) == (form.run, self.number) => {
                if let Some(times) = self.flight.answer(probe.sequence, books) {
                    recorder.time(times, now);
                }
            }
            Read::Sound(probe) if probe.run == form.run => {
                ledger.misrouted += 1;
                self.flight.extra(Extra::Misrouted, books);
            }
            Read::Corrupted(probe) => {
                ledger.corrupted += 1;
                let is_ours = (probe.run, probe.client) == (form.run, self.number);
                let number = is_ours.then_some(probe.sequence);
                self.flight.damaged(number, books);
            }
            Read::Sound(_) | Read::Foreign => {
                ledger.unexpected += 1;
                self.flight.extra(Extra::Unexpected, books);
            }
        }
    }

    /// Gives up what left at this moment or before it.
    #[inline]
    pub(super) fn expire(&mut self, sent_by: u64, recorder: &mut Recorder<()>) {
        self.flight.expire(sent_by, &mut recorder.books);
    }

    /// Ends the run, and adds what it came to.
    pub(super) fn finish(&mut self, recorder: &mut Recorder<()>, ledger: &mut Ledger) {
        self.flight.finish(&mut recorder.books);
        self.socket.take_refused();
        ledger.refused += self.socket.came_back();
        ledger.kernel_drops += self.socket.drops();
        ledger.segments |= self.socket.segments();
        let returns = self.flight.returns();
        ledger.unexpected += returns.unexpected;
        ledger.clients.push(ClientSums {
            client: self.number,
            numbers: self.flight.numbers(),
            sent: self.sent,
            returns,
        });
    }
}
