//! What a run says while it goes on: one JSON line each in `events.jsonl`.
//!
//! Events are the only way from running to reporting. Those after `scenario_started`
//! belong to that scenario, those after `block_started` to that block.

use std::collections::BTreeMap;

use fuzzclient::record::FuzzRecord;
use loadgen::record::{Interval, LoadRecord};
use serde::{Deserialize, Serialize};

use crate::compare::design::{Arm, Noise};

pub use crate::broken::Broken;
pub use crate::fault::{Fault, Limits, LinkCounts, Touch, Touched, Toxic};
pub use crate::header::{Binary, Host, RunHeader, ScenarioHeader};

/// An event and when it was seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stamped {
    /// Nanoseconds of the host's monotonic clock.
    pub mono_ns: u64,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// Who is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The server behind the proxy.
    Upstream,
    /// The proxy under test.
    Proxy,
    /// A load client.
    Load,
    /// A fuzz client.
    Fuzz,
    /// The process of the links between them.
    Link,
}

impl Role {
    /// As in a sentence.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Upstream => "upstream",
            Self::Proxy => "proxy",
            Self::Load => "load client",
            Self::Fuzz => "fuzz client",
            Self::Link => "process of the links",
        }
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The first event of a run.
    RunStarted(RunHeader),
    /// A scenario begins.
    ScenarioStarted(ScenarioHeader),
    /// Fresh processes are about to be started, with this proxy between them.
    BlockStarted {
        /// Counted from 1.
        round: u32,
        /// The descriptor of what is under test.
        subject: String,
        /// Its part in a comparison.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        arm: Option<Arm>,
        /// Requests per second in the place of the scenario's, in a search for the
        /// highest.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rate: Option<f64>,
    },
    /// How much the baseline differs from itself is known from an earlier run.
    NoiseKnown(Noise),
    /// A child runs.
    ChildStarted {
        /// Its part.
        role: Role,
        /// Its name among those of its part.
        name: String,
        /// Its process, which leads a process group of its own.
        pid: u32,
        /// What was started.
        command: Vec<String>,
    },
    /// A child can be talked to.
    ChildReady {
        /// Its part.
        role: Role,
        /// Its name.
        name: String,
        /// Its sockets by role.
        sockets: BTreeMap<String, String>,
    },
    /// A load client's warm-up is over.
    LoadMeasuring {
        /// Its name.
        name: String,
    },
    /// A slice of a load client's time is over.
    LoadInterval {
        /// Its name.
        name: String,
        /// The slice.
        interval: Interval,
    },
    /// CPU time of the process tree of `role` when measuring of load `name` began or
    /// ended: the difference is what the load cost.
    CpuMark {
        /// Whose CPU time.
        role: Role,
        /// Which load.
        name: String,
        /// At the beginning, or at the end.
        at: Mark,
        /// CPU time since the start of the tree.
        cpu_ns: u64,
    },
    /// A load client is done.
    LoadEnded {
        /// Its name.
        name: String,
        /// Where it aimed.
        target: Target,
        /// What it measured; none if it failed.
        record: Option<Box<LoadRecord>>,
        /// Why there is no record.
        problem: Option<String>,
    },
    /// Garbage begins.
    FuzzStarted {
        /// The client's name.
        name: String,
        /// Where it aims.
        target: Target,
    },
    /// Garbage is over.
    FuzzEnded {
        /// The client's name.
        name: String,
        /// What it did and saw; none if it failed.
        record: Option<Box<FuzzRecord>>,
        /// Why there is no record.
        problem: Option<String>,
    },
    /// One valid request on a fresh connection.
    Probe(Probe),
    /// A look at a process tree.
    Sample {
        /// Whose.
        role: Role,
        /// Its name among those of its part, if it is not the only one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// What was seen.
        #[serde(flatten)]
        sample: Sample,
    },
    /// A child is gone.
    Exited {
        /// Its part.
        role: Role,
        /// Its name.
        name: String,
        /// How it ended.
        #[serde(flatten)]
        exit: Exit,
    },
    /// What a proxy or server says that it counted, at its orderly end.
    Counted {
        /// Who says so.
        role: Role,
        /// Its name among those of its part, if it is not the only one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// As it was written.
        counts: serde_json::Value,
    },
    /// What is told of the lines of statsd when the load is over and nothing is pending.
    ProxyCounted {
        /// The proxy's own state, if it can be asked for it.
        state: Option<serde_json::Value>,
        /// Datagrams that the kernel says it dropped at the proxy's port, where it tells.
        kernel_drops: Option<u64>,
    },
    /// Many requests at once, checked one by one, to see who is at fault for wrong
    /// answers.
    Audit(Audit),
    /// Something is done to a process, or to the proxy's idea of a backend.
    FaultBegan(Fault),
    /// It is over: undone, or done with where it lasts for a moment only.
    FaultEnded {
        /// Which: see [`Fault::id`].
        id: String,
    },
    /// It could not be done.
    FaultFailed {
        /// Which: see [`Fault::id`].
        id: String,
        /// Why.
        reason: String,
    },
    /// A fault on a link grows: a step of a ramp.
    FaultChanged {
        /// Which: see [`Fault::id`].
        id: String,
        /// How strong it is from now on.
        attributes: BTreeMap<String, serde_json::Value>,
    },
    /// What a fault on a link has touched, told when it is over or the block ends.
    FaultTouched {
        /// Which: see [`Fault::id`].
        id: String,
        /// What.
        touch: Touch,
    },
    /// What went over the links, told when clients have ended.
    LinksCounted {
        /// By the names of the links.
        links: BTreeMap<String, LinkCounts>,
    },
    /// Something happened that must not in a run that is watched: it ends with that.
    InvariantBroken(Broken),
    /// The proxy says that it thinks differently of a backend now.
    BackendChanged(Transition),
    /// All processes of the block are gone.
    BlockEnded {
        /// What kept the block from running as planned, if anything.
        problem: Option<String>,
    },
    /// A scenario is over.
    ScenarioEnded {
        /// What kept it from running as planned, if anything.
        problem: Option<String>,
    },
    /// Somebody ended the run.
    Interrupted {
        /// The name of the signal.
        signal: String,
        /// The exit code that goes with it.
        exit_code: u8,
    },
    /// The harness itself failed.
    HarnessFailed {
        /// How.
        message: String,
    },
    /// The last event of a run.
    RunEnded,
}

/// Beginning or end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// Measuring begins.
    Begin,
    /// Measuring is over.
    End,
}

/// Where a client aims.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// At the proxy under test, or where a client would connect if there is none.
    #[default]
    Proxy,
    /// At the upstream, past any proxy.
    Upstream,
}

/// A change in what a proxy thinks of a backend; the event's own time is the proxy's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    /// The backend: `upstream.1`.
    pub backend: String,
    /// What it was, in the proxy's words.
    pub from: String,
    /// What it is now.
    pub to: String,
    /// Why, in the proxy's words.
    #[serde(default)]
    pub why: String,
}

/// One valid request on a fresh connection, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    /// Who was asked: the upstream directly, or through the proxy.
    pub role: Role,
    /// Its name among those of its part, if it is not the only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Before, during or after the scenario's traffic.
    pub phase: Phase,
    /// When it began; the event's own time is its end.
    pub begun_mono_ns: u64,
    /// What came of it.
    pub outcome: ProbeOutcome,
    /// Whether the request was written, and so may be in somebody's counts.
    pub sent: bool,
}

/// When a probe was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Before any traffic.
    Before,
    /// While clients are at work.
    During,
    /// After them.
    After,
}

/// What came of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbeOutcome {
    /// The right answer.
    Answered,
    /// Some other answer.
    Wrong,
    /// No connection.
    Refused,
    /// The connection ended without an answer.
    Closed,
    /// No answer in time.
    Silent,
}

/// A look at a process tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// Processes in the tree.
    pub processes: u64,
    /// Resident memory now.
    pub resident_bytes: u64,
    /// The most resident memory that each process had, added up (VmHWM).
    pub peak_bytes: u64,
    /// Open descriptors.
    pub descriptors: u64,
    /// Threads.
    pub threads: u64,
    /// CPU time since the start.
    pub cpu_ns: u64,
}

/// How a child ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// Whether the harness had asked for it.
    pub asked: bool,
    /// The name of the signal that killed it.
    pub signal: Option<String>,
    /// Its exit code.
    pub code: Option<i32>,
    /// Its last lines on stderr.
    pub stderr_tail: Vec<String>,
    /// All its lines on stderr.
    pub stderr_lines: u64,
    /// Those among them that report an undecodable line.
    pub decode_errors: u64,
}

impl Exit {
    /// As in a sentence: `SIGSEGV`, `exit code 101`.
    #[must_use]
    pub fn cause(&self) -> String {
        match (&self.signal, self.code) {
            (Some(signal), _) => signal.clone(),
            (None, Some(code)) => format!("exit code {code}"),
            (None, None) => "unknown cause".to_owned(),
        }
    }
}

/// Many requests at once, checked one by one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audit {
    /// Who was asked: the upstream directly, or through the proxy.
    pub role: Role,
    /// Its name among those of its part, if it is not the only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Requests written.
    pub sent: u64,
    /// Right answers.
    pub right: u64,
    /// Wrong or misplaced answers.
    pub wrong: u64,
}
