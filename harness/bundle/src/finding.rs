//! What became of a target, and who is to blame.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::session::Transport;

/// Whose failure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Who {
    /// The server behind the proxy.
    Upstream,
    /// The proxy.
    Proxy,
    /// A command of somebody's own.
    Command,
}

impl Who {
    /// As in a sentence.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Upstream => "upstream",
            Self::Proxy => "proxy",
            Self::Command => "command",
        }
    }
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Death {
    /// Of this signal, such as `SIGSEGV`.
    Signal(String),
    /// With this exit code.
    Code(i32),
    /// Nobody knows how: it was no child of ours.
    Unknown,
}

/// What there is more of than there was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// Resident memory.
    Memory,
    /// File descriptors.
    Descriptors,
    /// Threads.
    Threads,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// The process ended, and nobody had asked it to.
    Died(Death),
    /// It lives and answers no valid request.
    Hung,
    /// It answered none for a while, and then did.
    Froze,
    /// It has kept more of something than it had, and keeps more with each load.
    Leaked(Resource),
    /// It answered a request with what is no answer to it.
    Wrong,
    /// It takes long to answer.
    Slow,
    /// It takes connections and ends them, or takes none.
    Refuses,
}

impl What {
    /// A name for a directory: `died-sigsegv`, `died-exit-101`, `leaked-memory`, `hung`.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Died(Death::Signal(signal)) => format!("died-{}", plain(signal)),
            Self::Died(Death::Code(code)) => format!("died-exit-{code}"),
            Self::Died(Death::Unknown) => "died".to_owned(),
            Self::Leaked(Resource::Memory) => "leaked-memory".to_owned(),
            Self::Leaked(Resource::Descriptors) => "leaked-descriptors".to_owned(),
            Self::Leaked(Resource::Threads) => "leaked-threads".to_owned(),
            Self::Hung => "hung".to_owned(),
            Self::Froze => "froze".to_owned(),
            Self::Wrong => "wrong".to_owned(),
            Self::Slow => "slow".to_owned(),
            Self::Refuses => "refuses".to_owned(),
        }
    }
}

/// Lower-case letters, digits and hyphens of a name: it becomes part of a path.
fn plain(name: &str) -> String {
    let lower = name.chars().map(|c| c.to_ascii_lowercase());
    lower
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect()
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Died(Death::Signal(signal)) => write!(f, "died of {signal}"),
            Self::Died(Death::Code(code)) => write!(f, "ended with exit code {code}"),
            Self::Died(Death::Unknown) => f.write_str("ended"),
            Self::Hung => f.write_str("hung"),
            Self::Froze => f.write_str("froze"),
            Self::Leaked(Resource::Memory) => f.write_str("leaked memory"),
            Self::Leaked(Resource::Descriptors) => f.write_str("leaked descriptors"),
            Self::Leaked(Resource::Threads) => f.write_str("leaked threads"),
            Self::Wrong => f.write_str("answered wrongly"),
            Self::Slow => f.write_str("became slow"),
            Self::Refuses => f.write_str("refused connections"),
        }
    }
}

/// A finding, as it is before anything is on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// Who.
    pub who: Who,
    /// What became of it.
    pub what: What,
    /// More in a sentence: what a probe was answered, how much memory there was.
    pub detail: String,
    /// The top of the stack, if its last words show one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stack_top: Option<String>,
    /// Bytes that had been sent by then, over all connections.
    pub after_bytes: u64,
    /// Connections that had been opened by then.
    pub after_connections: u64,
    /// Milliseconds since the target was ready.
    #[serde(default)]
    pub after_ms: u64,
}

impl Finding {
    /// In a sentence; what travelled in datagrams travelled on no connections.
    #[must_use]
    pub fn sentence(&self, transport: Transport) -> String {
        let Self {
            who,
            what,
            after_bytes,
            after_connections,
            ..
        } = self;
        let travelled = match transport {
            Transport::Tcp => format!("on {after_connections} connections"),
            Transport::Udp => format!("in {after_connections} datagrams"),
        };
        let top = self.stack_top.iter();
        let top: String = top.map(|top| format!(" in {top}")).collect();
        let who = who.word();
        format!("{who} {what} after {after_bytes} bytes {travelled}{top}")
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence(Transport::Tcp))
    }
}
