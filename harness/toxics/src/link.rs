//! A link, as its workers and the control see it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use service::addr::HostPort;

use crate::evidence::Counters;
use crate::item::Medium;
use crate::record::DirectionBytes;
use crate::toxic::{Acts, Direction, ListenerFault, Toxic};

/// A toxic that is at work. An update makes a new one with the same number and counters.
#[derive(Debug)]
pub struct ActiveToxic {
    /// Its number in this process.
    pub id: u64,
    /// Which state of it this is.
    pub version: u64,
    /// What it is.
    pub toxic: Toxic,
    /// What it did.
    pub counters: Arc<Counters>,
}

/// All toxics of a link at a time, in the order of their coming.
pub type Chain = Arc<Vec<Arc<ActiveToxic>>>;

/// The worst that a chain says of the listener.
#[must_use]
pub fn listener_fault(chain: &Chain) -> Option<(&Arc<ActiveToxic>, ListenerFault)> {
    let faults = chain
        .iter()
        .filter_map(|active| match active.toxic.kind.acts {
            Acts::OnListener(fault) if active.toxic.toxicity > 0.0 => Some((active, fault)),
            _ => None,
        });
    faults.max_by_key(|(_, fault)| *fault)
}

/// What one worker moved; apart from the others' so that they do not wait for one another.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Traffic {
    received: [AtomicU64; 2],
    sent: [AtomicU64; 2],
}

impl Traffic {
    /// Takes received bytes into account.
    pub fn received(&self, direction: Direction, bytes: usize) {
        self.received[direction.index()].fetch_add(bytes as u64, Relaxed);
    }

    /// Takes sent bytes into account.
    pub fn sent(&self, direction: Direction, bytes: usize) {
        self.sent[direction.index()].fetch_add(bytes as u64, Relaxed);
    }
}

/// What stays the same of a link for as long as it has its name, also while it is down.
#[derive(Debug)]
pub struct Link {
    /// Its number in this process.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// What it carries.
    pub medium: Medium,
    /// Where it connects to.
    upstream: Mutex<HostPort>,
    /// The seed of its decisions.
    pub seed: u64,
    /// What each worker moved.
    pub traffic: Vec<Traffic>,
    /// Connections accepted: the number of the next.
    pub accepted: AtomicU64,
    /// How often the link was closed: who was accepted before is not served after.
    pub closings: AtomicU64,
    /// Connections that have ended.
    pub ended: AtomicU64,
    /// Connections whose upstream could not be reached.
    pub failed: AtomicU64,
    /// Datagrams that found no room.
    pub overflowed: AtomicU64,
    /// The toxics of now, for connections to come.
    chain: Mutex<Chain>,
}

impl Link {
    /// A link that nothing has passed.
    #[must_use]
    pub fn new(
        id: u64,
        name: &str,
        medium: Medium,
        upstream: HostPort,
        seed: u64,
        workers: usize,
    ) -> Self {
        Self {
            id,
            name: name.to_owned(),
            medium,
            upstream: Mutex::new(upstream),
            seed,
            traffic: (0..workers).map(|_| Traffic::default()).collect(),
            accepted: AtomicU64::new(0),
            closings: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            overflowed: AtomicU64::new(0),
            chain: Mutex::default(),
        }
    }

    /// Where connections to come connect to.
    #[must_use]
    pub fn upstream(&self) -> HostPort {
        let upstream = self.upstream.lock();
        upstream.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sets where connections to come connect to.
    pub fn set_upstream(&self, to: HostPort) {
        *self.upstream.lock().unwrap_or_else(PoisonError::into_inner) = to;
    }

    /// The toxics of now.
    #[must_use]
    pub fn chain(&self) -> Chain {
        let chain = self.chain.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&chain)
    }

    /// Sets the toxics for connections to come.
    pub fn set_chain(&self, chain: Chain) {
        *self.chain.lock().unwrap_or_else(PoisonError::into_inner) = chain;
    }

    /// What all workers moved in a direction.
    #[must_use]
    pub fn bytes(&self, direction: Direction) -> DirectionBytes {
        let sum = |of: fn(&Traffic) -> &[AtomicU64; 2]| {
            let counts = self.traffic.iter().map(of);
            counts
                .map(|counts| counts[direction.index()].load(Relaxed))
                .sum()
        };
        DirectionBytes {
            received: sum(|traffic| &traffic.received),
            sent: sum(|traffic| &traffic.sent),
        }
    }
}
