//! What workers read for each new connection.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use balance::{Algorithm, Pool};
use protocol::proxy_header::Version;

use super::access_log::AccessLog;
use super::relay::Preface;
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

impl Settings {
    /// Whether anything needs to know who the client is.
    pub(super) fn wants_addresses(&self) -> bool {
        let hashes = |pool: &Pool| pool.algorithm() == Algorithm::Hash;
        self.send_proxy.is_some()
            || self.access_log.is_some()
            || !self.proxy_from.is_empty()
            || hashes(&self.default_pool)
            || self.routes.iter().any(|route| hashes(&route.pool))
    }

    /// Whether a client may say on whose behalf it comes.
    pub(super) fn trusts(&self, peer: Option<SocketAddr>) -> bool {
        let holds = |ip: IpAddr| self.proxy_from.iter().any(|network| network.holds(ip));
        self.proxy_from.is_empty() || peer.is_some_and(|peer| holds(peer.ip()))
    }

    /// What a client has to send behind its PROXY protocol header.
    pub(super) fn preface_behind_header(&self) -> Preface {
        match (&self.tls, self.routes.is_empty()) {
            (Some(_), _) => Preface::Handshake,
            (None, false) => Preface::Hello,
            (None, true) => Preface::Done,
        }
    }

    /// Where a client goes that asks for this name.
    pub(super) fn pool_for(&self, sni: Option<&str>) -> Arc<Pool> {
        let route = sni.and_then(|sni| self.routes.iter().find(|route| route.takes(sni)));
        Arc::clone(route.map_or(&self.default_pool, |route| &route.pool))
    }
}

impl Network {
    /// Whether an address belongs to it. IPv4 inside IPv6 is IPv4.
    fn holds(&self, ip: IpAddr) -> bool {
        let bits = |ip: IpAddr| match ip {
            IpAddr::V4(ip) => (u128::from(ip.to_bits()) << 96, 4),
            IpAddr::V6(ip) => (ip.to_bits(), 6),
        };
        let ((ip, family), (network, of)) = (bits(ip.to_canonical()), bits(self.address));
        let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix));
        family == of && (ip ^ network) & mask.unwrap_or(0) == 0
    }
}

impl Route {
    /// Whether it takes clients that ask for this name. A `*` stands for one label.
    fn takes(&self, sni: &str) -> bool {
        match self.sni.strip_prefix("*.") {
            Some(parent) => sni.split_once('.').is_some_and(|(_, rest)| rest == parent),
            None => self.sni == sni,
        }
    }
}

impl From<ProxyVersion> for Version {
    fn from(version: ProxyVersion) -> Self {
        match version {
            ProxyVersion::V1 => Self::V1,
            ProxyVersion::V2 => Self::V2,
        }
    }
}

#[cfg(test)]
mod tests {
    use balance::WhenAllDown;

    use super::*;

    fn network(address: &str, prefix: u8) -> Network {
        let address = address.parse().expect("an address");
        Network { address, prefix }
    }

    #[test]
    fn networks_hold_what_shares_their_prefix() {
        let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
        assert!(network("10.1.0.0", 16).holds(ip("10.1.255.3")));
        assert!(network("10.1.0.0", 16).holds(ip("::ffff:10.1.2.3")));
        assert!(!network("10.1.0.0", 16).holds(ip("10.2.0.0")));
        assert!(network("0.0.0.0", 0).holds(ip("203.0.113.9")));
        assert!(!network("0.0.0.0", 0).holds(ip("2001:db8::1")));
        assert!(network("2001:db8::", 32).holds(ip("2001:db8:1::1")));
        assert!(network("192.0.2.1", 32).holds(ip("192.0.2.1")));
        assert!(!network("192.0.2.1", 32).holds(ip("192.0.2.0")));
    }

    #[test]
    fn a_star_stands_for_one_label() {
        let pool = Pool::new("a".into(), vec![], Algorithm::P2c, WhenAllDown::Fail, 0);
        let pool = Arc::new(pool);
        let takes = |sni: &str, name: &str| {
            let (sni, pool) = (sni.to_owned(), Arc::clone(&pool));
            Route { sni, pool }.takes(name)
        };
        assert!(takes("example.org", "example.org"));
        assert!(!takes("example.org", "www.example.org"));
        assert!(takes("*.example.org", "www.example.org"));
        assert!(!takes("*.example.org", "example.org"));
        assert!(!takes("*.example.org", "a.b.example.org"));
    }
}
