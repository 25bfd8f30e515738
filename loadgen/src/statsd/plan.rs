//! What a run of statsd lines is to do, in types that cannot be wrong.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::lines::Lines;
use crate::args::WayArg;
use crate::pacer::Pacer;
use crate::plan::nanos;
use crate::schedule::{Arrivals, Schedule};
use crate::stride::Stride;
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

/// A run: the whole of it, of which this process does a part.
#[derive(Clone, Debug)]
pub(crate) struct StatsdPlan {
    /// The part of this process: other shards do the rest.
    pub(crate) part: Stride,
    /// When to start, in nanoseconds of the Unix epoch; if nothing is said, at once.
    pub(crate) start_unix_ns: Option<u64>,
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
    /// Sockets or connections of this process, over all workers; at least as many as those.
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
    /// Lines per second asked of this process.
    pub(crate) fn own_rate(&self) -> Option<f64> {
        self.rate().map(|rate| rate / self.part.step as f64)
    }

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

    /// The number of the first line of slot `slot`.
    #[inline]
    pub(super) fn first_in(&self, slot: u64) -> u64 {
        let Pace::Bursts { lines, .. } = self.pace else {
            return slot * self.pack;
        };
        let slots = lines.div_ceil(self.pack);
        slot / slots * lines + slot % slots * self.pack
    }

    /// The first slot of `schedule` that is not sent because enough lines were measured,
    /// and the lines of the last one that is.
    pub(super) fn slot_end(&self, schedule: &Schedule) -> (u64, u64) {
        let Some(mut left) = self.measured_lines else {
            return (u64::MAX, u64::MAX);
        };
        let warmup = nanos(self.warmup);
        let mut slots = schedule.share(Stride::ALL);
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

    /// What worker `worker` of this process does.
    pub(super) fn seat(&self, worker: usize) -> Stride {
        self.part.part(worker as u64, self.threads as u64)
    }

    /// Sockets of worker `worker`.
    pub(super) fn connections_of(&self, worker: usize) -> usize {
        let own = Stride::ALL.part(worker as u64, self.threads as u64);
        own.share(self.connections as u64) as usize
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::statsd::feed::{Feed, Lot};
    use crate::statsd::{Popularity, Text, Type};

    /// 1,000 lines per second for 10 s.
    pub(in crate::statsd) fn at_a_rate() -> StatsdPlan {
        let lines = Lines::new(&Text {
            sender: "load",
            keys: 10,
            popularity: Popularity::Uniform,
            types: &[Type::C],
            sample_rate: None,
            tags: &[],
            seed: 1,
        });
        StatsdPlan {
            part: Stride::ALL,
            start_unix_ns: None,
            targets: vec![([127, 0, 0, 1], 1).into()],
            way: WayArg::Udp,
            pace: Pace::Rate {
                rate: 1_000.0,
                arrivals: Arrivals::Uniform,
            },
            pack: 1,
            mtu: 1_432,
            segments: true,
            lines: Arc::new(lines),
            connections: 1,
            threads: 1,
            seed: 1,
            warmup: Duration::ZERO,
            duration: Some(Duration::from_secs(10)),
            measured_lines: None,
            interval: Duration::from_secs(1),
            drain: Duration::ZERO,
            connect_timeout: Duration::from_secs(1),
            pacer: Pacer::Sleep,
        }
    }

    /// Lines of the warm-up and after it that all workers take in turn, looking each
    /// `step_ns`.
    fn taken(plan: &StatsdPlan, step_ns: u64) -> (u64, u64) {
        let timeline = plan.timeline(1_000);
        let mut lag = crate::histograms::empty();
        let (mut before, mut after) = (0, 0);
        for worker in 0..plan.threads {
            let mut feed = Feed::new(plan, worker);
            feed.begin(timeline.start);
            let mut lot = Lot::default();
            let mut now = timeline.start;
            while now < timeline.end + step_ns {
                feed.take(plan, now, &timeline, &mut lag, &mut lot);
                *(if lot.counts { &mut after } else { &mut before }) += lot.lines();
                if lot.lines() == 0 {
                    now += step_ns;
                }
            }
            assert_eq!(feed.missed(plan, &timeline), 0);
        }
        (before, after)
    }

    #[test]
    fn slots_of_a_burst_have_its_lines() {
        let plan = StatsdPlan {
            pace: Pace::Bursts {
                lines: 70,
                every: Duration::from_secs(1),
            },
            pack: 30,
            ..at_a_rate()
        };
        let lines: Vec<u64> = (0..6).map(|slot| plan.lines_in(slot)).collect();
        assert_eq!(lines, [30, 30, 10, 30, 30, 10]);
        assert_eq!(plan.rate(), Some(70.0));
    }

    /// Adds the numbers of all lines that a shard takes if it looks at its end, or without
    /// a pace at its start.
    fn take_all(plan: &StatsdPlan, numbers: &mut Vec<u64>) {
        let timeline = plan.timeline(1_000);
        let mut lag = crate::histograms::empty();
        let mut lot = Lot::default();
        for worker in 0..plan.threads {
            let mut feed = Feed::new(plan, worker);
            feed.begin(timeline.start);
            let now = match plan.pace {
                Pace::Max => timeline.start,
                Pace::Rate { .. } | Pace::Bursts { .. } => timeline.end,
            };
            loop {
                feed.take(plan, now, &timeline, &mut lag, &mut lot);
                if lot.lines() == 0 {
                    break;
                }
                for (first, lines) in lot.firsts.iter().zip(&lot.datagrams) {
                    numbers.extend(*first..first + lines);
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn shards_together_use_every_number_once(
            shards in 1_u64..6, threads in 1_usize..4, pack in 1_u64..50, burst in 1_u64..200,
            bursts in any::<bool>(), warmup_ms in 0_u64..300, lines in 1_u64..900,
        ) {
            let pace = match bursts {
                true => Pace::Bursts { lines: burst, every: Duration::from_millis(7) },
                false => Pace::Rate { rate: 5_000.0, arrivals: Arrivals::Poisson },
            };
            let mut all = vec![];
            for shard in 0..shards {
                let plan = StatsdPlan {
                    part: Stride::ALL.part(shard, shards),
                    pace, pack, threads,
                    warmup: Duration::from_millis(warmup_ms),
                    measured_lines: Some(lines),
                    ..at_a_rate()
                };
                take_all(&plan, &mut all);
            }
            all.sort_unstable();
            let count = all.len() as u64;
            prop_assert!(count >= lines);
            prop_assert_eq!(all, (0..count).collect::<Vec<_>>());
        }

        #[test]
        fn without_a_pace_no_number_is_used_twice(
            shards in 1_u64..6, threads in 1_usize..4, pack in 1_u64..50, lines in 1_u64..900,
        ) {
            let mut all = vec![];
            for shard in 0..shards {
                let plan = StatsdPlan {
                    part: Stride::ALL.part(shard, shards),
                    pace: Pace::Max,
                    pack, threads,
                    measured_lines: Some(lines),
                    ..at_a_rate()
                };
                take_all(&plan, &mut all);
            }
            prop_assert_eq!(all.len() as u64, lines);
            all.sort_unstable();
            all.dedup();
            prop_assert_eq!(all.len() as u64, lines);
        }

        #[test]
        fn a_number_of_lines_is_taken_whatever_the_pace(
            measured_lines in 1_u64..900, pack in 1_u64..50, threads in 1_usize..5,
            burst in 1_u64..200, how in 0..4, warmup_ms in 0_u64..300,
        ) {
            let pace = match how {
                0 => Pace::Rate { rate: 5_000.0, arrivals: Arrivals::Uniform },
                1 => Pace::Rate { rate: 5_000.0, arrivals: Arrivals::Poisson },
                2 => Pace::Bursts { lines: burst, every: Duration::from_millis(7) },
                _ => Pace::Max,
            };
            let warmup = Duration::from_millis(if pace == Pace::Max { 0 } else { warmup_ms });
            let plan = StatsdPlan {
                pace, pack, threads, warmup,
                measured_lines: Some(measured_lines),
                ..at_a_rate()
            };
            prop_assert_eq!(taken(&plan, 3_000_000).1, measured_lines);
        }

        #[test]
        fn all_that_is_due_is_taken(
            pack in 1_u64..50, threads in 1_usize..5, rate in 100_u32..10_000,
        ) {
            let plan = StatsdPlan {
                pace: Pace::Rate { rate: f64::from(rate), arrivals: Arrivals::Uniform },
                pack, threads,
                warmup: Duration::from_secs(1),
                ..at_a_rate()
            };
            let (before, after) = taken(&plan, 5_000_000);
            let rate = u64::from(rate);
            prop_assert!(before.abs_diff(rate) <= pack, "{} {}", before, rate);
            prop_assert!(after.abs_diff(rate * 10) <= pack, "{} {}", after, rate);
        }
    }
}
