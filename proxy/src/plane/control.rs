//! Starting, draining and stopping the workers.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;
use std::{panic, thread};

use clap::ValueEnum;

use super::counters::{PlaneCounters, PlaneTotals};
use super::driver::Driver;
use super::epoll::Epoll;
use super::mailbox::{Letter, Mailbox};
use super::protocol::Protocol;
use super::uring::Uring;
use super::worker::Worker;

/// How a worker talks to the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum DriverChoice {
    /// io_uring where the kernel allows it, otherwise epoll.
    #[default]
    Auto,
    /// io_uring, or do not start.
    #[value(name = "io_uring", alias = "io-uring")]
    IoUring,
    /// epoll.
    Epoll,
}

/// Whose are the connections that the kernel has accepted and nobody has fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Backlog {
    /// Ours: nobody else would serve them.
    Take,
    /// Another process accepts from the same socket and will serve them.
    Leave,
}

/// What the workers need to know.
#[derive(Clone, Debug)]
pub(crate) struct PlaneConfig {
    pub(crate) threads: usize,
    pub(crate) driver: DriverChoice,
    pub(crate) max_connections: usize,
}

/// How long things may take, in milliseconds; zero means for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    /// For an upstream to accept.
    pub(crate) connect_ms: u64,
    /// Without a byte.
    pub(crate) idle_ms: u64,
    /// Without a byte, once one side has ended.
    pub(crate) half_closed_ms: u64,
    /// For what must come first from a client.
    pub(crate) preface_ms: u64,
    /// For room.
    pub(crate) queue_ms: u64,
}

impl Limits {
    /// A duration in milliseconds, where only none at all is zero.
    pub(crate) fn ms(duration: Duration) -> u64 {
        u64::try_from(duration.as_millis())
            .unwrap_or(u64::MAX)
            .max(u64::from(!duration.is_zero()))
    }

    /// How often to look for connections past a limit: an eighth of the shortest, so that
    /// none is overrun by much, and never so often that looking costs anything.
    pub(super) fn sweep_ms(self) -> u64 {
        let shortest = [
            self.connect_ms,
            self.idle_ms,
            self.half_closed_ms,
            self.preface_ms,
            self.queue_ms,
        ]
        .into_iter()
        .filter(|ms| *ms > 0)
        .min();
        shortest.map_or(1_000, |ms| (ms / 8).clamp(10, 1_000))
    }
}

/// What a worker shares with the control plane and the other workers.
#[derive(Debug)]
pub(super) struct WorkerShare {
    pub(super) counters: PlaneCounters,
    pub(super) mailbox: Mailbox,
    /// Connections of this worker.
    pub(super) load: AtomicUsize,
    /// It is out of descriptors for the moment.
    pub(super) paused: AtomicBool,
    /// Connections open in all workers.
    pub(super) open: Arc<AtomicUsize>,
    pub(super) max_connections: Arc<AtomicUsize>,
}

impl WorkerShare {
    pub(super) fn new(max: &Arc<AtomicUsize>, open: &Arc<AtomicUsize>) -> io::Result<Self> {
        Ok(Self {
            counters: PlaneCounters::default(),
            mailbox: Mailbox::open()?,
            load: AtomicUsize::new(0),
            paused: AtomicBool::new(false),
            open: Arc::clone(open),
            max_connections: Arc::clone(max),
        })
    }
}

/// The running workers.
pub(crate) struct Plane {
    workers: Vec<Handle>,
    driver: &'static str,
    running: usize,
    max_connections: Arc<AtomicUsize>,
    outcomes: tokio::sync::mpsc::UnboundedReceiver<io::Result<()>>,
}

struct Handle {
    share: Arc<WorkerShare>,
    thread: thread::JoinHandle<()>,
}

impl Plane {
    /// Starts the workers on `listener`; `protocol` makes the mode's part for each.
    ///
    /// # Errors
    /// That a driver or a thread could not be opened.
    pub(crate) fn start<P: Protocol + Send + 'static>(
        config: &PlaneConfig,
        listener: OwnedFd,
        protocol: impl Fn(usize) -> P,
    ) -> io::Result<Self> {
        let listener = Arc::new(listener);
        if config.driver != DriverChoice::Epoll {
            match Self::start_on::<Uring, P>(config, &listener, &protocol) {
                Err(error) if config.driver == DriverChoice::Auto => {
                    tracing::warn!("io_uring cannot be used, going on with epoll: {error}");
                }
                outcome => return outcome,
            }
        }
        Self::start_on::<Epoll, P>(config, &listener, &protocol)
    }

    fn start_on<D: Driver, P: Protocol + Send + 'static>(
        config: &PlaneConfig,
        listener: &Arc<OwnedFd>,
        protocol: &impl Fn(usize) -> P,
    ) -> io::Result<Self> {
        let open = Arc::new(AtomicUsize::new(0));
        let max_connections = Arc::new(AtomicUsize::new(config.max_connections));
        let share = |_| WorkerShare::new(&max_connections, &open).map(Arc::new);
        let shares: Arc<[_]> = (0..config.threads).map(share).collect::<io::Result<_>>()?;
        let (report, outcomes) = tokio::sync::mpsc::unbounded_channel();
        let mut plane = Self {
            workers: Vec::new(),
            driver: D::NAME,
            running: 0,
            outcomes,
            max_connections,
        };
        for number in 0..config.threads {
            let (opened, is_open) = mpsc::channel();
            let spawned = thread::Builder::new()
                .name(format!("worker-{number}"))
                .spawn({
                    let (listener, shares) = (Arc::clone(listener), Arc::clone(&shares));
                    let protocol = protocol(number);
                    let report = report.clone();
                    move || {
                        // A ring belongs to the thread that opened it.
                        let waker = shares[number].mailbox.waker();
                        let driver = match D::open(listener.as_fd(), waker) {
                            Ok(driver) => driver,
                            Err(error) => return drop(opened.send(Err(error))),
                        };
                        let worker = Worker::new(driver, protocol, &shares, number, listener);
                        // The receivers are gone only when nobody wants to know.
                        let _ = opened.send(Ok(()));
                        let run = panic::AssertUnwindSafe(|| worker.run());
                        let outcome = panic::catch_unwind(run)
                            .unwrap_or_else(|_| Err(io::Error::other("a worker panicked")));
                        let _ = report.send(outcome);
                    }
                });
            let opened = spawned.and_then(|thread| {
                plane.running += 1;
                let share = Arc::clone(&shares[number]);
                plane.workers.push(Handle { share, thread });
                let answer = is_open.recv();
                answer.unwrap_or_else(|_| Err(io::Error::other("a worker died")))
            });
            if let Err(error) = opened {
                plane.stop();
                return Err(error);
            }
        }
        Ok(plane)
    }

    /// The driver in use.
    pub(crate) fn driver(&self) -> &'static str {
        self.driver
    }

    /// Reads the counters of all workers.
    pub(crate) fn totals(&self) -> impl Fn() -> PlaneTotals + Send + Sync + use<> {
        let shares: Vec<_> = self
            .workers
            .iter()
            .map(|worker| Arc::clone(&worker.share))
            .collect();
        move || {
            let mut totals = PlaneTotals::default();
            shares.iter().for_each(|share| totals.add(&share.counters));
            totals
        }
    }

    /// Changes how many connections may be open at a time.
    pub(crate) fn set_max_connections(&self, most: usize) {
        self.max_connections.store(most, Ordering::Relaxed);
    }

    /// Accepts no more connections; each worker ends when its last one has.
    pub(crate) fn drain(&self, backlog: Backlog) {
        for worker in &self.workers {
            // A worker that has ended needs no orders.
            let _ = worker.share.mailbox.send(Letter::Drain(backlog));
        }
    }

    /// Waits until every worker has ended by itself. Dropping the future loses nothing.
    ///
    /// # Errors
    /// That one of them failed. The others go on.
    pub(crate) async fn finished(&mut self) -> io::Result<()> {
        while self.running > 0 {
            let Some(outcome) = self.outcomes.recv().await else {
                break;
            };
            self.running -= 1;
            outcome?;
        }
        Ok(())
    }

    /// Ends every worker now, whatever is open.
    pub(crate) fn stop(self) {
        for worker in self.workers {
            // A worker that has ended needs no orders; one that panicked has said so.
            let _ = worker.share.mailbox.send(Letter::Stop);
            let _ = worker.thread.join();
        }
    }
}
