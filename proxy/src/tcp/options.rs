//! Every option of `proxy tcp`: flags on the command line, keys in the configuration.
//!
//! One definition for both. A flag `--idle-timeout` is the key `idle_timeout`; the flags
//! of health checks are the table `[health]` without their prefix. What is not given is
//! `None` here and has its default in [`plan`](super::plan).

use std::path::PathBuf;

use clap::Args;
use serde::Deserialize;
use service::addr::HostPort;
use service::logging::LogLevel;
use toml::Spanned;

use super::backend_at::BackendAt;
use super::values::{
    AllDown, Balance, Bytes, Cidr, Count, Jitter, KeepaliveSpec, Positive, ResolveInterval,
    SendProxy, TakeProxy, Time, TlsVersion, choice,
};
use crate::plane::DriverChoice;

/// What can be given in both places.
#[derive(Clone, Debug, Default, Args, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Options {
    /// Where to connect: HOST:PORT[,weight=N][,max=N]; a name stands for all its addresses.
    #[arg(value_name = "BACKEND")]
    pub(super) backends: Vec<BackendAt>,

    /// Address to listen on; an empty host means all interfaces. [default: :4000]
    #[arg(long, visible_alias = "laddr", value_name = "HOST:PORT")]
    pub(super) listen: Option<HostPort>,

    /// How to choose a backend: random, p2c (fewer connections of two), p2c-ewma (faster
    /// of two), round-robin, least-conn, hash (same client, same backend). [default: p2c]
    #[arg(long, visible_alias = "lb", value_name = "ALGORITHM")]
    pub(super) balance: Option<Balance>,

    /// What to do when every backend is down: fail, or try any. [default: fail]
    #[arg(long, value_name = "POLICY")]
    pub(super) when_all_down: Option<AllDown>,

    /// Time for a backend to accept a connection; 0 waits for ever. [default: 3s]
    #[arg(long, visible_alias = "timeout", value_name = "DURATION")]
    pub(super) connect_timeout: Option<Time>,

    /// Further backends to try after a failed dial. [default: 2]
    #[arg(long, value_name = "N")]
    pub(super) retries: Option<Count>,

    /// Health checks and ejection.
    #[command(flatten)]
    pub(super) health: HealthOptions,

    /// Time without a byte after which a connection is closed; 0 keeps it. [default: 10m]
    #[arg(long, value_name = "DURATION")]
    pub(super) idle_timeout: Option<Time>,

    /// The same once one side has ended; 0 keeps it. [default: 1m]
    #[arg(long, value_name = "DURATION")]
    pub(super) half_closed_timeout: Option<Time>,

    /// Time for a client's PROXY header, TLS hello and handshake; 0 waits for ever. [default: 5s]
    #[arg(long, value_name = "DURATION")]
    pub(super) preface_timeout: Option<Time>,

    /// Client connections open at a time; further ones are reset at once. [default: 10000]
    #[arg(long, value_name = "N")]
    pub(super) max_connections: Option<Positive>,

    /// Connections open at a time to each backend that says nothing itself. [default: no limit]
    #[arg(long, value_name = "N")]
    pub(super) max_per_backend: Option<Positive>,

    /// Connections that may wait while every backend is full. [default: 0]
    #[arg(long, value_name = "N")]
    pub(super) queue: Option<Count>,

    /// Longest wait in the queue; 0 waits for ever. [default: 1s]
    #[arg(long, value_name = "DURATION")]
    pub(super) queue_timeout: Option<Time>,

    /// PROXY protocol header to begin connections to backends with: v1 or v2.
    #[arg(long, value_name = "VERSION")]
    pub(super) send_proxy: Option<SendProxy>,

    /// PROXY protocol header of clients: off, optional or required. [default: off]
    #[arg(long, value_name = "WHEN")]
    pub(super) accept_proxy: Option<TakeProxy>,

    /// Who may send one, such as 10.0.0.0/8; may be repeated. [default: everybody]
    #[arg(long, value_name = "CIDR")]
    pub(super) proxy_from: Vec<Cidr>,

    /// Certificate chain (PEM) to terminate TLS with; may be repeated, one for each key.
    #[arg(long, value_name = "FILE")]
    pub(super) tls_cert: Vec<PathBuf>,

    /// Its private key (PEM).
    #[arg(long, value_name = "FILE")]
    pub(super) tls_key: Vec<PathBuf>,

    /// Certificates (PEM) of whom clients must have theirs from.
    #[arg(long, value_name = "FILE")]
    pub(super) tls_client_ca: Option<PathBuf>,

    /// Lowest version of TLS to agree on: 1.2 or 1.3. [default: 1.2]
    #[arg(long, value_name = "VERSION")]
    pub(super) tls_min: Option<TlsVersion>,

    /// Protocol to agree on by ALPN, best first; may be repeated.
    #[arg(long, value_name = "NAME")]
    pub(super) alpn: Vec<String>,

    /// Keep-alive probes on both sides: off, or IDLE[,INTERVAL[,PROBES]]. [default: 60s,10s,6]
    #[arg(long, value_name = "SPEC")]
    pub(super) keepalive: Option<KeepaliveSpec>,

    /// Longest time that sent bytes may stay unacknowledged; 0 leaves it to the kernel. [default: 0]
    #[arg(long, value_name = "DURATION")]
    pub(super) user_timeout: Option<Time>,

    /// Local address to connect to backends from; with several, each has ports of its own.
    #[arg(long, value_name = "IP")]
    pub(super) source: Vec<std::net::IpAddr>,

    /// Name server for backends given by name. [default: as /etc/resolv.conf says]
    #[arg(long, value_name = "HOST:PORT")]
    pub(super) resolver: Option<HostPort>,

    /// Shortest and longest time between look-ups of a name; in between, as long as the
    /// answer says that it holds. [default: 1s..1m]
    #[arg(long, value_name = "MIN..MAX")]
    pub(super) resolve_interval: Option<ResolveInterval>,

    /// Start although a name does not resolve yet; its backends join when it does.
    #[arg(long)]
    pub(super) start_unresolved: bool,

    /// File to write a line of JSON to for each connection; `-` is stdout.
    #[arg(long, value_name = "FILE")]
    pub(super) access_log: Option<PathBuf>,

    /// Address to serve /state, /metrics and /healthz on; an empty host means this machine
    /// only. Who reaches it can drain backends.
    #[arg(long, value_name = "HOST:PORT")]
    pub(super) admin: Option<HostPort>,

    /// Time for open connections to finish after SIGTERM. [default: 10s]
    #[arg(long, value_name = "DURATION")]
    pub(super) grace: Option<Time>,

    /// The same after an upgrade, where nobody waits for the end; 0 waits for ever. [default: 0]
    #[arg(long, value_name = "DURATION")]
    pub(super) upgrade_grace: Option<Time>,

    /// Worker threads, each with its own event loop. [default: one per core]
    #[arg(long, value_name = "N")]
    pub(super) threads: Option<Positive>,

    /// How to talk to the kernel: auto, io_uring or epoll. [default: auto]
    #[arg(long, value_name = "DRIVER", hide_possible_values = true)]
    #[serde(deserialize_with = "choice")]
    pub(super) driver: Option<DriverChoice>,

    /// How much to log on stderr: off, error, warn, info or debug. [default: info]
    #[arg(long, value_name = "LEVEL", hide_possible_values = true)]
    #[serde(deserialize_with = "choice")]
    pub(super) log_level: Option<LogLevel>,

    /// Pools beside the one of the command line.
    #[arg(skip)]
    pub(super) pool: Vec<PoolOptions>,

    /// Which names go to which pool.
    #[arg(skip)]
    pub(super) route: Vec<RouteOptions>,
}

/// Health checks and ejection: `--health-interval` is `interval` in `[health]`.
#[derive(Clone, Debug, Default, Args, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct HealthOptions {
    /// Time between checks of a backend; 0 checks nothing. [default: 5s]
    #[arg(long = "health-interval", value_name = "DURATION")]
    pub(super) interval: Option<Time>,

    /// Time for a check to pass. [default: 1s]
    #[arg(long = "health-timeout", value_name = "DURATION")]
    pub(super) timeout: Option<Time>,

    /// Checks in a row that must pass for a backend to be up again. [default: 3]
    #[arg(long = "health-rise", value_name = "N")]
    pub(super) rise: Option<Positive>,

    /// Checks in a row that must fail for a backend to be down. [default: 3]
    #[arg(long = "health-fall", value_name = "N")]
    pub(super) fall: Option<Positive>,

    /// How much an interval may vary, so that checks do not come all at once. [default: 20%]
    #[arg(long = "health-jitter", value_name = "PERCENT")]
    pub(super) jitter: Option<Jitter>,

    /// What a check sends, with \r, \n and \xHH; nothing if not given.
    #[arg(long = "health-send", value_name = "TEXT")]
    pub(super) send: Option<Bytes>,

    /// What must be among the first 4 KiB of the answer; nothing if not given.
    #[arg(long = "health-expect", value_name = "TEXT")]
    pub(super) expect: Option<Bytes>,

    /// Failed dials or early resets in a row that eject a backend, as long as another of its
    /// pool is usable; 0 never. [default: 3]
    #[arg(long, value_name = "N")]
    pub(super) eject_after: Option<Count>,

    /// How long the first ejection lasts; each further one twice as long. [default: 10s]
    #[arg(long, value_name = "DURATION")]
    pub(super) eject_time: Option<Time>,

    /// How long an ejection lasts at most. [default: 5m]
    #[arg(long, value_name = "DURATION")]
    pub(super) eject_time_max: Option<Time>,

    /// Time in which a backend that came back gets its full share, bit by bit. [default: 0]
    #[arg(long, value_name = "DURATION")]
    pub(super) slow_start: Option<Time>,
}

/// A pool of the configuration. What it does not say holds as for the others.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PoolOptions {
    pub(super) name: Spanned<String>,
    pub(super) backends: Vec<BackendAt>,
    pub(super) balance: Option<Balance>,
    pub(super) when_all_down: Option<AllDown>,
    pub(super) max_per_backend: Option<Positive>,
    pub(super) queue: Option<Count>,
    #[serde(default)]
    pub(super) health: HealthOptions,
}

/// A route of the configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RouteOptions {
    pub(super) sni: Spanned<String>,
    pub(super) pool: Spanned<String>,
}

/// Takes from the second what the first does not say.
macro_rules! or {
    ($first:ident, $second:ident, options: $($option:ident),*; lists: $($list:ident),*) => {
        $($first.$option = $first.$option.take().or($second.$option);)*
        $(if $first.$list.is_empty() {
            $first.$list = $second.$list;
        })*
    };
}

impl HealthOptions {
    /// These, and where they say nothing, `others`.
    pub(super) fn or(mut self, others: Self) -> Self {
        or!(self, others, options: interval, timeout, rise, fall, jitter, send, expect,
            eject_after, eject_time, eject_time_max, slow_start; lists:);
        self
    }
}

impl Options {
    /// These, and where they say nothing, `others`.
    pub(super) fn or(mut self, others: Self) -> Self {
        or!(self, others, options: listen, balance, when_all_down, connect_timeout, retries,
            idle_timeout, half_closed_timeout, preface_timeout, max_connections,
            max_per_backend, queue, queue_timeout, send_proxy, accept_proxy, tls_client_ca, tls_min,
            keepalive, user_timeout, resolver, resolve_interval, access_log, admin, grace,
            upgrade_grace, threads, driver, log_level;
            lists: backends, proxy_from, tls_cert, tls_key, alpn, source, pool, route);
        self.health = self.health.or(others.health);
        self.start_unresolved |= others.start_unresolved;
        self
    }
}
