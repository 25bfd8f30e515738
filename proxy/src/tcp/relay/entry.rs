//! A connection's line in the access log.

use std::net::{Ipv4Addr, SocketAddr};

use balance::NoBackend;

use super::conn::{Conn, Trouble};
use crate::plane::{End, Side};
use crate::tcp::access_log::entry::{Entry, Outcome};

/// What the log says of a connection that is over.
pub(super) fn entry(conn: &Conn, end: End, now_ms: u64) -> Box<Entry> {
    let moments = &conn.moments;
    let between = |from: u64, to: u64| (to > 0).then(|| to.saturating_sub(from) / 1_000);
    let nobody = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let backend = conn.lease.as_ref().map(balance::Lease::backend);
    let backend = backend.or(conn.failed.as_ref());
    Box::new(Entry {
        unix_ms: 0,
        client: conn.peer.unwrap_or(nobody),
        proxied_for: conn.told.map(|(source, _)| source),
        pool: Some(conn.pool.name().into()),
        backend: backend.map(|backend| backend.name().into()),
        sni: conn.sni.as_deref().map(str::to_owned),
        tls: conn.tls.as_ref().and_then(|tls| tls.version()),
        client_bytes: conn.traffic.client,
        backend_bytes: conn.traffic.backend,
        connect_us: between(moments.first_dial_ns, moments.connected_ns),
        first_byte_us: between(moments.connected_ns, moments.answered_ns),
        duration_ms: now_ms.saturating_sub(conn.started_ms),
        attempts: conn.attempts,
        end: outcome(conn.trouble, end),
    })
}

fn outcome(trouble: Option<Trouble>, end: End) -> Outcome {
    match (end, trouble) {
        (End::Finished(Side::Client), _) => Outcome::ClientEnd,
        (End::Finished(Side::Upstream), _) => Outcome::BackendEnd,
        (End::Reset(Side::Client) | End::GaveUp, None) => Outcome::ClientReset,
        (End::Reset(Side::Upstream), _) => Outcome::BackendReset,
        (End::Idle, _) => Outcome::IdleTimeout,
        (End::HalfClosed, _) => Outcome::HalfClosedTimeout,
        (End::SlowPreface, _) => Outcome::PrefaceTimeout,
        (End::QueueTimeout, _) => Outcome::QueueTimeout,
        (End::TooMany, _) => Outcome::TooManyConnections,
        (End::Stopped, _) => Outcome::Stopped,
        (_, Some(Trouble::Tls)) => Outcome::TlsFailed,
        (_, Some(Trouble::Preface)) => Outcome::PrefaceInvalid,
        (_, Some(Trouble::Resources)) => Outcome::Resources,
        (_, Some(Trouble::NoBackend(NoBackend::AllFull))) => Outcome::QueueFull,
        (_, Some(Trouble::NoBackend(_))) => Outcome::NoBackend,
        (End::Reset(Side::Client) | End::GaveUp, _) => Outcome::ClientReset,
        (End::Refused | End::ByMode, _) => Outcome::DialFailed,
    }
}
