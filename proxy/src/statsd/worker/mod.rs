//! The data plane of `proxy statsd`: threads that take lines in and send them to the nodes
//! that they belong to.
//!
//! Each worker has a UDP socket of its own, bound to the same address, and a share of the
//! TCP connections. [`turn`] is its loop, [`router`] finds the node of a line, [`outbox`] is
//! what waits for one node, [`streams`] are the TCP connections, [`counters`] what is
//! counted.
//!
//! No system call, lock or allocation is spent on a line: datagrams come in and go out by
//! the batch. (The kernel could gather datagrams of one sender, but when it drops them it
//! counts them as one, and no account would come out even.) While many come, the worker
//! rests between two batches, so that each holds more of them: lines wait for company
//! anyway.

mod counters;
mod outbox;
mod router;
mod streams;
mod turn;

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use eventloop::{Waker, datagram};
use tokio::sync::mpsc::UnboundedSender;

pub(super) use self::counters::WorkerTotals;
use self::router::Router;
use self::turn::Worker;
use super::settings::{Node, Settings};
use crate::live::Live;

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
    /// What was counted up to the end of its last turn: nothing is on its way then that is
    /// neither pending nor counted.
    counted: Mutex<Counted>,
    udp: Option<OwnedFd>,
    drops: Mutex<Drops>,
}

/// Datagrams that the kernel dropped: it counts up to 2³² and begins anew.
#[derive(Debug, Default)]
struct Drops {
    last: u32,
    total: u64,
}

/// What one worker has counted at one moment.
#[derive(Clone, Copy, Debug, Default)]
struct Counted {
    counts: WorkerTotals,
    pending: u64,
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
                counted: Mutex::default(),
                udp,
                drops: Mutex::default(),
            });
            let router = Router::new(Arc::clone(&config.live), Arc::default());
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
        let counted = *lock(&shared.counted);
        self.counts += counted.counts;
        self.pending += counted.pending;
        self.kernel_drops += shared.kernel_drops();
    }
}

impl Shared {
    /// Datagrams that the kernel has dropped at our socket.
    fn kernel_drops(&self) -> u64 {
        let mut drops = lock(&self.drops);
        if let Some(Ok(now)) = self.udp.as_ref().map(datagram::receive_drops) {
            drops.total += u64::from(now.wrapping_sub(drops.last));
            drops.last = now;
        }
        drops.total
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
