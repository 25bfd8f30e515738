//! Progress on stderr, about once a second.

use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use super::short;
use crate::record::Interval;

/// Time between two lines of progress.
const EVERY: Duration = Duration::from_millis(950);

/// Says how the run is going.
pub(crate) struct Progress {
    wanted: Option<Duration>,
    elapsed: f64,
    last: Option<Instant>,
    sent: u64,
    answered: u64,
    failed: u64,
    seconds: f64,
    worst_us: f64,
    /// Bytes sent and received, in a bulk transfer.
    bytes: (u64, u64),
    unit: Unit,
}

/// What progress counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Requests and their answers.
    Requests,
    /// Bytes there and back.
    Bytes,
    /// Lines that nobody answers.
    Lines,
}

impl Progress {
    /// Progress of a run that takes `wanted`, if that is known.
    pub(crate) fn new(unit: Unit, wanted: Option<Duration>) -> Self {
        Self {
            wanted,
            elapsed: 0.0,
            last: None,
            sent: 0,
            answered: 0,
            failed: 0,
            seconds: 0.0,
            worst_us: 0.0,
            bytes: (0, 0),
            unit,
        }
    }

    /// Says one line.
    pub(crate) fn say(&self, line: &str) {
        // Whoever watches may stop watching; the run goes on.
        let _ = writeln!(io::stderr(), "{line}");
    }

    /// Says that `who` is ready and that the start is this far ahead, now and then.
    pub(crate) fn waiting(&mut self, who: &str, left: Duration) {
        if self.last.is_none_or(|last| last.elapsed() >= EVERY) {
            self.last = Some(Instant::now());
            self.say(&format!("{who}: waiting {} for the start", short(left)));
        }
    }

    /// Takes a slice, and says a line if the last is long enough ago.
    pub(crate) fn slice(&mut self, interval: &Interval) {
        self.sent += interval.sent;
        self.answered += interval.answered;
        self.failed += interval.failed;
        self.bytes.0 += interval.bytes_sent;
        self.bytes.1 += interval.bytes_received;
        self.seconds += interval.length_s;
        self.elapsed += interval.length_s;
        self.worst_us = self.worst_us.max(interval.max_us.unwrap_or(0.0));
        if self.last.is_some_and(|last| last.elapsed() < EVERY) && self.seconds < 0.95 {
            return;
        }
        let of = self
            .wanted
            .map_or_else(String::new, |wanted| format!(" of {}", short(wanted)));
        let per_second = |number: u64| number as f64 / self.seconds.max(1e-9);
        let gbit = |bytes: u64| per_second(bytes) * 8.0 / 1e9;
        let phase = if interval.warmup { "  warm-up" } else { "" };
        let done = match self.unit {
            Unit::Bytes => format!(
                "{:>8.3} Gbit/s sent  {:>8.3} Gbit/s received",
                gbit(self.bytes.0),
                gbit(self.bytes.1),
            ),
            Unit::Lines => format!(
                "{:>9.0} lines/s  {:>8.3} Gbit/s  {} not sent{phase}",
                per_second(self.sent),
                gbit(self.bytes.0),
                self.failed,
            ),
            Unit::Requests => format!(
                "{:>9.0} sent/s  {:>9.0} answered/s  {} failed  max {:.0} µs{phase}",
                per_second(self.sent),
                per_second(self.answered),
                self.failed,
                self.worst_us,
            ),
        };
        let line = format!("{:6.1} s{of}  {done}", self.elapsed);
        self.say(&line);
        self.begin_again();
    }

    fn begin_again(&mut self) {
        *self = Self {
            wanted: self.wanted,
            elapsed: self.elapsed,
            last: Some(Instant::now()),
            ..Self::new(self.unit, None)
        };
    }
}
