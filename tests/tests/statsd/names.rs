//! Nodes given by name.

use std::net::Ipv4Addr;

use tests::dns::{Answer, NameServer, UNKNOWN};

use crate::node::{Node, own_ip};
use crate::started::{OFTEN, Proxy, history, node_of};

/// A node's address, and how it is called with a name in its place.
fn named(node: &Node) -> (Ipv4Addr, String, String) {
    let text = node.with_admin();
    let (ip, ports) = text.split_once(':').expect("an address and ports");
    let named = format!("metrics.test:{ports}");
    let name = format!("metrics.test:{}", node.port());
    (ip.parse().expect("an address"), name, named)
}

#[test]
fn a_node_that_is_not_found_at_the_start_is_found_later() {
    let (node, other) = (Node::start(), Node::start());
    let (ip, name, at) = named(&node);
    let dns = NameServer::start(UNKNOWN);
    let other_at = other.with_admin();
    let args = ["--resolver", dns.addr(), "--node", &at, "--node", &other_at];
    let proxy = Proxy::start(&[&args[..], &OFTEN].concat());
    proxy.program.expect_log("cannot resolve metrics.test");
    let state = proxy.state();
    assert_eq!(node_of(&state, &name)["status"], "down", "{state:#}");
    assert_eq!(node_of(&state, &name)["address"], serde_json::Value::Null);
    for nth in 0..20 {
        proxy.send(format!("k{nth}:1|c"));
    }
    proxy.accounted(20);
    other.lines_when(20);
    dns.set(Answer::Addresses(vec![ip]));
    let state = proxy.state_when("the node to be up", |state| {
        node_of(state, &name)["status"] == "up"
    });
    assert_eq!(
        history(&state, &name),
        ["down", "unknown", "up"],
        "{state:#}"
    );
    for nth in 0..20 {
        proxy.send(format!("k{nth}:2|c"));
    }
    let state = proxy.accounted(40);
    // Its place on the ring is that of its name.
    assert_eq!(node_of(&state, &name)["address"], node.name());
    assert!(!node.lines().is_empty() && other.lines().len() < 40);
}

#[test]
fn what_is_kept_for_a_node_follows_its_name() {
    let mut node = Node::at(own_ip());
    let (ip, name, at) = named(&node);
    node.kill();
    let dns = NameServer::start(UNKNOWN);
    let args = ["--resolver", dns.addr(), "--node", &at, "--remap", "hold"];
    let proxy = Proxy::start(&[&args[..], &OFTEN].concat());
    proxy.send("a:1|c\na:2|c");
    let state = proxy.accounted(2);
    assert_eq!(node_of(&state, &name)["held_lines"], 2, "{state:#}");
    node.restart();
    dns.set(Answer::Addresses(vec![ip]));
    assert_eq!(node.lines_when(2), ["a:1|c", "a:2|c"]);
    proxy.accounted(2);
}

#[test]
fn no_copy_is_sent_to_a_node_that_is_not_found() {
    let node = Node::start();
    let dns = NameServer::start(UNKNOWN);
    let at = node.with_admin();
    let args = ["--resolver", dns.addr(), "--node", "nowhere.test:8125:8126"];
    let proxy = Proxy::start(&[&args[..], &["--node", &at, "--remap", "mirror"]].concat());
    for nth in 0..20 {
        proxy.send(format!("k{nth}:1|c"));
    }
    let state = proxy.accounted(20);
    node.lines_when(20);
    assert_eq!(state["lines"]["mirrored"], 0, "{state:#}");
    assert_eq!(state["datagrams"]["refused"], 0, "{state:#}");
}
