//! What a worker writes down about replies: counters and times.

use crate::dialect::Dialect;
use crate::histograms::{self, Histogram};
use crate::tally::Books;
use crate::timeline::Phase;
use crate::tracker::{Times, Tracker};

/// Takes the replies of one worker.
#[derive(Debug)]
pub(crate) struct Recorder<D> {
    /// Writes requests and knows the right answers.
    pub(crate) dialect: D,
    /// Counters.
    pub(crate) books: Books,
    /// Response times of the slice at hand.
    pub(crate) response: Histogram,
    /// Service times of what counts; unused when they are the response times.
    pub(crate) service: Histogram,
    /// When the last reply was read.
    pub(crate) last_reply: u64,
    waits_apart: bool,
    phase: Phase,
}

impl<D> Recorder<D> {
    /// A recorder for a worker that speaks `dialect`. `waits_apart` says whether response
    /// times are more than service times.
    #[must_use]
    pub(crate) fn new(dialect: D, waits_apart: bool) -> Self {
        Self {
            dialect,
            books: Books::default(),
            response: histograms::empty(),
            service: histograms::empty(),
            last_reply: 0,
            waits_apart,
            phase: Phase::Warmup,
        }
    }

    /// From here on, times belong to a slice of `phase`.
    pub(crate) fn enter(&mut self, phase: Phase) {
        self.phase = phase;
    }

    /// Records how long an answer took that was read at `now`.
    #[inline]
    pub(crate) fn time(&mut self, times: Times, now: u64) {
        let counts = times.due >= self.books.measure_from;
        // The answer to a warm-up request that comes while measuring is in no slice.
        if counts != (self.phase != Phase::Warmup) {
            return;
        }
        let service = now.saturating_sub(times.sent);
        if self.waits_apart {
            self.response
                .saturating_record(now.saturating_sub(times.due));
            if counts {
                self.service.saturating_record(service);
            }
        } else {
            self.response.saturating_record(service);
        }
    }
}

impl<D: Dialect> Recorder<D> {
    /// Takes all whole replies in `inbound`, read at `now`, and tells how many bytes
    /// they take. `None` if the stream cannot be followed any further.
    #[inline]
    pub(crate) fn take(
        &mut self,
        inbound: &[u8],
        tracker: &mut Tracker,
        cutting: &mut D::Cutting,
        now: u64,
    ) -> Option<usize> {
        self.last_reply = now;
        let mut at = 0;
        while let Some((reply, bytes)) =
            self.dialect.next(&inbound[at..], tracker.oldest(), cutting)
        {
            if let Some(reply) = reply
                && let Some(times) = tracker.reply(&reply, &mut self.dialect, &mut self.books)
            {
                self.time(times, now);
            }
            at += bytes;
        }
        self.dialect.can_wait(inbound.len() - at).then_some(at)
    }

    /// Takes what is left of a connection's replies when it ends, `bytes` bytes that are
    /// no whole reply. If no request is open they belong to none.
    pub(crate) fn take_rest(&mut self, bytes: usize, tracker: &mut Tracker, cutting: &D::Cutting) {
        if tracker.open() == 0 && self.dialect.is_left_over(bytes, cutting) {
            tracker.left_over(&mut self.books);
        }
    }
}
