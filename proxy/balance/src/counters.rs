//! What is counted, live, for metrics and the admin endpoint.

use std::sync::atomic::{AtomicU64, Ordering};

/// What happened at one backend since it was made. All are only ever added to, relaxed.
///
/// Aligned to two cache lines, so that counting bytes does not slow down those that read
/// the backend's state next to it.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct BackendCounters {
    /// Dials that succeeded; counted by [`Backend::dial_succeeded`](crate::Backend::dial_succeeded).
    pub connections: AtomicU64,
    /// Dials that failed, timeouts included; counted by [`Backend::dial_failed`](crate::Backend::dial_failed)
    /// and [`Backend::dial_timed_out`](crate::Backend::dial_timed_out).
    pub dial_failures: AtomicU64,
    /// Those of the failures that timed out.
    pub dial_timeouts: AtomicU64,
    /// Connections that the backend reset; counted by [`Backend::was_reset`](crate::Backend::was_reset).
    pub resets: AtomicU64,
    /// Bytes received from the backend; counted by the caller.
    pub rx_bytes: AtomicU64,
    /// Bytes sent to the backend; counted by the caller.
    pub tx_bytes: AtomicU64,
    /// Active checks that passed.
    pub checks_passed: AtomicU64,
    /// Active checks that failed.
    pub checks_failed: AtomicU64,
    /// Times that it was ejected.
    pub ejections: AtomicU64,
    /// Changes of [`Status`](crate::Status).
    pub transitions: AtomicU64,
    /// Connections that waited in the queue before they got a place here; counted by the caller.
    pub queued: AtomicU64,
}

/// What happened at one pool, kept over reloads by [`Pool::following`](crate::Pool::following).
#[derive(Debug, Default)]
pub struct PoolCounters {
    /// Places in the queue that were given out.
    pub queued: AtomicU64,
    /// Places in the queue that were asked for when it was full.
    pub queue_full: AtomicU64,
    /// Picks that found no backend up.
    pub all_down: AtomicU64,
    /// Picks that found every backend at its limit. One connection may count several times,
    /// once for each time that it tries again.
    pub all_full: AtomicU64,
    /// Picks that had tried all there are.
    pub none_left: AtomicU64,
    /// Picks that took one that is ejected or looks down because there was no other: an
    /// ejected one always, any with [`WhenAllDown::Any`](crate::WhenAllDown::Any).
    pub despite_down: AtomicU64,
}

/// Adds one to a counter.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
