//! What one worker counts of the protocol.

use std::sync::Arc;

use protocol::foo::{Kind, Malformed};

use crate::counters::Single;

/// Messages and malformed lines of one worker.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct FooCounters {
    pub(super) requests: Single,
    pub(super) acks: Single,
    pub(super) naks: Single,
    /// Answers that the proxy gave itself: no traffic.
    pub(super) own_answers: Single,
    pub(super) from_client: Reasons,
    pub(super) from_upstream: Reasons,
}

/// Malformed lines by reason, in the order of [`Malformed::ALL`].
#[derive(Debug, Default)]
pub(super) struct Reasons([Single; Malformed::ALL.len()]);

impl Reasons {
    pub(super) fn add(&self, reason: Malformed) {
        self.0[reason as usize].add(1);
    }
}

/// The same, summed over workers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FooTotals {
    pub(super) requests: u64,
    pub(super) acks: u64,
    pub(super) naks: u64,
    pub(super) own_answers: u64,
    pub(super) from_client: [u64; Malformed::ALL.len()],
    pub(super) from_upstream: [u64; Malformed::ALL.len()],
}

impl FooTotals {
    /// Reads and sums the counters of all workers.
    pub(super) fn of(workers: &[Arc<FooCounters>]) -> Self {
        let mut totals = Self::default();
        for worker in workers {
            totals.requests += worker.requests.get();
            totals.acks += worker.acks.get();
            totals.naks += worker.naks.get();
            totals.own_answers += worker.own_answers.get();
            for reason in Malformed::ALL {
                let at = reason as usize;
                totals.from_client[at] += worker.from_client.0[at].get();
                totals.from_upstream[at] += worker.from_upstream.0[at].get();
            }
        }
        totals
    }

    /// Answers of the server, ACK and NAK.
    pub(super) fn responses(&self) -> u64 {
        self.acks + self.naks
    }
}

/// Messages counted in one piece, added at its end.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Batch {
    kinds: [u64; 3],
}

impl Batch {
    pub(super) fn count(&mut self, kind: Kind) {
        self.kinds[kind as usize] += 1;
    }

    pub(super) fn add_to(self, counters: &FooCounters) {
        let [requests, acks, naks] = self.kinds;
        if requests > 0 {
            counters.requests.add(requests);
        }
        if acks + naks > 0 {
            counters.acks.add(acks);
            counters.naks.add(naks);
        }
    }
}
