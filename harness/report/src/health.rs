//! What became of a process, by its right name, and who is to blame.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::event::{ProbeOutcome, Role};
use crate::evidence::{Block, FaultEvidence, ProcessEvidence, TimedProbe};
use crate::expect::Fate;

/// A probe that takes longer than this found the process frozen, if others were fast.
/// Far above what a busy machine does to a request, and below what a user overlooks.
const FREEZE_NS: u64 = 250_000_000;

/// A process whose probes take longer than this in the median is slow.
const SLOW_NS: u64 = 100_000_000;

/// How far before and after a probe the upstream's trouble excuses the proxy: the time
/// after which a probe is given up.
const EXCUSE_NS: u64 = 1_000_000_000;

/// What the names of the links to the servers begin with.
const BEHIND_THE_PROXY: &str = "proxy-upstream";

/// What became of a process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Status {
    /// Alive, and answered all along.
    Survived,
    /// Gone without being asked to go.
    Died {
        /// The signal's name, or the exit code.
        cause: String,
    },
    /// Alive, and answers nobody any more.
    Hung,
    /// Answered nobody for a while, and then did again.
    Froze {
        /// The longest time without an answer.
        longest_ms: f64,
    },
    /// Every answer takes long.
    Slow {
        /// The median.
        median_ms: f64,
    },
    /// Answered, not always rightly.
    Wrong {
        /// Wrong answers to probes.
        wrong: u64,
        /// Probes.
        of: u64,
    },
    /// Alive, and takes no connections or closes them unanswered.
    Refuses,
    /// Nobody looked.
    Unwatched,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Survived => write!(f, "survived"),
            Self::Died { cause } => write!(f, "died ({cause})"),
            Self::Hung => write!(f, "hung"),
            Self::Froze { longest_ms } => write!(f, "froze ({longest_ms:.0} ms)"),
            Self::Slow { median_ms } => write!(f, "slow ({median_ms:.0} ms)"),
            Self::Wrong { wrong, of } => write!(f, "wrong ({wrong} of {of} answers)"),
            Self::Refuses => write!(f, "refuses connections"),
            Self::Unwatched => write!(f, "not watched"),
        }
    }
}

impl Status {
    /// How bad it is, beside others.
    fn gravity(&self) -> u8 {
        match self {
            Self::Survived => 0,
            Self::Unwatched => 1,
            Self::Slow { .. } => 2,
            Self::Froze { .. } => 3,
            Self::Wrong { .. } => 4,
            Self::Refuses => 5,
            Self::Hung => 6,
            Self::Died { .. } => 7,
        }
    }

    /// Whether this is what `fate` says. To survive is to live and to answer at the
    /// end; a process may have been slow or frozen before.
    #[must_use]
    pub fn is(&self, fate: Fate) -> bool {
        match fate {
            Fate::Survives => matches!(
                self,
                Self::Survived | Self::Froze { .. } | Self::Slow { .. } | Self::Wrong { .. }
            ),
            Fate::Dies => matches!(self, Self::Died { .. }),
            Fate::Hangs => matches!(self, Self::Hung),
            Fate::Freezes => matches!(self, Self::Froze { .. }),
            Fate::Slow => matches!(self, Self::Slow { .. }),
            Fate::Wrong => matches!(self, Self::Wrong { .. }),
            Fate::Refuses => matches!(self, Self::Refuses),
        }
    }
}

/// What became of the process in `role`, of several the one that fared worst. What an
/// upstream did is not held against the proxy that had to wait for it, nor what was done to
/// a process on purpose against anybody.
#[must_use]
pub fn status(block: &Block, role: Role) -> Status {
    let processes = block.watched().filter(|(of, ..)| *of == role);
    let all = processes.map(|(_, name, process)| of_process(block, role, &name, process));
    // The first among equals: later ones have to be worse.
    all.reduce(|worst, next| {
        if next.gravity() > worst.gravity() {
            next
        } else {
            worst
        }
    })
    .unwrap_or(Status::Unwatched)
}

/// What became of the process of that name, such as `upstream.1`.
#[must_use]
pub fn status_of(block: &Block, name: &str) -> Status {
    let mut processes = block.watched();
    processes
        .find(|(_, known, _)| known == name)
        .map_or(Status::Unwatched, |(role, name, process)| {
            of_process(block, role, &name, process)
        })
}

fn of_process(block: &Block, role: Role, name: &str, process: &ProcessEvidence) -> Status {
    if let Some(death) = process.death() {
        return Status::Died {
            cause: death.exit.cause(),
        };
    }
    let upstreams: Vec<&ProcessEvidence> = match role {
        Role::Proxy => block.upstreams().map(|(_, process)| process).collect(),
        _ => Vec::new(),
    };
    let probes: Vec<&TimedProbe> = process
        .probes
        .iter()
        .filter(|probe| {
            let mut upstreams = upstreams.iter();
            !upstreams.any(|upstream| excuses(upstream, probe))
                && !is_on_purpose(block, role, name, process, probe)
        })
        .collect();
    let all_probes = |up: &ProcessEvidence| median_ns(&up.probes.iter().collect::<Vec<_>>());
    let upstream_is_slow = upstreams.iter().any(|up| all_probes(up) >= SLOW_NS);
    let upstream_lies = upstreams
        .iter()
        .any(|up| wrong_answers(up, &up.probes.iter().collect::<Vec<_>>()).0 > 0);
    judge(process, &probes, upstream_lies, upstream_is_slow)
}

/// Whether a probe went wrong while somebody who had to answer it was ended, held or short
/// of something on purpose, or could not be reached over a link. Behind a proxy that is any
/// server; a proxy that is told to take on another configuration or to hand over has no
/// excuse.
fn is_on_purpose(
    block: &Block,
    role: Role,
    name: &str,
    process: &ProcessEvidence,
    probe: &TimedProbe,
) -> bool {
    // Shortly after the end it may still be excused, but only who answers at last is well.
    let answers_later = || {
        let begun = probe.probe.begun_mono_ns;
        let mut probes = process.probes.iter();
        probes.any(|later| is_good(later) && later.probe.begun_mono_ns > begun)
    };
    let mut faults = block.faults.iter();
    faults.any(|fault| {
        let is_bad = !is_good(probe) || (fault.fault.on_link && probe.took_ns() >= SLOW_NS);
        let lasted =
            |until: u64| probe.mono_ns >= fault.began_mono_ns && probe.probe.begun_mono_ns <= until;
        let ended = fault.ended_mono_ns.unwrap_or(u64::MAX);
        is_bad
            && excuses_by_itself(fault, role, name)
            && (lasted(ended) || (lasted(ended.saturating_add(EXCUSE_NS)) && answers_later()))
    })
}

/// Whether a fault is reason enough for a probe of that process to go wrong. Probes do not
/// take the links on the clients' side.
fn excuses_by_itself(fault: &FaultEvidence, role: Role, name: &str) -> bool {
    const HOLDS: [&str; 5] = ["kill", "terminate", "freeze", "restart", "limit"];
    let target = fault.fault.target.as_str();
    if fault.fault.on_link {
        return role == Role::Proxy && target.starts_with(BEHIND_THE_PROXY);
    }
    let concerns =
        target == name || (role == Role::Proxy && target.starts_with(Role::Upstream.word()));
    HOLDS.contains(&fault.fault.action.as_str()) && concerns
}

fn judge(
    process: &ProcessEvidence,
    probes: &[&TimedProbe],
    upstream_lies: bool,
    upstream_is_slow: bool,
) -> Status {
    let Some(last) = probes.last() else {
        // Every probe was excused: nothing speaks against it.
        return if process.probes.is_empty() {
            Status::Unwatched
        } else {
            Status::Survived
        };
    };
    match last.probe.outcome {
        ProbeOutcome::Silent => return Status::Hung,
        ProbeOutcome::Refused | ProbeOutcome::Closed => return Status::Refuses,
        ProbeOutcome::Answered | ProbeOutcome::Wrong => {}
    }
    let (wrong, of) = wrong_answers(process, probes);
    if wrong > 0 && !upstream_lies {
        return Status::Wrong { wrong, of };
    }
    let median_ns = median_ns(probes);
    if median_ns >= SLOW_NS {
        // Who waits for a slow upstream is not slow, and cannot be seen to freeze.
        let own = Status::Slow {
            median_ms: median_ns as f64 / 1e6,
        };
        return if upstream_is_slow {
            Status::Survived
        } else {
            own
        };
    }
    let longest_ns = longest_without_answer(probes);
    if longest_ns >= FREEZE_NS {
        return Status::Froze {
            longest_ms: longest_ns as f64 / 1e6,
        };
    }
    Status::Survived
}

fn is_good(probe: &TimedProbe) -> bool {
    probe.probe.outcome == ProbeOutcome::Answered && probe.took_ns() < FREEZE_NS
}

/// Whether the upstream was in trouble of its own when this probe went through the
/// proxy.
fn excuses(upstream: &ProcessEvidence, probe: &TimedProbe) -> bool {
    if is_good(probe) {
        return false;
    }
    if let Some(death) = upstream.death() {
        // With nobody behind it a proxy can answer nobody; it can still say so, by
        // refusing or closing. Only who was under way when it happened may be stuck.
        if probe.probe.begun_mono_ns > death.mono_ns {
            return matches!(
                probe.probe.outcome,
                ProbeOutcome::Refused | ProbeOutcome::Closed
            );
        }
        if death.mono_ns <= probe.mono_ns + EXCUSE_NS {
            return true;
        }
    }
    let from = probe.probe.begun_mono_ns.saturating_sub(EXCUSE_NS);
    let to = probe.mono_ns + EXCUSE_NS;
    upstream
        .probes
        .iter()
        .any(|own| !is_good(own) && own.mono_ns >= from && own.probe.begun_mono_ns <= to)
}

fn wrong_answers(process: &ProcessEvidence, probes: &[&TimedProbe]) -> (u64, u64) {
    let wrong = probes
        .iter()
        .filter(|probe| probe.probe.outcome == ProbeOutcome::Wrong)
        .count() as u64;
    let audit = process.audit.as_ref();
    (
        wrong + audit.map_or(0, |audit| audit.wrong),
        probes.len() as u64 + audit.map_or(0, |audit| audit.sent),
    )
}

fn median_ns(probes: &[&TimedProbe]) -> u64 {
    let mut times: Vec<u64> = probes
        .iter()
        .filter(|probe| probe.probe.outcome == ProbeOutcome::Answered)
        .map(|probe| probe.took_ns())
        .collect();
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or(0)
}

/// The longest span from the beginning of a probe to the next answer.
fn longest_without_answer(probes: &[&TimedProbe]) -> u64 {
    let mut waiting_since = None;
    let mut longest = 0;
    for probe in probes {
        let since = *waiting_since.get_or_insert(probe.probe.begun_mono_ns);
        if matches!(
            probe.probe.outcome,
            ProbeOutcome::Answered | ProbeOutcome::Wrong
        ) {
            longest = longest.max(probe.mono_ns.saturating_sub(since));
            waiting_since = None;
        }
    }
    longest
}

#[cfg(test)]
mod tests;
