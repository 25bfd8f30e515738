//! What one block of a run showed: plain data, all that verdicts may look at.

use std::collections::BTreeMap;

use fuzzclient::record::FuzzRecord;
use loadgen::record::LoadRecord;
use serde::{Deserialize, Serialize};

use crate::account::Account;
use crate::compare::design::Arm;
use crate::event::{
    Audit, Broken, Exit, LinkCounts, Probe, ProbeOutcome, Role, Sample, Target, Transition,
};

pub use faults::FaultEvidence;

mod faults;

/// One block: fresh processes, one fixed schedule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Block {
    /// Counted from 1.
    pub round: u32,
    /// The descriptor of what was under test.
    pub subject: String,
    /// Its part in a comparison.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arm: Option<Arm>,
    /// Requests per second that were asked for, in a search for the highest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// Monotonic start.
    pub started_mono_ns: u64,
    /// Monotonic end; none if it was cut short.
    pub ended_mono_ns: Option<u64>,
    /// The server, if the harness started it; the first of several.
    pub upstream: Option<ProcessEvidence>,
    /// The other servers, in the order in which they stand in the scenario.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub more_upstreams: Vec<ProcessEvidence>,
    /// The proxy; none if clients aimed at the upstream.
    pub proxy: Option<ProcessEvidence>,
    /// What the load clients measured.
    pub loads: Vec<LoadEvidence>,
    /// What the fuzz clients did and saw.
    pub fuzzes: Vec<FuzzEvidence>,
    /// What was done on purpose while they did.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<FaultEvidence>,
    /// What went over the links between the parties, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub links: BTreeMap<String, LinkCounts>,
    /// What the proxy said that it thinks of its backends, in order of time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transitions: Vec<TimedTransition>,
    /// What became of every line, if lines of statsd were sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<Account>,
    /// What must not have happened, if it did and the block was ended for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broken: Option<Broken>,
    /// What kept the block from running as planned.
    pub problem: Option<String>,
}

impl Block {
    /// The process in that role; the first, where there are several.
    #[must_use]
    pub fn process(&self, role: Role) -> Option<&ProcessEvidence> {
        match role {
            Role::Upstream => self.upstream.as_ref(),
            Role::Proxy => self.proxy.as_ref(),
            Role::Load | Role::Fuzz | Role::Link => None,
        }
    }

    /// All servers, by their names: `upstream` alone, else `upstream.0` and so on.
    pub fn upstreams(&self) -> impl Iterator<Item = (String, &ProcessEvidence)> {
        let several = !self.more_upstreams.is_empty();
        let all = self.upstream.iter().chain(&self.more_upstreams);
        all.enumerate().map(move |(nth, process)| {
            let name = if several {
                format!("upstream.{nth}")
            } else {
                "upstream".to_owned()
            };
            (name, process)
        })
    }

    /// All servers and the proxy.
    pub fn watched(&self) -> impl Iterator<Item = (Role, String, &ProcessEvidence)> {
        let proxy = self.proxy.iter();
        self.upstreams()
            .map(|(name, process)| (Role::Upstream, name, process))
            .chain(proxy.map(|process| (Role::Proxy, "proxy".to_owned(), process)))
    }

    /// When garbage came in: the span from the first fuzz client's first connection to
    /// the end of the last session, in monotonic nanoseconds. None if none did. The
    /// processes themselves begin earlier and end later.
    #[must_use]
    pub fn attack(&self) -> Option<(u64, u64)> {
        let records = || self.fuzzes.iter().filter_map(|fuzz| fuzz.record.as_ref());
        let start = records().map(|record| record.started_mono_ns).min()?;
        let ends = records().flat_map(|record| &record.sessions);
        Some((start, ends.map(|session| session.end_mono_ns).max()?))
    }

    /// Bytes of garbage that the kernel took, until the upstream or the proxy died if
    /// one did: what came later met nobody.
    #[must_use]
    pub fn garbage_bytes(&self) -> u64 {
        let death = self
            .watched()
            .filter_map(|(.., process)| Some(process.death()?.mono_ns))
            .min();
        let records = self.fuzzes.iter().filter_map(|fuzz| fuzz.record.as_ref());
        records
            .map(|record| death.map_or(record.bytes_sent, |at| bytes_until(record, at)))
            .sum()
    }
}

/// Bytes of the sessions that were over at that time, and of those that were open:
/// sessions begin in the order of their numbers, so many at a time.
fn bytes_until(record: &FuzzRecord, mono_ns: u64) -> u64 {
    if record.started_mono_ns >= mono_ns {
        return 0;
    }
    let over = record
        .sessions
        .iter()
        .filter(|session| session.end_mono_ns <= mono_ns)
        .count() as u64;
    let at_a_time = record
        .config
        .get("connections")
        .and_then(serde_json::Value::as_u64)
        .unwrap_or(1);
    let first = record
        .sessions
        .iter()
        .map(|session| session.connection)
        .min()
        .unwrap_or(0);
    let begun = record
        .sessions
        .iter()
        .filter(|session| session.connection < first + over + at_a_time);
    begun.map(|session| session.bytes_sent).sum()
}

/// What was seen of the upstream or the proxy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ProcessEvidence {
    /// Its process; none if it is not ours and unknown.
    pub pid: Option<u32>,
    /// What was started.
    pub command: Vec<String>,
    /// How it ended, and when.
    pub exit: Option<TimedExit>,
    /// Valid requests on fresh connections, in order of their end.
    pub probes: Vec<TimedProbe>,
    /// Many requests at once, if somebody was under suspicion.
    pub audit: Option<Audit>,
    /// Looks at its process tree, in order.
    pub samples: Vec<TimedSample>,
    /// What it says that it counted.
    pub counts: Option<serde_json::Value>,
    /// The same of those in its place before it that ended in good order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier_counts: Vec<serde_json::Value>,
    /// How often one in its place came to serve.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lives: u64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl ProcessEvidence {
    /// The exit that nobody asked for.
    #[must_use]
    pub fn death(&self) -> Option<&TimedExit> {
        self.exit.as_ref().filter(|exit| !exit.exit.asked)
    }

    /// Whether anybody looked at it: one that is only known by what it counted was not.
    #[must_use]
    pub fn was_watched(&self) -> bool {
        self.pid.is_some() || !self.probes.is_empty() || self.exit.is_some()
    }

    /// The most resident memory that was seen.
    #[must_use]
    pub fn peak_bytes(&self) -> Option<u64> {
        self.samples
            .iter()
            .map(|timed| timed.sample.peak_bytes)
            .max()
            .filter(|peak| *peak > 0)
    }

    /// The last look at its process tree.
    #[must_use]
    pub fn last_sample(&self) -> Option<&Sample> {
        self.samples.last().map(|timed| &timed.sample)
    }

    /// What it and those in its place before it counted, one after the other.
    pub fn all_counts(&self) -> impl Iterator<Item = &serde_json::Value> {
        self.earlier_counts.iter().chain(&self.counts)
    }

    /// Whether none of them ended without telling.
    #[must_use]
    pub fn told_all(&self) -> bool {
        self.counts.is_some() && self.earlier_counts.len() as u64 + 1 >= self.lives
    }

    /// Undecodable lines that it reported on stderr.
    #[must_use]
    pub fn decode_errors(&self) -> u64 {
        self.exit.as_ref().map_or(0, |exit| exit.exit.decode_errors)
    }

    /// Probe requests that were written, and so may be in its counts; those of an audit
    /// included.
    #[must_use]
    pub fn probe_requests(&self) -> u64 {
        let probes = self.probes.iter().filter(|timed| timed.probe.sent).count() as u64;
        probes + self.audit.as_ref().map_or(0, |audit| audit.sent)
    }

    /// Whether a probe was ever answered rightly.
    #[must_use]
    pub fn ever_answered(&self) -> bool {
        self.probes
            .iter()
            .any(|timed| timed.probe.outcome == ProbeOutcome::Answered)
    }
}

/// How a process ended, and when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TimedExit {
    /// When it was seen.
    pub mono_ns: u64,
    /// How.
    #[serde(flatten)]
    pub exit: Exit,
}

/// A probe, and when it was over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TimedProbe {
    /// When it was over.
    pub mono_ns: u64,
    /// What it was.
    #[serde(flatten)]
    pub probe: Probe,
}

impl TimedProbe {
    /// How long it took.
    #[must_use]
    pub fn took_ns(&self) -> u64 {
        self.mono_ns.saturating_sub(self.probe.begun_mono_ns)
    }
}

/// A look at a process tree, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimedSample {
    /// When.
    pub mono_ns: u64,
    /// What was seen.
    #[serde(flatten)]
    pub sample: Sample,
}

/// What a load client measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoadEvidence {
    /// Its name.
    pub name: String,
    /// Where it aimed.
    pub target: Target,
    /// Its record.
    pub record: Option<LoadRecord>,
    /// Why there is none.
    pub problem: Option<String>,
    /// CPU time of the proxy's process tree while it measured.
    pub proxy_cpu_ns: Option<u64>,
}

impl LoadEvidence {
    /// CPU time of the proxy for each request, in microseconds.
    #[must_use]
    pub fn cpu_us_per_msg(&self) -> Option<f64> {
        let sent = self
            .record
            .as_ref()
            .map(|record| record.counts.sent)
            .filter(|sent| *sent > 0)?;
        Some(self.proxy_cpu_ns? as f64 / 1e3 / sent as f64)
    }
}

impl LoadEvidence {
    /// Gigabits of a bulk transfer, both directions together, and the time that they took.
    #[must_use]
    pub fn bulk_gbit(&self) -> Option<(f64, f64)> {
        let record = self.record.as_ref()?;
        let bulk = record.bulk.as_ref()?;
        let bytes = bulk.bytes_sent + bulk.bytes_received;
        Some((bytes as f64 * 8e-9, record.measured_s))
    }

    /// Gigabits of a bulk transfer for each second.
    #[must_use]
    pub fn gbit_per_s(&self) -> Option<f64> {
        let (gbit, seconds) = self.bulk_gbit()?;
        Some(gbit / seconds).filter(|rate| rate.is_finite())
    }

    /// Gigabits of a bulk transfer for each second of the proxy's CPU time.
    #[must_use]
    pub fn gbit_per_cpu_s(&self) -> Option<f64> {
        let (gbit, _) = self.bulk_gbit()?;
        let cpu_ns = self.proxy_cpu_ns.filter(|cpu_ns| *cpu_ns > 0)?;
        Some(gbit / (cpu_ns as f64 / 1e9))
    }
}

impl LoadEvidence {
    /// Lines of statsd that were sent while measuring, and what of them came to a server if
    /// as many were lost then as in the whole run. None if it is no such load.
    #[must_use]
    pub fn lines(&self, account: Option<&Account>) -> Option<(f64, f64)> {
        let record = self
            .record
            .as_ref()
            .filter(|record| record.statsd.is_some())?;
        let sent = record.counts.sent as f64;
        Some((sent, sent * account?.received_share()?))
    }

    /// Lines that came to a server for each second of the proxy's CPU time.
    #[must_use]
    pub fn lines_per_cpu_s(&self, account: Option<&Account>) -> Option<f64> {
        let (_, received) = self.lines(account)?;
        let cpu_ns = self.proxy_cpu_ns.filter(|cpu_ns| *cpu_ns > 0)?;
        Some(received / (cpu_ns as f64 / 1e9))
    }
}

/// What a fuzz client did and saw.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FuzzEvidence {
    /// Its name.
    pub name: String,
    /// Where it aimed.
    pub target: Target,
    /// Monotonic start.
    pub started_mono_ns: u64,
    /// Monotonic end.
    pub ended_mono_ns: Option<u64>,
    /// Its record.
    pub record: Option<FuzzRecord>,
    /// Why there is none.
    pub problem: Option<String>,
}

/// A change in what a proxy thinks of a backend, and when.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimedTransition {
    /// When.
    pub mono_ns: u64,
    /// What.
    #[serde(flatten)]
    pub transition: Transition,
}
