//! What workers read for each new connection, and how it is replaced.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use balance::Pool;

use super::access_log::AccessLog;
use super::tls::Terminator;
use crate::plane::Limits;

/// Which PROXY protocol header is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProxyVersion {
    /// Text.
    V1,
    /// Binary.
    V2,
}

/// Whether clients begin with a PROXY protocol header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum AcceptProxy {
    /// What they send is data.
    #[default]
    Off,
    /// It is taken off if it is there.
    Optional,
    /// A connection without it is closed.
    Required,
}

/// Addresses that share a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Network {
    /// Any address of it.
    pub(super) address: IpAddr,
    /// Length of the prefix in bits.
    pub(super) prefix: u8,
}

/// A pool for clients that ask for certain names.
#[derive(Clone, Debug)]
pub(super) struct Route {
    /// A host name in lower case, or `*.` and what it must end with.
    pub(super) sni: String,
    /// Where they go.
    pub(super) pool: Arc<Pool>,
}

/// Keep-alive probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Keepalive {
    /// Silence before the first.
    pub(super) idle: Duration,
    /// Time between them.
    pub(super) interval: Duration,
    /// How many may stay unanswered.
    pub(super) probes: u32,
}

/// What workers read for each new connection.
#[derive(Debug)]
pub(super) struct Settings {
    /// Where clients go that no route takes.
    pub(super) default_pool: Arc<Pool>,
    /// Tried in order. If there are any, connections wait for the client's TLS hello.
    pub(super) routes: Vec<Route>,
    /// Header for the upstream.
    pub(super) send_proxy: Option<ProxyVersion>,
    /// Header from the client.
    pub(super) accept_proxy: AcceptProxy,
    /// Who may send one; empty for everybody. From others it is refused if it is
    /// required, and is data otherwise.
    pub(super) proxy_from: Vec<Network>,
    /// Terminates TLS, if given.
    pub(super) tls: Option<Arc<Terminator>>,
    /// Further backends to try after a failed dial.
    pub(super) retries: u32,
    /// Connect, idle, half-closed, preface and queue timeouts.
    pub(super) limits: Limits,
    /// For connections to backends; those of clients inherit it from the listener.
    pub(super) keepalive: Option<Keepalive>,
    /// Likewise: how long sent bytes may stay unacknowledged (`TCP_USER_TIMEOUT`).
    pub(super) user_timeout: Option<Duration>,
    /// Local addresses to connect from, in turn: each has ports of its own.
    pub(super) sources: Vec<IpAddr>,
    /// A line for each connection.
    pub(super) access_log: Option<AccessLog>,
}

/// The settings in force. Reading them costs a worker one load while they do not change.
#[derive(Debug)]
pub(super) struct Live {
    settings: Mutex<Arc<Settings>>,
    generation: AtomicU64,
}

impl Live {
    /// Starts with `settings`.
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            settings: Mutex::new(Arc::new(settings)),
            generation: AtomicU64::new(1),
        }
    }

    /// Replaces them for the connections to come.
    pub(super) fn set(&self, settings: Settings) {
        let mut current = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(settings);
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// Which settings these are: goes up by one with each replacement.
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The settings in force.
    pub(super) fn get(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
