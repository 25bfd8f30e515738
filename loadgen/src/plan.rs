//! What the engine is to do, in types that cannot be wrong.

use std::net::SocketAddr;
use std::time::Duration;

use crate::echoes::Integrity;
use crate::judge::Verify;
use crate::pacer::Pacer;
use crate::payload::Lengths;
use crate::schedule::{Arrivals, Schedule};
use crate::stride::Stride;
use crate::timeline::Timeline;
use crate::transport::Transport;

/// What makes requests due.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mode {
    /// A schedule, whatever the target does.
    Open {
        /// Requests per second, over all shards and their workers.
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

/// A run: the whole of it, of which this process does a part.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The part of this process: other shards do the rest.
    pub part: Stride,
    /// When to start, in nanoseconds of the Unix epoch; if nothing is said, at once.
    pub start_unix_ns: Option<u64>,
    /// Where to connect to, best first.
    pub targets: Vec<SocketAddr>,
    /// What makes requests due.
    pub mode: Mode,
    /// Connections, over all shards and their workers.
    pub connections: usize,
    /// Requests that a connection may have open.
    pub pipeline: usize,
    /// Workers of this process; not more than its connections.
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
    /// Requests measured by all shards, if they are limited.
    pub requests: Option<u64>,
    /// Length of a slice in the record.
    pub interval: Duration,
    /// How long to wait for late answers at the end.
    pub drain: Duration,
    /// How long a connection may take to open.
    pub connect_timeout: Duration,
    /// Requests on a connection before it is closed; 0 for no limit.
    pub requests_per_connection: u64,
    /// Due requests that may wait for a place, over all shards and their workers.
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
        let mut slots = schedule.share(Stride::ALL);
        while slots.due() < warmup {
            slots.advance();
        }
        slots.slot().saturating_add(requests)
    }

    /// What worker `worker` of this process does.
    #[must_use]
    pub fn seat(&self, worker: usize) -> Stride {
        self.part.part(worker as u64, self.threads as u64)
    }

    /// Connections of this process.
    #[must_use]
    pub fn own_connections(&self) -> usize {
        self.part.share(self.connections as u64) as usize
    }

    /// Requests per second asked of this process.
    #[must_use]
    pub fn own_rate(&self) -> Option<f64> {
        self.mode.rate().map(|rate| rate / self.part.step as f64)
    }

    /// When the phases begin, for a run that starts at this monotonic moment.
    #[must_use]
    pub fn timeline(&self, start: u64) -> Timeline {
        Timeline::planned(start, self.warmup, self.duration, self.interval)
    }
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
            part: Stride::ALL,
            start_unix_ns: None,
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
    fn a_shard_is_asked_for_its_part() {
        let plan = Plan {
            part: Stride::ALL.part(3, 4),
            connections: 10,
            threads: 2,
            ..open_loop()
        };
        assert_eq!((plan.own_connections(), plan.own_rate()), (2, Some(250.0)));
        assert_eq!(plan.seat(1), Stride { first: 7, step: 8 });
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
