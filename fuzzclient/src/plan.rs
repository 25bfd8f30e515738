//! What to send to whom, and for how long.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::generate::{Generator, Source, Strategy};

/// What to send to whom, and for how long.
#[derive(Debug)]
pub struct Plan {
    /// Where the target may be, best first.
    pub targets: Vec<SocketAddr>,
    /// What is made, unless there is a source.
    pub strategy: Strategy,
    /// What is sent instead.
    pub source: Option<Source>,
    /// What the bytes depend on.
    pub seed: u64,
    /// Sessions at the same time.
    pub connections: u64,
    /// The number of the first session.
    pub first_connection: u64,
    /// Bytes of all sessions together.
    pub bytes: Option<u64>,
    /// Bytes of each session, with `until_crash`.
    pub session_bytes: u64,
    /// How long bytes are sent.
    pub duration: Option<Duration>,
    /// Bytes per second of all sessions together.
    pub rate: Option<f64>,
    /// Whether each session is followed by another.
    pub until_crash: bool,
    /// How long the target may do nothing.
    pub hang_after: Duration,
    /// Where what is sent is kept.
    pub recording: Option<PathBuf>,
    /// Every flag, for the record.
    pub config: BTreeMap<String, serde_json::Value>,
}

impl Plan {
    /// The bytes of a session.
    ///
    /// # Errors
    /// That the source cannot be opened.
    pub(crate) fn generator(&self, connection: u64) -> io::Result<Box<dyn Generator>> {
        match &self.source {
            None => Ok(self.strategy.generator(self.seed, connection)),
            Some(source) => source.generator(),
        }
    }

    /// How many bytes a session may send. The limit of a run is divided evenly, so that
    /// how much each session sends depends on nothing but the plan.
    pub(crate) fn quota(&self, connection: u64) -> Option<u64> {
        if self.until_crash {
            return Some(self.session_bytes);
        }
        let bytes = self.bytes?;
        let index = connection - self.first_connection;
        let one_more = index < bytes % self.connections;
        Some(bytes / self.connections + u64::from(one_more))
    }
}
