//! The loop of one worker: what has come in, what is due, and at the end what is left.

use std::io;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use eventloop::datagram::{self, Receiver};
use eventloop::{Events, Interest, Poller};
use rustix::io::Errno;
use tokio::sync::mpsc::UnboundedSender;

use super::router::{self, Router};
use super::streams::Streams;
use super::{Counted, Notice, Shared, lock};
use crate::statsd::settings::Node;

/// Datagrams that one system call receives.
const RECEIVE_BATCH: usize = 64;

/// Batches in a row before anything else has its turn.
const BATCHES_PER_TURN: usize = 8;

/// Reads from connections before datagrams have their turn.
const STREAMS_AT_ONCE: u32 = 8;

/// Datagrams in one turn from which on the worker rests before the next.
const BUSY: usize = 4;

/// How long it rests: what comes meanwhile has to fit into the socket.
const REST: Duration = Duration::from_micros(300);

/// How long a node whose socket could not be opened waits until that is tried again.
const OPEN_PAUSE: Duration = Duration::from_secs(1);

/// How long the last lines may take to leave when the proxy ends.
const LAST_LINES: Duration = Duration::from_secs(1);

const WAKER: u64 = 0;
const DATAGRAMS: u64 = 1;
pub(super) const LISTENER: u64 = 2;
/// Tokens of the nodes' sockets begin here, those of connections behind them.
const NODES: u64 = 1 << 16;
pub(super) const STREAMS: u64 = 1 << 32;

/// A worker.
pub(super) struct Worker {
    shared: Arc<Shared>,
    poller: Poller,
    receiver: Receiver,
    streams: Streams,
    router: Router,
    notices: UnboundedSender<Notice>,
    /// When lines that wait for company leave without.
    flush_at: Option<Instant>,
    /// When the next portion of what was kept leaves.
    release_at: Option<Instant>,
    /// When nodes that have no socket are to have one.
    open_at: Option<Instant>,
}

impl Worker {
    pub(super) fn new(
        shared: Arc<Shared>,
        tcp: Option<Arc<OwnedFd>>,
        router: Router,
        notices: UnboundedSender<Notice>,
    ) -> io::Result<Self> {
        let poller = Poller::new()?;
        poller.add(&shared.waker, WAKER, Interest::Read)?;
        if let Some(udp) = &shared.udp {
            poller.add(udp, DATAGRAMS, Interest::Read)?;
        }
        let streams = Streams::new(tcp, &poller)?;
        Ok(Self {
            receiver: Receiver::new(RECEIVE_BATCH, datagram::LONGEST),
            shared,
            poller,
            streams,
            router,
            notices,
            flush_at: None,
            release_at: None,
            open_at: None,
        })
    }

    /// Works until it is told to stop.
    pub(super) fn run(mut self) {
        let outcome = catch_unwind(AssertUnwindSafe(|| self.serve()));
        let outcome = outcome.unwrap_or_else(|_| Err(io::Error::other("it has panicked")));
        if let Err(error) = outcome {
            // Whoever hears of it may have ended.
            let _ = self.notices.send(Notice::Failed(error));
        }
    }

    fn serve(&mut self) -> io::Result<()> {
        let mut events = Events::new();
        loop {
            self.watch_sockets()?;
            self.poller.wait(&mut events, self.timeout())?;
            // Whoever was told of new settings may count on them from now on.
            self.router.refresh();
            let (mut taken, mut streams) = (0, 0);
            for (token, _) in events.iter() {
                match token {
                    WAKER => self.shared.waker.drain(),
                    DATAGRAMS => taken = self.receive(BATCHES_PER_TURN),
                    LISTENER => self.streams.accept(&self.poller, &self.router.counters),
                    token if token < STREAMS => self.router.heard((token - NODES) as usize),
                    token => {
                        self.streams.read(token, &mut self.router);
                        self.router.send(false, |node| tell(&self.notices, node));
                        streams += 1;
                        if streams % STREAMS_AT_ONCE == 0 {
                            self.receive(1);
                            self.send();
                        }
                    }
                }
            }
            self.streams.resume(&self.poller);
            self.send();
            if self.shared.stop.load(Ordering::Acquire) {
                self.finish();
                return Ok(());
            }
            if taken >= BUSY {
                thread::sleep(REST);
            }
        }
    }

    /// Takes datagrams in. Says how many.
    fn receive(&mut self, batches: usize) -> usize {
        let Some(udp) = &self.shared.udp else {
            return 0;
        };
        let counters = Arc::clone(&self.router.counters);
        let mut taken = 0;
        for _ in 0..batches {
            match self.receiver.receive(udp) {
                Ok(0) => break,
                Ok(some) => taken += some,
                // An error of the socket is told once; there is nothing to do about it.
                Err(_) => continue,
            }
            for datagram in self.receiver.datagrams() {
                counters.datagrams_received.add(1);
                counters.bytes_received.add(datagram.bytes.len() as u64);
                counters.datagrams_truncated.add(datagram.truncated.into());
                if datagram.bytes.is_empty() {
                    counters.datagrams_empty.add(1);
                }
                self.router.take(datagram.bytes);
            }
            self.router.send(false, |node| tell(&self.notices, node));
            if !self.receiver.is_full() {
                break;
            }
        }
        taken
    }

    /// Sends what is due.
    fn send(&mut self) {
        let now = Instant::now();
        if self.release_at.is_none_or(|at| at <= now) {
            let more = self.router.release();
            self.release_at = more.then(|| now + router::RELEASE_PAUSE);
        }
        if self.open_at.is_none_or(|at| at <= now) {
            let more = self.router.open_missing();
            self.open_at = more.then(|| now + OPEN_PAUSE);
        }
        let after = self.router.flush_after();
        let is_due = after.is_zero() || self.flush_at.is_some_and(|at| at <= now);
        self.router.send(is_due, |node| tell(&self.notices, node));
        if is_due {
            self.flush_at = None;
        }
        if self.router.is_stuck() {
            let soon = now + router::RELEASE_PAUSE;
            self.release_at = Some(self.release_at.map_or(soon, |at| at.min(soon)));
        }
        if self.flush_at.is_none() && self.router.is_filling() {
            self.flush_at = Some(now + after);
        }
        self.publish();
    }

    /// Lets others read what was counted.
    fn publish(&self) {
        let mut counted = Counted {
            pending: self.router.pending(),
            ..Counted::default()
        };
        counted.counts.add(&self.router.counters);
        *lock(&self.shared.counted) = counted;
    }

    fn timeout(&self) -> Option<Duration> {
        let next = [
            self.flush_at,
            self.release_at,
            self.open_at,
            self.streams.resumes_at(),
        ];
        let next = next.into_iter().flatten().min()?;
        Some(next.saturating_duration_since(Instant::now()))
    }

    /// Watches the sockets of nodes that are new, and for room those that have none.
    fn watch_sockets(&mut self) -> io::Result<()> {
        self.router.watch(|nth, fd, interest| {
            let token = NODES + nth as u64;
            match self.poller.add(fd, token, interest) {
                Err(error) if Errno::from_io_error(&error) == Some(Errno::EXIST) => {
                    self.poller.modify(fd, token, interest)
                }
                outcome => outcome,
            }
        })
    }

    /// Takes what has arrived, and sends everything.
    fn finish(&mut self) {
        let until = Instant::now() + LAST_LINES;
        while self.receive(BATCHES_PER_TURN) > 0 && Instant::now() < until {}
        self.streams.finish(&mut self.router, until);
        let until = Instant::now() + LAST_LINES;
        loop {
            // Who hears that we end may still have something to say.
            self.receive(1);
            let more = self.router.release();
            self.router.unblock();
            self.router.send(true, |_| {});
            if !(more || self.router.is_blocked() || self.router.is_stuck())
                || Instant::now() >= until
            {
                break;
            }
            thread::sleep(router::RELEASE_PAUSE);
        }
        self.router.take_returned();
        self.router.drop_rest();
        self.publish();
    }
}

/// Says once that a node's host sent something back.
fn tell(notices: &UnboundedSender<Notice>, node: &Arc<Node>) {
    if !node.refusal_told.swap(true, Ordering::AcqRel) {
        // Whoever hears of it may have ended.
        let _ = notices.send(Notice::Refused(Arc::clone(node)));
    }
}
