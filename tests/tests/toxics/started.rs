//! A server of links that runs.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use serde_json::{Value, json};
use tests::{DEADLINE, Listener, Peer, Program};

/// The executable.
pub(crate) const TOXICS: &str = env!("CARGO_BIN_EXE_test-toxics");

/// A server of links.
pub(crate) struct Toxics {
    pub(crate) program: Program,
    api: String,
}

impl Toxics {
    /// Starts one on a free port, with seed 7.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts one with more arguments, which may be another seed.
    pub(crate) fn start_with(more: &[&str]) -> Self {
        let mut args = vec!["--port", "0"];
        if !more.contains(&"--seed") {
            args.extend(["--seed", "7"]);
        }
        args.extend(more);
        let program = Program::start(TOXICS, &args);
        let api = program.socket("api");
        Self { program, api }
    }

    /// Where its API is.
    pub(crate) fn api(&self) -> &str {
        &self.api
    }

    /// A request as it stands, and the whole answer.
    pub(crate) fn raw(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(&self.api).expect("the API");
        stream.set_read_timeout(Some(DEADLINE)).expect("a socket");
        stream.write_all(request.as_bytes()).expect("it reads");
        // What is cut short must not be waited for.
        stream.shutdown(Shutdown::Write).expect("connected");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        answer
    }

    /// A request: status, head and body of the answer.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &str) -> (u16, String, String) {
        let length = body.len();
        let answer = self.raw(&format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\
             Connection: close\r\n\r\n{body}"
        ));
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        (status.expect("a status"), head.to_owned(), body.to_owned())
    }

    /// A request that succeeds, and what it answers.
    pub(crate) fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, _, text) = self.ask(method, path, &body.to_string());
        assert!(status < 300, "{method} {path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    /// A link to an upstream; tells where it listens.
    pub(crate) fn link(&self, name: &str, upstream: &str) -> String {
        let link = json!({"name": name, "listen": "127.0.0.1:0", "upstream": upstream});
        listen_of(&self.call("POST", "/proxies", &link))
    }

    /// A link for datagrams.
    pub(crate) fn udp_link(&self, name: &str, upstream: &str) -> String {
        let link = json!({"name": name, "upstream": upstream, "protocol": "udp"});
        listen_of(&self.call("POST", "/proxies", &link))
    }

    /// Adds a toxic to a link.
    pub(crate) fn add(&self, link: &str, kind: &str, stream: &str, attributes: &Value) {
        let toxic = json!({"type": kind, "stream": stream, "attributes": attributes});
        self.call("POST", &format!("/proxies/{link}/toxics"), &toxic);
    }

    /// Removes a toxic that has the name of its kind and stream.
    pub(crate) fn remove(&self, link: &str, kind: &str, stream: &str) {
        let path = format!("/proxies/{link}/toxics/{kind}_{stream}");
        self.call("DELETE", &path, &Value::Null);
    }

    /// What a link did.
    pub(crate) fn record(&self, link: &str) -> Value {
        self.call("GET", "/record", &Value::Null)["links"][link].clone()
    }
}

fn listen_of(link: &Value) -> String {
    link["listen"].as_str().expect("an address").to_owned()
}

/// A link, its client and its server, connected.
pub(crate) struct Pair {
    pub(crate) toxics: Toxics,
    pub(crate) listener: Listener,
    pub(crate) listen: String,
}

impl Pair {
    /// A link called "link" to a listener of the test.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with more arguments.
    pub(crate) fn start_with(more: &[&str]) -> Self {
        let toxics = Toxics::start_with(more);
        let listener = Listener::open();
        let listen = toxics.link("link", &listener.addr());
        Self {
            toxics,
            listener,
            listen,
        }
    }

    /// A client, and the server's end of its connection.
    pub(crate) fn connect(&self) -> (Peer, Peer) {
        let client = Peer::connect(&self.listen);
        (client, self.listener.accept())
    }

    /// Adds a toxic.
    pub(crate) fn add(&self, kind: &str, stream: &str, attributes: &Value) {
        self.toxics.add("link", kind, stream, attributes);
    }

    /// Removes a toxic.
    pub(crate) fn remove(&self, kind: &str, stream: &str) {
        self.toxics.remove("link", kind, stream);
    }

    /// A count of the first toxic that the link ever had.
    pub(crate) fn count(&self, what: &str) -> u64 {
        let record = self.toxics.record("link");
        record["toxics"][0][what].as_u64().expect("a count")
    }
}
