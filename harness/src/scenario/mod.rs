//! Scenarios: who takes part, what is done to them, what must come of it.
//!
//! [`parse`] reads one from TOML and names what is wrong with it by file, line and key;
//! [`builtin`] holds those that are compiled in. This module is the schema itself; the
//! keys and their meaning are the same in every version to come.

pub mod builtin;
mod check;
pub mod limits;
pub mod parse;
mod source;

use std::time::Duration;

use report::event::Target;
use report::expect::Expectation;
use serde::{Deserialize, Serialize};
use service::addr::HostPort;
use service::units::{Rate, Size};

/// One scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// A short name.
    pub name: String,
    /// What it shows, in one sentence.
    #[serde(default)]
    pub description: String,
    /// Where its randomness comes from; drawn from the run's seed if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// How long one block of it may take.
    #[serde(default = "default_timeout", with = "service::units::duration")]
    pub timeout: Duration,
    /// How often everything is measured again, with fresh processes.
    #[serde(default = "default_rounds")]
    pub rounds: u32,
    /// The servers behind the proxy.
    #[serde(default)]
    pub upstream: Vec<Upstream>,
    /// The proxy under test.
    #[serde(default)]
    pub proxy: Proxy,
    /// The clients that send valid requests.
    #[serde(default)]
    pub load: Vec<Load>,
    /// The clients that send garbage.
    #[serde(default)]
    pub fuzz: Vec<Fuzz>,
    /// What must come of it, as it was written.
    #[serde(default)]
    pub expect: Vec<Expect>,
    /// What must come of it, parsed.
    #[serde(skip)]
    pub expectations: Vec<Expectation>,
}

fn default_timeout() -> Duration {
    Duration::from_secs(60)
}

fn default_rounds() -> u32 {
    1
}

/// A server behind the proxy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// Its protocol.
    #[serde(default)]
    pub mode: Mode,
    /// Planted defects, as `harness upstream foo --defect` takes them.
    #[serde(default)]
    pub defects: Vec<String>,
    /// Its worker threads; one for each core if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threads: Option<usize>,
    /// Where it listens; a free port of the loopback interface if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listen: Option<HostPort>,
}

impl Default for Upstream {
    fn default() -> Self {
        Self {
            mode: Mode::Foo,
            defects: Vec::new(),
            threads: None,
            listen: None,
        }
    }
}

/// A protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The Foo protocol.
    #[default]
    Foo,
}

/// The proxy under test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proxy {
    /// What stands between clients and upstream: see [`crate::descriptor`].
    #[serde(default = "default_proxy")]
    pub descriptor: String,
    /// More arguments for it, if it is ours or another program that takes our flags.
    #[serde(default)]
    pub args: Vec<String>,
    /// More descriptors, measured in turn with it, in rotated order in every round.
    #[serde(default)]
    pub against: Vec<String>,
    /// Whether `--proxy` leaves it alone.
    #[serde(default)]
    pub fixed: bool,
}

fn default_proxy() -> String {
    report::figures::BUILTIN.to_owned()
}

impl Default for Proxy {
    fn default() -> Self {
        Self {
            descriptor: default_proxy(),
            args: Vec::new(),
            against: Vec::new(),
            fixed: false,
        }
    }
}

/// A client that sends valid requests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// A name, unlike that of any other load.
    #[serde(default = "default_load_name")]
    pub name: String,
    /// At the proxy, or past it.
    #[serde(default)]
    pub target: Target,
    /// Requests per second, whatever comes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// The next request when the answer is there, instead of a rate.
    #[serde(default)]
    pub closed: bool,
    /// Connections.
    #[serde(default = "default_connections")]
    pub connections: u32,
    /// Requests in flight on each.
    #[serde(default = "default_pipeline")]
    pub pipeline: u32,
    /// Time measured.
    #[serde(default = "default_duration", with = "service::units::duration")]
    pub duration: Duration,
    /// Time before that, with traffic that does not count.
    #[serde(default = "default_warmup", with = "service::units::duration")]
    pub warmup: Duration,
    /// Length of the slices that the record is made of.
    #[serde(default = "default_interval", with = "service::units::duration")]
    pub interval: Duration,
    /// A new connection after this many requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_connection: Option<u32>,
    /// Worker threads; as many as the rate needs if absent, one for each core in a closed
    /// loop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threads: Option<usize>,
    /// How long to measure the tool's own floor before the run.
    #[serde(default, with = "service::units::duration")]
    pub floor: Duration,
    /// How long after the processes are ready it begins.
    #[serde(default, with = "service::units::duration")]
    pub start: Duration,
}

impl Default for Load {
    fn default() -> Self {
        Self {
            name: default_load_name(),
            target: Target::Proxy,
            rate: None,
            closed: false,
            connections: default_connections(),
            pipeline: default_pipeline(),
            duration: default_duration(),
            warmup: default_warmup(),
            interval: default_interval(),
            requests_per_connection: None,
            threads: None,
            floor: Duration::ZERO,
            start: Duration::ZERO,
        }
    }
}

fn default_load_name() -> String {
    "load".to_owned()
}

fn default_connections() -> u32 {
    32
}

fn default_pipeline() -> u32 {
    1
}

fn default_duration() -> Duration {
    Duration::from_secs(3)
}

fn default_warmup() -> Duration {
    Duration::from_millis(500)
}

fn default_interval() -> Duration {
    Duration::from_millis(100)
}

/// A client that sends garbage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fuzz {
    /// A name, unlike that of any other fuzz client.
    #[serde(default = "default_fuzz_name")]
    pub name: String,
    /// At the proxy, or past it.
    #[serde(default)]
    pub target: Target,
    /// What the bytes look like.
    #[serde(default)]
    pub strategy: Strategy,
    /// Bytes on each connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<Size>,
    /// How long.
    #[serde(default = "default_fuzz_duration", with = "service::units::duration")]
    pub duration: Duration,
    /// Connections at a time.
    #[serde(default = "default_fuzz_connections")]
    pub connections: u32,
    /// Whether it ends when the target is gone.
    #[serde(default)]
    pub until_crash: bool,
    /// How long after the processes are ready it begins.
    #[serde(default, with = "service::units::duration")]
    pub start: Duration,
}

fn default_fuzz_name() -> String {
    "garbage".to_owned()
}

fn default_fuzz_duration() -> Duration {
    Duration::from_secs(4)
}

fn default_fuzz_connections() -> u32 {
    4
}

/// What garbage looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Strategy {
    /// Uniform bytes: `cat /dev/random`.
    #[default]
    Random,
    /// Random bytes with newlines at line-like distances.
    Lines,
}

impl Strategy {
    /// As `fuzzclient` takes it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::Lines => "lines",
        }
    }
}

/// What must come of a scenario: one of `upstream`, `proxy`, `load` and `counts`, and
/// what belongs to it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// What becomes of the upstream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
    /// What becomes of the proxy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<String>,
    /// The signal that it dies of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
    /// The exit code that it ends with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<i32>,
    /// `METRIC OP VALUE`, `valid`, or `answered during attack`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<String>,
    /// Which load is meant; all if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// `reconcile`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts: Option<String>,
    /// The part of the run that is meant: `all`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
}
