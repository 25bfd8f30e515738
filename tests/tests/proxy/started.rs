//! A proxy that runs, with an admin endpoint and a server that the test plays.

use std::io::{Read, Write};
use std::net::TcpStream;

use tests::{DEADLINE, Listener, Peer, Program};

/// The proxy.
pub(crate) const PROXY: &str = env!("CARGO_BIN_EXE_test-proxy");

/// What must hold holds on both.
pub(crate) const DRIVERS: [&str; 2] = ["io_uring", "epoll"];

/// Arguments of a proxy on free ports.
pub(crate) fn args<'a>(driver: &'a str, forward: &'a str) -> Vec<&'a str> {
    let mut args = vec!["foo", "--listen", "127.0.0.1:0", "--forward", forward];
    args.extend(["--driver", driver, "--admin", "127.0.0.1:0"]);
    args
}

/// Starts a proxy in front of a server that the test plays.
pub(crate) fn start(driver: &str, more: &[&str]) -> (Program, Listener) {
    let server = Listener::open();
    let proxy = start_before(driver, &server.addr(), more);
    (proxy, server)
}

/// Starts a proxy in front of a server at this address.
pub(crate) fn start_before(driver: &str, forward: &str, more: &[&str]) -> Program {
    Program::start(PROXY, &[&args(driver, forward)[..], more].concat())
}

/// A plain HTTP request, as `curl` would send it: the answer's head and body.
pub(crate) fn http(addr: &str, request: &str) -> (String, String) {
    let mut stream = TcpStream::connect(addr).expect("the admin endpoint");
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    write!(
        stream,
        "{request}\r\nHost: test\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    (head.to_owned(), body.to_owned())
}

/// The statistics as they are now.
pub(crate) fn stats(proxy: &Program) -> serde_json::Value {
    let (_, body) = http(&proxy.socket("admin"), "GET /stats HTTP/1.1");
    serde_json::from_str(&body).expect("JSON")
}

/// Whether this proxy has ever stopped to read, because what it read was not taken.
pub(crate) fn has_paused_reading(proxy: &Program) -> bool {
    stats(proxy)["pauses"]["read"].as_u64() > Some(0)
}

/// One request and its answer.
pub(crate) fn exchange(client: &mut Peer, upstream: &mut Peer) {
    client.send("REQ 1 a\n");
    upstream.expect("REQ 1 a\n");
    upstream.send("ACK 1 b\n");
    client.expect("ACK 1 b\n");
}
