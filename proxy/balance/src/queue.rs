//! Places for connections that wait until a backend is below its limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A place in the bounded queue of a [`Pool`](crate::Pool); dropping it gives the place back.
///
/// It only counts: who waits, and in which order, is the business of the worker that holds
/// the connection.
#[derive(Debug)]
#[must_use = "dropping the ticket gives the place back"]
pub struct Ticket {
    waiting: Arc<AtomicUsize>,
}

impl Ticket {
    /// Takes a place unless `limit` are taken.
    pub(crate) fn take(waiting: &Arc<AtomicUsize>, limit: usize) -> Option<Self> {
        waiting
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |taken| {
                (taken < limit).then_some(taken + 1)
            })
            .ok()?;
        Some(Self {
            waiting: Arc::clone(waiting),
        })
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}
