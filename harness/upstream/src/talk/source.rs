//! A stream that does not wait for questions.

use std::cmp::Ordering;

use super::{Context, Input, Stopped};
use crate::pattern;

/// What is made at once. A client that does not read keeps no more than this waiting.
const PIECE_BYTES: usize = 64 * 1024;

/// Where the stream of a connection is.
#[derive(Debug)]
pub(crate) struct Source {
    at: u64,
    end: Option<u64>,
}

impl Source {
    pub(super) fn new(bytes: Option<u64>) -> Self {
        Self { at: 0, end: bytes }
    }

    /// Appends the next piece. What the client says is not listened to; its end ends an
    /// endless stream.
    pub(super) fn go_on(
        &mut self,
        input: Input<'_>,
        out: &mut Vec<u8>,
        room: usize,
        context: &mut Context<'_>,
    ) -> (usize, Stopped) {
        let len = input.bytes.len();
        if self.end == Some(self.at) || (self.end.is_none() && input.ended) {
            return (len, Stopped::Done);
        }
        let left = self.end.map_or(u64::MAX, |end| end - self.at);
        let piece = left.min(room.min(PIECE_BYTES) as u64);
        if piece == 0 {
            return (len, Stopped::NoRoom);
        }
        let order = context.take_message();
        if order != Ordering::Greater {
            let range = self.at..self.at + piece;
            pattern::append(context.process.config.seed, range, out);
            self.at += piece;
        }
        if order != Ordering::Less {
            return (len, Stopped::Hang);
        }
        (len, Stopped::NoRoom)
    }
}
