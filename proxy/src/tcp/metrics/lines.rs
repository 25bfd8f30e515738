//! The lines that SIGUSR1 prints.

use std::collections::BTreeMap;

use super::{errors, failures, open, read};
use crate::tcp::board::Board;
use crate::tcp::clock::now_ms;

/// Everything as `name: value`, a line each, sorted. The names begin with those that the
/// balancer's users have always read.
pub(in crate::tcp) fn lines(board: &Board) -> String {
    let (plane, relay) = ((board.plane)(), board.relay_totals());
    let mut lines: BTreeMap<String, String> = BTreeMap::new();
    let mut put = |name: String, value: &dyn std::fmt::Display| {
        lines.insert(name, value.to_string());
    };
    put("requests".to_owned(), &plane.accepted);
    put("errors".to_owned(), &errors(&plane, &relay));
    put("frontend.io.rx".to_owned(), &plane.client_in);
    put("frontend.io.tx".to_owned(), &plane.client_out);
    put("frontend.active_connections".to_owned(), &open(&plane));
    for (reason, count) in failures(&plane, &relay) {
        put(format!("errors.{reason}"), &count);
    }
    for (name, count) in &relay.counts {
        put(format!("relay.{name}"), count);
    }
    for (position, pool) in board.view().pools.iter().enumerate() {
        // Other pools may have backends of the same name.
        let prefix = match position {
            0 => String::new(),
            _ => format!("pool.{}.", pool.name()),
        };
        put(format!("{prefix}queue.waiting"), &pool.waiting());
        for backend in pool.backends() {
            let name = format!("{prefix}backend.{}", backend.name());
            let counters = backend.counters();
            let status = backend.status(now_ms());
            let state = if status.takes_connections() {
                "HEALTHY"
            } else {
                "UNHEALTHY"
            };
            put(format!("{name}.active_connections"), &backend.active());
            put(format!("{name}.state"), &state);
            put(format!("{name}.status"), &status);
            put(format!("{name}.io.rx"), &read(&counters.rx_bytes));
            put(format!("{name}.io.tx"), &read(&counters.tx_bytes));
            put(format!("{name}.connections"), &read(&counters.connections));
            put(
                format!("{name}.dial_failures"),
                &read(&counters.dial_failures),
            );
            put(format!("{name}.resets"), &read(&counters.resets));
            put(format!("{name}.ejections"), &read(&counters.ejections));
        }
    }
    let lines: Vec<_> = lines
        .into_iter()
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    lines.join("\n")
}
