//! A balancer that runs, with an admin endpoint.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;
use tests::{DEADLINE, Peer, Program, eventually};

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

/// Everything that a balancer knows of itself.
pub(crate) fn state(proxy: &Program) -> Value {
    state_at(&proxy.socket("admin"))
}

/// The same, by address.
pub(crate) fn state_at(admin: &str) -> Value {
    let (head, body) = http(admin, "GET /state HTTP/1.1");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    serde_json::from_str(&body).expect("JSON")
}

/// Waits until the state is as wanted.
pub(crate) fn state_when(proxy: &Program, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    eventually(what, || Some(state(proxy)).filter(|state| wanted(state)))
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

/// A plain HTTP request, as `curl` would send it: the answer's head and body.
pub(crate) fn http(addr: &str, request: &str) -> (String, String) {
    let mut stream = TcpStream::connect(addr).expect("the admin endpoint");
    stream.set_read_timeout(Some(DEADLINE)).expect("a socket");
    let head = format!("{request}\r\nHost: test\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    (head.to_owned(), body.to_owned())
}
