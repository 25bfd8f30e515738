//! Hosts given by name, in every mode: looking the name up, and looking again when the answer has
//! run out.
//!
//! A name stands for all its IPv4 addresses, or if it has none, for its IPv6 ones. The
//! hosts file comes first, then the name servers of the system or the one of
//! `--resolver`. A look-up that fails changes nothing: the last answer stays.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use serde::Serialize;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// How long a look-up may take, with its retries.
const TIMEOUT: Duration = Duration::from_secs(5);

/// How long one name server may take to answer one question.
const SERVER_TIMEOUT: Duration = Duration::from_millis(1_500);

/// Addresses of one name that are used: more of them are left out, with a warning.
const MAX_ADDRESSES: usize = 256;

/// A shortest and a longest duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) least: Duration,
    pub(crate) most: Duration,
}

/// The names that are in use and what they resolve to.
pub(crate) struct Discovery {
    resolver: Mutex<Arc<TokioResolver>>,
    server: Option<SocketAddr>,
    interval: Bounds,
    names: Mutex<HashMap<String, Name>>,
    /// Told when an answer has changed.
    pub(crate) changed: Notify,
    /// Look-ups that failed.
    pub(crate) failures: AtomicU64,
    stop: CancellationToken,
}

struct Name {
    answer: Option<Vec<IpAddr>>,
    error: Option<String>,
    stop: CancellationToken,
}

/// A name, for the operator.
#[derive(Debug, Serialize)]
pub(crate) struct NameState {
    pub(crate) name: String,
    pub(crate) addresses: Vec<IpAddr>,
    /// Why the last look-up failed, if it did.
    error: Option<String>,
}

impl Discovery {
    /// Needs a tokio runtime. Look-ups go on until `stop`.
    ///
    /// # Errors
    /// That the resolver cannot be set up.
    pub(crate) fn new(
        server: Option<SocketAddr>,
        interval: Bounds,
        stop: CancellationToken,
    ) -> io::Result<Self> {
        Ok(Self {
            resolver: Mutex::new(Arc::new(resolver(server)?)),
            server,
            interval,
            names: Mutex::default(),
            changed: Notify::new(),
            failures: AtomicU64::new(0),
            stop,
        })
    }

    /// The addresses of a name: those that are known, or those that are found now. From
    /// then on it is looked up again and again, until [`retain`](Self::retain) drops it.
    ///
    /// # Errors
    /// Why there is none; it is looked up again all the same.
    pub(crate) async fn resolve(self: &Arc<Self>, name: &str) -> Result<Vec<IpAddr>, String> {
        if let Ok(address) = name.parse() {
            return Ok(vec![address]);
        }
        let known = self.names().get(name).map(|known| known.answer.clone());
        match known {
            Some(Some(answer)) => return Ok(answer),
            Some(None) => {
                let (outcome, _) = self.look_up(name).await;
                // Whoever asked now may have no use for it in the end; others wait for it.
                if self.note(name, &outcome) {
                    self.changed.notify_one();
                }
                return outcome;
            }
            None => {}
        }
        let stop = self.stop.child_token();
        let entry = Name {
            answer: None,
            error: None,
            stop: stop.clone(),
        };
        self.names().insert(name.to_owned(), entry);
        let (outcome, holds) = self.look_up(name).await;
        self.note(name, &outcome);
        let (discovery, name) = (Arc::clone(self), name.to_owned());
        tokio::spawn(async move {
            stop.run_until_cancelled(discovery.keep_up(&name, holds))
                .await
        });
        outcome
    }

    /// Looks up only these from now on.
    pub(crate) fn retain(&self, is_used: impl Fn(&str) -> bool) {
        self.names().retain(|name, entry| {
            let used = is_used(name);
            if !used {
                entry.stop.cancel();
            }
            used
        });
    }

    /// Reads the hosts file and the system's configuration again.
    pub(crate) fn refresh(&self) {
        match resolver(self.server) {
            Ok(fresh) => *lock(&self.resolver) = Arc::new(fresh),
            Err(error) => tracing::warn!("going on with the old resolver: {error}"),
        }
    }

    /// What is known.
    pub(crate) fn states(&self) -> Vec<NameState> {
        let names = self.names();
        let state = |(name, entry): (&String, &Name)| NameState {
            name: name.clone(),
            addresses: entry.answer.clone().unwrap_or_default(),
            error: entry.error.clone(),
        };
        let mut states: Vec<_> = names.iter().map(state).collect();
        states.sort_by(|a, b| a.name.cmp(&b.name));
        states
    }

    /// Looks a name up whenever its last answer has run out.
    async fn keep_up(&self, name: &str, mut holds: Duration) {
        loop {
            tokio::time::sleep(holds).await;
            let (outcome, next) = self.look_up(name).await;
            holds = next;
            if self.note(name, &outcome) {
                self.changed.notify_one();
            }
        }
    }

    /// Remembers an outcome and says whether the addresses have changed.
    fn note(&self, name: &str, outcome: &Result<Vec<IpAddr>, String>) -> bool {
        let mut names = self.names();
        let Some(entry) = names.get_mut(name) else {
            return false;
        };
        match outcome {
            Ok(addresses) => {
                if entry.error.take().is_some() {
                    tracing::info!("{name} resolves again");
                }
                let changed = entry.answer.as_ref() != Some(addresses);
                if changed {
                    tracing::info!("{name} is {addresses:?}");
                    entry.answer = Some(addresses.clone());
                }
                changed
            }
            Err(error) => {
                self.failures.fetch_add(1, Ordering::Relaxed);
                // Without an answer, whoever asked says what that comes to.
                if entry.error.replace(error.clone()).is_none() && entry.answer.is_some() {
                    tracing::warn!("{error}; its last answer stays");
                }
                false
            }
        }
    }

    /// Looks a name up: its addresses in order, and how long they hold.
    async fn look_up(&self, name: &str) -> (Result<Vec<IpAddr>, String>, Duration) {
        let Bounds { least, most } = self.interval;
        let resolver = Arc::clone(&lock(&self.resolver));
        let failed = |why: &str| (Err(format!("cannot resolve {name}: {why}")), least);
        let answer = match tokio::time::timeout(TIMEOUT, resolver.lookup_ip(name)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return failed(&error.to_string()),
            Err(_) => return failed("no answer in time"),
        };
        let mut addresses: BTreeSet<IpAddr> = answer.iter().collect();
        if addresses.is_empty() {
            return failed("it has no address");
        }
        if addresses.len() > MAX_ADDRESSES {
            tracing::warn!(
                "{name} has more than {MAX_ADDRESSES} addresses: the others are left out"
            );
            addresses = addresses.into_iter().take(MAX_ADDRESSES).collect();
        }
        let holds = answer
            .valid_until()
            .saturating_duration_since(Instant::now());
        (
            Ok(addresses.into_iter().collect()),
            holds.clamp(least, most),
        )
    }

    fn names(&self) -> MutexGuard<'_, HashMap<String, Name>> {
        lock(&self.names)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A resolver that asks each time: how long an answer holds is our business.
fn resolver(server: Option<SocketAddr>) -> io::Result<TokioResolver> {
    let provider = TokioRuntimeProvider::default();
    let mut builder = match server {
        Some(server) => {
            let at = |mut connection: ConnectionConfig| {
                connection.port = server.port();
                connection
            };
            let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
            let connections = connections.into_iter().map(at).collect();
            let server = NameServerConfig::new(server.ip(), true, connections);
            let config = ResolverConfig::from_name_servers(vec![server]);
            TokioResolver::builder_with_config(config, provider)
        }
        None => TokioResolver::builder_tokio().unwrap_or_else(|error| {
            tracing::debug!("only the hosts file is used: {error}");
            TokioResolver::builder_with_config(ResolverConfig::default(), provider)
        }),
    };
    let options = builder.options_mut();
    options.cache_size = 0;
    options.ip_strategy = LookupIpStrategy::Ipv4thenIpv6;
    options.use_hosts_file = ResolveHosts::Always;
    options.timeout = SERVER_TIMEOUT;
    builder.build().map_err(io::Error::other)
}
