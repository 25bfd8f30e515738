//! What a reference server counted: plain data, written as one JSON line.

use serde::{Deserialize, Serialize};

/// Counts of a reference server since its start, over all connections. Written to
/// stdout on SIGUSR1 and at an orderly end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpstreamRecord {
    /// Connections accepted.
    pub connections_total: u64,
    /// Connections open now.
    pub connections_open: u64,
    /// Lines that could be decoded (of any type: all are answered as requests).
    pub requests: u64,
    /// Answered with ACK.
    pub acks: u64,
    /// Answered with NAK, the answers to undecodable lines apart.
    pub naks: u64,
    /// Lines that could not be decoded, each answered with `NAK 0 ERRDECODE`.
    pub decode_errors: u64,
    /// Connections closed because a line was too long.
    pub too_long: u64,
    /// Answers that a planted defect changed.
    pub wrong_replies: u64,
    /// Bytes read.
    pub bytes_in: u64,
    /// Bytes written.
    pub bytes_out: u64,
}

impl UpstreamRecord {
    /// Adds the counts of another worker.
    pub fn add(&mut self, other: &Self) {
        self.connections_total += other.connections_total;
        self.connections_open += other.connections_open;
        self.requests += other.requests;
        self.acks += other.acks;
        self.naks += other.naks;
        self.decode_errors += other.decode_errors;
        self.too_long += other.too_long;
        self.wrong_replies += other.wrong_replies;
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
    }
}
