//! From the arguments of `loadgen tcp` to what it does.

use std::time::Duration;

use rustls::pki_types::ServerName;
use serde_json::json;

use super::{Config, ConfigError, Machine, Subject, bad, flags, plan, shard};
use crate::args::{BulkArg, LoadArgs, RateArg, TcpArgs};
use crate::bulk::BulkPlan;
use crate::dialer::loopback_sources;
use crate::echoes::Integrity;
use crate::idle::IdlePlan;
use crate::payload::Lengths;
use crate::plan::Wire;
use crate::tls;
use crate::transport::{ProxyHeader, Tls, Transport};

/// Bytes of a message if nothing else is asked for.
const DEFAULT_PAYLOAD: usize = 64;

/// Seed of a bulk transfer's bytes if none is given: that of the reference servers.
const DEFAULT_PATTERN_SEED: u64 = 1;

/// What `loadgen tcp` is to do.
#[derive(Clone, Debug)]
pub struct TcpConfig {
    /// What every load has.
    pub config: Config,
    /// Connections that say nothing, if any.
    pub idle: Option<IdlePlan>,
    /// A bulk transfer instead of messages.
    pub bulk: Option<BulkPlan>,
}

impl TcpConfig {
    /// Checks `args` and fills in what they leave open. `fresh_seed` is the seed if
    /// none is given.
    ///
    /// # Errors
    /// The first flag that cannot be taken.
    pub fn new(args: &TcpArgs, machine: Machine, fresh_seed: u64) -> Result<Self, ConfigError> {
        match args.bulk {
            Some(_) => refuse_messages(args)?,
            None => refuse_bulk(args)?,
        }
        if args.idle_check && args.idle == 0 {
            return bad("--idle-check needs --idle N: there is nothing to check".to_owned());
        }
        let open_loop = !args.load.closed && !matches!(args.load.rate, Some(RateArg::Max));
        let transport = Transport {
            sources: match args.sources {
                Some(number) => loopback_sources(number),
                None => args.source.clone(),
            },
            tls: tls(args)?,
            proxy_header: proxy_header(args)?,
            read_rate: args.read_rate.map(|rate| rate.0),
            half_close: args.half_close,
            one_try: open_loop && args.load.requests_per_connection > 0 && args.bulk.is_none(),
        };
        let subject = Subject {
            wire: Wire::Echo(args.verify),
            payload: args.payload.unwrap_or(Lengths {
                min: DEFAULT_PAYLOAD,
                max: DEFAULT_PAYLOAD,
            }),
            transport,
            idle: args.idle,
        };
        let shard = shard(&args.load.shard, args.load.seed)?;
        let load = match args.bulk {
            Some(_) => &as_bulk(args),
            None => &args.load,
        };
        let plan = plan(load, subject, machine, fresh_seed, shard.as_ref())?;
        families_agree(args, &plan)?;
        let bulk = args.bulk.map(|direction| BulkPlan {
            direction,
            bytes: args.bytes.map(|size| size.0),
            seed: args.pattern_seed.unwrap_or(DEFAULT_PATTERN_SEED),
            verify: args.verify == Integrity::Full,
        });
        let idle = (args.idle > 0).then_some(IdlePlan {
            connections: plan.part.share(args.idle as u64) as usize,
            check: args.idle_check,
        });
        let mut flags = flags(&args.load, &plan, shard.as_ref());
        let path = |path: &Option<std::path::PathBuf>| {
            json!(path.as_ref().map(|path| path.display().to_string()))
        };
        let more = [
            ("verify", json!(args.verify)),
            ("source", json!(args.source)),
            ("sources", json!(args.sources)),
            ("idle", json!(args.idle)),
            ("idle-check", json!(args.idle_check)),
            ("half-close", json!(args.half_close)),
            (
                "read-rate",
                json!(args.read_rate.map(|rate| rate.to_string())),
            ),
            ("bulk", json!(args.bulk)),
            ("bytes", json!(args.bytes)),
            ("pattern-seed", json!(bulk.as_ref().map(|bulk| bulk.seed))),
            ("tls", json!(args.tls)),
            ("tls-ca", path(&args.tls_ca)),
            ("tls-insecure", json!(args.tls_insecure)),
            ("tls-server-name", json!(args.tls_server_name)),
            ("proxy-protocol", json!(args.proxy_protocol)),
            ("proxy-source", json!(args.proxy_source)),
        ];
        flags.extend(more.map(|(name, value)| (name.to_owned(), value)));
        if bulk.is_some() {
            for meaningless in ["pipeline", "payload", "rate", "requests-per-connection"] {
                flags.insert(meaningless.to_owned(), serde_json::Value::Null);
            }
        }
        let config = Config {
            plan,
            flags,
            program: "loadgen tcp",
            shard,
        };
        Ok(Self { config, idle, bulk })
    }
}

/// The arguments of a bulk transfer as those of a load: as fast as possible, and without
/// a warm-up if the bytes are limited.
fn as_bulk(args: &TcpArgs) -> LoadArgs {
    let limited = args.bytes.is_some();
    LoadArgs {
        rate: Some(RateArg::Max),
        warmup: args.load.warmup.or(limited.then_some(Duration::ZERO)),
        duration: args
            .load
            .duration
            .or(limited.then_some(super::LONGEST_COUNT)),
        ..args.load.clone()
    }
}

fn refuse_messages(args: &TcpArgs) -> Result<(), ConfigError> {
    let load = &args.load;
    let of_messages = [
        (load.rate.is_some(), "--rate"),
        (load.closed, "--closed"),
        (load.pipeline.is_some(), "--pipeline"),
        (load.requests.is_some(), "--requests"),
        (load.arrivals.is_some(), "--arrivals"),
        (load.pacer.is_some(), "--pacer"),
        (load.max_backlog.is_some(), "--max-backlog"),
        (
            load.requests_per_connection > 0,
            "--requests-per-connection",
        ),
        (load.hlog.is_some(), "--hlog"),
        (args.payload.is_some(), "--payload"),
        (args.half_close, "--half-close"),
    ];
    match of_messages.iter().find(|(given, _)| *given) {
        Some((_, flag)) => bad(format!(
            "{flag} contradicts --bulk: it is about messages, and a bulk transfer has none"
        )),
        None if args.bytes.is_some_and(|size| size.0 == 0) => {
            bad("--bytes must be at least 1, got 0".to_owned())
        }
        None => Ok(()),
    }
}

fn refuse_bulk(args: &TcpArgs) -> Result<(), ConfigError> {
    let of_bulk = [
        (args.bytes.is_some(), "--bytes"),
        (args.pattern_seed.is_some(), "--pattern-seed"),
    ];
    match of_bulk.iter().find(|(given, _)| *given) {
        Some((_, flag)) => bad(format!(
            "{flag} needs --bulk send, receive, both or echo: it means nothing for messages"
        )),
        None => Ok(()),
    }
}

fn tls(args: &TcpArgs) -> Result<Option<Tls>, ConfigError> {
    let about_tls = [
        (args.tls_ca.is_some(), "--tls-ca"),
        (args.tls_insecure, "--tls-insecure"),
        (args.tls_server_name.is_some(), "--tls-server-name"),
    ];
    if !args.tls {
        return match about_tls.iter().find(|(given, _)| *given) {
            Some((_, flag)) => bad(format!("{flag} needs --tls")),
            None => Ok(None),
        };
    }
    let config = match (&args.tls_ca, args.tls_insecure) {
        (Some(_), true) => bad(
            "--tls-insecure contradicts --tls-ca: either some certificates are trusted or all"
                .to_owned(),
        ),
        (None, false) => bad(
            "--tls needs --tls-ca FILE with the certificates to trust, or --tls-insecure to trust any"
                .to_owned(),
        ),
        (Some(path), false) => tls::trusting(path)
            .map_err(|error| ConfigError(format!("--tls-ca {}: {error}", path.display()))),
        (None, true) => Ok(tls::trusting_anyone()),
    }?;
    let name = match &args.tls_server_name {
        Some(name) => name.clone(),
        None => host(&args.load.connect.to_string()),
    };
    let name = ServerName::try_from(name.clone()).map_err(|_| {
        ConfigError(format!(
            "--tls-server-name: expected a host name or an IP address, got {name:?}"
        ))
    })?;
    Ok(Some(Tls { config, name }))
}

/// The host of `HOST:PORT`.
fn host(connect: &str) -> String {
    let host = connect.rsplit_once(':').map_or(connect, |(host, _)| host);
    match host.trim_matches(['[', ']']) {
        "" => "localhost".to_owned(),
        host => host.to_owned(),
    }
}

fn proxy_header(args: &TcpArgs) -> Result<Option<ProxyHeader>, ConfigError> {
    match (args.proxy_protocol, args.proxy_source) {
        (None, Some(_)) => bad("--proxy-source needs --proxy-protocol v1 or v2".to_owned()),
        (None, None) => Ok(None),
        (Some(version), source) => Ok(Some(ProxyHeader { version, source })),
    }
}

/// Addresses that go together must be of one family.
fn families_agree(args: &TcpArgs, plan: &crate::plan::Plan) -> Result<(), ConfigError> {
    let has_v4 = plan.targets.iter().any(std::net::SocketAddr::is_ipv4);
    let has_v6 = plan.targets.iter().any(std::net::SocketAddr::is_ipv6);
    if let Some(source) = args.proxy_source
        && !(if source.is_ipv4() { has_v4 } else { has_v6 })
    {
        return bad(format!(
            "--proxy-source {source} and --connect {} are not of the same address family",
            args.load.connect
        ));
    }
    if !plan.transport.sources.is_empty() && !has_v4 {
        return bad(format!(
            "--source and --sources are IPv4 addresses, and --connect {} is none",
            args.load.connect
        ));
    }
    let loopback_only = plan.targets.iter().all(|target| target.ip().is_loopback());
    match plan.transport.sources.iter().find(|ip| !ip.is_loopback()) {
        Some(ip) if loopback_only && !args.load.outputs.allow_remote => bad(format!(
            "--source {ip} is not a loopback address, and --connect {} is one",
            args.load.connect
        )),
        _ => Ok(()),
    }
}

impl BulkArg {
    /// Whether bytes are sent.
    #[must_use]
    pub fn sends(self) -> bool {
        self != Self::Receive
    }

    /// Whether bytes are received.
    #[must_use]
    pub fn receives(self) -> bool {
        self != Self::Send
    }
}
