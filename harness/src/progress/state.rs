//! What has happened so far, as far as somebody who watches wants to know.

use std::collections::VecDeque;
use std::time::Duration;

use report::compare::design::Arm;
use report::event::{Event, Role, Stamped};
use report::text::number;

/// Slices whose 99th percentiles are kept: six seconds of them.
pub const SLICES: usize = 60;

/// A run so far.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// Blocks that are over.
    pub done: usize,
    /// Blocks that are expected in all.
    pub total: usize,
    /// The scenario.
    pub scenario: String,
    /// The block.
    pub block: Block,
    /// Requests that failed, in all blocks.
    pub failed: u64,
    now_ns: u64,
    /// When the first block began.
    first_ns: Option<u64>,
}

/// The block that runs, or the last one.
#[derive(Clone, Debug, Default)]
pub struct Block {
    /// Counted from 1.
    pub round: u32,
    /// What is under test.
    pub subject: String,
    /// Its part in a comparison.
    pub arm: Option<&'static str>,
    /// The rate that is tried.
    pub rate: Option<f64>,
    /// Whether what is measured counts already.
    pub is_measuring: bool,
    /// What the last slice of load showed.
    pub slice: Option<Slice>,
    /// The 99th percentiles of the last slices, in microseconds.
    pub p99s: VecDeque<Option<f64>>,
    /// Requests that failed.
    pub failed: u64,
    /// The garbage that is coming in, by name.
    pub garbage: Vec<String>,
    /// What is being done on purpose, the latest of it.
    pub fault: Option<String>,
    /// What came of the load, once that is known.
    pub outcome: String,
    /// Who died, what was sent: what is worth to be remembered of it.
    pub fate: String,
    attacked: bool,
    is_over: bool,
    started_ns: u64,
}

/// A slice of load.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Slice {
    /// The load's name.
    pub load: String,
    /// Good answers per second.
    pub rate: f64,
    /// Median response time in microseconds.
    pub p50_us: Option<f64>,
    /// 99th percentile.
    pub p99_us: Option<f64>,
}

impl State {
    /// Before a run of so many blocks.
    #[must_use]
    pub fn new(total: usize) -> Self {
        Self {
            total,
            ..Self::default()
        }
    }

    /// Takes note of an event.
    pub fn take(&mut self, stamped: &Stamped) {
        // Probes are noted when they are over, with the time at which they were.
        self.now_ns = self.now_ns.max(stamped.mono_ns);
        match &stamped.event {
            Event::ScenarioStarted(header) => self.scenario.clone_from(&header.name),
            Event::BlockStarted {
                round,
                subject,
                arm,
                rate,
            } => {
                self.first_ns.get_or_insert(stamped.mono_ns);
                self.block = Block {
                    round: *round,
                    subject: subject.clone(),
                    arm: arm.map(word),
                    rate: *rate,
                    started_ns: stamped.mono_ns,
                    ..Block::default()
                };
            }
            Event::LoadInterval { interval, .. } => {
                self.failed += interval.failed;
                self.block.take(&stamped.event);
            }
            Event::BlockEnded { .. } => {
                self.done += 1;
                self.total = self.total.max(self.done);
                self.block.is_over = true;
            }
            event => self.block.take(event),
        }
    }

    /// How long the rest takes if its blocks take as long as those before. None before
    /// the first is over, and none once all that were expected are: how many more come
    /// then is not known.
    #[must_use]
    pub fn left(&self) -> Option<Duration> {
        let is_known = self.done > 0 && self.done < self.total;
        let begun = self.first_ns.filter(|_| is_known)?;
        let until = if self.block.is_over {
            self.now_ns
        } else {
            self.block.started_ns
        };
        let each = until.saturating_sub(begun) / self.done as u64;
        let spent = (self.now_ns - until).min(each);
        let rest = each * (self.total - self.done) as u64;
        Some(Duration::from_nanos(rest.saturating_sub(spent)))
    }
}

impl Block {
    fn take(&mut self, event: &Event) {
        match event {
            Event::LoadMeasuring { .. } => self.is_measuring = true,
            Event::LoadInterval { name, interval } => {
                self.failed += interval.failed;
                self.slice = Some(Slice {
                    load: name.clone(),
                    rate: interval.answered as f64 / interval.length_s.max(1e-9),
                    p50_us: interval.p50_us,
                    p99_us: interval.p99_us,
                });
                if self.p99s.len() == SLICES {
                    self.p99s.pop_front();
                }
                self.p99s.push_back(interval.p99_us);
            }
            Event::LoadEnded {
                record: Some(record),
                ..
            } => {
                let response = &record.latency_us.response;
                let [p50, p99] = [response.p50, response.p99].map(number::micros_or_dash);
                // Under attack the client's own timing is nobody's concern.
                let valid = if record.valid || self.attacked {
                    ""
                } else {
                    " · INVALID"
                };
                let rate = number::rate(record.achieved_rate);
                self.outcome = format!(" · {rate} · p50 {p50} p99 {p99}{valid}");
            }
            Event::FaultBegan(fault) => {
                let whom = fault.backend.as_ref().unwrap_or(&fault.target);
                self.fault = Some(format!("{} {whom}", fault.action));
            }
            Event::FaultEnded { .. } => self.fault = None,
            Event::FaultFailed { reason, .. } => {
                self.fate
                    .push_str(&format!(" · a fault could not be done: {reason}"));
            }
            Event::FuzzStarted { name, .. } => {
                self.attacked = true;
                self.garbage.push(name.clone());
            }
            Event::FuzzEnded { name, record, .. } => {
                self.garbage.retain(|running| running != name);
                if let Some(record) = record {
                    let bytes = number::bytes(record.bytes_sent);
                    self.fate.push_str(&format!(" · {bytes} of garbage sent"));
                }
            }
            Event::Exited { role, exit, .. }
                if !exit.asked && matches!(role, Role::Upstream | Role::Proxy) =>
            {
                let (who, how) = (role.word(), exit.cause());
                self.fate.push_str(&format!(" · the {who} died ({how})"));
            }
            _ => {}
        }
    }
}

fn word(arm: Arm) -> &'static str {
    match arm {
        Arm::Baseline => "baseline",
        Arm::Candidate => "candidate",
        Arm::NoiseFirst => "baseline, first of two",
        Arm::NoiseSecond => "baseline, second of two",
        Arm::Anchor => "anchor",
    }
}

#[cfg(test)]
pub(super) mod tests {
    use loadgen::record::Interval;
    use report::event::{Exit, ScenarioHeader, Target};

    use super::*;

    pub(crate) fn told(state: &mut State, ms: u64, event: Event) {
        state.take(&Stamped {
            mono_ns: ms * 1_000_000,
            event,
        });
    }

    pub(crate) fn block(state: &mut State, ms: u64, subject: &str) {
        let event = Event::BlockStarted {
            round: 3,
            subject: subject.to_owned(),
            arm: Some(Arm::Candidate),
            rate: Some(41_200.0),
        };
        told(state, ms, event);
    }

    pub(crate) fn slice(state: &mut State, ms: u64, failed: u64, p99_us: f64) {
        let interval = Interval {
            length_s: 0.1,
            answered: 4_000,
            failed,
            p50_us: Some(70.0),
            p99_us: Some(p99_us),
            ..Interval::default()
        };
        let name = "load".to_owned();
        told(state, ms, Event::LoadInterval { name, interval });
    }

    /// In the middle of the second of four blocks, under attack.
    pub(crate) fn busy() -> State {
        let mut state = State::new(4);
        let name = "crash-shield".to_owned();
        let header = ScenarioHeader {
            name,
            ..ScenarioHeader::default()
        };
        told(&mut state, 1_000, Event::ScenarioStarted(header));
        block(&mut state, 1_000, "direct");
        slice(&mut state, 2_000, 5, 80.0);
        told(&mut state, 5_000, Event::BlockEnded { problem: None });
        block(&mut state, 5_000, "builtin");
        for number in 0..100 {
            slice(
                &mut state,
                5_100 + number * 10,
                number % 2,
                80.0 + number as f64,
            );
        }
        let (name, target) = ("noise".to_owned(), Target::Proxy);
        told(&mut state, 6_500, Event::FuzzStarted { name, target });
        let exit = Exit {
            signal: Some("SIGSEGV".to_owned()),
            ..Exit::default()
        };
        let (role, name) = (Role::Upstream, "upstream".to_owned());
        told(&mut state, 7_000, Event::Exited { role, name, exit });
        state
    }

    #[test]
    fn what_is_left_follows_from_what_is_done() {
        let mut state = busy();
        // One block took 4 s; three are not over, and 2 s of the first of them are.
        assert_eq!(state.left(), Some(Duration::from_secs(10)));
        told(&mut state, 20_000, Event::BlockEnded { problem: None });
        assert_eq!(state.left(), Some(Duration::from_secs(19)));
        for _ in 0..3 {
            block(&mut state, 20_000, "builtin");
            told(&mut state, 20_000, Event::BlockEnded { problem: None });
        }
        assert_eq!((state.done, state.total), (5, 5), "more than were expected");
        assert_eq!(state.left(), None);
        block(&mut state, 21_000, "builtin");
        assert_eq!(state.left(), None, "one more");
        assert_eq!(State::new(4).left(), None);
    }

    #[test]
    fn failures_are_counted_by_block_and_in_all() {
        let state = busy();
        assert_eq!((state.block.failed, state.failed), (50, 55));
        assert_eq!(state.block.p99s.len(), SLICES);
        assert_eq!(state.block.garbage, ["noise"]);
    }
}
