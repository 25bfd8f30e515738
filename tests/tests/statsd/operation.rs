//! Signals, metrics, threads, sockets.

use std::net::UdpSocket;

use rustix::process::Signal;
use serde_json::Value;

use crate::node::Node;
use crate::started::{PROXY, Proxy, count, keys, lawful};

#[test]
fn statistics_are_printed_on_demand() {
    let node = Node::start();
    let proxy = Proxy::before(&[&node], &[]);
    proxy.send("a:1|c");
    proxy.accounted(1);
    let line = proxy
        .program
        .line_after(|program| program.signal(Signal::USR1));
    let statistics: Value = serde_json::from_str(&line).expect("JSON");
    lawful(&statistics);
    assert_eq!(count(&statistics["lines"]["received"]), 1);
    assert_eq!(statistics["nodes"][0]["status"], "up");
}

#[test]
fn when_told_to_end_it_sends_everything_first() {
    let node = Node::start();
    let mut proxy = Proxy::before(&[&node], &["--flush", "1h"]);
    for key in keys(20) {
        proxy.send(format!("{key}:1|c"));
    }
    proxy.state_when("lines to come in", |state| {
        count(&state["lines"]["received"]) == 20
    });
    proxy.program.signal(Signal::TERM);
    assert!(
        proxy.program.wait().success(),
        "{}",
        proxy.program.describe()
    );
    node.lines_when(20);
    let last = proxy.program.stdout();
    let last: Value = serde_json::from_str(last.lines().last().expect("statistics")).expect("JSON");
    lawful(&last);
    assert_eq!(count(&last["lines"]["forwarded"]), 20);
    assert_eq!(count(&last["lines"]["pending"]), 0);
}

#[test]
fn it_ends_while_management_clients_stay() {
    let node = Node::start();
    let mut proxy = Proxy::before(&[&node], &[]);
    let _silent: Vec<_> = (0..10).map(|_| proxy.manager()).collect();
    proxy.program.signal(Signal::TERM);
    assert!(proxy.program.wait().success());
}

#[test]
fn metrics_are_there_for_prometheus() {
    let node = Node::start();
    let proxy = Proxy::before(&[&node], &[]);
    proxy.send("a:1|c");
    proxy.accounted(1);
    let (head, body) = tests::admin::http(&proxy.program.socket("admin"), "GET /metrics HTTP/1.1");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let name = node.name();
    for line in [
        "proxy_statsd_lines_received_total 1".to_owned(),
        "proxy_statsd_lines_forwarded_total 1".to_owned(),
        "proxy_statsd_lines_dropped_total{reason=\"no_node\"} 0".to_owned(),
        "proxy_statsd_lines_pending 0".to_owned(),
        "proxy_statsd_kernel_drops_total 0".to_owned(),
        format!("proxy_statsd_node_up{{node=\"{name}\"}} 1"),
        format!("proxy_statsd_node_lines_total{{node=\"{name}\"}} 1"),
    ] {
        assert!(body.lines().any(|one| one == line), "{line}: {body}");
    }
    // Each family is declared once, and each sample belongs to one.
    let declared: Vec<_> = body
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .map(|line| line.split(' ').next().expect("a name"))
        .collect();
    let unique: std::collections::HashSet<_> = declared.iter().collect();
    assert_eq!(unique.len(), declared.len());
    for line in body.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().expect("a name");
        assert!(declared.contains(&name), "{line}");
    }
}

#[test]
fn several_threads_share_the_port() {
    let node = Node::start();
    let proxy = Proxy::before(&[&node], &["--threads", "4"]);
    let to = proxy.program.socket("listen");
    for nth in 0..40 {
        let sender = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let line = format!("a:{nth}|g");
        sender.send_to(line.as_bytes(), &to).expect("loopback");
    }
    proxy.accounted(40);
    node.lines_when(40);
    // And nobody else gets it, by accident or not.
    let mut second = std::process::Command::new(PROXY);
    second.args(["statsd", "--listen", &to, "--management", "127.0.0.1:0"]);
    let output = second
        .args(["--node", &node.name()])
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        stderr.contains(&to) && stderr.contains("in use"),
        "{stderr}"
    );
}

#[test]
fn ipv6_works_on_both_sides() {
    // A kernel without it has nothing to test.
    let Ok(sink) = UdpSocket::bind("[::1]:0") else {
        eprintln!("SKIPPED: no IPv6 here");
        return;
    };
    sink.set_read_timeout(Some(tests::DEADLINE))
        .expect("a socket");
    let name = sink.local_addr().expect("bound").to_string();
    let program = tests::Program::start(
        PROXY,
        &[
            "statsd",
            "--listen",
            "[::1]:0",
            "--management",
            "[::1]:0",
            "--node",
            &name,
        ],
    );
    let client = UdpSocket::bind("[::1]:0").expect("a free port");
    client
        .send_to(b"a:1|c", program.socket("listen"))
        .expect("loopback");
    let mut buffer = [0; 100];
    let len = sink.recv(&mut buffer).expect("the line");
    assert_eq!(&buffer[..len], b"a:1|c");
}
