//! What is counted, as the lines of SIGUSR1 ([`lines`]) and as Prometheus text
//! ([`prometheus`]).

mod lines;
mod prometheus;

use std::sync::atomic::{AtomicU64, Ordering};

pub(super) use lines::lines;
pub(super) use prometheus::prometheus;

use crate::plane::PlaneTotals;

fn open(plane: &PlaneTotals) -> u64 {
    plane.accepted - plane.closed.min(plane.accepted)
}

/// Connections that did not get to a backend.
fn errors(plane: &PlaneTotals) -> u64 {
    failures(plane).iter().map(|(_, count)| count).sum()
}

fn failures(plane: &PlaneTotals) -> [(&'static str, u64); 9] {
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
    ]
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}
