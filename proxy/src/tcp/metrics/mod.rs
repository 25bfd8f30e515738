//! What is counted, as the lines of SIGUSR1 ([`lines`]) and as Prometheus text
//! ([`prometheus`]).

mod lines;
mod prometheus;

use std::sync::atomic::{AtomicU64, Ordering};

pub(super) use lines::lines;
pub(super) use prometheus::prometheus;

use super::relay::RelayTotals;
use crate::plane::PlaneTotals;

fn open(plane: &PlaneTotals) -> u64 {
    plane.accepted - plane.closed.min(plane.accepted)
}

/// Connections that did not get to a backend, and those whose TLS failed.
fn errors(plane: &PlaneTotals, relay: &RelayTotals) -> u64 {
    failures(plane, relay).iter().map(|(_, count)| count).sum()
}

fn failures(plane: &PlaneTotals, relay: &RelayTotals) -> [(&'static str, u64); 12] {
    let sum = |counts: &[(&str, u64)]| counts.iter().map(|(_, count)| count).sum::<u64>();
    let count = |name: &str| {
        let mut counts = relay.counts.iter();
        counts
            .find(|(other, _)| *other == name)
            .map_or(0, |one| one.1)
    };
    [
        ("max_connections", plane.refused),
        ("dial_refused", plane.failed_refused),
        ("dial_timeout", plane.failed_timeout),
        ("dial_other", plane.failed_other),
        ("descriptors", plane.failed_descriptors),
        ("ports", plane.failed_ports),
        ("no_backend", plane.failed_nowhere),
        ("preface_timeout", plane.preface_timeout),
        ("queue_timeout", plane.queue_timeout),
        (
            "proxy_header",
            sum(&relay.bad_headers) + count("proxy_headers_untrusted"),
        ),
        ("tls_hello", sum(&relay.bad_hellos)),
        ("tls", count("tls_failed")),
    ]
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}
