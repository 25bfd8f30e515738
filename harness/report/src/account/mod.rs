//! The line account of a block: what became of every line that the load clients sent.
//!
//! Lines of statsd go one way, and nobody answers. So each carries a number, the servers
//! keep a bitmap of the numbers that came, and what is missing has to be told by somebody:
//! `sent = received + dropped by the proxy + refused + lost in the kernel + lost with a node
//! that died`, and what is left over is unaccounted for. [`sink`] reads what a server saw,
//! [`told`] what a proxy tells of itself, [`flow`] follows the lines from one to the next,
//! [`keys`] looks for keys that changed their node, [`ledger`] gathers all that while a block
//! goes on, and [`demand`] is what a scenario may ask of it.
//!
//! Lines of garbage have no number. They are counted by those who send them and by everybody
//! on their way, so that the account closes over both.

pub mod demand;
pub mod flow;
pub mod keys;
pub mod ledger;
pub mod sink;
#[cfg(test)]
mod tests;
pub mod told;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use keys::Keys;

/// What became of the lines of one block.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Account {
    /// Who told what became of them on their way.
    pub keeper: Keeper,
    /// Lines that the load clients sent, warm-up included.
    pub sent: u64,
    /// Lines that they did not send, because the kernel would not take them; not part of
    /// `sent`.
    #[serde(default)]
    pub not_sent: u64,
    /// Lines of garbage, as those who sent it count them.
    #[serde(default)]
    pub garbage: u64,
    /// Numbers that the servers saw, each counted once.
    pub received: u64,
    /// Numbers that no server saw.
    pub missing: u64,
    /// Lines that came once more, at the same server or at another.
    pub duplicated: u64,
    /// Lines with a number or a name that nobody sent.
    pub unexpected: u64,
    /// Lines at the servers that are not of a load client: garbage that was passed on.
    #[serde(default)]
    pub other: u64,
    /// Lines that the proxy says it dropped, by reason.
    pub dropped: BTreeMap<String, u64>,
    /// Lines that it still held when it was asked last.
    pub pending: u64,
    /// Lines that a server's host sent back.
    pub refused: u64,
    /// Lines lost in the kernel before the proxy.
    pub kernel_before: u64,
    /// Lines lost in the kernel before the servers.
    pub kernel_behind: u64,
    /// Lines that went to a server that was gone, or whose record was lost with it.
    pub died: u64,
    /// Lines that are missing and that nobody tells of. Below zero: more is told lost than
    /// is missing.
    pub unaccounted: i64,
    /// Lines that the proxy sent to another server than the one they had waited for.
    #[serde(default)]
    pub rerouted: u64,
    /// Copies that the proxy sent to a server that was down.
    #[serde(default)]
    pub mirrored: u64,
    /// The same way in datagrams.
    pub datagrams: Datagrams,
    /// Each server's share.
    pub nodes: Vec<NodeShare>,
    /// Keys that changed their node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<Keys>,
    /// What to know when reading it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl Account {
    /// Lines dropped by the proxy, for any reason.
    #[must_use]
    pub fn dropped_total(&self) -> u64 {
        self.dropped.values().sum()
    }

    /// Lines lost in the kernel, before the proxy and before the servers.
    #[must_use]
    pub fn kernel(&self) -> u64 {
        self.kernel_before + self.kernel_behind
    }

    /// The share of the lines sent that came; none if none were sent.
    #[must_use]
    pub fn received_share(&self) -> Option<f64> {
        (self.sent > 0).then(|| self.received as f64 / self.sent as f64)
    }
}

/// Who told what became of the lines on their way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keeper {
    /// The proxy, when it was asked after the load.
    #[default]
    Proxy,
    /// There was none: the clients aimed at the servers.
    Direct,
    /// Nobody: the proxy counts nothing, or ended before it could be asked.
    Nobody,
}

/// The way of the lines in datagrams.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Datagrams {
    /// Sent by all clients.
    pub sent: u64,
    /// Received by the proxy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received: Option<u64>,
    /// Dropped by the kernel at the proxy's sockets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel_before: Option<u64>,
    /// Sent on by the proxy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forwarded: Option<u64>,
    /// Sent back by the servers' hosts, as the proxy heard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<u64>,
    /// Dropped by the kernel at the servers' sockets.
    pub kernel_behind: u64,
    /// Received by the servers.
    pub arrived: u64,
}

/// What one server saw.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeShare {
    /// Its name: `upstream.1`.
    pub name: String,
    /// Lines that the proxy says it sent there; none if it does not know the server any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forwarded: Option<u64>,
    /// Lines that came, over all of its lives that left a record.
    pub received: u64,
    /// How often it was started.
    pub lives: u64,
    /// Lives that left no record.
    pub lost_records: u64,
}
