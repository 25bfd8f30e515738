//! What the links and their toxics did: plain data, written as one JSON line.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Everything since the start. Written to stdout on SIGUSR1 and at an orderly end, and
/// answered by `GET /record`. Times are nanoseconds of the monotonic clock.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToxicsRecord {
    /// The seed of all decisions.
    pub seed: u64,
    /// When this was read.
    pub at_ns: u64,
    /// Every link that there is, by name; of a deleted one, what it left.
    pub links: BTreeMap<String, LinkRecord>,
}

/// What a link did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkRecord {
    /// `tcp` or `udp`.
    pub protocol: String,
    /// Where it listens.
    pub listen: String,
    /// Where it connects to.
    pub upstream: String,
    /// Connections accepted, or sessions of UDP clients.
    pub connections_total: u64,
    /// Of these, open now.
    pub connections_open: u64,
    /// Connections whose upstream could not be reached.
    pub connections_failed: u64,
    /// Bytes taken from and given to the two parties, by direction.
    pub upstream_bytes: DirectionBytes,
    /// The same for what goes to the client.
    pub downstream_bytes: DirectionBytes,
    /// Datagrams that found a queue full, and those of clients beyond the limit.
    #[serde(default)]
    pub datagrams_overflowed: u64,
    /// Every toxic that is or was on it, in the order of their coming.
    pub toxics: Vec<ToxicRecord>,
    /// Toxics that were removed so long ago that only their number is known.
    #[serde(default)]
    pub toxics_forgotten: u64,
}

/// Bytes of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectionBytes {
    /// Received by the link.
    pub received: u64,
    /// Sent on.
    pub sent: u64,
}

/// What a toxic did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToxicRecord {
    /// Its name.
    pub name: String,
    /// Its kind.
    #[serde(rename = "type")]
    pub kind: String,
    /// `upstream` or `downstream`.
    pub stream: String,
    /// When it was added.
    pub added_ns: u64,
    /// When it was updated last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_ns: Option<u64>,
    /// When it was removed, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed_ns: Option<u64>,
    /// What it touched.
    #[serde(flatten)]
    pub counts: ToxicCounts,
}

/// What a toxic touched.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToxicCounts {
    /// Decisions that changed something.
    pub hits: u64,
    /// Bytes that they were about.
    pub bytes: u64,
    /// Connections that they were about.
    pub connections: u64,
    /// When the first was made; 0 if there was none.
    pub first_ns: u64,
    /// When the last was made; 0 if there was none.
    pub last_ns: u64,
    /// The first thousand of these connections.
    pub touched: Vec<Touched>,
}

/// A connection that a toxic touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Touched {
    /// The connection's number on its link, from 0.
    pub connection: u64,
    /// When it was touched first.
    pub at_ns: u64,
}
