//! What a worker's connections use while it is their turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use eventloop::Poller;

use crate::evidence::DecisionLog;
use crate::lane::Moment;

/// Space offered to one read.
pub(super) const SCRATCH_BYTES: usize = 64 * 1024;

/// What all lanes of the process may hold before each is kept short: beyond it a lane
/// holds 16 KiB for each toxic, so that many slow connections do not fill the memory.
const RICH_BYTES: usize = 256 * 1024 * 1024;

/// How often a worker that has moved bulk and has nothing to move steps aside for whoever
/// sends before it goes to sleep. To be woken costs the sender more than its bytes do, and
/// it comes late; while others run, so much gathers that each turn is worth its calls.
pub(super) const LINGERS: u32 = 32;

/// What a worker's connections use while it is their turn.
pub(super) struct Scene {
    /// Where their sockets are watched.
    pub(super) poller: Poller,
    /// Where they read to.
    pub(super) scratch: Vec<u8>,
    /// The log of decisions, if one is kept.
    pub(super) log: Option<DecisionLog>,
    /// The time of this turn.
    pub(super) now_ns: u64,
    /// What all lanes of the process hold.
    pub(super) memory: Arc<AtomicUsize>,
    /// Which worker it is.
    pub(super) worker: usize,
    /// How often the worker still steps aside for others before it goes to sleep.
    pub(super) lingers: u32,
}

impl Scene {
    /// Whether lanes must be kept short.
    pub(super) fn is_poor(&self) -> bool {
        self.memory.load(Relaxed) > RICH_BYTES
    }

    /// This moment.
    pub(super) fn moment(&mut self) -> Moment<'_> {
        Moment {
            now_ns: self.now_ns,
            is_poor: self.memory.load(Relaxed) > RICH_BYTES,
            log: self.log.as_mut(),
        }
    }

    /// Takes into account that a connection held `before` and now holds `after`.
    pub(super) fn remember(&self, before: usize, after: usize) {
        if after >= before {
            self.memory.fetch_add(after - before, Relaxed);
        } else {
            self.memory.fetch_sub(before - after, Relaxed);
        }
    }
}
