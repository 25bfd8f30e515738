//! What a run of statsd lines is to do, in types that cannot be wrong.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::lines::Lines;
use crate::args::WayArg;
use crate::pacer::Pacer;
use crate::plan::{nanos, share};
use crate::schedule::{Arrivals, Schedule};
use crate::timeline::Timeline;

/// What makes lines due.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Pace {
    /// This many lines per second, whatever the target does.
    Rate { rate: f64, arrivals: Arrivals },
    /// This many lines at once, again and again.
    Bursts { lines: u64, every: Duration },
    /// As many as the socket takes.
    Max,
}

/// A run.
#[derive(Clone, Debug)]
pub(crate) struct StatsdPlan {
    /// Where lines go, best first.
    pub(crate) targets: Vec<SocketAddr>,
    pub(crate) way: WayArg,
    pub(crate) pace: Pace,
    /// Lines in each datagram, if --mtu has room for them.
    pub(crate) pack: u64,
    pub(crate) mtu: usize,
    /// Whether the kernel may cut up datagrams.
    pub(crate) segments: bool,
    /// The text of lines.
    pub(crate) lines: Arc<Lines>,
    /// Sockets or connections, over all workers; at least as many as those.
    pub(crate) connections: usize,
    pub(crate) threads: usize,
    pub(crate) seed: u64,
    pub(crate) warmup: Duration,
    /// Time measured, if it is limited.
    pub(crate) duration: Option<Duration>,
    /// Lines measured, if they are limited.
    pub(crate) measured_lines: Option<u64>,
    pub(crate) interval: Duration,
    pub(crate) drain: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) pacer: Pacer,
}

impl StatsdPlan {
    /// Lines per second asked for.
    pub(crate) fn rate(&self) -> Option<f64> {
        match self.pace {
            Pace::Rate { rate, .. } => Some(rate),
            Pace::Bursts { lines, every } => Some(lines as f64 / every.as_secs_f64()),
            Pace::Max => None,
        }
    }

    /// The mode's name in records.
    pub(crate) fn mode(&self) -> &'static str {
        match self.pace {
            Pace::Rate { .. } | Pace::Bursts { .. } => "open",
            Pace::Max => "max",
        }
    }

    /// The open loop's schedule: its slots are datagrams, each of which has `pack` lines
    /// if it is not the last of a burst.
    pub(super) fn schedule(&self) -> Option<Schedule> {
        match self.pace {
            Pace::Rate { rate, arrivals } => {
                Some(Schedule::new(rate / self.pack as f64, arrivals, self.seed))
            }
            Pace::Bursts { lines, every } => {
                Some(Schedule::bursts(lines.div_ceil(self.pack), nanos(every)))
            }
            Pace::Max => None,
        }
    }

    /// How many lines slot `slot` of the schedule has.
    #[inline]
    pub(super) fn lines_in(&self, slot: u64) -> u64 {
        let Pace::Bursts { lines, .. } = self.pace else {
            return self.pack;
        };
        let nth = slot % lines.div_ceil(self.pack);
        (lines - nth * self.pack).min(self.pack)
    }

    /// The first slot of `schedule` that is not sent because enough lines were measured,
    /// and the lines of the last one that is.
    pub(super) fn slot_end(&self, schedule: &Schedule) -> (u64, u64) {
        let Some(mut left) = self.measured_lines else {
            return (u64::MAX, u64::MAX);
        };
        let warmup = nanos(self.warmup);
        let mut slots = schedule.share(0, 1);
        while slots.due() < warmup {
            slots.advance();
        }
        let mut slot = slots.slot();
        if let Pace::Rate { .. } = self.pace {
            let before_last = (left - 1) / self.pack;
            slot += before_last;
            left -= before_last * self.pack;
        }
        while left > self.lines_in(slot) {
            left -= self.lines_in(slot);
            slot += 1;
        }
        (slot + 1, left)
    }

    /// When the phases begin, for a run that starts at this monotonic moment.
    pub(super) fn timeline(&self, start: u64) -> Timeline {
        Timeline::planned(start, self.warmup, self.duration, self.interval)
    }

    /// Sockets of worker `worker`.
    pub(super) fn connections_of(&self, worker: usize) -> usize {
        share(self.connections as u64, worker, self.threads) as usize
    }
}
