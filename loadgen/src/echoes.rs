//! The dialect of `loadgen tcp`: messages that any echo sends back, byte for byte.
//!
//! An echo knows nothing of messages, and what is between here and there may cut, drop
//! or misroute bytes anywhere. So each message begins where a word says that it does, see
//! `words`, and where no such word is found the bytes are skipped to the
//! next one that is.

use serde::Serialize;

use crate::dialect::Dialect;
use crate::mix::mix;
use crate::payload::Lengths;
use crate::tally::Failure;
use crate::tracker::{Judge, Reply};
use crate::words::{Origin, WORD, Words};

/// How closely what comes back is checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Integrity {
    /// Every byte: in order, on the right connection, none missing, none extra.
    #[default]
    Full,
    /// As many bytes as were sent.
    None,
}

/// Judges the echoes of one connection at a time.
#[derive(Clone, Debug)]
pub(crate) struct Echoes {
    integrity: Integrity,
    seed: u64,
    words: Words,
    lengths: Lengths,
    connection: u32,
    connections: u32,
}

/// What is left of a stretch of bytes that was told as one wrong reply.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Skipping {
    left: usize,
}

impl Echoes {
    /// The messages of the run with this seed.
    pub(crate) fn new(integrity: Integrity, seed: u64, lengths: Lengths) -> Self {
        Self {
            integrity,
            seed,
            words: Words::new(seed),
            lengths,
            connection: 0,
            connections: 0,
        }
    }

    /// The length of the message that begins with `start`.
    #[inline]
    fn bytes(&self, start: Origin) -> usize {
        let Lengths { min, max } = self.lengths;
        if min == max {
            return min;
        }
        let random = mix(
            self.seed ^ u64::from(start.connection) << 40,
            start.seq.into(),
        );
        min + (random >> 32) as usize % (max - min + 1)
    }

    #[inline]
    fn own(&self, seq: u64) -> Origin {
        Origin::start(self.connection, seq)
    }

    fn is_own(&self, origin: Origin) -> bool {
        origin.connection == self.own(0).connection
    }

    /// The message that begins at the front of `bytes`, if one does.
    #[inline]
    fn start(&self, bytes: &[u8]) -> Option<Origin> {
        let origin = self.known(bytes)?;
        (origin.index == 0).then_some(origin)
    }

    /// Where the front of `bytes` belongs, if to a connection of this run.
    #[inline]
    fn known(&self, bytes: &[u8]) -> Option<Origin> {
        let origin = self.words.origin(bytes)?;
        let index = origin.index as usize;
        let of_this_run = origin.connection < self.connections || self.is_own(origin);
        let of_this_run = of_this_run && index * WORD < self.lengths.max;
        of_this_run.then_some(origin)
    }

    /// Where, behind the front, the next message begins.
    fn next_start(&self, bytes: &[u8]) -> Option<usize> {
        (1..bytes.len()).find(|at| self.start(&bytes[*at..]).is_some())
    }

    /// A message that is not as it was sent: how many bytes are taken for it, and why.
    #[cold]
    fn spoilt(&self, inbound: &[u8], start: Origin, bytes: usize) -> (Failure, usize) {
        let reach = inbound.len().min(bytes + WORD - 1);
        let next = self.next_start(&inbound[..reach]).filter(|at| *at < bytes);
        let taken = next.unwrap_or(bytes);
        let fate = if !self.is_own(start) || self.has_foreign_words(&inbound[..taken]) {
            Failure::Misrouted
        } else if taken < bytes {
            Failure::Lost
        } else if self.has_own_words_of_others(&inbound[..taken], start) {
            Failure::Reordered
        } else {
            Failure::Corrupted
        };
        (fate, taken)
    }

    fn has_foreign_words(&self, bytes: &[u8]) -> bool {
        self.any_word(bytes, |origin| !self.is_own(origin))
    }

    fn has_own_words_of_others(&self, bytes: &[u8], start: Origin) -> bool {
        self.any_word(bytes, |origin| {
            self.is_own(origin) && origin.seq != start.seq
        })
    }

    fn any_word(&self, bytes: &[u8], is: impl Fn(Origin) -> bool) -> bool {
        bytes
            .windows(WORD)
            .any(|word| self.known(word).is_some_and(&is))
    }

    /// Bytes that begin no message: skips to the next one that does, or to the last that
    /// may. They count as one wrong reply for as many bytes as the oldest request has.
    #[cold]
    fn skip(
        &self,
        inbound: &[u8],
        oldest: u64,
        skipping: &mut Skipping,
    ) -> (Option<Failure>, usize) {
        let end = self
            .next_start(inbound)
            .unwrap_or(inbound.len() - (WORD - 1));
        if skipping.left > 0 {
            let taken = end.min(skipping.left);
            skipping.left -= taken;
            return (None, taken);
        }
        let one = self.bytes(self.own(oldest));
        let taken = end.min(one);
        skipping.left = one - taken;
        let bytes = &inbound[..taken.max(WORD).min(inbound.len())];
        let is_shifted = |(at, word): (usize, &[u8])| {
            let own = self.known(word).filter(|origin| self.is_own(*origin));
            own.is_some_and(|origin| origin.index as usize * WORD != at)
        };
        let fate = if self.has_foreign_words(bytes) {
            Failure::Misrouted
        } else if bytes.windows(WORD).enumerate().any(is_shifted) {
            // The end of a message whose beginning is gone.
            Failure::Lost
        } else {
            Failure::Corrupted
        };
        (Some(fate), taken)
    }
}

impl Judge for Echoes {
    #[inline]
    fn takes_anything(&self) -> bool {
        self.integrity == Integrity::None
    }

    /// What is cut as an answer has been compared.
    #[inline]
    fn is_right(&mut self, _seq: u64, _reply: &Reply<'_>) -> bool {
        true
    }

    fn is_of_another(&mut self, _reply: &Reply<'_>) -> bool {
        false
    }
}

impl Dialect for Echoes {
    type Cutting = Skipping;

    #[inline]
    fn write(&self, connection: u32, seq: u64, out: &mut Vec<u8>) {
        let start = Origin::start(connection, seq);
        self.words.write(start, self.bytes(start), out);
    }

    fn turn_to(&mut self, connection: u32, connections: u32) {
        self.connection = connection;
        self.connections = connections;
    }

    #[inline]
    fn next<'a>(
        &mut self,
        inbound: &'a [u8],
        oldest: u64,
        skipping: &mut Skipping,
    ) -> Option<(Option<Reply<'a>>, usize)> {
        let answer = |seq: u64, bytes: usize| {
            let reply = Reply::Answer {
                naked: false,
                seq: seq.cast_signed(),
                data: &inbound[..bytes],
            };
            Some((Some(reply), bytes))
        };
        if self.integrity == Integrity::None {
            let bytes = self.bytes(self.own(oldest));
            return if inbound.len() < bytes {
                None
            } else {
                answer(oldest, bytes)
            };
        }
        if inbound.len() < WORD {
            return None;
        }
        let Some(start) = self.start(inbound) else {
            let (fate, bytes) = self.skip(inbound, oldest, skipping);
            return Some((fate.map(Reply::Wrong), bytes));
        };
        let bytes = self.bytes(start);
        if inbound.len() < bytes {
            return None;
        }
        skipping.left = 0;
        if !self.words.are(start, &inbound[..bytes]) {
            let (fate, bytes) = self.spoilt(inbound, start, bytes);
            return Some((Some(Reply::Wrong(fate)), bytes));
        }
        if self.is_own(start) {
            answer(start.seq_near(oldest), bytes)
        } else {
            Some((Some(Reply::Wrong(Failure::Misrouted)), bytes))
        }
    }

    fn can_wait(&self, _bytes: usize) -> bool {
        // A message is taken as soon as it is whole, and none is longer than the longest.
        true
    }

    fn is_left_over(&self, bytes: usize, skipping: &Skipping) -> bool {
        bytes > skipping.left
    }
}

#[cfg(test)]
#[path = "echoes_tests.rs"]
mod tests;
