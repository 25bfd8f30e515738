//! What the options come to: defaults filled in, everything checked that can be checked
//! without opening anything.

use std::collections::HashSet;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use balance::{Algorithm, HealthPolicy, WhenAllDown};
use service::addr::HostPort;
use service::logging::LogLevel;

use super::backend_at::BackendAt;
use super::config::{ConfigError, Source};
use super::options::{HealthOptions, Options, PoolOptions};
use super::settings::{AcceptProxy, Keepalive, Network, ProxyVersion};
use super::tls::{CertificateFiles, ClientCertificates, TlsOptions};
use super::values::{Bounds, KeepaliveSpec, ResolveInterval, Time};
use crate::plane::DriverChoice;

/// The pool that the command line and the top of the configuration describe.
pub(super) const DEFAULT_POOL: &str = "default";

/// Everything that the proxy is to do.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// What stays as it is while the proxy runs.
    pub(super) fixed: Fixed,
    /// At least one. Clients that no route takes go to the first.
    pub(super) pools: Vec<PoolPlan>,
    /// Name patterns and the number of a pool.
    pub(super) routes: Vec<(String, usize)>,
    pub(super) max_connections: u32,
    pub(super) retries: u32,
    pub(super) connect_timeout: Duration,
    pub(super) idle_timeout: Duration,
    pub(super) half_closed_timeout: Duration,
    pub(super) preface_timeout: Duration,
    pub(super) queue_timeout: Duration,
    pub(super) send_proxy: Option<ProxyVersion>,
    pub(super) accept_proxy: AcceptProxy,
    pub(super) proxy_from: Vec<Network>,
    pub(super) tls: Option<TlsOptions>,
    pub(super) keepalive: Option<Keepalive>,
    pub(super) user_timeout: Option<Duration>,
    pub(super) sources: Vec<IpAddr>,
    pub(super) start_unresolved: bool,
    pub(super) access_log: Option<PathBuf>,
    pub(super) grace: Duration,
    pub(super) upgrade_grace: Duration,
}

/// What cannot change while the proxy runs: an upgrade takes it over.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fixed {
    pub(super) listen: HostPort,
    pub(super) admin: Option<HostPort>,
    pub(super) threads: Option<u32>,
    pub(super) driver: DriverChoice,
    pub(super) log_level: LogLevel,
    pub(super) resolver: Option<HostPort>,
    pub(super) resolve_interval: Bounds,
}

/// A pool.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PoolPlan {
    pub(super) name: String,
    pub(super) backends: Vec<BackendAt>,
    pub(super) balance: Algorithm,
    pub(super) when_all_down: WhenAllDown,
    pub(super) queue: u32,
    pub(super) policy: HealthPolicy,
    /// `None` checks nothing.
    pub(super) check: Option<Check>,
}

/// A health check.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Check {
    pub(super) interval: Duration,
    pub(super) timeout: Duration,
    pub(super) jitter_percent: u32,
    pub(super) send: Vec<u8>,
    pub(super) expect: Vec<u8>,
    /// Header that tells the backend that it is only a check.
    pub(super) send_proxy: Option<ProxyVersion>,
}

impl Plan {
    /// What `options` come to; `source` is the file that some of them are from.
    ///
    /// # Errors
    /// Names what does not go together.
    pub(super) fn new(options: &Options, source: Option<&Source>) -> Result<Self, ConfigError> {
        let time = |time: Option<Time>, default: Duration| time.map_or(default, |time| time.0);
        let seconds = Duration::from_secs;
        let pools = pools(options, source)?;
        let routes = routes(options, &pools, source)?;
        let accept_proxy = options.accept_proxy.map_or(AcceptProxy::Off, |when| when.0);
        if accept_proxy == AcceptProxy::Off && !options.proxy_from.is_empty() {
            return Err(wrong(
                "--proxy-from says who may send a PROXY header, and needs --accept-proxy optional or required",
            ));
        }
        let default_keepalive = "60s,10s,6".parse();
        let keepalive = options.keepalive.or(default_keepalive.ok());
        Ok(Self {
            fixed: fixed(options),
            pools,
            routes,
            max_connections: options.max_connections.map_or(10_000, |n| n.0),
            retries: options.retries.map_or(2, |n| n.0),
            connect_timeout: time(options.connect_timeout, seconds(3)),
            idle_timeout: time(options.idle_timeout, seconds(600)),
            half_closed_timeout: time(options.half_closed_timeout, seconds(60)),
            preface_timeout: time(options.preface_timeout, seconds(5)),
            queue_timeout: time(options.queue_timeout, seconds(1)),
            send_proxy: options.send_proxy.map(|version| version.0),
            accept_proxy,
            proxy_from: options.proxy_from.iter().map(|cidr| cidr.0).collect(),
            tls: tls(options)?,
            keepalive: keepalive.and_then(|KeepaliveSpec(keepalive)| keepalive),
            user_timeout: options
                .user_timeout
                .map(|time| time.0)
                .filter(|time| !time.is_zero()),
            sources: options.source.clone(),
            start_unresolved: options.start_unresolved,
            access_log: options.access_log.clone(),
            grace: time(options.grace, seconds(10)),
            upgrade_grace: time(options.upgrade_grace, Duration::ZERO),
        })
    }

    /// Names of what differs in `other` and cannot change while the proxy runs.
    pub(super) fn fixed_differences(&self, other: &Self) -> Vec<&'static str> {
        let (a, b) = (&self.fixed, &other.fixed);
        [
            ("listen", a.listen != b.listen),
            ("admin", a.admin != b.admin),
            ("threads", a.threads != b.threads),
            ("driver", a.driver != b.driver),
            ("log_level", a.log_level != b.log_level),
            ("resolver", a.resolver != b.resolver),
            ("resolve_interval", a.resolve_interval != b.resolve_interval),
        ]
        .into_iter()
        .filter_map(|(name, differs)| differs.then_some(name))
        .collect()
    }
}

fn fixed(options: &Options) -> Fixed {
    let everywhere = || ":4000".parse().expect("an address");
    let default_interval = Bounds {
        least: Duration::from_secs(1),
        most: Duration::from_secs(60),
    };
    Fixed {
        listen: options.listen.clone().unwrap_or_else(everywhere),
        admin: options.admin.as_ref().map(loopback_by_default),
        threads: options.threads.map(|n| n.0),
        driver: options.driver.unwrap_or_default(),
        log_level: options.log_level.unwrap_or_default(),
        resolver: options.resolver.clone(),
        resolve_interval: options
            .resolve_interval
            .map_or(default_interval, |ResolveInterval(bounds)| bounds),
    }
}

/// Who reaches the admin endpoint can take backends out of service, so that `:9000` is
/// this machine only.
fn loopback_by_default(admin: &HostPort) -> HostPort {
    let text = admin.to_string();
    if text.starts_with(':') {
        format!("127.0.0.1{text}").parse().expect("an address")
    } else {
        admin.clone()
    }
}

fn wrong(message: impl Into<String>) -> ConfigError {
    ConfigError::Options(message.into())
}

/// Says where in the file something is wrong.
fn wrong_at<T>(source: Option<&Source>, at: &toml::Spanned<T>, message: &str) -> ConfigError {
    match source {
        Some(source) => source.wrong(&at.span(), message),
        None => wrong(message),
    }
}

fn pools(options: &Options, source: Option<&Source>) -> Result<Vec<PoolPlan>, ConfigError> {
    let mut pools = Vec::new();
    if !options.backends.is_empty() {
        let name = toml::Spanned::new(0..0, DEFAULT_POOL.to_owned());
        let default = PoolOptions {
            name,
            backends: options.backends.clone(),
            balance: None,
            when_all_down: None,
            max_per_backend: None,
            queue: None,
            health: HealthOptions::default(),
        };
        pools.push(pool(&default, options).map_err(wrong)?);
    }
    for given in &options.pool {
        let name = given.name.get_ref();
        let fine = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if name.is_empty() || !name.chars().all(fine) {
            let text = format!("expected letters, digits, '-', '_' and '.', got {name:?}");
            return Err(wrong_at(source, &given.name, &text));
        }
        if pools.iter().any(|pool: &PoolPlan| &pool.name == name) {
            let text = format!("there is a pool {name:?} already");
            return Err(wrong_at(source, &given.name, &text));
        }
        pools.push(pool(given, options).map_err(|text| wrong_at(source, &given.name, &text))?);
    }
    if pools.is_empty() {
        return Err(wrong(
            "no backends: give at least one HOST:PORT, or backends in a --config file",
        ));
    }
    Ok(pools)
}

fn pool(given: &PoolOptions, options: &Options) -> Result<PoolPlan, String> {
    let name = given.name.get_ref().clone();
    if given.backends.is_empty() {
        return Err(format!("pool {name:?} has no backends"));
    }
    let max = given.max_per_backend.or(options.max_per_backend);
    let mut seen = HashSet::new();
    let mut backends = given.backends.clone();
    for backend in &mut backends {
        if !seen.insert(backend.address.clone()) {
            return Err(format!("backend {} is given twice", backend.address));
        }
        backend.max_connections = backend.max_connections.or(max.map(|max| max.0));
    }
    let health = given.health.clone().or(options.health.clone());
    let balance = given.balance.or(options.balance);
    let when_all_down = given.when_all_down.or(options.when_all_down);
    let queue = given.queue.or(options.queue);
    Ok(PoolPlan {
        name,
        backends,
        balance: balance.map_or(Algorithm::default(), |balance| balance.0),
        when_all_down: when_all_down.map_or(WhenAllDown::default(), |policy| policy.0),
        queue: queue.map_or(0, |n| n.0),
        policy: policy(&health)?,
        check: check(&health, options.send_proxy.map(|version| version.0)),
    })
}

fn policy(health: &HealthOptions) -> Result<HealthPolicy, String> {
    let defaults = HealthPolicy::default();
    let ms = |time: Option<Time>, default: u64| {
        time.map_or(default, |time| {
            u64::try_from(time.0.as_millis()).unwrap_or(u64::MAX)
        })
    };
    let eject_base_ms = ms(health.eject_time, defaults.eject_base_ms);
    let longest = defaults.eject_max_ms.max(eject_base_ms);
    let eject_max_ms = ms(health.eject_time_max, longest);
    if eject_max_ms < eject_base_ms {
        return Err("the longest ejection is shorter than the first".to_owned());
    }
    Ok(HealthPolicy {
        rise: health.rise.map_or(defaults.rise, |n| n.0),
        fall: health.fall.map_or(defaults.fall, |n| n.0),
        eject_after: health.eject_after.map_or(defaults.eject_after, |n| n.0),
        eject_base_ms,
        eject_max_ms,
        slow_start_ms: ms(health.slow_start, defaults.slow_start_ms),
    })
}

/// How long a check may take if nobody says so.
const CHECK_TIMEOUT: Duration = Duration::from_secs(1);

fn check(health: &HealthOptions, send_proxy: Option<ProxyVersion>) -> Option<Check> {
    let interval = health
        .interval
        .map_or(Duration::from_secs(5), |time| time.0);
    if interval.is_zero() {
        return None;
    }
    let timeout = health.timeout.map(|time| time.0);
    let bytes = |bytes: &Option<super::values::Bytes>| {
        bytes.as_ref().map_or(Vec::new(), |bytes| bytes.0.clone())
    };
    Some(Check {
        interval,
        timeout: timeout.filter(|t| !t.is_zero()).unwrap_or(CHECK_TIMEOUT),
        jitter_percent: health.jitter.map_or(20, |jitter| jitter.0),
        send: bytes(&health.send),
        expect: bytes(&health.expect),
        send_proxy,
    })
}

fn routes(
    options: &Options,
    pools: &[PoolPlan],
    source: Option<&Source>,
) -> Result<Vec<(String, usize)>, ConfigError> {
    let mut routes = Vec::new();
    for route in &options.route {
        let name = route.pool.get_ref();
        let Some(pool) = pools.iter().position(|pool| &pool.name == name) else {
            let names: Vec<_> = pools.iter().map(|pool| pool.name.as_str()).collect();
            let text = format!("there is no pool {name:?}; there is {}", names.join(", "));
            return Err(wrong_at(source, &route.pool, &text));
        };
        let sni = route.sni.get_ref().to_ascii_lowercase();
        let host = sni.strip_prefix("*.").unwrap_or(&sni);
        let fine = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if host.is_empty() || !host.chars().all(fine) {
            let text = format!(
                "expected a host name or *.DOMAIN, got {:?}",
                route.sni.get_ref()
            );
            return Err(wrong_at(source, &route.sni, &text));
        }
        routes.push((sni, pool));
    }
    Ok(routes)
}

fn tls(options: &Options) -> Result<Option<TlsOptions>, ConfigError> {
    let (certs, keys) = (&options.tls_cert, &options.tls_key);
    if certs.len() != keys.len() {
        return Err(wrong(format!(
            "expected one --tls-key for each --tls-cert, got {} and {}",
            keys.len(),
            certs.len()
        )));
    }
    if certs.is_empty() {
        let alone = [
            ("--tls-client-ca", options.tls_client_ca.is_some()),
            ("--alpn", !options.alpn.is_empty()),
            ("--tls-min", options.tls_min.is_some()),
        ];
        return match alone.into_iter().find(|(_, given)| *given) {
            Some((flag, _)) => Err(wrong(format!("{flag} needs --tls-cert and --tls-key"))),
            None => Ok(None),
        };
    }
    if let Some(name) = options
        .alpn
        .iter()
        .find(|name| !(1..=255).contains(&name.len()))
    {
        return Err(wrong(format!(
            "--alpn: expected 1 to 255 bytes, got {name:?}"
        )));
    }
    let pairs = certs.iter().cloned().zip(keys.iter().cloned());
    let client_ca = options.tls_client_ca.clone();
    Ok(Some(TlsOptions {
        certificates: pairs
            .map(|(certificate, key)| CertificateFiles { certificate, key })
            .collect(),
        alpn: options.alpn.clone(),
        client_certificates: client_ca
            .map_or_else(ClientCertificates::default, ClientCertificates::Required),
        minimum_version: options.tls_min.map(|version| version.0).unwrap_or_default(),
        no_resumption: false,
    }))
}
