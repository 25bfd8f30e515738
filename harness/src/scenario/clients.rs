//! The clients of a scenario: those that send valid requests, and those that send garbage.

use std::time::Duration;

pub use fuzzclient::generate::Strategy;
use report::event::Target;
use serde::{Deserialize, Serialize};
use service::units::{Rate, Size};

use super::Mode;

/// A client that sends valid requests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// A name, unlike that of any other load.
    #[serde(default = "default_load_name")]
    pub name: String,
    /// What it speaks.
    #[serde(default)]
    pub mode: Mode,
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
    /// How long to wait for late answers at the end.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "seconds")]
    pub drain: Option<Duration>,
    /// What counts as lost if it is not back by then; `udp` only.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "seconds")]
    pub timeout: Option<Duration>,
    /// Which bytes that come back are checked: `full`, `none`; `tcp` only, as all that follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<String>,
    /// Bytes of each message, a number or a range; of each datagram in mode `udp`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<String>,
    /// Bytes as fast as they go, instead of messages: `send`, `receive`, `both`, `echo`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bulk: Option<String>,
    /// Bytes of such a stream, after which it begins again on a new connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<Size>,
    /// More connections, which are opened first and say nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle: Option<u32>,
    /// Whether each connection ends its own direction after the last request, and waits
    /// for what is still to come.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub half_close: bool,
    /// Bytes that each connection reads in a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_rate: Option<String>,
    /// Whether it speaks TLS, to whatever certificate.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tls: bool,
    /// The PROXY header that each connection begins with: `v1`, `v2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy_protocol: Option<String>,
    /// Loopback addresses that connections come from, in turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sources: Option<u32>,
    /// Lines in each datagram, a number or `full`; `statsd` only, as all that follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lines_per_datagram: Option<String>,
    /// Distinct keys, such as `100k`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<String>,
    /// How often each key is used: `uniform`, `zipf:1.1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub popularity: Option<String>,
    /// Types of metric, in turn: `c,g,ms`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub types: Option<String>,
    /// Bytes of a datagram at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// Lines at once, again and again, instead of a rate: `20k@1s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<String>,
    /// `udp` or `tcp`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<String>,
    /// As many lines as the sockets take, instead of a rate.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub max: bool,
}

impl Default for Load {
    fn default() -> Self {
        Self {
            name: default_load_name(),
            mode: Mode::Foo,
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
            drain: None,
            timeout: None,
            verify: None,
            payload: None,
            bulk: None,
            bytes: None,
            idle: None,
            half_close: false,
            read_rate: None,
            tls: false,
            proxy_protocol: None,
            sources: None,
            lines_per_datagram: None,
            keys: None,
            popularity: None,
            types: None,
            mtu: None,
            burst: None,
            transport: None,
            max: false,
        }
    }
}

/// A duration that may be absent.
mod seconds {
    use std::time::Duration;

    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        value: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(duration) => service::units::duration::serialize(duration, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        service::units::duration::deserialize(deserializer).map(Some)
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
    /// Whose messages are the model: `foo`, `tcp`, or `statsd`, whose garbage goes in
    /// datagrams.
    #[serde(default)]
    pub mode: Mode,
    /// At the proxy, or past it.
    #[serde(default)]
    pub target: Target,
    /// Datagrams per second, such as `200/s`; on connections bytes per second, such as
    /// `1MiB/s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<String>,
    /// What the bytes look like; `random` if absent, in datagrams `grammar`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Strategy>,
    /// Bytes in all, over all connections.
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
    /// Between two of several times, from beginning to beginning.
    #[serde(
        default,
        skip_serializing_if = "Duration::is_zero",
        with = "service::units::duration"
    )]
    pub every: Duration,
    /// How often it comes in all, each time with bytes of its own; once if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
}

impl Default for Fuzz {
    fn default() -> Self {
        Self {
            name: default_fuzz_name(),
            mode: Mode::Foo,
            target: Target::Proxy,
            rate: None,
            strategy: None,
            bytes: None,
            duration: default_fuzz_duration(),
            connections: default_fuzz_connections(),
            until_crash: false,
            start: Duration::ZERO,
            every: Duration::ZERO,
            times: None,
        }
    }
}

impl Fuzz {
    /// Each time that it comes, as a client of its own.
    #[must_use]
    pub fn each_time(&self) -> Vec<Self> {
        let count = self.times.unwrap_or(1);
        let once = |nth: u32| Self {
            name: match count {
                1 => self.name.clone(),
                _ => format!("{}.{}", self.name, nth + 1),
            },
            start: self.start + self.every * nth,
            every: Duration::ZERO,
            times: None,
            ..self.clone()
        };
        (0..count).map(once).collect()
    }
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
