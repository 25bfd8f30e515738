//! All that is known, as JSON: `/state`.

use std::sync::atomic::Ordering;

use balance::{Backend, HistogramSnapshot, Pool, Status, Transition};
use serde_json::{Map, Value, json};

use super::board::Board;
use super::clock::now_ms;
use super::pool_plan::PoolPlan;
use crate::plane::PlaneTotals;

/// The state of the proxy at this moment.
pub(super) fn json(board: &Board) -> String {
    let view = board.view();
    let plane = (board.plane)();
    let pools = view.pools.iter().zip(&view.plan.pools);
    let leaving = board.leaving();
    let sockets: Map<_, _> = board
        .sockets
        .iter()
        .map(|(role, at)| ((*role).to_owned(), at.clone().into()))
        .collect();
    let routes = view.plan.routes.iter();
    let log = &board.log;
    let state = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "pid": std::process::id(),
        "uptime_s": (board.started.elapsed().as_secs_f64() * 1_000.0).round() / 1_000.0,
        "driver": board.driver,
        "threads": board.threads,
        "sockets": sockets,
        "config": { "generation": view.generation, "since_unix_ms": view.since_unix_ms },
        "progress": board.progress(),
        "connections": connections(&plane),
        "bytes": {
            "client_in": plane.client_in,
            "client_out": plane.client_out,
            "backend_in": plane.upstream_in,
            "backend_out": plane.upstream_out,
        },
        "relay": relay(board),
        "checks_not_carried_out": super::health::not_carried_out(),
        "access_log": {
            "written": log.written.load(Ordering::Relaxed),
            "dropped": log.dropped.load(Ordering::Relaxed),
            "failed": log.failed.load(Ordering::Relaxed),
        },
        "pools": pools.map(|(pool, plan)| self::pool(pool, plan, board.unix_offset_ms)).collect::<Vec<_>>(),
        "leaving": leaving
            .iter()
            .map(|(pool, backend)| {
                let mut state = self::backend(backend, board.unix_offset_ms);
                state["pool"] = pool.clone().into();
                state
            })
            .collect::<Vec<_>>(),
        "routes": routes
            .map(|(sni, pool)| json!({ "sni": sni, "pool": view.plan.pools[*pool].name }))
            .collect::<Vec<_>>(),
        "names": board.discovery.states(),
    });
    let mut text = state.to_string();
    text.push('\n');
    text
}

fn connections(plane: &PlaneTotals) -> Value {
    json!({
        "open": plane.accepted - plane.closed.min(plane.accepted),
        "total": plane.accepted,
        "refused": plane.refused,
        "failed": {
            "refused": plane.failed_refused,
            "timeout": plane.failed_timeout,
            "descriptors": plane.failed_descriptors,
            "ports": plane.failed_ports,
            "nowhere": plane.failed_nowhere,
            "other": plane.failed_other,
        },
        "preface_timeout": plane.preface_timeout,
        "queue_timeout": plane.queue_timeout,
        "idle_timeout": plane.idle_timeout,
        "half_closed_timeout": plane.half_closed_timeout,
        "reset": plane.reset,
        "reset_by_proxy": plane.reset_by_mode,
        "bulk": plane.bulk,
        "accept_paused": plane.accept_paused,
        "read_paused": plane.read_paused,
    })
}

fn relay(board: &Board) -> Value {
    let totals = board.relay_totals();
    let map = |counts: &[(&'static str, u64)]| -> Map<String, Value> {
        let pairs = counts.iter();
        pairs
            .map(|(name, n)| ((*name).to_owned(), (*n).into()))
            .collect()
    };
    let mut relay = map(&totals.counts);
    relay.insert(
        "bad_proxy_headers".to_owned(),
        map(&totals.bad_headers).into(),
    );
    relay.insert("bad_tls_hellos".to_owned(), map(&totals.bad_hellos).into());
    relay.into()
}

fn pool(pool: &Pool, plan: &PoolPlan, unix_offset_ms: u64) -> Value {
    let counters = pool.counters();
    let read = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    json!({
        "name": pool.name(),
        "balance": pool.algorithm().name(),
        "when_all_down": pool.when_all_down().name(),
        "queue": {
            "waiting": pool.waiting(),
            "size": plan.queue,
            "queued": read(&counters.queued),
            "full": read(&counters.queue_full),
        },
        "all_down": read(&counters.all_down),
        "all_full": read(&counters.all_full),
        "none_left": read(&counters.none_left),
        "despite_down": read(&counters.despite_down),
        "backends": pool.backends().iter().map(|one| backend(one, unix_offset_ms)).collect::<Vec<_>>(),
    })
}

fn backend(backend: &Backend, unix_offset_ms: u64) -> Value {
    let now = now_ms();
    let status = backend.status(now);
    let counters = backend.counters();
    let read = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    let ejected_for_ms = match status {
        Status::Ejected { until_ms } => Some(until_ms.saturating_sub(now)),
        _ => None,
    };
    json!({
        "name": backend.name(),
        "address": backend.addr().to_string(),
        "status": status.name(),
        "ejected_for_ms": ejected_for_ms,
        "admin": backend.admin_state().name(),
        "weight": backend.weight(),
        "max_connections": backend.max_connections(),
        "active": backend.active(),
        "latency_us": backend.latency_us(now).map(f32::round),
        "connections": read(&counters.connections),
        "dial_failures": read(&counters.dial_failures),
        "dial_timeouts": read(&counters.dial_timeouts),
        "resets": read(&counters.resets),
        "queued": read(&counters.queued),
        "rx_bytes": read(&counters.rx_bytes),
        "tx_bytes": read(&counters.tx_bytes),
        "checks_passed": read(&counters.checks_passed),
        "checks_failed": read(&counters.checks_failed),
        "ejections": read(&counters.ejections),
        "transitions": read(&counters.transitions),
        "connect": summary(&backend.connect_histogram().snapshot()),
        "check": summary(&backend.check_histogram().snapshot()),
        "history": backend
            .history()
            .iter()
            .map(|one| transition(one, unix_offset_ms))
            .collect::<Vec<_>>(),
    })
}

/// The quantiles are upper bounds: those of the buckets that they are in.
fn summary(histogram: &HistogramSnapshot) -> Value {
    let quantile = |part: f64| {
        let rank = (histogram.count as f64 * part).ceil() as u64;
        let bucket = histogram.cumulative.iter().position(|&count| count >= rank);
        bucket
            .filter(|_| histogram.count > 0)
            .map(|n| balance::BUCKETS_US[n])
    };
    json!({
        "count": histogram.count,
        "mean_us": histogram.sum_us.checked_div(histogram.count),
        "p50_us": quantile(0.5),
        "p90_us": quantile(0.9),
        "p99_us": quantile(0.99),
    })
}

fn transition(transition: &Transition, unix_offset_ms: u64) -> Value {
    json!({
        "unix_ms": transition.at_ms + unix_offset_ms,
        "mono_ms": transition.at_ms,
        "from": transition.from.name(),
        "to": transition.to.name(),
        "why": transition.why,
    })
}

#[cfg(test)]
mod tests {
    use balance::Histogram;

    use super::*;

    #[test]
    fn quantiles_are_bounds_of_buckets() {
        let histogram = Histogram::default();
        assert_eq!(summary(&histogram.snapshot())["p50_us"], Value::Null);
        for took_us in [60, 70, 80, 900, 20_000_000] {
            histogram.record(took_us);
        }
        let summary = summary(&histogram.snapshot());
        assert_eq!(
            (&summary["p50_us"], &summary["p99_us"]),
            (&100.into(), &Value::Null)
        );
        assert_eq!(summary["count"], 5);
    }
}
