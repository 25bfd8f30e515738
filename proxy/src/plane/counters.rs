//! What a worker counts.

use super::driver::Side;
use crate::counters::counters;

counters! {
    /// Connections and bytes of one worker.
    PlaneCounters, PlaneTotals {
        /// Connections accepted, the refused ones included.
        accepted,
        /// Connections that are over, refused ones included.
        closed,
        /// Reset at once because as many were open as may be.
        refused,
        /// The upstream refused the connection.
        failed_refused,
        /// The upstream did not answer within the connect timeout.
        failed_timeout,
        /// No descriptor for the connection to the upstream.
        failed_descriptors,
        /// The connection to the upstream failed for another reason.
        failed_other,
        /// No local port was left for the connection to the upstream.
        failed_ports,
        /// There was no upstream to connect to.
        failed_nowhere,
        /// The client took too long with what must come first.
        preface_timeout,
        /// There was no room for the queue timeout.
        queue_timeout,
        /// Ended because nothing moved for the idle timeout.
        idle_timeout,
        /// Ended because nothing moved for the half-closed timeout, after one side's end.
        half_closed_timeout,
        /// Changed over to moving bytes within the kernel.
        bulk,
        /// Reset because one side was reset.
        reset,
        /// Reset by the mode, on a malformed line.
        reset_by_mode,
        /// Times that accepting paused because descriptors ran out.
        accept_paused,
        /// Times that reading from one side paused because the other did not take it.
        read_paused,
        /// Bytes received from clients.
        client_in,
        /// Bytes sent to clients.
        client_out,
        /// Bytes received from the upstream.
        upstream_in,
        /// Bytes sent to the upstream.
        upstream_out,
    }
}

impl PlaneCounters {
    pub(super) fn received(&self, from: Side, bytes: u64) {
        match from {
            Side::Client => self.client_in.add(bytes),
            Side::Upstream => self.upstream_in.add(bytes),
        }
    }

    pub(super) fn sent(&self, to: Side, bytes: u64) {
        match to {
            Side::Client => self.client_out.add(bytes),
            Side::Upstream => self.upstream_out.add(bytes),
        }
    }
}
