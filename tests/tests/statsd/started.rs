//! A proxy that runs in front of nodes that the test plays.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream, UdpSocket};
use std::path::PathBuf;

use serde_json::Value;
use tempfile::TempDir;
use tests::admin::state_when;
use tests::{DEADLINE, Program};

use crate::node::Node;

/// The proxy.
pub(crate) const PROXY: &str = env!("CARGO_BIN_EXE_test-proxy");

/// Checks so often that a test need not wait.
pub(crate) const OFTEN: [&str; 2] = ["--check-interval", "20ms"];

/// Arguments that every proxy here is started with: free ports.
const FREE_PORTS: [&str; 7] = [
    "statsd",
    "--listen",
    "127.0.0.1:0",
    "--management",
    "127.0.0.1:0",
    "--admin",
    "127.0.0.1:0",
];

/// A proxy, and a client of it.
pub(crate) struct Proxy {
    pub(crate) program: Program,
    client: UdpSocket,
}

impl Proxy {
    /// Starts one with these arguments.
    pub(crate) fn start(more: &[&str]) -> Self {
        Self::of(Program::start(PROXY, &[&FREE_PORTS, more].concat()))
    }

    /// Starts one in front of these nodes.
    pub(crate) fn before(nodes: &[&Node], more: &[&str]) -> Self {
        let nodes: Vec<_> = nodes.iter().map(|node| node.with_admin()).collect();
        let mut args: Vec<&str> = more.to_vec();
        for node in &nodes {
            args.extend(["--node", node]);
        }
        Self::start(&args)
    }

    /// One that runs.
    pub(crate) fn of(program: Program) -> Self {
        let client = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        Self { program, client }
    }

    /// Sends it a datagram.
    pub(crate) fn send(&self, datagram: impl AsRef<[u8]>) {
        let to = self.program.socket("listen");
        let sent = self.client.send_to(datagram.as_ref(), to);
        assert_eq!(sent.expect("loopback"), datagram.as_ref().len());
    }

    /// What the management port says to this, which may be several lines, up to the end.
    pub(crate) fn manage(&self, commands: impl AsRef<[u8]>) -> String {
        let mut stream = self.manager();
        stream.write_all(commands.as_ref()).expect("it reads");
        stream.shutdown(Shutdown::Write).expect("connected");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        answer
    }

    /// A connection to the management port.
    pub(crate) fn manager(&self) -> TcpStream {
        let stream = TcpStream::connect(self.program.socket("management"));
        let stream = stream.expect("the management port");
        stream.set_read_timeout(Some(DEADLINE)).expect("a socket");
        stream
    }

    /// Everything that it knows of itself.
    pub(crate) fn state(&self) -> Value {
        tests::admin::state(&self.program)
    }

    /// Waits until the state is as wanted.
    pub(crate) fn state_when(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        state_when(&self.program, what, wanted)
    }

    /// Waits until a node has this status.
    pub(crate) fn status_becomes(&self, node: &Node, status: &str) -> Value {
        let name = node.name();
        self.state_when(&format!("{name} to be {status}"), |state| {
            node_of(state, &name)["status"] == status
        })
    }

    /// Waits until so many lines have come in and each has left, is kept, or was dropped,
    /// and none is between. A worker tells what waits at the end of each turn, so the law
    /// holds whenever there is nothing to do.
    pub(crate) fn accounted(&self, received: u64) -> Value {
        let what = format!("all of {received} lines to be accounted for");
        self.state_when(&what, |state| {
            let lines = &state["lines"];
            let done = count(&lines["received"]) >= received;
            assert!(count(&lines["received"]) <= received, "{state:#}");
            done && count(&lines["pending"]) == held(state) && is_lawful(state)
        })
    }
}

/// The law: what came in has left, was dropped for a reason, or is still there.
pub(crate) fn lawful(state: &Value) {
    let (came, went) = sides(state);
    assert_eq!(came, went, "{state:#}");
}

/// Whether it holds at this moment.
pub(crate) fn is_lawful(state: &Value) -> bool {
    let (came, went) = sides(state);
    came == went
}

/// Both sides of it.
fn sides(state: &Value) -> (u64, u64) {
    let lines = &state["lines"];
    let dropped = lines["dropped"].as_object().expect("by reason");
    let dropped: u64 = dropped.values().map(count).sum();
    let went = count(&lines["forwarded"]) + dropped + count(&lines["pending"]);
    (count(&lines["received"]), went)
}

/// Lines that are kept for nodes.
pub(crate) fn held(state: &Value) -> u64 {
    let nodes = state["nodes"].as_array().expect("a list");
    nodes.iter().map(|node| count(&node["held_lines"])).sum()
}

/// A number.
pub(crate) fn count(value: &Value) -> u64 {
    value
        .as_u64()
        .unwrap_or_else(|| panic!("no count: {value:#}"))
}

/// A node, by its name.
pub(crate) fn node_of<'a>(state: &'a Value, name: &str) -> &'a Value {
    let nodes = state["nodes"].as_array().expect("a list");
    let found = nodes.iter().find(|node| node["name"] == name);
    found.unwrap_or_else(|| panic!("no node {name}: {state:#}"))
}

/// What a node has become, in order.
pub(crate) fn history(state: &Value, name: &str) -> Vec<String> {
    let history = node_of(state, name)["history"].as_array().expect("a list");
    let to = |one: &Value| one["to"].as_str().expect("a status").to_owned();
    history.iter().map(to).collect()
}

/// A configuration in a directory of its own.
pub(crate) struct Config {
    directory: TempDir,
}

impl Config {
    pub(crate) fn new(text: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let config = Self { directory };
        config.write(text);
        config
    }

    /// One of these nodes, and what else it says.
    pub(crate) fn of(nodes: &[&Node], more: &str) -> Self {
        Self::new(&text_of(nodes, more))
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("config.js")
    }

    /// As a careful editor does: all at once.
    pub(crate) fn write(&self, text: &str) {
        let draft = self.directory.path().join("draft");
        std::fs::write(&draft, text).expect("a file");
        std::fs::rename(draft, self.path()).expect("a file");
    }

    pub(crate) fn start(&self, more: &[&str]) -> Proxy {
        let path = self.path();
        let path = path.to_str().expect("a plain path");
        Proxy::start(&[&["-f", path], more].concat())
    }
}

/// A configuration of these nodes, and what else it says.
pub(crate) fn text_of(nodes: &[&Node], more: &str) -> String {
    let nodes: Vec<_> = nodes.iter().map(|node| node.json()).collect();
    format!("{{\n\"nodes\": [{}],\n{more}\n}}", nodes.join(", "))
}

/// The node of each key, as `proxy statsd route` tells it.
pub(crate) fn routes(nodes: &[&Node], keys: &[String]) -> Vec<String> {
    let mut command = std::process::Command::new(PROXY);
    command.args(["statsd", "route", "--json"]);
    for node in nodes {
        command.args(["--node", &node.name()]);
    }
    let output = command.args(keys).output().expect("it runs");
    assert!(output.status.success(), "{output:?}");
    let routes: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let of = |key: &String| {
        let all = routes["keys"].as_array().expect("a list");
        let found = all.iter().find(|one| one["key"] == key.as_str());
        found.expect("every key")["node"]
            .as_str()
            .expect("a name")
            .to_owned()
    };
    keys.iter().map(of).collect()
}

/// Keys that are spread over nodes.
pub(crate) fn keys(count: usize) -> Vec<String> {
    (0..count).map(|nth| format!("app.key.{nth}")).collect()
}
