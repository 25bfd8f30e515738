//! The data plane of `proxy statsd`: threads that take lines in and send them to the nodes
//! that they belong to.
//!
//! Each worker has a UDP socket of its own, bound to the same address, and a share of the
//! TCP connections. [`router`] finds the node of a line, [`outbox`] is what waits for one
//! node, [`streams`] are the TCP connections, [`counters`] what is counted.
//!
//! No system call, lock or allocation is spent on a line: datagrams come in and go out by
//! the batch. (The kernel could gather datagrams of one sender, but when it drops them it
//! counts them as one, and no account would come out even.) While many come, the worker rests between two batches, so that each holds
//! more of them: lines wait for company anyway.

mod counters;
mod outbox;
mod router;
mod streams;

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use eventloop::datagram::{self, Receiver};
use eventloop::{Events, Interest, Poller, Waker};
use rustix::io::Errno;
use tokio::sync::mpsc::UnboundedSender;

use self::counters::WorkerCounters;
pub(super) use self::counters::WorkerTotals;
use self::router::Router;
use self::streams::Streams;
use super::settings::{Node, Settings};
use crate::live::Live;

/// Datagrams that one system call receives.
const RECEIVE_BATCH: usize = 64;

/// Batches in a row before anything else has its turn.
const BATCHES_PER_TURN: usize = 8;

/// Datagrams in one turn from which on the worker rests before the next.
const BUSY: usize = 4;

/// How long it rests: what comes meanwhile has to fit into the socket.
const REST: Duration = Duration::from_micros(300);

/// How long the last lines may take to leave when the proxy ends.
const LAST_LINES: Duration = Duration::from_secs(1);

const WAKER: u64 = 0;
const DATAGRAMS: u64 = 1;
const LISTENER: u64 = 2;
/// Tokens of the nodes' sockets begin here, those of connections behind them.
const NODES: u64 = 1 << 16;
const STREAMS: u64 = 1 << 32;

/// What workers have to say.
#[derive(Debug)]
pub(super) enum Notice {
    /// The host of a node sent a datagram back: nobody listens there. Not told again before
    /// [`Node::hear_refusals`].
    Refused(Arc<Node>),
    /// A worker has ended without being told to.
    Failed(io::Error),
}

/// What workers are started with.
pub(super) struct WorkersConfig {
    /// A UDP socket for each.
    pub(super) udp: Vec<OwnedFd>,
    /// A listening TCP socket for all of them.
    pub(super) tcp: Option<OwnedFd>,
    /// What they route by.
    pub(super) live: Arc<Live<Settings>>,
    /// Where they say what there is to say.
    pub(super) notices: UnboundedSender<Notice>,
}

/// What all workers together have counted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals {
    /// The counters.
    pub(super) counts: WorkerTotals,
    /// Lines that have come in and neither left nor been dropped.
    pub(super) pending: u64,
    /// Datagrams that the kernel dropped at our sockets.
    pub(super) kernel_drops: u64,
}

/// The workers.
pub(super) struct Workers {
    handles: Vec<(Arc<Shared>, JoinHandle<()>)>,
}

/// What a worker and the control plane share.
struct Shared {
    waker: Waker,
    stop: AtomicBool,
    counters: Arc<WorkerCounters>,
    pending: AtomicU64,
    udp: Option<OwnedFd>,
}

impl Workers {
    /// Starts a worker for each UDP socket, and one if there is none.
    ///
    /// # Errors
    /// What a thread, an epoll instance or a descriptor could not be had for.
    pub(super) fn start(config: WorkersConfig) -> io::Result<Self> {
        let mut udp: Vec<_> = config.udp.into_iter().map(Some).collect();
        if udp.is_empty() {
            udp.push(None);
        }
        let tcp = config.tcp.map(Arc::new);
        let mut this = Self {
            handles: Vec::new(),
        };
        for udp in udp {
            let shared = Arc::new(Shared {
                waker: Waker::new()?,
                stop: AtomicBool::new(false),
                counters: Arc::default(),
                pending: AtomicU64::new(0),
                udp,
            });
            let router = Router::new(Arc::clone(&config.live), Arc::clone(&shared.counters));
            let worker = Worker::new(
                Arc::clone(&shared),
                tcp.clone(),
                router,
                config.notices.clone(),
            )?;
            let handle = thread::Builder::new()
                .name("statsd".to_owned())
                .spawn(move || worker.run())?;
            this.handles.push((shared, handle));
        }
        Ok(this)
    }

    /// Has every worker look for new settings.
    pub(super) fn settings_changed(&self) {
        for (shared, _) in &self.handles {
            shared.waker.wake();
        }
    }

    /// What they have counted.
    pub(super) fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for (shared, _) in &self.handles {
            totals.add(shared);
        }
        totals
    }

    /// Has them take what has arrived, send everything, and end.
    pub(super) fn stop(self) -> Totals {
        for (shared, _) in &self.handles {
            shared.stop.store(true, Ordering::Release);
            shared.waker.wake();
        }
        let mut totals = Totals::default();
        for (shared, handle) in self.handles {
            if handle.join().is_err() {
                tracing::error!("a worker has panicked");
            }
            totals.add(&shared);
        }
        totals
    }
}

impl Totals {
    fn add(&mut self, shared: &Shared) {
        // First what has left, so that nothing leaves that has not come in.
        self.counts.add(&shared.counters);
        self.pending += shared.pending.load(Ordering::Acquire);
        let drops = shared.udp.as_ref().map(datagram::receive_drops);
        self.kernel_drops += drops.and_then(Result::ok).map_or(0, u64::from);
    }
}

struct Worker {
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
}

impl Worker {
    fn new(
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
        })
    }

    fn run(mut self) {
        if let Err(error) = self.serve() {
            // Whoever hears of it may have ended.
            let _ = self.notices.send(Notice::Failed(error));
        }
    }

    fn serve(&mut self) -> io::Result<()> {
        let mut events = Events::new();
        loop {
            self.watch_sockets()?;
            self.poller.wait(&mut events, self.timeout())?;
            // Before anything is taken in: what came after a change goes where that says.
            self.router.refresh();
            let mut taken = 0;
            for (token, _) in events.iter() {
                match token {
                    WAKER => self.shared.waker.drain(),
                    DATAGRAMS => taken = self.receive(BATCHES_PER_TURN),
                    LISTENER => self.streams.accept(&self.poller, &self.router.counters),
                    token if token < STREAMS => self.heard((token - NODES) as usize),
                    token => self.streams.read(token, &mut self.router),
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
        if self.release_at.is_some_and(|at| at <= now) || self.release_at.is_none() {
            let more = self.router.release();
            self.release_at = more.then(|| now + router::RELEASE_PAUSE);
        }
        let after = self.router.flush_after();
        let is_due = after.is_zero() || self.flush_at.is_some_and(|at| at <= now);
        self.router.send(is_due, |node| tell(&self.notices, node));
        if is_due {
            self.flush_at = None;
        }
        if self.flush_at.is_none() && self.router.is_filling() {
            self.flush_at = Some(now + after);
        }
        self.shared
            .pending
            .store(self.router.pending(), Ordering::Release);
    }

    fn timeout(&self) -> Option<Duration> {
        let next = [self.flush_at, self.release_at, self.streams.resumes_at()];
        let next = next.into_iter().flatten().min()?;
        Some(next.saturating_duration_since(Instant::now()))
    }

    /// Something came from a node.
    fn heard(&mut self, nth: usize) {
        if let Some(node) = self.router.heard(nth) {
            tell(&self.notices, node);
        }
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
        let give_up_at = Instant::now() + LAST_LINES;
        while self.receive(BATCHES_PER_TURN) > 0 && Instant::now() < give_up_at {}
        self.streams.finish(&mut self.router);
        loop {
            let more = self.router.release();
            self.router.send(true, |_| {});
            if !(more || self.router.is_blocked()) || Instant::now() >= give_up_at {
                break;
            }
            thread::sleep(router::RELEASE_PAUSE);
        }
        self.router.drop_rest();
        self.shared
            .pending
            .store(self.router.pending(), Ordering::Release);
    }
}

/// Says once that a node's host sent something back.
fn tell(notices: &UnboundedSender<Notice>, node: &Arc<Node>) {
    if !node.refusal_told.swap(true, Ordering::AcqRel) {
        // Whoever hears of it may have ended.
        let _ = notices.send(Notice::Refused(Arc::clone(node)));
    }
}
