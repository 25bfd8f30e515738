//! How busy a worker's core was with it.

use rustix::time::{ClockId, clock_gettime};

/// One poll takes less than this. When it seems to take longer the worker was not
/// running, and that time is not CPU time spent on spinning.
const LONGEST_POLL_NS: u64 = 3_000;

/// CPU time of one worker while measuring, spinning apart.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LoadMeter {
    from: Option<Reading>,
    spun_before: u64,
    spun: u64,
    /// CPU time used, in nanoseconds.
    pub(crate) cpu_ns: u64,
    /// Share of the core that was used for work.
    pub(crate) busy: f64,
}

#[derive(Clone, Copy, Debug)]
struct Reading {
    wall: u64,
    cpu: u64,
}

impl LoadMeter {
    /// Measuring begins. To be called on the worker's thread.
    pub(crate) fn begin(&mut self, now: u64) {
        self.from = Some(Reading {
            wall: now,
            cpu: thread_cpu_ns(),
        });
        self.spun_before = self.spun;
    }

    /// Whether measuring has begun.
    #[must_use]
    pub(crate) fn has_begun(&self) -> bool {
        self.from.is_some()
    }

    /// A poll that found nothing took `nanos`.
    #[inline]
    pub(crate) fn spun(&mut self, nanos: u64) {
        self.spun += nanos.min(LONGEST_POLL_NS);
    }

    /// Measuring ends. To be called on the worker's thread.
    pub(crate) fn end(&mut self, now: u64) {
        let Some(from) = self.from else { return };
        self.cpu_ns = thread_cpu_ns() - from.cpu;
        let work = self.cpu_ns.saturating_sub(self.spun - self.spun_before);
        let wall = now.saturating_sub(from.wall).max(1);
        self.busy = (work as f64 / wall as f64).min(1.0);
    }
}

fn thread_cpu_ns() -> u64 {
    let used = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(used.tv_sec).unwrap_or(0);
    seconds * 1_000_000_000 + u64::try_from(used.tv_nsec).unwrap_or(0)
}
