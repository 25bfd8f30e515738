//! When lines are due: datagrams of a schedule, or as many as the socket takes.

use super::plan::StatsdPlan;
use crate::datagrams::MOST;
use crate::histograms::Histogram;
use crate::plan::share;
use crate::schedule::Slots;
use crate::timeline::Timeline;

/// Lines that are written before they are sent, at most: with long datagrams, those of one
/// go over it.
const MOST_LINES: u64 = 8_192;

/// A worker's share of the load.
#[derive(Debug)]
pub(super) enum Feed {
    /// Datagrams are due by a schedule.
    Open(Due),
    /// Lines are due while there is room. Lines of the measured part that are left.
    Max { left: u64, pack: u64 },
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
    /// Whether they count: those of the warm-up do not.
    pub(super) counts: bool,
}

impl Lot {
    /// Lines in all.
    pub(super) fn lines(&self) -> u64 {
        self.datagrams.iter().sum()
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
        let Some(schedule) = plan.schedule() else {
            return Self::Max {
                left: plan
                    .measured_lines
                    .map_or(u64::MAX, |all| share(all, worker, plan.threads)),
                pack: plan.pack,
            };
        };
        let (slot_end, lines_of_last) = plan.slot_end(&schedule);
        Self::Open(Due {
            slots: schedule.share(worker as u64, plan.threads as u64),
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
        lot.datagrams.clear();
        match self {
            Self::Open(open) => open.take(plan, now, timeline, send_lag, lot),
            Self::Max { left, pack } => {
                lot.counts = now >= timeline.measure_from;
                while lot.has_room() && now < timeline.end {
                    let lines = if lot.counts { *pack.min(left) } else { *pack };
                    if lines == 0 {
                        break;
                    }
                    *left -= if lot.counts { lines } else { 0 };
                    lot.datagrams.push(lines);
                }
            }
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
            Self::Max { left, .. } => (*left > 0).then_some(0),
        }
    }

    /// If the number of lines is limited and all are taken: when the next would be due.
    pub(super) fn exhausted_at(&self, now: u64) -> Option<u64> {
        match self {
            Self::Open(open) => (open.slots.slot() >= open.slot_end).then(|| open.due()),
            Self::Max { left, .. } => (*left == 0).then_some(now),
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
            lot.datagrams.push(self.lines(plan));
            self.slots.advance();
        }
    }
}
