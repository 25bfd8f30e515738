//! The command line, and the plan that it stands for.

mod examples;
mod flags;
mod probing;
mod rates;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;

use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::Serialize;
use serde_json::json;
use service::addr::HostPort;

pub(crate) use self::flags::Flags;
use self::rates::ByteRate;
use crate::generate::{Protocol, Strategy};
use crate::plan::Plan;

/// Send garbage to a server or a proxy and watch what becomes of it.
///
/// The bytes of each connection are a function of the seed and the connection's number: the
/// same seed sends the same bytes, and each connection can be sent again alone.
#[derive(Debug, Parser)]
#[command(version, subcommand_required = true, arg_required_else_help = true)]
#[command(after_help = examples::ALL)]
pub(crate) struct FuzzClient {
    #[command(subcommand)]
    pub(crate) mode: Mode,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Mode {
    Foo(Box<Foo>),
    Tcp(Box<Tcp>),
    Statsd(Box<Statsd>),
}

/// Send garbage to a Foo server, or to what stands before it.
///
/// Replies are read and counted all the time. After its last byte a connection is
/// half-closed, and the target's end is waited for.
///
/// Exit codes: 0 ended as asked and the target still takes connections, 1 the target was
/// never reached, or gave no valid answer before any garbage, 2 usage, 4 the target is gone
/// (it took connections and refuses them now), hangs, froze, or answers wrongly, 130 and 143
/// interrupted.
#[derive(Args, Debug)]
#[command(after_help = examples::FOO)]
pub(crate) struct Foo {
    /// Send to this address
    #[arg(long, value_name = "ADDR", default_value = "localhost:8001")]
    connect: HostPort,

    /// Send at most this many bytes per second, over all connections, such as 10MiB/s
    /// [default: as fast as they are taken]
    #[arg(long, value_name = "SIZE/s")]
    rate: Option<ByteRate>,

    #[command(flatten)]
    pub(crate) flags: Flags,
}

/// Send garbage to anything that listens on a TCP port.
///
/// Messages are modelled on what is met there most: HTTP heads, PROXY headers, starts of
/// TLS, lines; --corpus names better models. Whether the target lives is told by connecting
/// to it, unless --probe-send says what it should be asked.
///
/// Exit codes: 0 ended as asked and the target still takes connections, 1 the target was
/// never reached, or gave no valid answer before any garbage, 2 usage, 4 the target is gone
/// (it took connections and refuses them now), hangs, froze, or answers wrongly, 130 and 143
/// interrupted.
#[derive(Args, Debug)]
#[command(after_help = examples::TCP)]
pub(crate) struct Tcp {
    /// Send to this address
    #[arg(long, value_name = "ADDR")]
    connect: HostPort,

    /// Send at most this many bytes per second, over all connections, such as 10MiB/s
    /// [default: as fast as they are taken]
    #[arg(long, value_name = "SIZE/s")]
    rate: Option<ByteRate>,

    #[command(flatten)]
    pub(crate) flags: Flags,
}

/// Send garbage to a statsd server, or to what stands before it.
///
/// By default in datagrams that take turns: lines without "|" or ":", names that look like
/// formats, empty datagrams, newlines only, random bytes, and datagrams of the largest size.
/// Nobody answers datagrams: that the target is gone is told by refusals alone, unless
/// --probe-at names the management port, which is then asked for its health.
///
/// Exit codes: 0 ended as asked, 1 nothing could be sent, or no valid answer came before any
/// garbage, 2 usage, 4 the target is gone, hangs, froze or answers wrongly, 130 and 143
/// interrupted.
#[derive(Args, Debug)]
#[command(after_help = examples::STATSD)]
pub(crate) struct Statsd {
    /// Send to this address
    #[arg(long, value_name = "ADDR", default_value = "localhost:8125")]
    connect: HostPort,

    /// Send datagrams, or lines over connections
    #[arg(long, value_enum, default_value_t)]
    transport: Transport,

    /// Send at most this many datagrams per second, such as 20k/s [default: 1k/s]; over TCP
    /// bytes per second, such as 10MiB/s [default: as fast as they are taken]
    #[arg(long, value_name = "RATE")]
    rate: Option<String>,

    #[command(flatten)]
    pub(crate) flags: Flags,
}

/// How statsd lines travel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Transport {
    /// In datagrams
    #[default]
    Udp,
    /// Over connections
    Tcp,
}

/// What the flags of a mode come to.
#[derive(Debug)]
pub(crate) struct Settled {
    pub(crate) plan: Plan,
    /// Whether it goes in datagrams.
    pub(crate) datagrams: bool,
    /// The target as it was named.
    pub(crate) target: HostPort,
}

/// What a mode adds to the flags that all share.
struct Aim<'a> {
    connect: &'a HostPort,
    protocol: Protocol,
    datagrams: bool,
    rate: Option<f64>,
    default_strategy: Strategy,
}

impl Mode {
    /// The flags that all modes share.
    pub(crate) fn flags(&self) -> &Flags {
        match self {
            Self::Foo(of_foo) => &of_foo.flags,
            Self::Tcp(tcp) => &tcp.flags,
            Self::Statsd(statsd) => &statsd.flags,
        }
    }

    /// Its word on the command line.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Foo(_) => "foo",
            Self::Tcp(_) => "tcp",
            Self::Statsd(_) => "statsd",
        }
    }

    /// The plan that these flags stand for.
    pub(crate) fn settle(&self) -> anyhow::Result<Settled> {
        let bytes = |rate: &Option<ByteRate>| rate.map(|rate| rate.0);
        let aim = match self {
            Self::Foo(of_foo) => Aim {
                connect: &of_foo.connect,
                protocol: Protocol::Foo,
                datagrams: false,
                rate: bytes(&of_foo.rate),
                default_strategy: Strategy::Random,
            },
            Self::Tcp(tcp) => Aim {
                connect: &tcp.connect,
                protocol: Protocol::Tcp,
                datagrams: false,
                rate: bytes(&tcp.rate),
                default_strategy: Strategy::Random,
            },
            Self::Statsd(statsd) => Aim {
                connect: &statsd.connect,
                protocol: Protocol::Statsd,
                datagrams: statsd.transport == Transport::Udp,
                rate: rates::of(statsd.rate.as_deref(), statsd.transport)?,
                default_strategy: Strategy::Grammar,
            },
        };
        let mut plan = self.flags().plan(&aim)?;
        if let Self::Statsd(statsd) = self {
            plan.config
                .insert("transport".to_owned(), json!(statsd.transport));
        }
        let (datagrams, target) = (aim.datagrams, aim.connect.clone());
        Ok(Settled {
            plan,
            datagrams,
            target,
        })
    }
}

/// Addresses of a target, unless it is another machine and that was not permitted.
fn addresses(of: &HostPort, flag: &str, allow_remote: bool) -> anyhow::Result<Vec<SocketAddr>> {
    let addresses = of.connect_candidates()?;
    if !allow_remote && !of.is_loopback()? {
        anyhow::bail!("{flag} {of} is another machine; --allow-remote permits that");
    }
    Ok(addresses)
}
