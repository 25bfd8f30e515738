//! Answers that `slow` holds back.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Answers of one connection in the order in which they leave. All wait for the same
/// time, so that this is the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct Delayed {
    batches: VecDeque<(Instant, Vec<u8>)>,
    bytes: usize,
}

impl Delayed {
    /// Takes what is in `out` from `from` on, and tells whether that was anything.
    pub(crate) fn hold(&mut self, out: &mut Vec<u8>, from: usize, delay: Duration) -> bool {
        let answers = out.split_off(from);
        if answers.is_empty() {
            return false;
        }
        self.bytes += answers.len();
        self.batches.push_back((Instant::now() + delay, answers));
        true
    }

    /// Appends the answers to `out` that may leave.
    pub(crate) fn release(&mut self, now: Instant, out: &mut Vec<u8>) {
        while self.next_due().is_some_and(|due| due <= now) {
            let Some((_, answers)) = self.batches.pop_front() else {
                break;
            };
            self.bytes -= answers.len();
            out.extend_from_slice(&answers);
        }
    }

    /// Bytes that wait.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// When the next of them may leave.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.batches.front().map(|(due, _)| *due)
    }
}
