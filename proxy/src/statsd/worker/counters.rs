//! What a worker counts.

use crate::counters::counters;

counters! {
    /// Lines, datagrams and connections of one worker.
    WorkerCounters, WorkerTotals {
        /// Lines that came in, empty ones apart.
        lines_received,
        /// Lines handed to the kernel for a node.
        lines_forwarded,
        /// Lines among those received that are not statsd.
        malformed,
        /// Lines dropped because no node was up.
        dropped_no_node,
        /// Lines dropped because their node was down, as was asked for.
        dropped_node_down,
        /// Lines dropped because they are not statsd, as was asked for.
        dropped_malformed,
        /// Lines dropped because no datagram can hold them.
        dropped_too_long,
        /// Lines dropped because too many waited for their node's socket.
        dropped_queue_full,
        /// Lines dropped because too many were kept for their node.
        dropped_hold_full,
        /// Lines dropped because the kernel refused to send them.
        dropped_send_error,
        /// Lines given to another node while they waited for one.
        rerouted,
        /// Copies sent to nodes that are down.
        mirrored,
        /// Datagrams received.
        datagrams_received,
        /// Datagrams received that held nothing.
        datagrams_empty,
        /// Datagrams received that were cut off: they exceed what UDP allows.
        datagrams_truncated,
        /// Datagrams sent to nodes.
        datagrams_forwarded,
        /// Datagrams that a node's host sent back.
        datagrams_refused,
        /// Bytes received, over UDP and TCP.
        bytes_received,
        /// Bytes sent to nodes.
        bytes_forwarded,
        /// TCP connections accepted.
        tcp_accepted,
        /// TCP connections closed, refused ones included.
        tcp_closed,
        /// TCP connections refused because too many were open.
        tcp_refused,
        /// Lines received over TCP.
        tcp_lines,
    }
}

impl WorkerTotals {
    /// Lines dropped, for whatever reason.
    #[cfg(test)]
    pub(super) fn dropped(&self) -> u64 {
        self.dropped_no_node
            + self.dropped_node_down
            + self.dropped_malformed
            + self.dropped_too_long
            + self.dropped_queue_full
            + self.dropped_hold_full
            + self.dropped_send_error
    }
}
