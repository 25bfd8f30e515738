//! The set of backends that a connection chooses from.

mod candidates;
mod choose;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use thiserror::Error;

use crate::algorithm::{Algorithm, WhenAllDown};
use crate::backend::Backend;
use crate::counters::{PoolCounters, count};
use crate::lease::Lease;
use crate::picker::Picker;
use crate::queue::Ticket;
use crate::ring::Ring;
use candidates::{Among, Candidates};

pub use choose::BOUND_FACTOR;

/// Why no backend was picked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
pub enum NoBackend {
    /// The pool has none at all.
    #[error("the pool has no backends")]
    Empty,
    /// None is up, or, where that does not count, the operator has taken all out.
    #[error("all backends are down")]
    AllDown,
    /// All that are left to try have as many connections as they may: wait in the queue.
    #[error("all backends are at their connection limits")]
    AllFull,
    /// All that are up were tried for this connection.
    #[error("all backends that are up were tried")]
    NoneLeft,
}

impl NoBackend {
    /// The name of the counter for it.
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::AllDown => "all-down",
            Self::AllFull => "all-full",
            Self::NoneLeft => "none-left",
        }
    }
}

/// An immutable set of backends with all that choosing one needs worked out beforehand.
///
/// Cheap to make anew at a reload: the [`Backend`]s go on.
#[derive(Debug)]
pub struct Pool {
    name: String,
    backends: Vec<Arc<Backend>>,
    /// The weight of each, when the pool was made.
    weights: Vec<u32>,
    /// The sum of the weights up to and with each: a draw is a search in it.
    cumulative: Vec<u64>,
    /// Empty unless balancing by hash.
    ring: Ring,
    algorithm: Algorithm,
    when_all_down: WhenAllDown,
    max_queue: usize,
    waiting: Arc<AtomicUsize>,
    counters: Arc<PoolCounters>,
    /// What pickers know this pool by.
    identity: Arc<()>,
}

impl Pool {
    /// A pool of these backends, with their weights as of now and room in the queue for
    /// `max_queue` connections.
    pub fn new(
        name: String,
        backends: Vec<Arc<Backend>>,
        algorithm: Algorithm,
        when_all_down: WhenAllDown,
        max_queue: usize,
    ) -> Self {
        let weights: Vec<_> = backends.iter().map(|backend| backend.weight()).collect();
        let cumulative = weights
            .iter()
            .scan(0, |sum, &weight| {
                *sum += u64::from(weight);
                Some(*sum)
            })
            .collect();
        let ring = if algorithm == Algorithm::Hash {
            let addrs = backends.iter().map(|backend| backend.addr());
            Ring::new(addrs.zip(weights.iter().copied()))
        } else {
            Ring::default()
        };
        Self {
            name,
            backends,
            weights,
            cumulative,
            ring,
            algorithm,
            when_all_down,
            max_queue,
            waiting: Arc::default(),
            counters: Arc::default(),
            identity: Arc::default(),
        }
    }

    /// Takes over the counters of the pool that this one replaces at a reload, and counts
    /// those that wait in its queue.
    #[must_use]
    pub fn following(mut self, before: &Self) -> Self {
        self.waiting = Arc::clone(&before.waiting);
        self.counters = Arc::clone(&before.counters);
        self
    }

    /// Its name in logs and metrics.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// All of its backends, in the order given.
    pub fn backends(&self) -> &[Arc<Backend>] {
        &self.backends
    }

    /// How it chooses.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// What it does when no backend is up.
    pub fn when_all_down(&self) -> WhenAllDown {
        self.when_all_down
    }

    /// What is counted.
    pub fn counters(&self) -> &PoolCounters {
        &self.counters
    }

    /// Chooses a backend that takes connections, is below its limit and not among `tried`,
    /// and takes a place on it.
    ///
    /// An ejection only ever moves connections to other backends: where no backend takes
    /// connections, those that are merely ejected are chosen from, whatever
    /// [`WhenAllDown`] says, which is about backends whose active checks fail. Otherwise
    /// a few clients that make every backend reset them could take out a whole pool.
    ///
    /// `source` is the client's address, for [`Algorithm::Hash`], which chooses at random
    /// without; `tried` are the addresses that have failed this connection already. Takes
    /// no lock, and allocates nothing once this picker has met this pool.
    ///
    /// # Errors
    /// When there is no such backend: why.
    pub fn pick(
        &self,
        picker: &mut Picker,
        now_ms: u64,
        source: Option<IpAddr>,
        tried: &[SocketAddr],
    ) -> Result<Lease, NoBackend> {
        let up = Candidates::new(self, now_ms, tried, Among::Up);
        if let Some(lease) = self.take(picker, &up, source) {
            return Ok(lease);
        }
        let error = match up.why_none() {
            NoBackend::AllDown => {
                let among = match self.when_all_down {
                    WhenAllDown::Fail => Among::Ejected,
                    WhenAllDown::Any => Among::Enabled,
                };
                let last_resort = Candidates::new(self, now_ms, tried, among);
                if let Some(lease) = self.take(picker, &last_resort, source) {
                    count(&self.counters.despite_down);
                    return Ok(lease);
                }
                last_resort.why_none()
            }
            error => error,
        };
        match error {
            NoBackend::Empty => {}
            NoBackend::AllDown => count(&self.counters.all_down),
            NoBackend::AllFull => count(&self.counters.all_full),
            NoBackend::NoneLeft => count(&self.counters.none_left),
        }
        Err(error)
    }

    /// Takes a place in the queue; `None` when it is full.
    pub fn queue(&self) -> Option<Ticket> {
        let ticket = Ticket::take(&self.waiting, self.max_queue);
        count(match ticket {
            Some(_) => &self.counters.queued,
            None => &self.counters.queue_full,
        });
        ticket
    }

    /// How many places in the queue are taken.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// [`Backend::tick`] for all of them.
    pub fn tick(&self, now_ms: u64) {
        for backend in &self.backends {
            backend.tick(now_ms);
        }
    }

    /// Chooses and takes a place, again when another worker was quicker.
    fn take(
        &self,
        picker: &mut Picker,
        candidates: &Candidates<'_>,
        source: Option<IpAddr>,
    ) -> Option<Lease> {
        // Each time that a place is lost, a backend has just become full; with more losses
        // than backends, places come and go so fast that the queue is the better place.
        for _ in 0..=self.backends.len() {
            let choice = choose::choose(picker, candidates, source)?;
            let lease = Lease::take(&self.backends[choice.member], choice.bound);
            if lease.is_some() {
                return lease;
            }
        }
        None
    }
}
