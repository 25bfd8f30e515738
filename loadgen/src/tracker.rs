//! Integrity: whether each reply is *the* answer to *that* request.
//!
//! A connection's requests are numbered from 1 and a server answers them in order, so
//! the expected reply is always the one to the oldest open request. While that is what
//! comes, tracking costs one comparison. Anything else goes to `out_of_place`:
//!
//! * The right answer to a later request: the requests before it were passed over.
//!   Whether their answers are lost or only late is not known yet, so they become
//!   *suspects*: `reordered` if the answer still comes, `lost` if it does not.
//! * Something that answers nothing: it took the place of the oldest request's answer,
//!   which becomes a suspect of being `corrupted` or `misrouted`. If its right answer
//!   still comes, it was answered after all and the reply before was one too many.
//!
//! A suspect is judged after `PATIENCE` more answers or when the connection ends.
//! A failed request has no latency: it got no answer that could be timed.
//!
//! `sent = acked + naked + failed + unanswered` holds whatever is received; a property
//! test feeds arbitrary streams.

use std::collections::VecDeque;

use crate::tally::{Books, Extra, Failure};

/// Answers that may come before a request that was passed over counts as lost. No
/// relay was seen to hold an answer back for longer and deliver it after all.
const PATIENCE: u64 = 64;

/// How far back an answer may lie to be taken for a duplicate. A number further off is
/// more likely a corrupted digit.
const DUPLICATES_WITHIN: u64 = 4_096;

/// Requests counted as lost that are remembered, to know a late answer from a duplicate.
const LOST_REMEMBERED: usize = 256;

/// A reply as it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply<'a> {
    /// An answer with its sequence number.
    Answer {
        /// Whether it is a refusal, such as a NAK.
        naked: bool,
        /// Whose answer it says it is.
        seq: i64,
        /// Its data.
        data: &'a [u8],
    },
    /// Nothing that answers a request of this connection; a request in whose place it
    /// came has failed in this way.
    Wrong(Failure),
}

/// What knows the right answers. How much it knows depends on `--verify`.
pub trait Judge {
    /// Whether any reply at all answers the oldest request.
    fn takes_anything(&self) -> bool;
    /// Whether `reply`, which carries the number `seq`, is right for that request of
    /// this connection.
    fn is_right(&mut self, seq: u64, reply: &Reply<'_>) -> bool;
    /// Whether `reply` is the right answer to a request of another connection.
    fn is_of_another(&mut self, reply: &Reply<'_>) -> bool;
}

/// When a request was due and when it was written, in monotonic nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// When it was due.
    pub due: u64,
    /// When it was written.
    pub sent: u64,
}

/// A request whose fate is not certain.
#[derive(Clone, Copy, Debug)]
struct Suspect {
    seq: u64,
    times: Times,
    /// What it counts as if its right answer does not come.
    fate: Failure,
    /// Judged when this many replies have been seen.
    judged_at: u64,
}

/// The open requests of one connection.
#[derive(Debug)]
pub struct Tracker {
    ring: Box<[Times]>,
    /// The oldest open request.
    head: u64,
    /// The first request that is not written yet.
    unwritten: u64,
    /// The next request's number.
    next: u64,
    replies: u64,
    suspects: VecDeque<Suspect>,
    lost: VecDeque<u64>,
    /// The phase that an answer to nothing is counted in.
    last_due: u64,
}

impl Tracker {
    /// A tracker of a new connection that may have up to `places` requests open.
    #[must_use]
    pub fn new(places: usize) -> Self {
        Self {
            ring: vec![Times::default(); places.max(1).next_power_of_two()].into(),
            head: 1,
            unwritten: 1,
            next: 1,
            replies: 0,
            suspects: VecDeque::new(),
            lost: VecDeque::new(),
            last_due: 0,
        }
    }

    /// Starts again for a new connection. The old one must have ended.
    pub fn restart(&mut self) {
        self.head = 1;
        self.unwritten = 1;
        self.next = 1;
        self.replies = 0;
        self.suspects.clear();
        self.lost.clear();
    }

    /// Requests without an answer, written or not.
    #[inline]
    #[must_use]
    pub fn open(&self) -> usize {
        (self.next - self.head) as usize
    }

    /// The number of the oldest open request, or of the next one.
    #[inline]
    #[must_use]
    pub fn oldest(&self) -> u64 {
        self.head
    }

    /// Requests given to this connection so far.
    #[must_use]
    pub fn given(&self) -> u64 {
        self.next - 1
    }

    /// Adds a request that was due at `due`, to be written, and tells its number. The
    /// caller keeps to the number of places.
    #[inline]
    pub fn push(&mut self, due: u64) -> u64 {
        let seq = self.next;
        let slot = self.slot(seq);
        self.ring[slot].due = due;
        self.next += 1;
        seq
    }

    /// Notes that all requests are being written at `now`.
    #[inline]
    pub fn written(&mut self, now: u64, books: &mut Books) {
        while self.unwritten < self.next {
            let slot = self.slot(self.unwritten);
            self.ring[slot].sent = now;
            books.of(self.ring[slot].due).sent += 1;
            self.unwritten += 1;
        }
    }

    /// Takes back the due times of requests that were never written.
    pub fn take_unwritten(&mut self, into: &mut VecDeque<u64>) {
        for seq in self.unwritten..self.next {
            into.push_back(self.ring[self.slot(seq)].due);
        }
        self.next = self.unwritten;
    }

    /// Takes a reply. Returns the times of the request that it answers, if it rightly
    /// answers one that has not failed.
    #[inline]
    pub fn reply(
        &mut self,
        reply: &Reply<'_>,
        judge: &mut impl Judge,
        books: &mut Books,
    ) -> Option<Times> {
        self.replies += 1;
        if let Reply::Answer { naked, seq, .. } = *reply
            && self.head < self.unwritten
            && ((seq.cast_unsigned() == self.head && judge.is_right(self.head, reply))
                || judge.takes_anything())
        {
            let times = self.pop();
            if !self.suspects.is_empty() {
                self.judge_old_suspects(books);
            }
            return Some(answered(times, naked, books));
        }
        let times = self.out_of_place(reply, judge, books);
        self.judge_old_suspects(books);
        times
    }

    /// Ends the connection: what is open fails as `why`.
    pub fn end(&mut self, why: Failure, books: &mut Books) {
        self.settle_suspects(books);
        while self.head < self.unwritten {
            let times = self.pop();
            books.of(times.due).fail(why);
        }
    }

    /// Ends the run: what is open stays unanswered.
    pub fn finish(&mut self, books: &mut Books) {
        self.settle_suspects(books);
        while self.head < self.unwritten {
            let times = self.pop();
            books.of(times.due).unanswered += 1;
        }
    }

    fn slot(&self, seq: u64) -> usize {
        seq as usize & (self.ring.len() - 1)
    }

    #[inline]
    fn pop(&mut self) -> Times {
        let times = self.ring[self.slot(self.head)];
        self.head += 1;
        self.last_due = times.due;
        times
    }

    #[cold]
    fn out_of_place(
        &mut self,
        reply: &Reply<'_>,
        judge: &mut impl Judge,
        books: &mut Books,
    ) -> Option<Times> {
        let (naked, seq) = match *reply {
            Reply::Answer { naked, seq, .. } => (naked, seq),
            Reply::Wrong(fate) => {
                self.took_the_place(fate, books);
                return None;
            }
        };
        let seq = seq.cast_unsigned();
        if self.head < seq && seq < self.unwritten && judge.is_right(seq, reply) {
            while self.head < seq {
                self.suspect_head(Failure::Lost);
            }
            let times = self.pop();
            return Some(answered(times, naked, books));
        }
        let past = seq < self.head && self.head - seq <= DUPLICATES_WITHIN && seq > 0;
        if past && judge.is_right(seq, reply) {
            return self.answer_to_the_past(seq, naked, books);
        }
        let misrouted = judge.is_of_another(reply);
        self.took_the_place(
            if misrouted {
                Failure::Misrouted
            } else {
                Failure::Corrupted
            },
            books,
        );
        None
    }

    /// The right answer to a request that is not open any more.
    fn answer_to_the_past(&mut self, seq: u64, naked: bool, books: &mut Books) -> Option<Times> {
        let Ok(at) = self
            .suspects
            .binary_search_by_key(&seq, |suspect| suspect.seq)
        else {
            let extra = match self.lost.iter().position(|lost| *lost == seq) {
                Some(at) => {
                    self.lost.remove(at);
                    Extra::Late
                }
                None => Extra::Duplicated,
            };
            books.of(self.last_due).extra(extra);
            return None;
        };
        let suspect = self.suspects.remove(at)?;
        if suspect.fate == Failure::Lost {
            books.of(suspect.times.due).fail(Failure::Reordered);
            return None;
        }
        books.of(suspect.times.due).extra(extra_of(suspect.fate));
        Some(answered(suspect.times, naked, books))
    }

    /// A reply that answers nothing came where the oldest request's answer belongs.
    fn took_the_place(&mut self, fate: Failure, books: &mut Books) {
        if self.head < self.unwritten {
            self.suspect_head(fate);
        } else {
            books.of(self.last_due).extra(extra_of(fate));
        }
    }

    /// Counts bytes that are no whole reply, on a connection that has no request open.
    pub fn left_over(&mut self, books: &mut Books) {
        books.of(self.last_due).extra(Extra::Unexpected);
    }

    fn suspect_head(&mut self, fate: Failure) {
        let seq = self.head;
        let times = self.pop();
        self.suspects.push_back(Suspect {
            seq,
            times,
            fate,
            judged_at: self.replies + PATIENCE,
        });
    }

    #[cold]
    fn judge_old_suspects(&mut self, books: &mut Books) {
        while let Some(suspect) = self.suspects.front()
            && suspect.judged_at <= self.replies
        {
            self.settle_oldest_suspect(books);
        }
    }

    fn settle_suspects(&mut self, books: &mut Books) {
        while !self.suspects.is_empty() {
            self.settle_oldest_suspect(books);
        }
    }

    fn settle_oldest_suspect(&mut self, books: &mut Books) {
        let Some(suspect) = self.suspects.pop_front() else {
            return;
        };
        books.of(suspect.times.due).fail(suspect.fate);
        if suspect.fate == Failure::Lost {
            if self.lost.len() == LOST_REMEMBERED {
                self.lost.pop_front();
            }
            self.lost.push_back(suspect.seq);
        }
    }
}

#[inline]
fn answered(times: Times, naked: bool, books: &mut Books) -> Times {
    let tally = books.of(times.due);
    if naked {
        tally.naked += 1;
    } else {
        tally.acked += 1;
    }
    times
}

/// What a reply is that would have failed its request as `fate`, and took no request's
/// place.
fn extra_of(fate: Failure) -> Extra {
    match fate {
        Failure::Misrouted => Extra::Misrouted,
        _ => Extra::Unexpected,
    }
}

#[cfg(test)]
#[path = "tracker_tests.rs"]
mod tests;
