//! The event loop of an echo.

use std::cmp::Ordering;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use eventloop::datagram::{self, Receiver};
use eventloop::{Events, Interest, Poller};

use crate::datagrams::Datagrams;
use crate::outages::Outages;
use crate::process::Process;
use crate::record::UpstreamRecord;
use crate::solo::{self, Asked, Request};
use crate::udp::answers::Answers;
use crate::udp::outgoing::{Outgoing, Sent};
use crate::udp::record::UdpRecord;
use crate::udp::server::Socket;
use crate::udp::tally::Tally;

const PORT: u64 = 0;
const WAKER: u64 = 1;

/// What the thread has counted.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    upstream: UpstreamRecord,
    udp: UdpRecord,
    tally: Tally,
    sent: Sent,
}

impl Counts {
    /// As a record. Done by who asked: the thread has datagrams to read.
    pub(super) fn told(mut self) -> UpstreamRecord {
        self.tally.tell(&mut self.udp);
        self.udp.answers = self.sent.answers;
        self.udp.not_sent = self.sent.not_sent;
        self.upstream.bytes_in = self.tally.bytes;
        self.upstream.bytes_out = self.sent.bytes;
        self.upstream.udp = Some(self.udp);
        self.upstream
    }
}

/// One thread that reads and answers everything.
pub(super) struct Worker {
    asked: Asked<Counts>,
    poller: Poller,
    port: Datagrams,
    echo: Echo,
    outages: Outages,
    /// Whether the port is open, and when that is to change.
    is_open: bool,
    change: Option<Instant>,
}

/// What is done with datagrams.
struct Echo {
    process: Arc<Process>,
    /// Whether answers are what came, so that they need not be made.
    is_plain: bool,
    /// Where answers leave that come from the wrong port.
    elsewhere: Option<OwnedFd>,
    upstream: UpstreamRecord,
    tally: Tally,
    answers: Answers,
    outgoing: Outgoing,
}

impl solo::Worker for Worker {
    type Counts = Counts;

    /// Fails if the poller or the socket did, which nothing can be done about.
    fn run(mut self) -> io::Result<Counts> {
        let mut events = Events::new();
        loop {
            self.poller.wait(&mut events, self.timeout())?;
            self.echo.process.stand_still();
            for (token, _) in events.iter() {
                if token == PORT {
                    let echo = &mut self.echo;
                    let pauses = self
                        .port
                        .read(&self.poller, &mut |fd, batch| echo.take(fd, batch))?;
                    echo.upstream.hits.slow_reader += u64::from(pauses);
                    continue;
                }
                self.asked.waker.drain();
                if self.answer_requests()? {
                    return Ok(self.counts());
                }
            }
            self.ring_alarms()?;
        }
    }
}

impl Worker {
    pub(super) fn new(
        socket: Socket,
        process: Arc<Process>,
        asked: Asked<Counts>,
    ) -> io::Result<Self> {
        let poller = Poller::new()?;
        poller.add(&*asked.waker, WAKER, Interest::Read)?;
        let started = Instant::now();
        let defects = &process.config.defects;
        let outages = Outages::new(defects.flap, None, started);
        let rate = defects.slow_reader;
        let room = socket.receive_buffer_bytes;
        Ok(Self {
            asked,
            port: Datagrams::new(socket.fd, room, PORT, rate, &poller)?,
            poller,
            echo: Echo::new(process, socket.at)?,
            is_open: true,
            change: outages.phase(started).1,
            outages,
        })
    }

    fn timeout(&self) -> Option<Duration> {
        let next = [self.change, self.port.due(), self.echo.answers.due()];
        let next = next.into_iter().flatten().min();
        next.map(|due| due.saturating_duration_since(Instant::now()))
    }

    /// Does what is due.
    fn ring_alarms(&mut self) -> io::Result<()> {
        let now = Instant::now();
        self.port.resume(now, &self.poller)?;
        self.echo.release(self.port.fd(), now);
        if self.change.take_if(|due| *due <= now).is_some() {
            let (open, change) = self.outages.phase(now);
            self.change = change;
            match (self.is_open, open) {
                (true, false) => {
                    self.echo.upstream.hits.flap += 1;
                    self.shut()?;
                }
                (false, true) => self.port.reopen(&self.poller)?,
                _ => {}
            }
            self.is_open = open;
        }
        Ok(())
    }

    /// Tells whether one of them was to stop.
    fn answer_requests(&mut self) -> io::Result<bool> {
        while let Ok(request) = self.asked.requests.try_recv() {
            match request {
                Request::Counts(to) => {
                    let echo = &mut self.echo;
                    self.port.catch_up(&mut |fd, batch| echo.take(fd, batch))?;
                    // Who asked may be gone.
                    let _ = to.send(self.counts());
                }
                Request::Stop => {
                    if self.is_open {
                        self.shut()?;
                    }
                    self.echo.release_all(self.port.fd());
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Closes the port, and answers what is waiting in it.
    fn shut(&mut self) -> io::Result<()> {
        let echo = &mut self.echo;
        self.port
            .shut(&self.poller, &mut |fd, batch| echo.take(fd, batch))
    }

    fn counts(&self) -> Counts {
        let echo = &self.echo;
        let mut upstream = echo.upstream.clone();
        upstream.name.clone_from(&echo.process.config.name);
        if let Some(freeze) = echo.process.config.defects.freeze {
            upstream.hits.freeze = freeze.begun(echo.process.age());
        }
        Counts {
            upstream,
            udp: UdpRecord {
                kernel_drops: self.port.drops(),
                receive_buffer_bytes: self.port.room(),
                ..UdpRecord::default()
            },
            tally: echo.tally.clone(),
            sent: echo.outgoing.counts,
        }
    }
}

impl Echo {
    fn new(process: Arc<Process>, at: SocketAddr) -> io::Result<Self> {
        let defects = &process.config.defects;
        let elsewhere = defects
            .wrong_port
            .map(|_| datagram::bind(SocketAddr::new(at.ip(), 0), false));
        let is_plain = defects.wrong_port.is_none()
            && defects.wrong_reply.is_none()
            && defects.wrong_connection.is_none()
            && defects.slow.is_none()
            && !defects.change_bytes();
        Ok(Self {
            is_plain,
            elsewhere: elsewhere.transpose()?,
            upstream: UpstreamRecord::default(),
            tally: Tally::default(),
            answers: Answers::default(),
            outgoing: Outgoing::new(),
            process,
        })
    }

    /// Counts and answers what was read.
    fn take(&mut self, fd: &OwnedFd, batch: &Receiver) {
        self.tally.take_all(batch);
        let datagrams = batch.datagrams().count() as u64;
        for datagram in batch.datagrams() {
            self.process.count_bytes(datagram.bytes.len());
        }
        let defects = &self.process.config.defects;
        if let Some(bytes) = defects.leak_memory {
            self.upstream.hits.leak_memory += datagrams;
            (0..datagrams).for_each(|_| self.process.leak_memory(bytes));
        }
        if defects.silence {
            self.upstream.hits.silence += datagrams;
            return;
        }
        if self.is_plain && defects.hang_after.is_none() {
            self.outgoing.echo(fd, batch);
            return;
        }
        for datagram in batch.datagrams() {
            let order = self.process.count_message();
            if let Some(from) = datagram.from.filter(|_| order != Ordering::Greater) {
                let record = &mut self.upstream;
                self.answers
                    .make(from, datagram.bytes, &self.process, record);
            }
            if order != Ordering::Less {
                self.flush(fd);
                self.process.hang();
            }
        }
        self.flush(fd);
    }

    /// Sends what is due.
    fn release(&mut self, fd: &OwnedFd, now: Instant) {
        let hits = &mut self.upstream.hits;
        self.answers.release(now, &self.process, hits);
        self.flush(fd);
    }

    /// Sends all that waits.
    fn release_all(&mut self, fd: &OwnedFd) {
        let hits = &mut self.upstream.hits;
        self.answers.release_all(&self.process, hits);
        self.flush(fd);
    }

    fn flush(&mut self, fd: &OwnedFd) {
        let ready = self.answers.ready.as_slice();
        for some in ready.chunk_by(|one, next| one.elsewhere == next.elsewhere) {
            let from = if some[0].elsewhere {
                self.elsewhere.as_ref().unwrap_or(fd)
            } else {
                fd
            };
            self.outgoing.answer(from, some);
        }
        self.answers.ready.clear();
    }
}
