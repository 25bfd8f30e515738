//! What is counted, as Prometheus reads it.

use super::board::Board;
use super::health::Status;
use super::nodes::{Member, Sent};
use super::state;
use crate::prometheus::Prometheus;

/// Everything in the Prometheus text format.
pub(super) fn prometheus(board: &Board) -> String {
    let mut text = Prometheus::default();
    process(board, &mut text);
    traffic(board, &mut text);
    nodes(board, &mut text);
    text.into_text()
}

fn process(board: &Board, text: &mut Prometheus) {
    let help = "Time since the start.";
    let uptime = board.started.elapsed().as_secs_f64();
    text.single("proxy_statsd_uptime_seconds", "gauge", help, uptime);
    let help = "Whether the management port says that this proxy is up.";
    let up = u8::from(board.says_up());
    text.single("proxy_statsd_health_up", "gauge", help, up);
    let config = board.config();
    let name = "proxy_statsd_reloads_total";
    text.family(name, "counter", "Reloads, by outcome.");
    text.sample(name, &[("outcome", "done")], config.reloads);
    text.sample(name, &[("outcome", "refused")], config.reloads_failed);
}

fn traffic(board: &Board, text: &mut Prometheus) {
    let totals = board.totals();
    let counts = &totals.counts;
    for (name, help, value) in [
        (
            "lines_received_total",
            "Lines that came in.",
            counts.lines_received,
        ),
        (
            "lines_forwarded_total",
            "Lines sent to nodes.",
            counts.lines_forwarded,
        ),
        (
            "lines_malformed_total",
            "Lines among those received that are not statsd.",
            counts.malformed,
        ),
        (
            "lines_mirrored_total",
            "Copies sent to nodes that are down.",
            counts.mirrored,
        ),
        (
            "lines_rerouted_total",
            "Lines given to another node while they waited for one.",
            counts.rerouted,
        ),
        (
            "datagrams_received_total",
            "Datagrams that came in.",
            counts.datagrams_received,
        ),
        (
            "datagrams_empty_total",
            "Datagrams that held nothing.",
            counts.datagrams_empty,
        ),
        (
            "datagrams_truncated_total",
            "Datagrams that were cut off.",
            counts.datagrams_truncated,
        ),
        (
            "datagrams_forwarded_total",
            "Datagrams sent to nodes.",
            counts.datagrams_forwarded,
        ),
        (
            "datagrams_refused_total",
            "Datagrams that a node's host sent back.",
            counts.datagrams_refused,
        ),
        (
            "kernel_drops_total",
            "Datagrams that the kernel dropped at this proxy's sockets.",
            totals.kernel_drops,
        ),
        (
            "bytes_received_total",
            "Bytes that came in.",
            counts.bytes_received,
        ),
        (
            "bytes_forwarded_total",
            "Bytes sent to nodes.",
            counts.bytes_forwarded,
        ),
        (
            "tcp_connections_total",
            "TCP connections accepted.",
            counts.tcp_accepted,
        ),
        (
            "tcp_refused_total",
            "TCP connections refused because too many were open.",
            counts.tcp_refused,
        ),
        (
            "tcp_lines_total",
            "Lines that came in over TCP.",
            counts.tcp_lines,
        ),
    ] {
        text.single(&format!("proxy_statsd_{name}"), "counter", help, value);
    }
    let name = "proxy_statsd_lines_dropped_total";
    text.family(name, "counter", "Lines dropped, by reason.");
    for (reason, count) in state::drops(&totals) {
        text.sample(name, &[("reason", reason)], count);
    }
    let help = "Lines that have come in and neither left nor been dropped.";
    text.single("proxy_statsd_lines_pending", "gauge", help, totals.pending);
    let help = "TCP connections open.";
    let open = state::open(&totals);
    text.single("proxy_statsd_tcp_open", "gauge", help, open);
}

fn nodes(board: &Board, text: &mut Prometheus) {
    type Get = fn(&Sent) -> u64;
    let members = board.members();
    let families: [(&str, &str, &str, Get); 6] = [
        ("lines_total", "counter", "Lines sent to it.", |s| s.lines),
        (
            "mirrored_total",
            "counter",
            "Copies sent to it while it was down.",
            |sent| sent.mirrored,
        ),
        (
            "datagrams_total",
            "counter",
            "Datagrams sent to it.",
            |sent| sent.datagrams,
        ),
        ("bytes_total", "counter", "Bytes sent to it.", |s| s.bytes),
        (
            "refused_total",
            "counter",
            "Datagrams that its host sent back.",
            |sent| sent.refused,
        ),
        (
            "held_lines",
            "gauge",
            "Lines kept until it is back.",
            |sent| sent.held_lines,
        ),
    ];
    for (name, kind, help, get) in families {
        each(text, &members, (name, kind, help), |one| get(&one.sent()));
    }
    let up = ("up", "gauge", "Whether it takes lines.");
    each(text, &members, up, |one| {
        u64::from(one.health.status() == Status::Up)
    });
    let passed = ("checks_passed_total", "counter", "Checks that passed.");
    each(text, &members, passed, |one| one.health.checks().passed);
    let failed = ("checks_failed_total", "counter", "Checks that failed.");
    each(text, &members, failed, |one| one.health.checks().failed);
}

fn each(
    text: &mut Prometheus,
    members: &super::nodes::Members,
    (name, kind, help): (&str, &str, &str),
    get: impl Fn(&Member) -> u64,
) {
    let name = format!("proxy_statsd_node_{name}");
    text.family(&name, kind, help);
    for member in members.iter() {
        text.sample(&name, &[("node", &member.at.name())], get(member));
    }
}
