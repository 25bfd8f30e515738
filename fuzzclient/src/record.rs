//! What a session of garbage leaves behind: plain data, written as JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Version of this record. It grows when a field changes its meaning or goes away.
pub const SCHEMA_VERSION: u32 = 1;

/// The record of one run of the fuzz client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FuzzRecord {
    /// See [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// What was asked for: every flag by its long name, defaults included.
    pub config: BTreeMap<String, serde_json::Value>,
    /// The bytes of each connection are a function of this and its number.
    pub seed: u64,
    /// Monotonic start.
    pub started_mono_ns: u64,
    /// How long it took.
    pub elapsed_s: f64,
    /// What made it stop: `bytes`, `duration`, `source_ended`, `crash`, `interrupted`,
    /// `closed_by_target` (it ended every session early and is still there),
    /// `unreachable`; if a probe ended it and the target still listens, what was found:
    /// `hung`, `refuses` or `wrong`.
    pub stopped_by: String,
    /// Bytes that the kernel took, over all connections.
    pub bytes_sent: u64,
    /// Newlines among them.
    pub lines_sent: u64,
    /// Bytes that came back.
    pub bytes_received: u64,
    /// Newlines among them.
    pub replies: u64,
    /// What was seen, by kind: `connected`, `refused`, `connect_failed`, `reset`,
    /// `closed_by_peer`, `hung`, `silent`, …
    pub observations: BTreeMap<String, u64>,
    /// Each session of garbage, in the order of its connection number; of more than
    /// 1,000 those that ended last.
    pub sessions: Vec<SessionRecord>,
    /// Whether the target stopped taking connections after having taken some.
    pub target_gone: bool,
    /// What probes have found, in order; the first 100 of them and the last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// Valid requests on fresh connections, if there were any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probes: Option<Probes>,
    /// What was sent in datagrams, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub datagrams: Option<Datagrams>,
}

/// Something that probes have found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What: `refuses` (nobody listens, or connections are taken and ended), `hung`, `froze`
    /// (no answer for a while, then one), `wrong` (not the answer to that request), `slow`.
    pub what: String,
    /// The same in a sentence.
    pub detail: String,
    /// Monotonic time.
    pub mono_ns: u64,
    /// Bytes of garbage that had been sent by then.
    pub bytes_sent: u64,
    /// Connections of garbage that were open then.
    pub open_connections: Vec<u64>,
}

/// Valid requests on fresh connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probes {
    /// How many were made.
    pub made: u64,
    /// Of these, rightly answered.
    pub answered: u64,
    /// The longest time that such an answer took.
    pub slowest_us: u64,
}

/// Garbage in datagrams.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Datagrams {
    /// Datagrams that the kernel took, empty ones included.
    pub sent: u64,
    /// Those that it did not take.
    pub not_sent: u64,
    /// Lines in them: what newlines separate, empty ones apart.
    pub lines: u64,
    /// Lines in one of them at most.
    pub most_lines: u64,
    /// Datagrams by kind: of the strategy `grammar` `broken`, `formats`, `traps`, `empty`,
    /// `newlines`, `binary`, `huge_line`, `huge_many`; of others `random`, `lines`, `valid`,
    /// `mutated`, `one_byte`, `corpus`, `replayed`, `source`.
    pub kinds: BTreeMap<String, u64>,
}

/// One connection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionRecord {
    /// Its number; with the seed it gives the bytes.
    pub connection: u64,
    /// Bytes that the kernel took.
    pub bytes_sent: u64,
    /// Bytes that came back.
    pub bytes_received: u64,
    /// How it ended: `finished`, `reset`, `closed_by_peer`, `refused`,
    /// `connect_failed`, `hung`, `silent` (as hung, and yet probes are answered),
    /// `interrupted`.
    pub end: String,
    /// Monotonic time of the end.
    pub end_mono_ns: u64,
}
