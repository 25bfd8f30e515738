//! What is remembered of one connection.

use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use balance::{Algorithm, Backend, Lease, NoBackend, Pool, Ticket};
use service::clock::mono_ns;

use crate::plane::{End, Side};
use crate::tcp::settings::{AcceptProxy, Settings};
use crate::tcp::tls::Tls;

/// What the client has yet to send before it is known where it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::tcp) enum Preface {
    /// A PROXY protocol header, which may be missing.
    HeaderOrData,
    /// A PROXY protocol header.
    Header,
    /// One is required, and this client may not send any.
    Untrusted,
    /// A TLS hello, which is only looked at.
    Hello,
    /// Its part of a TLS handshake.
    Handshake,
    /// Nothing.
    Done,
}

/// Why a connection has nowhere to go, or was given up by us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// No backend could be picked.
    NoBackend(NoBackend),
    /// Every backend that may be tried has failed.
    DialsFailed,
    /// The proxy itself had no descriptor, port or memory.
    Resources,
    /// The PROXY header or the hello could not be read.
    Preface,
    /// TLS failed.
    Tls,
}

/// Bytes received from each side.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Traffic {
    pub(super) client: u64,
    pub(super) backend: u64,
}

/// Moments of a connection, on the clock of [`mono_ns`]; 0 for what has not been.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Moments {
    pub(super) first_dial_ns: u64,
    pub(super) dial_ns: u64,
    pub(super) connected_ns: u64,
    /// The first bytes were given to the backend.
    pub(super) asked_ns: u64,
    /// The first bytes came from it.
    pub(super) answered_ns: u64,
}

/// One connection.
pub(in crate::tcp) struct Conn {
    /// Those in force when it began.
    pub(super) settings: Arc<Settings>,
    /// The other end of the client's socket, where somebody wants to know.
    pub(super) peer: Option<SocketAddr>,
    /// Who the client is and whom it meant to reach, as the PROXY header says.
    pub(super) told: Option<(SocketAddr, SocketAddr)>,
    /// Our end of the client's socket, where somebody wants to know.
    pub(super) local: Option<SocketAddr>,
    pub(super) preface: Preface,
    pub(super) tls: Option<Box<Tls>>,
    /// The name that the client asked for.
    pub(super) sni: Option<Box<str>>,
    /// Of those settings, or of later ones if it was not connected by then.
    pub(super) pool: Arc<Pool>,
    pub(super) lease: Option<Lease>,
    pub(super) ticket: Option<Ticket>,
    pub(super) tried: Vec<SocketAddr>,
    /// The one that failed last.
    pub(super) failed: Option<Arc<Backend>>,
    pub(super) attempts: u32,
    pub(super) trouble: Option<Trouble>,
    pub(super) traffic: Traffic,
    accounted: Traffic,
    pub(super) moments: Moments,
    pub(super) started_ms: u64,
}

impl Conn {
    pub(super) fn new(settings: Arc<Settings>, client: BorrowedFd<'_>, now_ms: u64) -> Self {
        let wants_peer = settings.wants_addresses();
        let peer = wants_peer
            .then(|| rustix::net::getpeername(client).ok())
            .flatten()
            .flatten()
            .and_then(|addr| SocketAddr::try_from(addr).ok());
        let local = (settings.send_proxy.is_some())
            .then(|| rustix::net::getsockname(client).ok())
            .flatten()
            .and_then(|addr| SocketAddr::try_from(addr).ok());
        let tls = settings.tls.as_ref().map(|tls| Box::new(tls.accept()));
        let trusted = || settings.trusts(peer);
        let preface = match settings.accept_proxy {
            AcceptProxy::Required if trusted() => Preface::Header,
            AcceptProxy::Required => Preface::Untrusted,
            AcceptProxy::Optional if trusted() => Preface::HeaderOrData,
            AcceptProxy::Optional | AcceptProxy::Off => settings.preface_behind_header(),
        };
        Self {
            pool: Arc::clone(&settings.default_pool),
            settings,
            peer,
            told: None,
            local,
            preface,
            tls,
            sni: None,
            lease: None,
            ticket: None,
            tried: Vec::new(),
            failed: None,
            attempts: 0,
            trouble: None,
            traffic: Traffic::default(),
            accounted: Traffic::default(),
            moments: Moments::default(),
            started_ms: now_ms,
        }
    }

    /// Who the client is, as far as is known.
    pub(super) fn source(&self) -> Option<SocketAddr> {
        self.told.map(|(source, _)| source).or(self.peer)
    }

    /// Whether bytes pass as they are.
    pub(super) fn is_plain(&self) -> bool {
        self.preface == Preface::Done && self.tls.is_none()
    }

    /// Bytes go to the backend. The first time counts for how long it takes to answer, if
    /// anybody wants to know.
    pub(super) fn note_question(&mut self) {
        if self.moments.asked_ns == 0 && self.moments.connected_ns > 0 && self.is_timed() {
            self.moments.asked_ns = mono_ns();
        }
    }

    /// Bytes come from the backend.
    pub(super) fn note_answer(&mut self) {
        if self.moments.answered_ns > 0 {
            return;
        }
        let Some(lease) = &self.lease else { return };
        let now_ns = mono_ns();
        let asked_ns = self.moments.asked_ns.max(self.moments.connected_ns);
        self.moments.answered_ns = now_ns;
        lease.first_byte(now_ns / 1_000_000, now_ns.saturating_sub(asked_ns) / 1_000);
    }

    fn is_timed(&self) -> bool {
        self.pool.algorithm() == Algorithm::P2cEwma || self.settings.access_log.is_some()
    }

    /// Adds the bytes since the last call to those of the backend. Workers share its
    /// counters, so this is not done for each message.
    pub(super) fn account(&mut self) {
        let (Some(lease), true) = (&self.lease, self.moments.connected_ns > 0) else {
            return;
        };
        let (tx, rx) = (
            self.traffic.client - self.accounted.client,
            self.traffic.backend - self.accounted.backend,
        );
        if tx > 0 || rx > 0 {
            let counters = lease.counters();
            counters.tx_bytes.fetch_add(tx, Ordering::Relaxed);
            counters.rx_bytes.fetch_add(rx, Ordering::Relaxed);
            self.accounted = self.traffic;
        }
    }

    /// Tells the backend's health how a connection to it ended.
    pub(super) fn judge_backend(&self, end: End, now_ms: u64) {
        let (Some(lease), true) = (&self.lease, self.moments.connected_ns > 0) else {
            return;
        };
        let silent = self.moments.answered_ns == 0;
        match end {
            End::Reset(Side::Upstream) => lease.was_reset(now_ms, silent),
            End::Finished(_) if silent => lease.ended_well(now_ms),
            _ => {}
        }
    }
}
