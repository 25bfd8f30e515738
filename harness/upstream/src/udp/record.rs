//! What an echo of datagrams counted: plain data, part of the server's record.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Counts of `upstream udp-echo` since its start.
///
/// `datagrams` is the sum of the datagrams of all clients, `corrupted` and `foreign`.
/// `upstream.bytes_in` and `bytes_out` are the payload of datagrams read and sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UdpRecord {
    /// Datagrams read, empty ones included.
    pub datagrams: u64,
    /// Datagrams sent back.
    pub answers: u64,
    /// Answers that the system did not take.
    pub not_sent: u64,
    /// Datagrams that the kernel dropped because the socket had no room for them. None if
    /// the kernel does not tell.
    pub kernel_drops: Option<u64>,
    /// Room for datagrams that wait, as the kernel counts it, its overhead included.
    pub receive_buffer_bytes: u64,
    /// Addresses that datagrams came from; not more than 65,536 are told apart.
    pub sources: u64,
    /// Datagrams of `loadgen udp` that were damaged on the way.
    pub corrupted: u64,
    /// Datagrams that are not of `loadgen udp`, or have a number above 2^32, or are of one
    /// client more than are told apart (16,384).
    pub foreign: u64,
    /// The load client's sockets, as `RUN.CLIENT`: the run in 8 hexadecimal digits as its
    /// record tells it, and the number of the socket.
    pub clients: BTreeMap<String, ClientRecord>,
}

/// The datagrams of one socket of a load client.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientRecord {
    /// How many came: `distinct` and `duplicates`.
    pub datagrams: u64,
    /// How many different sequence numbers they had.
    pub distinct: u64,
    /// How many had a sequence number that was there before.
    pub duplicates: u64,
    /// How many of the distinct ones came after one with a higher number (RFC 4737).
    pub reordered: u64,
    /// The highest sequence number; they begin with 0.
    pub highest: u64,
}
