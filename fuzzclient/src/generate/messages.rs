//! Messages one at a time, and a stream of them.

use std::io;

use super::BLOCK_BYTES;
use super::stream::{Generator, More};

/// Makes messages, without end.
pub(crate) trait Messages: Send {
    /// Appends the next message to `out`, its newline included if it has one, and tells
    /// what kind it is.
    fn next(&mut self, out: &mut Vec<u8>) -> &'static str;
}

/// Messages, one right behind the other.
pub(crate) struct Joined(pub(crate) Box<dyn Messages>);

impl Generator for Joined {
    fn more(&mut self, out: &mut Vec<u8>) -> io::Result<More> {
        // A quarter of a block leaves room for a huge message behind short ones.
        while out.len() < BLOCK_BYTES / 4 {
            self.0.next(out);
        }
        Ok(More::Bytes)
    }
}
