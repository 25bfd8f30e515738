//! The text that Prometheus reads.

use std::sync::Arc;

use balance::{BUCKETS_US, Backend, Histogram, Pool};

use super::{failures, open, read};
use crate::plane::PlaneTotals;
use crate::prometheus::Prometheus;
use crate::tcp::board::Board;
use crate::tcp::clock::now_ms;
use crate::tcp::relay::RelayTotals;

/// Everything in the Prometheus text format.
pub(in crate::tcp) fn prometheus(board: &Board) -> String {
    let mut text = Prometheus::default();
    process(board, &mut text);
    connections(&(board.plane)(), &board.relay_totals(), &mut text);
    relay(board, &mut text);
    let view = board.view();
    pools(&view.pools, &mut text);
    backends(&view.pools, &mut text);
    text.into_text()
}

fn process(board: &Board, text: &mut Prometheus) {
    let (view, progress) = (board.view(), board.progress());
    let uptime = board.started.elapsed().as_secs_f64();
    text.single(
        "proxy_tcp_uptime_seconds",
        "gauge",
        "Time since the start.",
        uptime,
    );
    let help = "Number of the configuration in force: goes up with each change.";
    text.single(
        "proxy_tcp_config_generation",
        "gauge",
        help,
        view.generation,
    );
    let name = "proxy_tcp_reloads_total";
    text.family(name, "counter", "Reloads, by outcome.");
    text.sample(name, &[("outcome", "done")], progress.reloads);
    text.sample(name, &[("outcome", "refused")], progress.reloads_failed);
    let help = "Upgrades that failed.";
    text.single(
        "proxy_tcp_upgrades_failed_total",
        "counter",
        help,
        progress.upgrades_failed,
    );
    let help = "Look-ups of names that failed.";
    let failures = read(&board.discovery.failures);
    text.single("proxy_tcp_lookups_failed_total", "counter", help, failures);
    let name = "proxy_tcp_access_log_lines_total";
    text.family(
        name,
        "counter",
        "Lines of the access log, by what became of them.",
    );
    text.sample(name, &[("outcome", "written")], read(&board.log.written));
    text.sample(name, &[("outcome", "dropped")], read(&board.log.dropped));
    text.sample(name, &[("outcome", "failed")], read(&board.log.failed));
}

fn connections(plane: &PlaneTotals, relay: &RelayTotals, text: &mut Prometheus) {
    let help = "Connections accepted.";
    text.single(
        "proxy_tcp_connections_total",
        "counter",
        help,
        plane.accepted,
    );
    let help = "Connections open.";
    text.single("proxy_tcp_connections_open", "gauge", help, open(plane));
    let name = "proxy_tcp_failed_total";
    text.family(
        name,
        "counter",
        "Connections that did not get to a backend or whose TLS failed, by reason.",
    );
    for (reason, count) in failures(plane, relay) {
        text.sample(name, &[("reason", reason)], count);
    }
    let name = "proxy_tcp_ended_early_total";
    text.family(
        name,
        "counter",
        "Connections that got to one and did not end in order.",
    );
    text.sample(name, &[("reason", "idle")], plane.idle_timeout);
    text.sample(
        name,
        &[("reason", "half_closed")],
        plane.half_closed_timeout,
    );
    text.sample(name, &[("reason", "reset")], plane.reset);
    text.sample(name, &[("reason", "by_proxy")], plane.reset_by_mode);
    let name = "proxy_tcp_bytes_total";
    text.family(
        name,
        "counter",
        "Bytes, by side and direction as the proxy sees it.",
    );
    for (side, direction, bytes) in [
        ("client", "in", plane.client_in),
        ("client", "out", plane.client_out),
        ("backend", "in", plane.upstream_in),
        ("backend", "out", plane.upstream_out),
    ] {
        text.sample(name, &[("side", side), ("direction", direction)], bytes);
    }
    let name = "proxy_tcp_pauses_total";
    text.family(name, "counter", "Times that accepting or reading paused.");
    text.sample(name, &[("what", "accept")], plane.accept_paused);
    text.sample(name, &[("what", "read")], plane.read_paused);
    let help = "Connections whose bytes moved within the kernel.";
    text.single("proxy_tcp_bulk_total", "counter", help, plane.bulk);
}

fn relay(board: &Board, text: &mut Prometheus) {
    let totals = board.relay_totals();
    for (family, label, help, counts) in [
        (
            "proxy_tcp_events_total",
            "event",
            "What happened to connections.",
            &totals.counts,
        ),
        (
            "proxy_tcp_bad_proxy_headers_total",
            "reason",
            "PROXY headers that could not be read.",
            &totals.bad_headers,
        ),
        (
            "proxy_tcp_bad_tls_hellos_total",
            "reason",
            "TLS hellos that could not be read.",
            &totals.bad_hellos,
        ),
    ] {
        text.family(family, "counter", help);
        for (name, count) in counts {
            text.sample(family, &[(label, name)], count);
        }
    }
}

fn pools(pools: &[Arc<Pool>], text: &mut Prometheus) {
    type Get = fn(&Pool) -> u64;
    let families: [(&str, &str, &str, Get); 6] = [
        ("waiting", "gauge", "Connections in the queue.", |pool| {
            pool.waiting() as u64
        }),
        (
            "queued_total",
            "counter",
            "Connections that had to queue.",
            |pool| read(&pool.counters().queued),
        ),
        (
            "queue_full_total",
            "counter",
            "Connections that found the queue full.",
            |pool| read(&pool.counters().queue_full),
        ),
        (
            "all_down_total",
            "counter",
            "Choices that found every backend down.",
            |pool| read(&pool.counters().all_down),
        ),
        (
            "all_full_total",
            "counter",
            "Choices that found every backend full.",
            |pool| read(&pool.counters().all_full),
        ),
        (
            "despite_down_total",
            "counter",
            "Choices among backends that are ejected or down, for want of others.",
            |pool| read(&pool.counters().despite_down),
        ),
    ];
    for (name, kind, help, get) in families {
        let name = format!("proxy_tcp_pool_{name}");
        text.family(&name, kind, help);
        for pool in pools {
            text.sample(&name, &[("pool", pool.name())], get(pool));
        }
    }
}

fn backends(pools: &[Arc<Pool>], text: &mut Prometheus) {
    type Get = fn(&Backend) -> u64;
    let families: [(&str, &str, &str, Get); 14] = [
        ("up", "gauge", "Whether it takes connections.", |backend| {
            backend.status(now_ms()).takes_connections().into()
        }),
        (
            "active",
            "gauge",
            "Connections open or being dialled.",
            |backend| backend.active().into(),
        ),
        ("weight", "gauge", "Its weight.", |backend| {
            backend.weight().into()
        }),
        ("connections_total", "counter", "Connections.", |b| {
            read(&b.counters().connections)
        }),
        (
            "dial_failures_total",
            "counter",
            "Dials that failed.",
            |b| read(&b.counters().dial_failures),
        ),
        (
            "dial_timeouts_total",
            "counter",
            "Those that timed out.",
            |b| read(&b.counters().dial_timeouts),
        ),
        (
            "resets_total",
            "counter",
            "Connections that it reset.",
            |b| read(&b.counters().resets),
        ),
        (
            "queued_total",
            "counter",
            "Connections that came from the queue.",
            |b| read(&b.counters().queued),
        ),
        (
            "rx_bytes_total",
            "counter",
            "Bytes received from it.",
            |b| read(&b.counters().rx_bytes),
        ),
        ("tx_bytes_total", "counter", "Bytes sent to it.", |b| {
            read(&b.counters().tx_bytes)
        }),
        (
            "checks_passed_total",
            "counter",
            "Checks that passed.",
            |b| read(&b.counters().checks_passed),
        ),
        (
            "checks_failed_total",
            "counter",
            "Checks that failed.",
            |b| read(&b.counters().checks_failed),
        ),
        (
            "ejections_total",
            "counter",
            "Times that it was ejected.",
            |b| read(&b.counters().ejections),
        ),
        (
            "transitions_total",
            "counter",
            "Changes of its status.",
            |b| read(&b.counters().transitions),
        ),
    ];
    let all = || {
        let members = |pool: &'_ Arc<Pool>| pool.backends().to_vec();
        pools.iter().flat_map(move |pool| {
            members(pool)
                .into_iter()
                .map(move |backend| (pool.name(), backend))
        })
    };
    for (name, kind, help, get) in families {
        let name = format!("proxy_tcp_backend_{name}");
        text.family(&name, kind, help);
        for (pool, backend) in all() {
            text.sample(
                &name,
                &[("pool", pool), ("backend", backend.name())],
                get(&backend),
            );
        }
    }
    let name = "proxy_tcp_backend_status";
    text.family(name, "gauge", "1 for what it is.");
    for (pool, backend) in all() {
        let status = backend.status(now_ms());
        let labels = [
            ("pool", pool),
            ("backend", backend.name()),
            ("status", status.name()),
        ];
        text.sample(name, &labels, 1);
    }
    for (name, help, get) in [
        (
            "proxy_tcp_backend_connect_seconds",
            "Time that successful dials took.",
            Backend::connect_histogram as fn(&Backend) -> &Histogram,
        ),
        (
            "proxy_tcp_backend_check_seconds",
            "Time that checks took.",
            Backend::check_histogram,
        ),
    ] {
        text.family(name, "histogram", help);
        for (pool, backend) in all() {
            let labels = [("pool", pool), ("backend", backend.name())];
            histogram(name, labels, get(&backend), text);
        }
    }
}

fn histogram(name: &str, labels: [(&str, &str); 2], values: &Histogram, text: &mut Prometheus) {
    let values = values.snapshot();
    let bucket = format!("{name}_bucket");
    let [pool, backend] = labels;
    for (bound_us, count) in BUCKETS_US.iter().zip(values.cumulative) {
        let bound = (*bound_us as f64 / 1e6).to_string();
        text.sample(&bucket, &[pool, backend, ("le", &bound)], count);
    }
    text.sample(&bucket, &[pool, backend, ("le", "+Inf")], values.count);
    text.sample(&format!("{name}_sum"), &labels, values.sum_us as f64 / 1e6);
    text.sample(&format!("{name}_count"), &labels, values.count);
}
