//! A balancer that runs, with an admin endpoint.

use serde_json::Value;
pub(crate) use tests::admin::{http, state, state_at, state_when};
use tests::{Peer, Program};

/// The proxy.
pub(crate) const PROXY: &str = env!("CARGO_BIN_EXE_test-proxy");

/// Arguments that every balancer here is started with: free ports.
pub(crate) const FREE_PORTS: [&str; 5] =
    ["tcp", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];

/// Starts a balancer with these arguments.
pub(crate) fn start(more: &[&str]) -> Program {
    Program::start(PROXY, &[&FREE_PORTS, more].concat())
}

/// A client of a balancer.
pub(crate) fn connect(proxy: &Program) -> Peer {
    Peer::connect(&proxy.socket("listen"))
}

/// A backend of the first pool, by its name.
pub(crate) fn backend<'a>(state: &'a Value, name: &str) -> &'a Value {
    let backends = state["pools"][0]["backends"].as_array().expect("a list");
    let found = backends.iter().find(|backend| backend["name"] == name);
    found.unwrap_or_else(|| panic!("no backend {name}: {state:#}"))
}

/// Waits until a backend has this status.
pub(crate) fn status_becomes(proxy: &Program, name: &str, status: &str) -> Value {
    state_when(proxy, &format!("{name} to be {status}"), |state| {
        backend(state, name)["status"] == status
    })
}

/// An order: the answer's status line and body.
pub(crate) fn post(proxy: &Program, path: &str) -> (String, String) {
    http(&proxy.socket("admin"), &format!("POST {path} HTTP/1.1"))
}
