//! The defects of one connection that are a matter of time and of counts.

use std::time::{Duration, Instant};

use crate::defect::Defects;
use crate::record::DefectHits;

/// Answers that `late-reply` holds back. Half of what may be unsent, so that a client
/// that sends more than that before it ends is still read from.
const HELD_BYTES: usize = 128 * 1024;

/// A pace is kept in steps of this part of a second.
const STEPS_PER_SECOND: u64 = 20;

/// What was planted for a connection, and how far it has come.
#[derive(Debug)]
pub(crate) struct Planted {
    reading: Option<Pace>,
    writing: Option<Pace>,
    late: Option<Late>,
    /// Bytes that still pass before the connection is reset.
    until_reset: Option<u64>,
    /// Reset it after half of its first answer.
    midway: bool,
}

#[derive(Debug)]
struct Late {
    delay: Duration,
    due: Option<Instant>,
}

impl Planted {
    /// What `defects` has for the connection with this number; nothing for most.
    pub(crate) fn new(defects: &Defects, number: u64) -> Option<Box<Self>> {
        let midway = defects
            .reset_midway
            .is_some_and(|n| number.is_multiple_of(n));
        let planted = Self {
            reading: defects.slow_reader.map(Pace::new),
            writing: defects.slow_writer.map(Pace::new),
            late: defects.late_reply.map(|delay| Late { delay, due: None }),
            until_reset: defects.reset_after,
            midway,
        };
        let any = planted.reading.is_some()
            || planted.writing.is_some()
            || planted.late.is_some()
            || planted.until_reset.is_some()
            || midway;
        any.then(|| Box::new(planted))
    }

    /// How many bytes may be read now.
    pub(crate) fn may_read(&mut self, hits: &mut DefectHits) -> usize {
        allowance(&mut self.reading, &mut hits.slow_reader)
    }

    /// How many of `unsent` bytes may be written now.
    pub(crate) fn may_write(&mut self, unsent: usize, hits: &mut DefectHits) -> usize {
        let held = if self.may_end() { 0 } else { HELD_BYTES };
        let free = unsent.saturating_sub(held);
        let until_reset = self.until_reset.unwrap_or(u64::MAX);
        let free = free.min(usize::try_from(until_reset).unwrap_or(usize::MAX));
        match free {
            0 => 0,
            _ => free.min(allowance(&mut self.writing, &mut hits.slow_writer)),
        }
    }

    /// Whether the last answers, and the end after them, may leave.
    pub(crate) fn may_end(&self) -> bool {
        let late = self.late.as_ref();
        late.is_none_or(|late| late.due.is_some_and(|due| due <= Instant::now()))
    }

    /// The client has ended its side.
    pub(crate) fn client_ended(&mut self, hits: &mut DefectHits) {
        self.reading = None;
        if let Some(late) = self.late.as_mut().filter(|late| late.due.is_none()) {
            late.due = Some(Instant::now() + late.delay);
            hits.late_reply += 1;
        }
    }

    /// So much was read.
    pub(crate) fn was_read(&mut self, bytes: usize) {
        if let Some(pace) = &mut self.reading {
            pace.tokens -= bytes as f64;
        }
    }

    /// So much was written.
    pub(crate) fn was_written(&mut self, bytes: usize) {
        if let Some(pace) = &mut self.writing {
            pace.tokens -= bytes as f64;
        }
    }

    /// So much has passed in the direction that a reset waits for.
    pub(crate) fn has_passed(&mut self, bytes: usize) {
        if let Some(left) = &mut self.until_reset {
            *left = left.saturating_sub(bytes as u64);
        }
    }

    /// A first answer of so many bytes is about to leave.
    pub(crate) fn answers(&mut self, bytes: usize) {
        if self.midway && bytes > 0 && self.until_reset.is_none() {
            self.until_reset = Some(bytes as u64 / 2);
        }
    }

    /// Whether the connection is to be reset now.
    pub(crate) fn must_reset(&self) -> bool {
        self.until_reset == Some(0)
    }

    /// Counts the reset.
    pub(crate) fn count_reset(&self, hits: &mut DefectHits) {
        let count = if self.midway {
            &mut hits.reset_midway
        } else {
            &mut hits.reset_after
        };
        *count += 1;
    }

    /// When something may go on that does not go on now.
    pub(crate) fn alarm(&self) -> Option<Instant> {
        let late = self.late.as_ref().and_then(|late| late.due);
        let late = late.filter(|_| !self.may_end());
        let paces = [&self.reading, &self.writing];
        let paces = paces.into_iter().flatten().filter_map(Pace::next);
        paces.chain(late).min()
    }
}

fn allowance(pace: &mut Option<Pace>, waits: &mut u64) -> usize {
    pace.as_mut()
        .map_or(usize::MAX, |pace| pace.allowance(waits))
}

/// A bucket of tokens, one for each byte.
#[derive(Debug)]
struct Pace {
    rate: u64,
    tokens: f64,
    filled: Instant,
    waits: bool,
}

impl Pace {
    fn new(rate: u64) -> Self {
        Self {
            rate,
            tokens: 0.0,
            filled: Instant::now(),
            waits: false,
        }
    }

    /// The bytes of one step; nothing moves for less.
    fn step(&self) -> f64 {
        (self.rate / STEPS_PER_SECOND).max(1) as f64
    }

    fn allowance(&mut self, waits: &mut u64) -> usize {
        let now = Instant::now();
        let since = now.saturating_duration_since(self.filled).as_secs_f64();
        self.filled = now;
        self.tokens = (self.tokens + since * self.rate as f64).min(2.0 * self.step());
        let is_short = self.tokens < self.step();
        let waited = std::mem::replace(&mut self.waits, is_short);
        if !self.waits {
            return self.tokens as usize;
        }
        *waits += u64::from(!waited);
        0
    }

    fn next(&self) -> Option<Instant> {
        // A little more than needed, so that rounding does not call for another turn.
        let missing = self.step() - self.tokens + 0.01;
        let wait = Duration::from_secs_f64(missing.max(0.0) / self.rate as f64);
        self.waits.then(|| self.filled + wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planted(list: &[&str], number: u64) -> Option<Box<Planted>> {
        let list: Vec<_> = list.iter().map(|text| text.parse().unwrap()).collect();
        Planted::new(&Defects::new(&list), number)
    }

    #[test]
    fn most_connections_have_nothing() {
        assert!(planted(&["slow=1s", "flap=1s/1s", "reset-midway=1/3"], 2).is_none());
        assert!(planted(&["reset-midway=1/3"], 3).is_some());
    }

    #[test]
    fn a_reset_waits_for_its_bytes() {
        let hits = &mut DefectHits::default();
        let mut after = planted(&["reset-after=10"], 1).unwrap();
        assert_eq!(after.may_write(100, hits), 10);
        after.has_passed(9);
        assert!(!after.must_reset());
        assert_eq!(after.may_write(100, hits), 1);
        after.has_passed(1);
        assert!(after.must_reset());
        let mut midway = planted(&["reset-midway=1/1"], 1).unwrap();
        midway.answers(11);
        assert_eq!(midway.may_write(11, hits), 5);
    }

    #[test]
    fn the_last_answers_are_held_until_the_end_and_its_delay() {
        let hits = &mut DefectHits::default();
        let mut late = planted(&["late-reply=1h"], 1).unwrap();
        assert_eq!(late.may_write(HELD_BYTES, hits), 0);
        assert_eq!(late.may_write(HELD_BYTES + 7, hits), 7);
        assert_eq!((late.may_end(), late.alarm()), (false, None));
        late.client_ended(hits);
        late.client_ended(hits);
        assert!(!late.may_end() && late.alarm().is_some());
        assert_eq!(hits.late_reply, 1);
        let mut late = planted(&["late-reply=1ns"], 1).unwrap();
        late.client_ended(hits);
        while !late.may_end() {}
        assert_eq!((late.may_write(7, hits), late.alarm()), (7, None));
    }

    #[test]
    fn a_pace_is_kept_in_steps() {
        let hits = &mut DefectHits::default();
        let mut slow = planted(&["slow-reader=100/s"], 1).unwrap();
        let started = Instant::now();
        let mut read = 0;
        while read < 20 {
            let may = slow.may_read(hits);
            assert!(may == 0 || (5..=10).contains(&may), "{may}");
            assert_eq!(may == 0, slow.alarm().is_some());
            slow.was_read(may);
            read += may;
        }
        assert!(started.elapsed() >= Duration::from_millis(190));
    }
}
