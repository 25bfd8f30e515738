//! Datagrams of garbage: cut out of a stream, or a message each.

use std::io;
use std::sync::Arc;

use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;

use super::garbage::LARGEST;
use super::messages::Messages;
use super::stream::{ByteStream, More};

/// Messages in one datagram at most.
const MOST_MESSAGES: usize = 4;

/// What there is to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// A datagram of this kind.
    Datagram(&'static str),
    /// Nothing at the moment.
    NotYet,
    /// Nothing any more.
    End,
}

/// Makes datagrams.
pub trait Datagrams: Send {
    /// Puts the next datagram in the place of what is in `out`.
    ///
    /// # Errors
    /// That the bytes come from somewhere that cannot be read.
    fn next(&mut self, out: &mut Vec<u8>) -> io::Result<Next>;
}

/// A stream, cut behind the last newline that fits, or where no more fits.
pub(crate) struct Streamed {
    stream: ByteStream,
    at_most: usize,
    kind: &'static str,
}

impl Streamed {
    /// Datagrams of at most so many bytes.
    pub(crate) fn new(stream: ByteStream, at_most: usize, kind: &'static str) -> Self {
        Self {
            stream,
            at_most,
            kind,
        }
    }
}

impl Datagrams for Streamed {
    fn next(&mut self, out: &mut Vec<u8>) -> io::Result<Next> {
        out.clear();
        let (more, bytes) = self.stream.peek(self.at_most)?;
        let end = match more {
            More::NotYet => return Ok(Next::NotYet),
            More::End => return Ok(Next::End),
            More::Bytes => memchr::memrchr(b'\n', bytes).map_or(bytes.len(), |at| at + 1),
        };
        out.extend_from_slice(&bytes[..end]);
        self.stream.take(end);
        Ok(Next::Datagram(self.kind))
    }
}

/// A stream, cut anywhere, into datagrams of no bytes up to the largest.
pub(super) struct Ragged {
    stream: ByteStream,
    sizes: Xoshiro256PlusPlus,
}

impl Ragged {
    pub(super) fn new(stream: ByteStream, sizes: Xoshiro256PlusPlus) -> Self {
        Self { stream, sizes }
    }
}

impl Datagrams for Ragged {
    fn next(&mut self, out: &mut Vec<u8>) -> io::Result<Next> {
        out.clear();
        // As many short ones as long ones.
        let size = self.sizes.random_range(0..=LARGEST) >> self.sizes.random_range(0..=16);
        while out.len() < size {
            let (more, bytes) = self.stream.peek(size - out.len())?;
            if more != More::Bytes {
                break;
            }
            out.extend_from_slice(bytes);
            let n = bytes.len();
            self.stream.take(n);
        }
        Ok(Next::Datagram("random"))
    }
}

/// A few messages in each, and of what is too large the beginning.
pub(super) struct Single(pub(super) Box<dyn Messages>);

impl Datagrams for Single {
    fn next(&mut self, out: &mut Vec<u8>) -> io::Result<Next> {
        out.clear();
        let kind = self.0.next(out);
        // How many more is decided by what is there already: by the seed.
        for _ in 1..=out.len() % MOST_MESSAGES {
            self.0.next(out);
        }
        out.truncate(LARGEST);
        Ok(Next::Datagram(kind))
    }
}

/// Datagrams that are at hand.
pub(crate) struct Pieces {
    pieces: Arc<Vec<Arc<[u8]>>>,
    given: usize,
}

impl Pieces {
    /// These, once.
    pub(crate) fn new(pieces: Arc<Vec<Arc<[u8]>>>) -> Self {
        Self { pieces, given: 0 }
    }
}

impl Datagrams for Pieces {
    fn next(&mut self, out: &mut Vec<u8>) -> io::Result<Next> {
        out.clear();
        let Some(piece) = self.pieces.get(self.given) else {
            return Ok(Next::End);
        };
        out.extend_from_slice(&piece[..piece.len().min(LARGEST)]);
        self.given += 1;
        Ok(Next::Datagram("replayed"))
    }
}
