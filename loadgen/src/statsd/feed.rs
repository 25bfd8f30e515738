//! When lines are due: datagrams of a schedule, or as many as the socket takes.

use super::plan::StatsdPlan;
use crate::datagrams::MOST;
use crate::histograms::Histogram;
use crate::schedule::Slots;
use crate::stride::Stride;
use crate::timeline::Timeline;

/// Lines that are written before they are sent, at most: with long datagrams, those of one
/// go over it.
const MOST_LINES: u64 = 8_192;

/// A worker's share of the load.
#[derive(Debug)]
pub(super) enum Feed {
    /// Datagrams are due by a schedule.
    Open(Due),
    /// Lines are due while there is room.
    Max(Room),
}

/// A worker's share of as many lines as there is room for.
#[derive(Debug)]
pub(super) struct Room {
    /// Which datagrams of all are its own.
    stride: Stride,
    /// Datagrams so far.
    datagrams: u64,
    /// Lines of the measured part that are left.
    left: u64,
    pack: u64,
}

/// A worker's share of the schedule.
#[derive(Debug)]
pub(super) struct Due {
    slots: Slots,
    start: u64,
    /// The first slot that is not sent, and the lines of the one before it.
    slot_end: u64,
    lines_of_last: u64,
}

/// What is to be sent now.
#[derive(Debug, Default)]
pub(super) struct Lot {
    /// Lines of each datagram.
    pub(super) datagrams: Vec<u64>,
    /// The number of the first line of each.
    pub(super) firsts: Vec<u64>,
    /// Whether they count: those of the warm-up do not.
    pub(super) counts: bool,
}

impl Lot {
    /// Lines in all.
    pub(super) fn lines(&self) -> u64 {
        self.datagrams.iter().sum()
    }

    /// Gives the lines numbers in a row, from `first` on.
    pub(super) fn number_from(&mut self, first: u64) {
        let mut next = first;
        for (number, lines) in self.firsts.iter_mut().zip(&self.datagrams) {
            *number = next;
            next += lines;
        }
    }

    fn push(&mut self, first: u64, lines: u64) {
        self.firsts.push(first);
        self.datagrams.push(lines);
    }

    fn clear(&mut self) {
        self.firsts.clear();
        self.datagrams.clear();
    }

    fn has_room(&self) -> bool {
        let first = self.datagrams.first().copied().unwrap_or(0);
        let count = self.datagrams.len();
        count < MOST && first * count as u64 <= MOST_LINES
    }
}

impl Feed {
    /// Worker `worker`'s share of `plan`.
    pub(super) fn new(plan: &StatsdPlan, worker: usize) -> Self {
        let stride = plan.seat(worker);
        let Some(schedule) = plan.schedule() else {
            return Self::Max(Room {
                stride,
                datagrams: 0,
                left: plan
                    .measured_lines
                    .map_or(u64::MAX, |all| stride.share(all)),
                pack: plan.pack,
            });
        };
        let (slot_end, lines_of_last) = plan.slot_end(&schedule);
        Self::Open(Due {
            slots: schedule.share(stride),
            start: 0,
            slot_end,
            lines_of_last,
        })
    }

    /// Times count from `start`.
    pub(super) fn begin(&mut self, start: u64) {
        if let Self::Open(due) = self {
            due.start = start;
        }
    }

    /// Takes what is due by `now` into `lot`, up to a batch, and records how late that is.
    pub(super) fn take(
        &mut self,
        plan: &StatsdPlan,
        now: u64,
        timeline: &Timeline,
        send_lag: &mut Histogram,
        lot: &mut Lot,
    ) {
        lot.clear();
        match self {
            Self::Open(open) => open.take(plan, now, timeline, send_lag, lot),
            Self::Max(room) => room.take(now, timeline, lot),
        }
    }

    /// When the next datagram is due; none if no more are.
    #[inline]
    pub(super) fn next_due(&self, timeline: &Timeline) -> Option<u64> {
        match self {
            Self::Open(open) => {
                let due = open.due();
                (due < timeline.end && open.slots.slot() < open.slot_end).then_some(due)
            }
            Self::Max(room) => (room.left > 0).then_some(0),
        }
    }

    /// If the number of lines is limited and all are taken: when the next would be due.
    pub(super) fn exhausted_at(&self, now: u64) -> Option<u64> {
        match self {
            Self::Open(open) => (open.slots.slot() >= open.slot_end).then(|| open.due()),
            Self::Max(room) => (room.left == 0).then_some(now),
        }
    }

    /// Lines that were due before the end and were not taken.
    pub(super) fn missed(&mut self, plan: &StatsdPlan, timeline: &Timeline) -> u64 {
        let Self::Open(open) = self else { return 0 };
        let mut missed = 0;
        while open.due() < timeline.end && open.slots.slot() < open.slot_end {
            missed += open.lines(plan);
            open.slots.advance();
        }
        missed
    }
}

impl Room {
    fn take(&mut self, now: u64, timeline: &Timeline, lot: &mut Lot) {
        lot.counts = now >= timeline.measure_from;
        while lot.has_room() && now < timeline.end {
            let lines = if lot.counts {
                self.pack.min(self.left)
            } else {
                self.pack
            };
            if lines == 0 {
                break;
            }
            self.left -= if lot.counts { lines } else { 0 };
            let datagram = self.stride.first + self.stride.step * self.datagrams;
            lot.push(datagram * self.pack, lines);
            self.datagrams += 1;
        }
    }
}

impl Due {
    fn due(&self) -> u64 {
        self.start.saturating_add(self.slots.due())
    }

    fn lines(&self, plan: &StatsdPlan) -> u64 {
        if self.slots.slot() + 1 == self.slot_end {
            self.lines_of_last
        } else {
            plan.lines_in(self.slots.slot())
        }
    }

    fn take(
        &mut self,
        plan: &StatsdPlan,
        now: u64,
        timeline: &Timeline,
        send_lag: &mut Histogram,
        lot: &mut Lot,
    ) {
        while lot.has_room() {
            let due = self.due();
            if due > now || due >= timeline.end || self.slots.slot() >= self.slot_end {
                return;
            }
            let counts = due >= timeline.measure_from;
            if lot.datagrams.is_empty() {
                lot.counts = counts;
            } else if counts != lot.counts {
                return;
            }
            if counts {
                send_lag.saturating_record(now - due);
            }
            lot.push(plan.first_in(self.slots.slot()), self.lines(plan));
            self.slots.advance();
        }
    }
}
