//! What programs tell over their admin endpoints.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;

use crate::{DEADLINE, Program, eventually};

/// Everything that a program knows of itself.
#[must_use]
pub fn state(program: &Program) -> Value {
    state_at(&program.socket("admin"))
}

/// The same, by address.
#[must_use]
pub fn state_at(admin: &str) -> Value {
    let (head, body) = http(admin, "GET /state HTTP/1.1");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    serde_json::from_str(&body).expect("JSON")
}

/// Waits until the state is as wanted.
pub fn state_when(program: &Program, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    eventually(what, || Some(state(program)).filter(|state| wanted(state)))
}

/// A plain HTTP request, as `curl` would send it: the answer's head and body.
#[must_use]
pub fn http(addr: &str, request: &str) -> (String, String) {
    let mut stream = TcpStream::connect(addr).expect("the admin endpoint");
    stream.set_read_timeout(Some(DEADLINE)).expect("a socket");
    let head = format!("{request}\r\nHost: test\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    (head.to_owned(), body.to_owned())
}
