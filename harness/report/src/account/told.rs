//! What a proxy tells of its lines: `/state` of `proxy statsd`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// What it counted until it was asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Told {
    /// Lines.
    pub lines: Lines,
    /// Datagrams.
    pub datagrams: Through,
    /// Datagrams that the kernel dropped at its sockets.
    pub kernel_drops: u64,
    /// Its servers.
    pub nodes: Vec<ToldNode>,
}

/// Lines, by what became of them: `received = forwarded + dropped + pending`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Lines {
    /// Read.
    pub received: u64,
    /// Sent on.
    pub forwarded: u64,
    /// Not sent on, by reason.
    pub dropped: BTreeMap<String, u64>,
    /// Neither yet.
    pub pending: u64,
    /// Copies to servers that are down.
    pub mirrored: u64,
    /// Sent elsewhere than they had waited for.
    pub rerouted: u64,
}

/// Datagrams in and out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Through {
    /// Read.
    pub received: u64,
    /// Sent on.
    pub forwarded: u64,
    /// Sent back by a server's host.
    pub refused: u64,
}

/// One server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ToldNode {
    /// Where it listens.
    pub address: Option<String>,
    /// Lines sent to it, copies apart.
    pub lines: u64,
    /// Copies sent to it.
    pub mirrored: u64,
    /// Datagrams sent to it.
    pub datagrams: u64,
    /// Datagrams that its host sent back.
    pub refused: u64,
}

impl Told {
    /// What is told in a state, if that is of a proxy for statsd.
    #[must_use]
    pub fn of(state: &Value) -> Option<Self> {
        state.get("lines").filter(|lines| lines.is_object())?;
        Self::deserialize(state).ok()
    }

    /// Whether everything that came in was sent on, dropped or is pending.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let lines = &self.lines;
        let dropped: u64 = lines.dropped.values().sum();
        lines.received == lines.forwarded + dropped + lines.pending
    }
}
