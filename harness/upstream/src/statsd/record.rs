//! What a sink of statsd lines counted: plain data, part of the server's record.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Counts of `upstream statsd` since its start.
///
/// `lines` is the sum of the lines of all senders, `malformed` and `foreign`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatsdRecord {
    /// Datagrams read, empty ones included.
    pub datagrams: u64,
    /// Datagrams without a byte.
    pub empty_datagrams: u64,
    /// Payload of all datagrams.
    pub bytes: u64,
    /// Lines that are not empty, from datagrams and connections.
    pub lines: u64,
    /// Empty lines in datagrams: two ends in a row, or an end as the first byte.
    pub empty_lines: u64,
    /// Lines that are not statsd.
    pub malformed: u64,
    /// Lines that are statsd, but not of the form `SENDER.kDIGITS:NUMBER|TYPE` with a
    /// number below 2^32 (DIGITS too), or of one sender more than are told apart (16).
    pub foreign: u64,
    /// Of `lines`, those that came on connections.
    pub tcp_lines: u64,
    /// Lines on connections that were longer than 64 KiB and were thrown away; not in
    /// `lines`.
    pub tcp_too_long: u64,
    /// Payload of all connections for lines.
    pub tcp_bytes: u64,
    /// Datagrams that the kernel dropped because the socket had no room for them. None if
    /// the kernel does not tell.
    pub kernel_drops: Option<u64>,
    /// Room for datagrams that wait, as the kernel counts it, its overhead included.
    pub receive_buffer_bytes: u64,
    /// Connections to the management port.
    pub management_connections: u64,
    /// `health` commands that came there, answered or not.
    pub health_checks: u64,
    /// Numbered lines by sender.
    pub senders: BTreeMap<String, SenderRecord>,
    /// Numbered lines by key, its sender included; of at most 20,000 keys, the first that
    /// came.
    pub keys: BTreeMap<String, KeyRecord>,
    /// How many distinct keys came. Those not in `keys` are told apart by their numbers.
    pub keys_total: u64,
    /// Whether `keys` has all of them.
    pub keys_complete: bool,
}

/// The lines of one sender.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SenderRecord {
    /// How many there were: `distinct` and `duplicates`.
    pub lines: u64,
    /// How many different numbers they had.
    pub distinct: u64,
    /// How many had a number that was there before.
    pub duplicates: u64,
    /// The highest number.
    pub highest: u32,
    /// Which numbers came, to be read by [`Seen::decode`](crate::statsd::Seen::decode).
    pub seen: String,
}

/// The lines of one key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// How many there were.
    pub lines: u64,
    /// The number of the first that came.
    pub first_seq: u32,
    /// The number of the last that came.
    pub last_seq: u32,
}
