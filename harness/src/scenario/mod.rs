//! Scenarios: who takes part, what is done to them, what must come of it.
//!
//! [`parse`] reads one from TOML and names what is wrong with it by file, line and key;
//! [`builtin`] holds those that are compiled in. This module is the schema itself; the
//! keys and their meaning are the same in every version to come. [`clients`] are those who
//! send something ([`flags`] says it to `loadgen`), [`fault`] what is done on purpose meanwhile, `expect` what is demanded.
//! [`statsd`] is what lines have of their own, [`udp`] what datagrams of any kind have.
//! `modes` is one scenario for several kinds of proxy, [`watch`] what must not happen in one
//! that takes hours, [`suite`] which of them belong together.

pub mod builtin;
mod check;
pub mod clients;
mod demand;
mod expect;
pub mod fault;
pub mod flags;
pub mod garbage;
pub mod limits;
pub mod link;
mod modes;
pub mod parse;
mod source;
pub mod statsd;
pub mod suite;
pub mod udp;
pub mod watch;

use std::time::Duration;

use report::expect::Expectation;
use serde::{Deserialize, Serialize};
use service::addr::HostPort;
use service::units::Size;

pub use clients::{Fuzz, Load, Strategy};
pub use expect::Expect;
pub use fault::{Action, Fault};
pub use link::Link;
pub use watch::Watch;

/// One scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// A short name.
    pub name: String,
    /// What it shows, in one sentence.
    #[serde(default)]
    pub description: String,
    /// The modes that it is run in, once in each, where everybody speaks `foo` or `tcp`;
    /// that of `[proxy]` alone if absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub modes: Vec<Mode>,
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
    /// Links that are between the parties even if no fault is on them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub link: Vec<Link>,
    /// What is done on purpose while they do.
    #[serde(default)]
    pub fault: Vec<Fault>,
    /// What must not happen meanwhile: it ends at once where it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watch: Option<Watch>,
    /// What must come of it, as it was written.
    #[serde(default)]
    pub expect: Vec<Expect>,
    /// What must come of it, parsed.
    #[serde(skip)]
    pub expectations: Vec<Expectation>,
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            name: String::new(),
            description: String::new(),
            modes: Vec::new(),
            seed: None,
            timeout: default_timeout(),
            rounds: default_rounds(),
            upstream: Vec::new(),
            proxy: Proxy::default(),
            load: Vec::new(),
            fuzz: Vec::new(),
            link: Vec::new(),
            fault: Vec::new(),
            watch: None,
            expect: Vec::new(),
            expectations: Vec::new(),
        }
    }
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
    /// What it serves.
    #[serde(default)]
    pub mode: Server,
    /// Planted defects, as `harness upstream MODE --defect` takes them.
    #[serde(default)]
    pub defects: Vec<String>,
    /// Its worker threads; one for each core if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threads: Option<usize>,
    /// Where it listens; a free port of the loopback interface if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listen: Option<HostPort>,
    /// Its share among the backends, where the proxy takes weights: 1 to 256.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
    /// How many descriptors it may have open (`RLIMIT_NOFILE`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub descriptors: Option<u64>,
    /// How much address space it may have (`RLIMIT_AS`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Size>,
    /// Room in the kernel for datagrams that wait; `statsd` and `udp-echo` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receive_buffer: Option<Size>,
}

impl Default for Upstream {
    fn default() -> Self {
        Self {
            mode: Server::Foo,
            defects: Vec::new(),
            threads: None,
            listen: None,
            weight: None,
            descriptors: None,
            memory: None,
            receive_buffer: None,
        }
    }
}

/// What a reference server serves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Server {
    /// Answers to requests of the Foo protocol.
    #[default]
    Foo,
    /// Every byte back.
    Echo,
    /// Nothing: it only reads.
    Sink,
    /// Bytes without end.
    Source,
    /// As many bytes as a request asks for.
    Http,
    /// Nothing: it takes lines of statsd, accounts for each, and answers for its health.
    Statsd,
    /// Every datagram back, counted by who sent it.
    #[serde(rename = "udp-echo")]
    UdpEcho,
}

impl Server {
    /// As `harness upstream` takes it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Foo => "foo",
            Self::Echo => "echo",
            Self::Sink => "sink",
            Self::Source => "source",
            Self::Http => "http",
            Self::Statsd => "statsd",
            Self::UdpEcho => "udp-echo",
        }
    }
}

/// What a proxy and the clients of a scenario speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The Foo protocol, with one server.
    #[default]
    Foo,
    /// Any bytes over TCP, balanced over all servers.
    Tcp,
    /// Lines of statsd, each to the server that its key belongs to.
    Statsd,
    /// Any datagrams over UDP, of which some come back.
    Udp,
}

impl Mode {
    /// As `proxy` and `loadgen` take it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Foo => "foo",
            Self::Tcp => "tcp",
            Self::Statsd => "statsd",
            Self::Udp => "udp",
        }
    }

    /// The server that stands behind a proxy if none is described.
    #[must_use]
    pub fn usual_server(self) -> Server {
        match self {
            Self::Udp => Server::UdpEcho,
            Self::Foo | Self::Tcp | Self::Statsd => Server::Foo,
        }
    }
}

/// The proxy under test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proxy {
    /// What it is to be: `foo` has one server behind it, all others all of them.
    #[serde(default)]
    pub mode: Mode,
    /// What stands between clients and upstream: see [`crate::descriptor`]. If nothing is
    /// said it is ours, or nothing in mode `udp`, which ours has not.
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
    /// How many descriptors it may have open (`RLIMIT_NOFILE`); as many as the harness if
    /// absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub descriptors: Option<u64>,
    /// How much address space it may have (`RLIMIT_AS`); as much as the harness if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Size>,
    /// The servers that are in its configuration from the beginning; all if absent. `statsd`
    /// only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<String>,
}

fn default_proxy() -> String {
    report::figures::BUILTIN.to_owned()
}

impl Default for Proxy {
    fn default() -> Self {
        Self {
            mode: Mode::Foo,
            descriptor: default_proxy(),
            args: Vec::new(),
            against: Vec::new(),
            fixed: false,
            descriptors: None,
            memory: None,
            nodes: Vec::new(),
        }
    }
}

impl Scenario {
    /// What the server of that number is called: `upstream` alone, else `upstream.2`.
    #[must_use]
    pub fn upstream_name(&self, nth: usize) -> String {
        if self.upstream.len() > 1 {
            format!("upstream.{nth}")
        } else {
            "upstream".to_owned()
        }
    }

    /// The number of the server of that name. One that is alone may be numbered too.
    #[must_use]
    pub fn upstream_at(&self, name: &str) -> Option<usize> {
        let count = self.upstream.len().max(1);
        (0..count).find(|nth| name == self.upstream_name(*nth) || name == format!("upstream.{nth}"))
    }

    /// Why a name is that of no process, if it is none.
    fn no_process(&self, name: &str) -> Option<String> {
        if name == "proxy" || self.upstream_at(name).is_some() {
            return None;
        }
        let accepted = self.process_names().join(", ");
        Some(format!("there is no {name:?}; accepted: {accepted}"))
    }

    /// The names by which processes can be called.
    #[must_use]
    pub fn process_names(&self) -> Vec<String> {
        let upstreams = (0..self.upstream.len().max(1)).map(|nth| self.upstream_name(nth));
        upstreams.chain(["proxy".to_owned()]).collect()
    }
}
