//! Burning CPU time in proportion to what the relay uses.
//!
//! A thread of its own does it, in small portions. On the relay's own threads messages
//! would pile up meanwhile, and cost less each because many are taken at once: the relay
//! would not use as much more as it should.

use std::thread;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Between two portions.
const PAUSE: Duration = Duration::from_millis(1);

/// Burns this many per cent of what all other threads of the process use, for ever.
pub(crate) fn start(percent: u32) {
    if percent > 0 {
        thread::spawn(move || burn(percent.into()));
    }
}

fn burn(percent: u64) {
    loop {
        thread::sleep(PAUSE);
        loop {
            let own = cpu_ns(ClockId::ThreadCPUTime);
            let others = cpu_ns(ClockId::ProcessCPUTime).saturating_sub(own);
            if own * 100 >= others * percent {
                break;
            }
        }
    }
}

fn cpu_ns(clock: ClockId) -> u64 {
    let used = clock_gettime(clock);
    let seconds = u64::try_from(used.tv_sec).unwrap_or(0);
    seconds * 1_000_000_000 + u64::try_from(used.tv_nsec).unwrap_or(0)
}
