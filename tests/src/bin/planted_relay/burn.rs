//! Burning CPU time in proportion to what was used.

use rustix::time::{ClockId, clock_gettime};

/// Turns that are paid for at once. To read the clock costs half a microsecond, and more if
/// it is not in the cache: after each turn that alone would be a tenth of the turn.
const TURNS: u32 = 8;

/// How often the clock is read to see what reading it costs.
const CALIBRATION_READS: u64 = 1_000;

/// Keeps account of one thread. Must stay on it.
#[derive(Debug)]
pub(crate) struct Burn {
    percent: u64,
    /// Turns since it has paid last.
    turns: u32,
    /// What reading the clock costs: who does not burn does not pay it.
    read_ns: u64,
    /// The thread's CPU time when it had paid last.
    paid_at_ns: u64,
    /// What it is still to burn; below nothing if it has burned more.
    debt_ns: i64,
}

impl Burn {
    pub(crate) fn new(percent: u32) -> Self {
        let from = thread_cpu_ns();
        for _ in 1..CALIBRATION_READS {
            thread_cpu_ns();
        }
        let now = thread_cpu_ns();
        Self {
            percent: percent.into(),
            turns: 0,
            read_ns: (now - from) / CALIBRATION_READS,
            paid_at_ns: now,
            debt_ns: 0,
        }
    }

    /// Burns its share of the CPU time of the turns of the loop, some at a time.
    pub(crate) fn pay(&mut self) {
        if self.percent == 0 {
            return;
        }
        self.turns += 1;
        if self.turns < TURNS {
            return;
        }
        self.turns = 0;
        let turn_ended = thread_cpu_ns();
        let used = turn_ended - self.paid_at_ns;
        let own = used.saturating_sub(self.read_ns);
        // The reading is a part of what is burned.
        let wanted = own * self.percent / 100;
        self.debt_ns += i64::try_from(wanted).unwrap_or(i64::MAX) - (used - own) as i64;
        let mut now = turn_ended;
        while ((now - turn_ended) as i64) < self.debt_ns {
            now = thread_cpu_ns();
        }
        self.debt_ns -= (now - turn_ended) as i64;
        self.paid_at_ns = now;
    }
}

fn thread_cpu_ns() -> u64 {
    let used = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(used.tv_sec).unwrap_or(0);
    seconds * 1_000_000_000 + u64::try_from(used.tv_nsec).unwrap_or(0)
}
