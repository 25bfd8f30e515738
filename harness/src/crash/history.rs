//! What a target was sent since its start, as much as is kept.

use std::collections::VecDeque;
use std::sync::Arc;

use bundle::{Connection, Session, Transport};
use fuzzclient::generate::Ending;

/// Bytes that are kept: the last ones. A life's first round fits in it.
const KEPT_BYTES: usize = 64 << 20;

/// Connections that are kept: beyond that, each costs more than what is in it.
const KEPT_CONNECTIONS: usize = 100_000;

/// The number of the first probe: no garbage has one as high.
const FIRST_PROBE: u64 = 1 << 62;

/// What a target was sent.
#[derive(Debug)]
pub struct History {
    transport: Transport,
    connections: VecDeque<Connection>,
    bytes: usize,
    /// Probes among them.
    probes: u64,
    /// Bytes in all.
    pub sent_bytes: u64,
    /// Connections in all.
    pub sent_connections: u64,
}

impl History {
    /// Of a target that has been sent nothing.
    #[must_use]
    pub fn new(transport: Transport) -> Self {
        Self {
            transport,
            connections: VecDeque::new(),
            bytes: 0,
            probes: 0,
            sent_bytes: 0,
            sent_connections: 0,
        }
    }

    /// Adds valid requests, those that a server behind a proxy was asked itself included: they
    /// count for a target that counts.
    pub fn add_probes(&mut self, count: u64, bytes: &[u8]) {
        let bytes: Arc<[u8]> = bytes.into();
        for _ in 0..count {
            self.bytes += bytes.len();
            self.connections.push_back(Connection {
                number: FIRST_PROBE + self.probes,
                bytes: Arc::clone(&bytes),
                ending: Ending::HalfClose,
            });
            self.probes += 1;
        }
    }

    /// The last connection that was no probe.
    #[must_use]
    pub fn killer(&self) -> u64 {
        let mut numbers = self.connections.iter().rev().map(|one| one.number);
        numbers.find(|number| *number < FIRST_PROBE).unwrap_or(0)
    }

    /// Adds what a recording holds.
    pub fn add(&mut self, recording: &[u8]) {
        if recording.is_empty() {
            return;
        }
        let session = Session::recorded(recording, self.transport);
        // What we wrote ourselves a moment ago is whole.
        for connection in session.unwrap_or_default().connections {
            self.bytes += connection.bytes.len();
            self.sent_bytes += connection.bytes.len() as u64;
            self.sent_connections += 1;
            self.connections.push_back(connection);
        }
        while self.bytes > KEPT_BYTES || self.connections.len() > KEPT_CONNECTIONS {
            let Some(oldest) = self.connections.pop_front() else {
                break;
            };
            self.bytes -= oldest.bytes.len();
        }
    }

    /// Whether all of it is still there.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.connections.len() as u64 == self.sent_connections + self.probes
    }

    /// As a session.
    #[must_use]
    pub fn session(self) -> Session {
        Session {
            transport: self.transport,
            connections: self.connections.into(),
        }
    }
}
