//! All that is known, as JSON: `/state`, and in short for SIGUSR1.

use serde_json::{Map, Value, json};

use super::board::Board;
use super::nodes::Member;
use super::worker::Totals;

/// Why lines were dropped, and how many.
pub(super) fn drops(totals: &Totals) -> [(&'static str, u64); 7] {
    let counts = &totals.counts;
    [
        ("no_node", counts.dropped_no_node),
        ("node_down", counts.dropped_node_down),
        ("malformed", counts.dropped_malformed),
        ("too_long", counts.dropped_too_long),
        ("queue_full", counts.dropped_queue_full),
        ("hold_full", counts.dropped_hold_full),
        ("send_error", counts.dropped_send_error),
    ]
}

/// TCP connections that are open.
pub(super) fn open(totals: &Totals) -> u64 {
    let counts = &totals.counts;
    counts.tcp_accepted.saturating_sub(counts.tcp_closed)
}

/// The state at this moment.
pub(super) fn json(board: &Board) -> String {
    let mut state = state(board, &whole);
    let sockets: Map<String, Value> = board
        .sockets
        .iter()
        .map(|(role, at)| ((*role).to_owned(), at.clone().into()))
        .collect();
    state["sockets"] = sockets.into();
    state["config"] = json!(board.config());
    format!("{state}\n")
}

/// The counters on one line, without histories.
pub(super) fn line(board: &Board) -> String {
    state(board, &short).to_string()
}

fn state(board: &Board, node: &dyn Fn(&Member) -> Value) -> Value {
    let totals = board.totals();
    let counts = &totals.counts;
    let drops: Map<String, Value> = drops(&totals)
        .into_iter()
        .map(|(reason, count)| (reason.to_owned(), count.into()))
        .collect();
    let nodes: Vec<Value> = board.members().iter().map(node).collect();
    json!({
        "mode": "statsd",
        "version": env!("CARGO_PKG_VERSION"),
        "pid": std::process::id(),
        "uptime_s": (board.started.elapsed().as_secs_f64() * 1_000.0).round() / 1_000.0,
        "health": if board.says_up() { "up" } else { "down" },
        "lines": {
            "received": counts.lines_received,
            "forwarded": counts.lines_forwarded,
            "dropped": drops,
            "pending": totals.pending,
            "malformed": counts.malformed,
            "mirrored": counts.mirrored,
            "rerouted": counts.rerouted,
        },
        "datagrams": {
            "received": counts.datagrams_received,
            "empty": counts.datagrams_empty,
            "forwarded": counts.datagrams_forwarded,
            "truncated": counts.datagrams_truncated,
            "refused": counts.datagrams_refused,
        },
        "bytes": { "received": counts.bytes_received, "forwarded": counts.bytes_forwarded },
        "kernel_drops": totals.kernel_drops,
        "tcp": {
            "connections": counts.tcp_accepted,
            "open": open(&totals),
            "refused": counts.tcp_refused,
            "lines": counts.tcp_lines,
        },
        "nodes": nodes,
    })
}

fn short(member: &Member) -> Value {
    let sent = member.sent();
    json!({
        "name": member.at.name(),
        "status": member.health.status(),
        "lines": sent.lines,
        "held_lines": sent.held_lines,
    })
}

fn whole(member: &Member) -> Value {
    let sent = member.sent();
    json!({
        "name": member.at.name(),
        "address": member.addr().map(|addr| addr.to_string()),
        "admin": member.admin().map(|admin| admin.to_string()),
        "status": member.health.status(),
        "lines": sent.lines,
        "mirrored": sent.mirrored,
        "datagrams": sent.datagrams,
        "bytes": sent.bytes,
        "refused": sent.refused,
        "held_lines": sent.held_lines,
        "checks": member.health.checks(),
        "history": member.health.history().collect::<Vec<_>>(),
    })
}
