//! What is done on purpose while clients are at work: to a process, to a link, or to the
//! proxy's idea of a backend, and what a fault on a link touched.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Something that is done on purpose while clients are at work.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// Its number in the scenario from 1, with that of the repetition behind it: `2`, `2.7`.
    pub id: String,
    /// What it is done to: `upstream.1`, `proxy`, `client-proxy`.
    pub target: String,
    /// What is done, by its word in a scenario; of a toxic, its kind.
    pub action: String,
    /// The backend that the proxy is told about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,
    /// The backends that are in its configuration from then on, if that changes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<String>,
    /// How a link is spoilt, if `target` is one and it is not merely taken down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub toxic: Option<Toxic>,
    /// What a process may use from then on, if that is what changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    /// Whether it is done to a link.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub on_link: bool,
}

/// A fault in one direction of a link; its kind is the action of the fault.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Toxic {
    /// `upstream`, from client to server, or `downstream`.
    pub stream: String,
    /// The share of connections that it is about.
    pub toxicity: f64,
    /// How strong it is.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, Value>,
    /// How strong it is at its end, if it grows.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub to: BTreeMap<String, Value>,
}

/// What a process may use at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Open descriptors: `RLIMIT_NOFILE`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub descriptors: Option<u64>,
    /// Bytes of address space: `RLIMIT_AS`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
}

/// What a fault on a link touched.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Touch {
    /// Decisions that changed something.
    pub hits: u64,
    /// Bytes that they were about.
    pub bytes: u64,
    /// Connections that they were about, or sessions of UDP clients.
    pub connections: u64,
    /// When the first decision was made, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_mono_ns: Option<u64>,
    /// When the last decision was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_mono_ns: Option<u64>,
    /// The first of these connections.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub named: Vec<Touched>,
}

/// A connection that a fault touched.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Touched {
    /// The link.
    pub link: String,
    /// Its number on the link, from 0 in the order of coming.
    pub connection: u64,
    /// When it was touched first.
    pub mono_ns: u64,
}

/// What went over a link in a block.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkCounts {
    /// `tcp` or `udp`.
    pub protocol: String,
    /// Connections accepted, or sessions of UDP clients.
    pub connections: u64,
    /// Connections whose server could not be reached.
    pub connections_failed: u64,
    /// Bytes taken from clients, and given to the server.
    pub upstream_bytes: [u64; 2],
    /// Bytes taken from the server, and given to clients.
    pub downstream_bytes: [u64; 2],
}
