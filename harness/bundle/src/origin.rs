//! How the bytes came about and what they were sent to: `session.json`.

use fuzzclient::generate::{Ending, Protocol, Strategy};
use fuzzclient::probe::Question;
use serde::{Deserialize, Serialize};

use crate::finding::Who;
use crate::session::{Session, Transport};

/// Version of `session.json`. It grows when a field changes its meaning or goes away.
pub const SCHEMA_VERSION: u32 = 1;

/// How the bytes came about and what they were sent to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// See [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Version of the program that made the bytes.
    pub made_by: String,
    /// Whose messages were the model.
    pub protocol: Protocol,
    /// How they travel.
    pub transport: Transport,
    /// What was made of them; none if the bytes came from outside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Strategy>,
    /// With a connection's number it gives the connection's bytes.
    pub seed: u64,
    /// What came from outside: the path of the corpus, the source or the recording.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Which strategy was whose turn, if they took turns: connection N was made by that of the
    /// last turn that begins at N or before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub turns: Vec<Turn>,
    /// How it was told whether the target lives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Asked>,
    /// What was started, in this order; garbage goes to the last.
    pub processes: Vec<Process>,
    /// The connections of `session.bin`, in order.
    pub connections: Vec<Opened>,
}

/// A strategy's turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Turn {
    /// Its first connection.
    pub first_connection: u64,
    /// The strategy.
    pub strategy: Strategy,
}

/// How it is told whether a target lives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// What it is asked.
    pub question: Question,
    /// An answer that takes longer than this is none.
    pub hang_after_ms: u64,
    /// An answer that takes longer than this is slow.
    pub slow_after_ms: u64,
    /// Whether it serves one connection after the other, and is asked when nothing is sent.
    #[serde(default)]
    pub serial: bool,
}

/// A process of the target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Process {
    /// Which part it plays.
    pub who: Who,
    /// Its command line, with `{listen}` for the address that it listens at and `{forward}`
    /// for that of the process before it.
    pub command: Vec<String>,
}

/// A connection of `session.bin`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opened {
    /// Its number.
    pub connection: u64,
    /// Bytes sent on it.
    pub bytes: u64,
    /// How it was ended.
    pub ending: Ending,
}

impl Origin {
    /// The list for [`Origin::connections`].
    #[must_use]
    pub fn opened(session: &Session) -> Vec<Opened> {
        let opened = session.connections.iter().map(|connection| Opened {
            connection: connection.number,
            bytes: connection.bytes.len() as u64,
            ending: connection.ending,
        });
        opened.collect()
    }

    /// The command of a part of the target.
    #[must_use]
    pub fn command_of(&self, who: Who) -> &[String] {
        let process = self.processes.iter().find(|process| process.who == who);
        process.map_or(&[], |process| &process.command)
    }
}
