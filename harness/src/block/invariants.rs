//! What must not happen in a block that is watched, told from its events alone.
//!
//! Nobody dies or hangs, no answer is wrong, clients are served again when a fault is over,
//! and nobody's lowest use of memory, descriptors or threads in a window of time is higher
//! than its highest in the first: how it moves within a window is the faults' affair.

use std::collections::BTreeMap;
use std::time::Duration;

use loadgen::record::Interval;
use report::event::{Broken, Event, Probe, ProbeOutcome, Role, Sample};
use report::reconcile::INTEGRITY;
use report::text::number;

use crate::scenario::Watch;

/// How much more than in the first window is no growth, beside a fixed amount: a share.
const USUAL_GROWTH: f64 = 1.5;

/// Kinds of wrong answers that no fault on a link is an excuse for where datagrams may get
/// lost and overtake each other; of connections it is none for any kind, as long as it breaks
/// and delays them only.
const WRONG_IN_DATAGRAMS: [&str; 2] = ["misrouted", "corrupted"];

/// The invariants of a block, and what has been seen so far.
#[derive(Debug)]
pub(super) struct Invariants {
    watch: Watch,
    wrong: &'static [&'static str],
    /// When clients began; before, nothing is judged.
    begun_ns: Option<u64>,
    /// Faults that are being done, by number.
    active: BTreeMap<String, String>,
    /// The fault that was over last.
    last: Option<String>,
    /// When the last fault was over, or clients began.
    calm_since_ns: u64,
    /// When each process has answered last.
    answered_ns: BTreeMap<String, u64>,
    /// What each process uses.
    uses: BTreeMap<(String, Use), Level>,
}

/// Something that a process uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Use {
    Memory,
    Descriptors,
    Threads,
}

/// The use in the window of time that goes on, and the highest in the first: a fault in that
/// may have kept it low for a while.
#[derive(Debug)]
struct Level {
    window_began_ns: u64,
    lowest: u64,
    highest: u64,
    first: Option<u64>,
}

impl Invariants {
    pub(super) fn new(watch: Watch, has_datagrams: bool) -> Self {
        let wrong: &[&str] = if has_datagrams {
            &WRONG_IN_DATAGRAMS
        } else {
            &INTEGRITY
        };
        Self {
            watch,
            wrong,
            begun_ns: None,
            active: BTreeMap::new(),
            last: None,
            calm_since_ns: 0,
            answered_ns: BTreeMap::new(),
            uses: BTreeMap::new(),
        }
    }

    /// Clients begin.
    pub(super) fn begin(&mut self, mono_ns: u64) {
        self.begun_ns = Some(mono_ns);
        self.calm_since_ns = mono_ns;
    }

    /// Clients have ended, as far as anybody knows: nothing is judged any more.
    pub(super) fn end(&mut self) {
        self.begun_ns = None;
    }

    /// Takes the next event; tells what it breaks, if it does.
    pub(super) fn take(&mut self, mono_ns: u64, event: &Event) -> Option<Broken> {
        match event {
            Event::FaultBegan(fault) => {
                let whom = fault.backend.as_ref().unwrap_or(&fault.target);
                let said = format!("{} {whom} (fault {})", fault.action, fault.id);
                self.active.insert(fault.id.clone(), said);
            }
            Event::FaultEnded { id } | Event::FaultFailed { id, .. } => {
                self.last = self.active.remove(id).or(self.last.take());
                self.calm_since_ns = mono_ns;
            }
            _ => {}
        }
        let begun_ns = self.begun_ns?;
        let what = match event {
            Event::LoadInterval { name, interval } => self.load(name, interval),
            Event::Probe(probe) => self.probe(mono_ns, probe),
            Event::Sample { role, name, sample } => {
                self.sample(mono_ns, *role, name.as_deref(), sample)
            }
            Event::Exited { role, name, exit } if !exit.asked && is_watched(*role) => {
                Some(format!("{name} died of {}", exit.cause()))
            }
            _ => None,
        }?;
        let faults = if self.active.is_empty() {
            let last = self
                .last
                .iter()
                .map(|last| format!("the last fault was {last}"));
            last.collect()
        } else {
            let all = self.active.values();
            all.map(|fault| format!("during {fault}")).collect()
        };
        Some(Broken {
            what,
            after_s: mono_ns.saturating_sub(begun_ns) as f64 / 1e9,
            faults,
            again: String::new(),
        })
    }

    fn is_calm(&self) -> bool {
        self.active.is_empty()
    }

    /// Wrong answers at any time, and failures when nothing is an excuse for them.
    fn load(&self, name: &str, interval: &Interval) -> Option<String> {
        let kinds = interval.failed_kinds.iter();
        if let Some((kind, count)) = kinds
            .filter(|(kind, _)| self.wrong.contains(&kind.as_str()))
            .find(|(_, count)| **count > 0)
        {
            return Some(format!(
                "{} answers of {name} {kind}",
                number::count(*count)
            ));
        }
        let calm_ns = self.calm_since_ns + nanos(self.watch.recovery);
        if !self.is_calm() || interval.start_mono_ns < calm_ns {
            return None;
        }
        let over = format!("{:.0} s after", self.watch.recovery.as_secs_f64());
        let failed = interval.failed + interval.connections_failed;
        if failed > 0 {
            let kinds: Vec<&str> = interval.failed_kinds.keys().map(String::as_str).collect();
            let kinds = if kinds.is_empty() {
                String::new()
            } else {
                format!(" ({})", kinds.join(", "))
            };
            let failed = number::count(failed);
            return Some(format!(
                "{failed} requests of {name} failed{kinds} {over} any fault"
            ));
        }
        let is_answered = self.wrong.len() == INTEGRITY.len();
        (is_answered && interval.sent > 0 && interval.answered == 0)
            .then(|| format!("no request of {name} was answered {over} any fault"))
    }

    /// Nobody is silent for long where nothing is done to anybody.
    fn probe(&mut self, mono_ns: u64, probe: &Probe) -> Option<String> {
        let name = called(probe.role, probe.name.as_deref());
        if probe.outcome == ProbeOutcome::Answered {
            self.answered_ns.insert(name, mono_ns);
            return None;
        }
        let answered_ns = self.answered_ns.get(&name).copied().unwrap_or(0);
        let since_ns = answered_ns.max(self.calm_since_ns);
        let silent_ns = mono_ns.saturating_sub(since_ns);
        (self.is_calm() && silent_ns > nanos(self.watch.silent)).then(|| {
            let outcome = format!("{:?}", probe.outcome).to_lowercase();
            let silent_s = silent_ns as f64 / 1e9;
            format!("{name} answered no probe for {silent_s:.1} s (the last: {outcome})")
        })
    }

    /// The lowest use in a window is no higher than the highest in the first.
    fn sample(
        &mut self,
        mono_ns: u64,
        role: Role,
        name: Option<&str>,
        sample: &Sample,
    ) -> Option<String> {
        let name = called(role, name);
        let uses = [
            (Use::Memory, sample.resident_bytes),
            (Use::Descriptors, sample.descriptors),
            (Use::Threads, sample.threads),
        ];
        let grown = uses.map(|(what, now)| {
            let level = self.uses.entry((name.clone(), what)).or_insert(Level {
                window_began_ns: mono_ns,
                lowest: now,
                highest: now,
                first: None,
            });
            let (first, now) = level.take(mono_ns, now, self.watch.window)?;
            let (word, slack, shown): (_, _, fn(u64) -> String) = match what {
                Use::Memory => ("memory", self.watch.memory.0, number::bytes),
                Use::Descriptors => ("descriptors", self.watch.descriptors, number::count),
                Use::Threads => ("threads", self.watch.threads, number::count),
            };
            let bound = first as f64 * USUAL_GROWTH + slack as f64;
            let window_s = self.watch.window.as_secs_f64();
            (now as f64 > bound).then(|| {
                let (now, first) = (shown(now), shown(first));
                format!(
                    "{word} of {name} grew: {now} at the lowest in {window_s:.0} s, {first} at the highest in the first"
                )
            })
        });
        grown.into_iter().flatten().next()
    }
}

impl Level {
    /// At the end of each window but the first: the highest use in that one, and the lowest
    /// in this.
    fn take(&mut self, mono_ns: u64, now: u64, window: Duration) -> Option<(u64, u64)> {
        self.lowest = self.lowest.min(now);
        self.highest = self.highest.max(now);
        if mono_ns.saturating_sub(self.window_began_ns) < nanos(window) {
            return None;
        }
        let (lowest, highest) = (self.lowest, self.highest);
        self.window_began_ns = mono_ns;
        (self.lowest, self.highest) = (now, now);
        match self.first {
            None => {
                self.first = Some(highest);
                None
            }
            Some(first) => Some((first, lowest)),
        }
    }
}

fn is_watched(role: Role) -> bool {
    matches!(role, Role::Proxy | Role::Upstream | Role::Link)
}

fn called(role: Role, name: Option<&str>) -> String {
    match (role, name) {
        (_, Some(name)) => name.to_owned(),
        (Role::Link, None) => "links".to_owned(),
        (role, None) => role.word().to_owned(),
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
