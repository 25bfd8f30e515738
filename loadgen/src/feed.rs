//! Where a worker's requests come from: due slots, or free places in the pipelines.

use std::collections::VecDeque;

use crate::histograms::Histogram;
use crate::schedule::Slots;

/// Slots that are looked at before what is due is written: a worker that comes late
/// must not keep all of it waiting for the last.
const SLOTS_PER_TURN: u32 = 512;

/// A worker's share of the open loop. Two walks over the same slots: one reaches them
/// as they fall due, the other takes them for writing, so that the slots in between
/// wait without taking memory.
#[derive(Debug)]
pub(crate) struct OpenLoop {
    start: u64,
    reached: Slots,
    taken: Slots,
    waiting: u64,
    /// Due times of requests that were given to a connection which failed to open.
    returned: VecDeque<u64>,
    /// The first slot that is not sent; the largest number if only time is limited.
    slot_end: u64,
    bound: u64,
    missed: u64,
    over: bool,
    /// When all slots had been reached and nothing waited any more.
    settled: Option<u64>,
}

impl OpenLoop {
    /// The slots of `slots` below `slot_end`. More than `bound` waiting ones are missed.
    #[must_use]
    pub(crate) fn new(slots: Slots, slot_end: u64, bound: u64) -> Self {
        Self {
            start: 0,
            taken: slots.clone(),
            reached: slots,
            waiting: 0,
            returned: VecDeque::new(),
            slot_end,
            bound,
            missed: 0,
            over: false,
            settled: None,
        }
    }

    /// Slot times count from `start`, in monotonic nanoseconds.
    pub(crate) fn begin(&mut self, start: u64) {
        self.start = start;
    }

    /// Reaches the slots that are due by `now` and before `end`, and records how late
    /// that is for slots due from `measure_from` on. `true` if more may be due.
    pub(crate) fn reach(
        &mut self,
        now: u64,
        end: u64,
        measure_from: u64,
        send_lag: &mut Histogram,
    ) -> bool {
        for _ in 0..SLOTS_PER_TURN {
            let due = self.start + self.reached.due();
            if due >= end || self.reached.slot() >= self.slot_end {
                self.over = true;
                return false;
            }
            if due > now {
                return false;
            }
            if due >= measure_from {
                send_lag.saturating_record(now - due);
            }
            self.reached.advance();
            self.waiting += 1;
        }
        true
    }

    /// Ends the schedule: what is waiting will be sent, nothing more becomes due.
    pub(crate) fn stop(&mut self) {
        self.over = true;
    }

    /// Takes note of whether all slots of the wanted number have been taken by `now`.
    pub(crate) fn settle(&mut self, now: u64) {
        let all = self.reached.slot() >= self.slot_end && self.waiting() == 0;
        self.settled = if all {
            self.settled.or(Some(now))
        } else {
            None
        };
    }

    /// If all slots of the wanted number have been taken: when the next would be due, or
    /// when the last was taken, which is later if it had to wait.
    #[must_use]
    pub(crate) fn exhausted_at(&self) -> Option<u64> {
        let settled = self.settled.filter(|_| self.waiting() == 0);
        settled.map(|at| at.max(self.start + self.reached.due()))
    }

    /// When the next slot is due, unless the schedule is over.
    #[inline]
    #[must_use]
    pub(crate) fn next_due(&self) -> Option<u64> {
        (!self.over).then(|| self.start + self.reached.due())
    }

    /// Takes the oldest waiting request: its due time.
    #[inline]
    pub(crate) fn take(&mut self) -> Option<u64> {
        if let Some(due) = self.returned.pop_front() {
            return Some(due);
        }
        if self.waiting == 0 {
            return None;
        }
        self.waiting -= 1;
        let due = self.start + self.taken.due();
        if self.waiting == 0 {
            // Both walks are at the same slot, and a step of many slots is not cheap.
            self.taken = self.reached.clone();
        } else {
            self.taken.advance();
        }
        Some(due)
    }

    /// Where requests go back to that could not be written.
    pub(crate) fn returned(&mut self) -> &mut VecDeque<u64> {
        &mut self.returned
    }

    /// Due requests that wait for a free place.
    #[must_use]
    pub(crate) fn waiting(&self) -> u64 {
        self.waiting + self.returned.len() as u64
    }

    /// Gives up the oldest waiting requests past the bound, and tells their due times.
    /// The run is invalid then.
    pub(crate) fn keep_bound(&mut self, mut given_up: impl FnMut(u64)) {
        while self.waiting() > self.bound
            && let Some(due) = self.take()
        {
            given_up(due);
            self.missed += 1;
        }
    }

    /// Requests that were given up.
    #[must_use]
    pub(crate) fn missed(&self) -> u64 {
        self.missed
    }
}

/// A worker's share of a closed loop: as many requests as there is time and places
/// for, or a number of them.
#[derive(Debug)]
pub(crate) struct ClosedLoop {
    /// Requests of the measured part that may still be sent.
    pub(crate) left: u64,
}

impl ClosedLoop {
    /// Takes a request that is due at `now`, if there is one left. Requests of the
    /// warm-up are free.
    #[inline]
    pub(crate) fn take(&mut self, now: u64, measure_from: u64) -> bool {
        if now < measure_from {
            return true;
        }
        let some = self.left > 0;
        self.left -= u64::from(some);
        some
    }
}

/// Either of them.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "a worker has one, and looks at it for every request"
)]
pub(crate) enum Feed {
    /// Requests are due by the schedule.
    Open(OpenLoop),
    /// Requests are due when there is a place for them.
    Closed(ClosedLoop),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::histograms;
    use crate::schedule::{Arrivals, Schedule};
    use crate::stride::Stride;

    /// One slot every 10 ns from 1,000 on.
    fn open_loop(bound: u64) -> OpenLoop {
        let slots = Schedule::new(1e8, Arrivals::Uniform, 0).share(Stride::ALL);
        let mut open = OpenLoop::new(slots, 8, bound);
        open.begin(1_000);
        open
    }

    #[test]
    fn slots_are_reached_when_due_and_taken_with_their_due_time() {
        let mut open = open_loop(10);
        let mut lag = histograms::empty();
        assert!(!open.reach(1_025, 2_000, 1_010, &mut lag));
        assert_eq!((open.waiting(), open.next_due()), (3, Some(1_030)));
        assert_eq!(
            (lag.len(), lag.max(), lag.min()),
            (2, 15, 5),
            "the warm-up has no lag"
        );
        assert_eq!(
            [open.take(), open.take(), open.take(), open.take()],
            [Some(1_000), Some(1_010), Some(1_020), None]
        );
        open.returned().push_back(1_010);
        assert_eq!(open.take(), Some(1_010), "what comes back goes first");
    }

    #[test]
    fn the_schedule_ends_by_time_or_by_number() {
        let mut lag = histograms::empty();
        let mut open = open_loop(10);
        open.reach(9_999, 1_050, 0, &mut lag);
        assert_eq!(
            (open.waiting(), open.next_due(), open.exhausted_at()),
            (5, None, None)
        );
        let mut open = open_loop(10);
        open.reach(9_999, 9_999, 0, &mut lag);
        assert_eq!(
            (open.waiting(), open.exhausted_at()),
            (8, None),
            "some wait"
        );
        while open.take().is_some() {}
        open.settle(1_075);
        assert_eq!(open.exhausted_at(), Some(1_080), "nothing had to wait");
    }

    #[test]
    fn the_schedule_ends_when_the_last_that_waited_is_taken() {
        let mut open = open_loop(10);
        open.reach(9_999, 9_999, 0, &mut histograms::empty());
        open.settle(1_075);
        assert_eq!(open.exhausted_at(), None);
        while open.take().is_some() {}
        open.settle(5_000);
        open.settle(5_010);
        assert_eq!(open.exhausted_at(), Some(5_000));
        open.returned().push_back(1_070);
        assert_eq!(open.exhausted_at(), None, "one came back");
        open.settle(5_020);
        open.take();
        open.settle(5_030);
        assert_eq!(open.exhausted_at(), Some(5_030));
    }

    #[test]
    fn past_the_bound_the_oldest_are_missed() {
        let mut open = open_loop(2);
        open.reach(1_045, 2_000, 0, &mut histograms::empty());
        let mut given_up = vec![];
        open.keep_bound(|due| given_up.push(due));
        assert_eq!(given_up, [1_000, 1_010, 1_020]);
        assert_eq!(
            (open.waiting(), open.missed(), open.take()),
            (2, 3, Some(1_030))
        );
    }

    #[test]
    fn a_closed_loop_counts_only_what_is_measured() {
        let mut closed = ClosedLoop { left: 1 };
        assert!(closed.take(5, 10) && closed.take(10, 10) && !closed.take(11, 10));
    }
}
