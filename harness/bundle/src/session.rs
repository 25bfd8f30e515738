//! What was sent, in order: the connections and their bytes.

use std::sync::Arc;

use fuzzclient::generate::Ending;
use fuzzclient::recording::{self, Recorded, RecordingError};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

/// How bytes travel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// Over connections.
    #[default]
    Tcp,
    /// In datagrams. Each is a [`Connection`] of its own: there is no order between them that
    /// a network would keep, and no more of a unit than one.
    Udp,
}

/// A connection, or a datagram.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Connection {
    /// Its number; with the seed it gives the bytes again.
    pub number: u64,
    /// What is sent on it.
    pub bytes: Arc<[u8]>,
    /// How it is ended then.
    pub ending: Ending,
}

/// Connections, in the order in which they are opened, each ended before the next.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Session {
    /// How the bytes travel.
    pub transport: Transport,
    /// All of them.
    pub connections: Vec<Connection>,
}

/// How much there is of a session. Smaller is better, the first field first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Size {
    /// Connections or datagrams.
    pub connections: usize,
    /// Bytes of all of them.
    pub bytes: usize,
    /// Newlines among them.
    pub lines: usize,
}

impl Session {
    /// The session that `fuzzclient --record` has kept. A connection that it had not ended is
    /// ended by half-closing.
    ///
    /// # Errors
    /// That it is cut or no recording.
    pub fn recorded(recording: &[u8], transport: Transport) -> Result<Self, RecordingError> {
        let connections = recording::read(recording)?;
        let connection = |number, bytes, ending: Option<Ending>| Connection {
            number,
            bytes,
            ending: ending.unwrap_or_default(),
        };
        let connections = match transport {
            Transport::Tcp => connections
                .iter()
                .map(|one| connection(one.number, one.bytes(), one.ending))
                .collect(),
            Transport::Udp => connections
                .into_iter()
                .flat_map(|one| one.pieces.into_iter().map(move |piece| (one.number, piece)))
                // A datagram has no end of its own.
                .map(|(number, piece)| connection(number, piece, None))
                .collect(),
        };
        Ok(Self {
            transport,
            connections,
        })
    }

    /// As `fuzzclient --replay` and `--corpus` read it: the bytes alone if they are those of
    /// one connection that is half-closed, otherwise a recording.
    #[must_use]
    pub fn to_input(&self) -> Vec<u8> {
        match &self.connections[..] {
            [one] if one.ending == Ending::HalfClose && !is_recording(&one.bytes) => {
                one.bytes.to_vec()
            }
            _ => self.to_recording(),
        }
    }

    /// A recording, whatever it holds.
    #[must_use]
    pub fn to_recording(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (index, connection) in self.connections.iter().enumerate() {
            // Datagrams of one socket are apart, which numbers of their own keep.
            let number = match self.transport {
                Transport::Tcp => connection.number,
                Transport::Udp => index as u64,
            };
            let pieces = vec![Arc::clone(&connection.bytes)];
            let ending = Some(connection.ending);
            recording::append(
                &mut out,
                &Recorded {
                    number,
                    pieces,
                    ending,
                },
            );
        }
        out
    }

    /// How much there is of it.
    #[must_use]
    pub fn size(&self) -> Size {
        let bytes = || self.connections.iter().map(|connection| &connection.bytes);
        Size {
            connections: self.connections.len(),
            bytes: bytes().map(|bytes| bytes.len()).sum(),
            lines: bytes()
                .map(|bytes| bytes.iter().filter(|&&b| b == b'\n').count())
                .sum(),
        }
    }

    /// A digest of all that matters to a target: not of the numbers.
    #[must_use]
    pub fn digest(&self) -> u128 {
        let mut digest = Xxh3::new();
        for connection in &self.connections {
            digest.update(&(connection.bytes.len() as u64).to_le_bytes());
            digest.update(&[connection.ending as u8]);
            digest.update(&connection.bytes);
        }
        digest.digest128()
    }
}

fn is_recording(bytes: &[u8]) -> bool {
    let raw = recording::read(bytes);
    !matches!(raw.as_deref(), Ok([one]) if one.ending.is_none() && *one.bytes() == *bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_again(
            connections in proptest::collection::vec(
                (proptest::collection::vec(any::<u8>(), 0..30), 0..3_usize), 0..5),
            looks_recorded in any::<bool>(),
        ) {
            let mut session = Session::default();
            for (number, (mut bytes, ending)) in connections.into_iter().enumerate() {
                if looks_recorded {
                    bytes = b"connection 1 bytes 3\nabc".to_vec();
                }
                let (bytes, ending) = (bytes.into(), Ending::ALL[ending]);
                session.connections.push(Connection { number: number as u64, bytes, ending });
            }
            prop_assume!(!session.connections.is_empty());
            for written in [session.to_input(), session.to_recording()] {
                let read = Session::recorded(&written, Transport::Tcp).unwrap();
                prop_assert_eq!(read.digest(), session.digest());
                prop_assert_eq!(read.size(), session.size());
            }
        }
    }

    #[test]
    fn each_datagram_is_a_unit() {
        let recording = b"connection 0 bytes 2\nabconnection 0 bytes 0\nconnection 0 ends close\n";
        let session = Session::recorded(recording, Transport::Udp).unwrap();
        assert_eq!(
            session.size(),
            Size {
                connections: 2,
                bytes: 2,
                lines: 0
            }
        );
        let again = Session::recorded(&session.to_recording(), Transport::Udp).unwrap();
        assert_eq!(again.digest(), session.digest());
    }
}
