//! How bytes are handed out: made in parts that suit the generator, taken in pieces that
//! suit the socket. So no generator has to care how its bytes are cut, and the cuts cannot
//! change the bytes.

use std::io;

use super::BLOCK_BYTES;

/// What a generator has for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum More {
    /// It has appended something.
    Bytes,
    /// Nothing at the moment: whoever feeds it will say when.
    NotYet,
    /// Nothing any more.
    End,
}

/// Makes a connection's bytes.
pub trait Generator: Send {
    /// Appends the next part of the stream to `out`.
    ///
    /// # Errors
    /// That the bytes come from somewhere that cannot be read.
    fn more(&mut self, out: &mut Vec<u8>) -> io::Result<More>;
}

/// A generator's bytes, in pieces of any size.
pub struct ByteStream {
    generator: Box<dyn Generator>,
    block: Vec<u8>,
    taken: usize,
}

impl ByteStream {
    /// The stream from its start.
    #[must_use]
    pub fn new(generator: Box<dyn Generator>) -> Self {
        Self {
            generator,
            block: Vec::with_capacity(BLOCK_BYTES),
            taken: 0,
        }
    }

    /// The next bytes, at most `limit` of them, without taking them. The slice is empty
    /// unless this says [`More::Bytes`].
    ///
    /// # Errors
    /// The generator's.
    pub fn peek(&mut self, limit: usize) -> io::Result<(More, &[u8])> {
        if self.taken == self.block.len() {
            self.block.clear();
            self.taken = 0;
            let more = self.generator.more(&mut self.block)?;
            if more != More::Bytes {
                return Ok((more, &[]));
            }
        }
        let rest = &self.block[self.taken..];
        Ok((More::Bytes, &rest[..rest.len().min(limit)]))
    }

    /// Takes the first `n` bytes of what [`peek`](Self::peek) showed.
    pub fn take(&mut self, n: usize) {
        self.taken = (self.taken + n).min(self.block.len());
    }
}

impl std::fmt::Debug for ByteStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ByteStream")
            .field("taken", &self.taken)
            .finish_non_exhaustive()
    }
}

/// Bytes that are at hand: a file of the corpus, a recorded connection.
pub struct Whole {
    bytes: std::sync::Arc<[u8]>,
    given: usize,
}

impl Whole {
    /// These bytes, once.
    #[must_use]
    pub fn new(bytes: std::sync::Arc<[u8]>) -> Self {
        Self { bytes, given: 0 }
    }
}

impl Generator for Whole {
    fn more(&mut self, out: &mut Vec<u8>) -> io::Result<More> {
        let rest = &self.bytes[self.given..];
        let block = &rest[..rest.len().min(BLOCK_BYTES)];
        out.extend_from_slice(block);
        self.given += block.len();
        Ok(if block.is_empty() {
            More::End
        } else {
            More::Bytes
        })
    }
}
