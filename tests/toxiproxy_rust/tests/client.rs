//! Drives a server of links with `toxiproxy_rust`, unchanged.
//!
//! The server is the executable that `TOXICS` names [default: what `cargo build -p toxics`
//! builds].

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStderr, Command, Stdio};

use toxiproxy_rust::client::Client;
use toxiproxy_rust::proxy::ProxyPack;

const BUILT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../target/debug/toxics-server"
);

struct Server {
    process: Child,
    api: String,
    /// What it logs; open as long as it runs.
    _log: BufReader<ChildStderr>,
}

impl Server {
    fn start() -> Self {
        let executable = std::env::var("TOXICS").unwrap_or_else(|_| BUILT.to_owned());
        let mut command = Command::new(&executable);
        let mut process = command
            .args(["--port", "0"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{executable}: {error}: cargo build -p toxics"));
        let mut log = BufReader::new(process.stderr.take().expect("it is piped"));
        let mut line = String::new();
        log.read_line(&mut line).expect("a line");
        let (_, rest) = line.split_once("the API listens on ").expect(&line);
        let (api, _) = rest.split_once(';').expect("the end of it");
        let api = api.to_owned();
        Self {
            process,
            api,
            _log: log,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Sends a word through a link, and tells what the upstream got of it.
fn through(listen: &str, upstream: &TcpListener) -> String {
    let mut client = TcpStream::connect(listen).expect("a link");
    client.write_all(b"hello").expect("it is sent");
    let (mut server, _) = upstream.accept().expect("a connection");
    drop(client);
    let mut got = String::new();
    let _ = server.read_to_string(&mut got);
    got
}

#[test]
fn the_published_client_works_unchanged() {
    let upstream = TcpListener::bind("127.0.0.1:0").expect("a port");
    let to = upstream.local_addr().expect("bound").to_string();
    let server = Server::start();
    let client = Client::new(server.api.as_str());
    assert!(client.is_running());
    assert!(client.version().expect("it answers").contains("2.12.0"));
    let wanted = |name: &str| ProxyPack::new(name.into(), "127.0.0.1:0".into(), to.clone());
    let made = client
        .populate(vec![wanted("a"), wanted("b")])
        .expect("they are made");
    assert_eq!(made.len(), 2);
    let mut names: Vec<_> = client.all().expect("it answers").into_keys().collect();
    names.sort();
    assert_eq!(names, ["a", "b"]);
    let proxy = client.find_proxy("a").expect("it is there");
    assert!(client.find_proxy("nobody").is_err());
    let listen = proxy.proxy_pack.listen.clone();
    assert_eq!(through(&listen, &upstream), "hello");
    let up = || "upstream".to_owned();
    let limited = proxy.with_limit_data(up(), 3, 1.0);
    assert_eq!(through(&listen, &upstream), "hel");
    limited
        .with_latency("downstream".into(), 10, 5, 0.5)
        .with_bandwidth(up(), 1_000, 1.0)
        .with_slow_close(up(), 1, 1.0)
        .with_slicer(up(), 2, 1, 10, 1.0)
        .with_timeout("downstream".into(), 0, 0.0);
    let toxics = proxy.toxics().expect("it answers");
    let mut kinds: Vec<_> = toxics.iter().map(|toxic| toxic.r#type.as_str()).collect();
    kinds.sort_unstable();
    let expected = [
        "bandwidth",
        "latency",
        "limit_data",
        "slicer",
        "slow_close",
        "timeout",
    ];
    assert_eq!(kinds, expected);
    let latency = toxics
        .iter()
        .find(|toxic| toxic.r#type == "latency")
        .expect("it is there");
    assert_eq!(latency.attributes["jitter"], 5);
    assert!((latency.toxicity - 0.5).abs() < f32::EPSILON);
    proxy
        .apply(|| assert_eq!(through(&listen, &upstream), "hel"))
        .expect("it applies");
    assert!(proxy.toxics().expect("it answers").is_empty());
    proxy
        .with_down(|| assert!(TcpStream::connect(&listen).is_err()))
        .expect("it goes down and up");
    assert_eq!(through(&listen, &upstream), "hello");
    proxy.disable().expect("it answers");
    client.find_and_reset_proxy("a").expect("it answers");
    assert_eq!(through(&listen, &upstream), "hello");
    client.reset().expect("it answers");
    proxy.delete().expect("it answers");
    assert!(client.find_proxy("a").is_err());
}
