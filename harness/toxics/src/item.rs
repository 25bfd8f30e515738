//! What travels along one direction of a connection.

use bytes::Bytes;

/// Bytes that were received together, or a datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The bytes.
    pub bytes: Bytes,
    /// When they were received, or should have left the stage before, in nanoseconds of
    /// the monotonic clock. Delays count from here, so that a late timer adds up nowhere.
    pub at_ns: u64,
    /// Where the first byte lies in what the sender sent; of a datagram, its number from 0.
    pub offset: u64,
}

impl Segment {
    /// Takes the first `len` bytes of at least as many.
    #[must_use]
    pub fn split_to(&mut self, len: usize) -> Self {
        let front = Self {
            bytes: self.bytes.split_to(len),
            ..*self
        };
        self.offset += len as u64;
        front
    }
}

/// One thing on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// Bytes.
    Data(Segment),
    /// The sender's orderly end of this direction.
    End,
    /// The end of the whole connection, in order behind what came before.
    Close,
    /// A reset, in order behind what came before.
    Reset,
}

impl Item {
    /// What it costs to keep: a queue of single bytes is mostly their bookkeeping.
    #[must_use]
    pub fn cost(&self) -> usize {
        let bytes = match self {
            Self::Data(segment) => segment.bytes.len(),
            Self::End | Self::Close | Self::Reset => 0,
        };
        bytes + size_of::<Self>()
    }
}

/// What kind of link the items are on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Medium {
    /// TCP: segments may be cut and joined, their order and bytes may not change.
    Stream,
    /// UDP: a segment is a datagram and stays one.
    Datagram,
}
