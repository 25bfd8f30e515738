//! What the engine is to do, in types that cannot be wrong.

use std::net::SocketAddr;
use std::time::Duration;

use crate::echoes::Integrity;
use crate::judge::Verify;
use crate::pacer::Pacer;
use crate::payload::Lengths;
use crate::schedule::{Arrivals, Schedule};
use crate::timeline::Timeline;
use crate::transport::Transport;

/// What makes requests due.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mode {
    /// A schedule, whatever the target does.
    Open {
        /// Requests per second, over all workers.
        rate: f64,
        /// How they are spread over time.
        arrivals: Arrivals,
    },
    /// An answer makes the next request due.
    Closed,
    /// The same, to find out how much the target takes.
    Max,
}

impl Mode {
    /// The name in records.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Open { .. } => "open",
            Self::Closed => "closed",
            Self::Max => "max",
        }
    }

    /// Requests per second asked for.
    #[must_use]
    pub fn rate(self) -> Option<f64> {
        match self {
            Self::Open { rate, .. } => Some(rate),
            Self::Closed | Self::Max => None,
        }
    }
}

/// What is spoken, and how closely replies are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// Foo, with a server that answers.
    Foo(Verify),
    /// Whatever is sent comes back.
    Echo(Integrity),
    /// The same with datagrams. Each connection of the plan is a socket.
    Datagrams(Datagrams),
}

/// What is special about datagrams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagrams {
    /// How the datagrams name this run.
    pub run: u32,
    /// One that is not back within this time is lost.
    pub timeout: Duration,
    /// Whether the kernel may cut up datagrams.
    pub segments: bool,
}

/// A run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where to connect to, best first.
    pub targets: Vec<SocketAddr>,
    /// What makes requests due.
    pub mode: Mode,
    /// Connections, over all workers.
    pub connections: usize,
    /// Requests that a connection may have open.
    pub pipeline: usize,
    /// Workers; not more than connections.
    pub threads: usize,
    /// All randomness comes from here.
    pub seed: u64,
    /// Length of the requests' data.
    pub payload: Lengths,
    /// What is spoken.
    pub wire: Wire,
    /// What lies below that.
    pub transport: Transport,
    /// Traffic before measuring.
    pub warmup: Duration,
    /// Time measured, if it is limited.
    pub duration: Option<Duration>,
    /// Requests measured, if they are limited.
    pub requests: Option<u64>,
    /// Length of a slice in the record.
    pub interval: Duration,
    /// How long to wait for late answers at the end.
    pub drain: Duration,
    /// How long a connection may take to open.
    pub connect_timeout: Duration,
    /// Requests on a connection before it is closed; 0 for no limit.
    pub requests_per_connection: u64,
    /// Due requests that may wait for a place, over all workers.
    pub max_backlog: u64,
    /// How workers wait for due slots.
    pub pacer: Pacer,
}

impl Plan {
    /// The global schedule of an open loop.
    #[must_use]
    pub fn schedule(&self) -> Option<Schedule> {
        match self.mode {
            Mode::Open { rate, arrivals } => Some(Schedule::new(rate, arrivals, self.seed)),
            Mode::Closed | Mode::Max => None,
        }
    }

    /// Whether a request may wait before it is written, so that response and service
    /// times differ: for its due time in an open loop, for a new connection in a closed
    /// one.
    #[must_use]
    pub fn waits_apart(&self) -> bool {
        self.mode.rate().is_some() || self.requests_per_connection > 0
    }

    /// The first slot of `schedule` that is not sent because enough were measured.
    #[must_use]
    pub fn slot_end(&self, schedule: &Schedule) -> u64 {
        let Some(requests) = self.requests else {
            return u64::MAX;
        };
        let warmup = nanos(self.warmup);
        let mut slots = schedule.share(0, 1);
        while slots.due() < warmup {
            slots.advance();
        }
        slots.slot().saturating_add(requests)
    }

    /// How much of `total` belongs to worker `worker`.
    #[must_use]
    pub fn share(&self, total: u64, worker: usize) -> u64 {
        share(total, worker, self.threads)
    }
}

impl Plan {
    /// When the phases begin, for a run that starts at this monotonic moment.
    #[must_use]
    pub fn timeline(&self, start: u64) -> Timeline {
        Timeline::planned(start, self.warmup, self.duration, self.interval)
    }
}

/// How much of `total` belongs to worker `worker` of `workers`.
#[must_use]
pub fn share(total: u64, worker: usize, workers: usize) -> u64 {
    let workers = workers as u64;
    total / workers + u64::from((worker as u64) < total % workers)
}

/// A duration in nanoseconds; 584 years are enough for all of them.
#[must_use]
pub fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An open loop of 1,000 requests per second for 10 s.
    pub(crate) fn open_loop() -> Plan {
        Plan {
            targets: vec![([127, 0, 0, 1], 1).into()],
            mode: Mode::Open {
                rate: 1_000.0,
                arrivals: Arrivals::Uniform,
            },
            connections: 4,
            pipeline: 16,
            threads: 3,
            seed: 1,
            payload: Lengths::default(),
            wire: Wire::Foo(Verify::Seq),
            transport: Transport::default(),
            warmup: Duration::from_millis(10),
            duration: Some(Duration::from_secs(10)),
            requests: None,
            interval: Duration::from_secs(1),
            drain: Duration::from_secs(1),
            connect_timeout: Duration::from_secs(1),
            requests_per_connection: 0,
            max_backlog: 500,
            pacer: Pacer::Sleep,
        }
    }

    #[test]
    fn shares_add_up() {
        let plan = open_loop();
        for total in [0, 1, 3, 10, 1_000_001] {
            let shares: u64 = (0..plan.threads)
                .map(|worker| plan.share(total, worker))
                .sum();
            assert_eq!(shares, total);
        }
    }

    #[test]
    fn a_number_of_requests_counts_from_the_end_of_the_warm_up() {
        let plan = Plan {
            requests: Some(7),
            ..open_loop()
        };
        let schedule = plan.schedule().expect("an open loop has one");
        assert_eq!(
            plan.slot_end(&schedule),
            10 + 7,
            "10 slots are due in the warm-up"
        );
        assert_eq!(open_loop().slot_end(&schedule), u64::MAX);
    }
}
