//! The two conversations that look at nothing: every byte back, and no byte back.

use std::cmp::Ordering;

use super::{Context, Input, Stopped};

/// Appends what was read, up to `room` bytes.
pub(super) fn echo(
    bytes: &[u8],
    out: &mut Vec<u8>,
    room: usize,
    context: &mut Context<'_>,
) -> (usize, Stopped) {
    if bytes.is_empty() {
        return (0, Stopped::NeedsInput);
    }
    if room == 0 {
        return (0, Stopped::NoRoom);
    }
    let order = context.take_message();
    if order == Ordering::Greater {
        return (0, Stopped::Hang);
    }
    let take = bytes.len().min(room);
    out.extend_from_slice(&bytes[..take]);
    match order {
        Ordering::Equal => (take, Stopped::Hang),
        _ if take < bytes.len() => (take, Stopped::NoRoom),
        _ => (take, Stopped::NeedsInput),
    }
}

/// Takes everything.
#[derive(Debug)]
pub(crate) struct Sink {
    acknowledge: bool,
    taken: u64,
}

impl Sink {
    pub(super) fn new(acknowledge: bool) -> Self {
        Self {
            acknowledge,
            taken: 0,
        }
    }

    /// Counts what was read; at the client's end, says how much that was in all if it
    /// was asked to: 8 bytes, big-endian.
    pub(super) fn take(
        &mut self,
        input: Input<'_>,
        out: &mut Vec<u8>,
        context: &mut Context<'_>,
    ) -> (usize, Stopped) {
        let len = input.bytes.len();
        if len > 0 && context.take_message() != Ordering::Less {
            return (len, Stopped::Hang);
        }
        self.taken += len as u64;
        if input.ended && self.acknowledge {
            out.extend_from_slice(&self.taken.to_be_bytes());
        }
        (len, Stopped::NeedsInput)
    }
}
