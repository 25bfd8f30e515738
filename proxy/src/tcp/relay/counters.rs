//! What one worker counts of the connections that it relays.

use std::sync::Arc;

use protocol::client_hello::HelloError;
use protocol::proxy_header::HeaderError;

use crate::counters::Single;

/// Connections of one worker, by what became of them before and after they had a backend.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(in crate::tcp) struct RelayCounters {
    /// Connections that reached a backend.
    pub(in crate::tcp) connected: Single,
    /// Dials after the first.
    pub(in crate::tcp) retries: Single,
    /// Connections that found every backend down, or none configured.
    pub(in crate::tcp) all_down: Single,
    /// Connections that found every backend full and no place in the queue.
    pub(in crate::tcp) all_full: Single,
    /// Connections whose dials all failed.
    pub(in crate::tcp) dials_failed: Single,
    /// Connections for which the proxy itself had no descriptor, port or memory.
    pub(in crate::tcp) out_of_resources: Single,
    /// Dials that found no local port left.
    pub(in crate::tcp) ports_exhausted: Single,
    /// PROXY protocol headers taken off.
    pub(in crate::tcp) headers: Single,
    /// Connections that had to begin with one and were not allowed to.
    pub(in crate::tcp) headers_untrusted: Single,
    /// TLS handshakes that were completed here.
    pub(in crate::tcp) handshakes: Single,
    /// TLS that failed, before or after the handshake.
    pub(in crate::tcp) tls_failed: Single,
    /// Ends of TLS streams that were not announced: what came may be cut short.
    pub(in crate::tcp) tls_truncated: Single,
    bad_headers: [Single; HeaderError::ALL.len()],
    bad_hellos: [Single; HelloError::ALL.len()],
}

impl RelayCounters {
    pub(super) fn bad_header(&self, error: HeaderError) {
        self.bad_headers[error as usize].add(1);
    }

    pub(super) fn bad_hello(&self, error: HelloError) {
        self.bad_hellos[error as usize].add(1);
    }
}

/// The same, read and summed over workers, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::tcp) struct RelayTotals {
    /// The plain counters.
    pub(in crate::tcp) counts: Vec<(&'static str, u64)>,
    /// PROXY protocol headers that could not be read, by reason.
    pub(in crate::tcp) bad_headers: Vec<(&'static str, u64)>,
    /// TLS hellos that could not be read, by reason.
    pub(in crate::tcp) bad_hellos: Vec<(&'static str, u64)>,
}

impl RelayTotals {
    /// Reads and sums the counters of all workers.
    pub(in crate::tcp) fn of(workers: &[Arc<RelayCounters>]) -> Self {
        let sum = |read: &dyn Fn(&RelayCounters) -> u64| workers.iter().map(|w| read(w)).sum();
        let counts = vec![
            ("connected", sum(&|w| w.connected.get())),
            ("retries", sum(&|w| w.retries.get())),
            ("all_down", sum(&|w| w.all_down.get())),
            ("all_full", sum(&|w| w.all_full.get())),
            ("dials_failed", sum(&|w| w.dials_failed.get())),
            ("out_of_resources", sum(&|w| w.out_of_resources.get())),
            ("ports_exhausted", sum(&|w| w.ports_exhausted.get())),
            ("proxy_headers", sum(&|w| w.headers.get())),
            (
                "proxy_headers_untrusted",
                sum(&|w| w.headers_untrusted.get()),
            ),
            ("tls_handshakes", sum(&|w| w.handshakes.get())),
            ("tls_failed", sum(&|w| w.tls_failed.get())),
            ("tls_truncated", sum(&|w| w.tls_truncated.get())),
        ];
        let bad_headers = HeaderError::ALL
            .map(|e| (e.kind(), sum(&|w| w.bad_headers[e as usize].get())))
            .to_vec();
        let bad_hellos = HelloError::ALL
            .map(|e| (e.kind(), sum(&|w| w.bad_hellos[e as usize].get())))
            .to_vec();
        Self {
            counts,
            bad_headers,
            bad_hellos,
        }
    }
}
