//! What the options come to for each pool.

use std::collections::HashSet;
use std::net::IpAddr;
use std::time::Duration;

use balance::{Algorithm, HealthPolicy, WhenAllDown};

use super::backend_at::BackendAt;
use super::config::{ConfigError, Source};
use super::options::{HealthOptions, Options, PoolOptions};
use super::plan::{wrong, wrong_at};
use super::settings::ProxyVersion;
use super::values::Time;

/// The pool that the command line and the top of the configuration describe.
const DEFAULT_POOL: &str = "default";

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
    /// Local addresses to connect from, in turn.
    pub(super) sources: Vec<IpAddr>,
}

/// All pools, the default one first.
pub(super) fn pools(
    options: &Options,
    source: Option<&Source>,
) -> Result<Vec<PoolPlan>, ConfigError> {
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
        check: check(&health, options),
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

fn check(health: &HealthOptions, options: &Options) -> Option<Check> {
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
        send_proxy: options.send_proxy.map(|version| version.0),
        sources: options.source.clone(),
    })
}
