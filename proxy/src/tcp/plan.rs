//! What the options come to: defaults filled in, everything checked that can be checked
//! without opening anything.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use service::addr::HostPort;
use service::logging::LogLevel;

use super::config::{ConfigError, Source};
use super::options::Options;
use super::pool_plan::{PoolPlan, pools};
use super::settings::{AcceptProxy, Keepalive, Network, ProxyVersion};
use super::tls::{CertificateFiles, ClientCertificates, TlsOptions};
use super::values::{KeepaliveSpec, ResolveInterval, Time};
use crate::discovery::Bounds;
use crate::plane::DriverChoice;

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

pub(super) fn wrong(message: impl Into<String>) -> ConfigError {
    ConfigError::Options(message.into())
}

/// Says where in the file something is wrong.
pub(super) fn wrong_at<T>(
    source: Option<&Source>,
    at: &toml::Spanned<T>,
    message: &str,
) -> ConfigError {
    match source {
        Some(source) => source.wrong(&at.span(), message),
        None => wrong(message),
    }
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

#[cfg(test)]
mod tests {
    use balance::Algorithm;

    use super::*;

    fn plan(text: &str) -> Result<Plan, String> {
        let options = toml::from_str(text).unwrap();
        Plan::new(&options, None).map_err(|error| error.to_string())
    }

    #[test]
    fn a_pool_has_its_own_say_and_otherwise_what_all_have() {
        let plan = plan(
            r#"
            backends = ["a:1,max=3", "b:1"]
            balance = "random"
            max_per_backend = 9
            admin = ":9000"
            health = { interval = "2s", fall = 7 }
            [[pool]]
            name = "db"
            balance = "hash"
            queue = 5
            backends = ["c:1"]
            health = { interval = 0, eject_time = "10m" }
            [[route]]
            sni = "*.Example.ORG"
            pool = "db"
            "#,
        )
        .unwrap();
        let [default, db] = &plan.pools[..] else {
            panic!("two pools")
        };
        let limits: Vec<_> = default.backends.iter().map(|b| b.max_connections).collect();
        assert_eq!(limits, [Some(3), Some(9)]);
        assert_eq!(
            (default.balance, db.balance),
            (Algorithm::Random, Algorithm::Hash)
        );
        assert_eq!((default.queue, db.queue), (0, 5));
        assert_eq!((default.policy.fall, db.policy.fall), (7, 7));
        let interval = default.check.as_ref().map(|check| check.interval);
        assert_eq!(interval, Some(Duration::from_secs(2)));
        assert_eq!(db.check, None);
        // The longest ejection is never shorter than the first.
        assert_eq!(db.policy.eject_max_ms, 600_000);
        assert_eq!(plan.routes, [("*.example.org".to_owned(), 1)]);
        let admin = plan.fixed.admin.unwrap().to_string();
        assert_eq!(admin, "127.0.0.1:9000");
    }

    #[test]
    fn what_cannot_change_is_found() {
        let before = plan("backends = [\"a:1\"]").unwrap();
        let after =
            plan("backends = [\"b:1\"]\nretries = 7\nthreads = 3\nlisten = \":5\"").unwrap();
        assert_eq!(before.fixed_differences(&after), ["listen", "threads"]);
    }
}
