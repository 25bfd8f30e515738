//! How nodes are found to be up and down.

use crate::node::{Node, Says};
use crate::started::{OFTEN, Proxy, count, history, keys, node_of, routes};

#[test]
fn nodes_are_checked_before_the_first_line() {
    let (a, mut b) = (Node::start(), Node::start());
    b.kill();
    let proxy = Proxy::before(&[&a, &b], &[]);
    proxy
        .program
        .expect_log(&format!("node {} is down", b.name()));
    let state = proxy.state();
    assert_eq!(node_of(&state, &a.name())["status"], "up", "{state:#}");
    assert_eq!(node_of(&state, &b.name())["status"], "down", "{state:#}");
    for key in keys(50) {
        proxy.send(format!("{key}:1|c"));
    }
    proxy.accounted(50);
    assert_eq!(a.lines_when(50).len(), 50);
}

#[test]
fn silence_and_a_door_slammed_are_failures() {
    let node = Node::start();
    let other = Node::start();
    let proxy = Proxy::before(
        &[&node, &other],
        &[&OFTEN[..], &["--check-timeout", "300ms"]].concat(),
    );
    let mut expected = vec!["up"];
    for (says, why) in [
        (Says::Nothing, "no answer after 300ms"),
        (Says::Closes, ""),
        (Says::Down, "health: down"),
    ] {
        node.say(says);
        let state = proxy.status_becomes(&node, "down");
        let history = node_of(&state, &node.name())["history"].as_array().unwrap();
        let last = history.last().unwrap();
        assert!(last["why"].as_str().unwrap().contains(why), "{state:#}");
        assert!(last["unix_ms"].as_u64() > Some(1_600_000_000_000));
        assert_eq!(last["from"], "up");
        node.say(Says::Up);
        proxy.status_becomes(&node, "up");
        expected.extend(["down", "up"]);
    }
    let state = proxy.state();
    assert_eq!(history(&state, &node.name()), expected, "{state:#}");
    let checks = &node_of(&state, &node.name())["checks"];
    assert!(count(&checks["failed"]) >= 3 && count(&checks["passed"]) >= 4);
    assert_eq!(history(&state, &other.name()), ["up"]);
}

#[test]
fn it_takes_as_many_checks_in_a_row_as_were_asked_for() {
    let node = Node::start();
    let rules = ["--rise", "3", "--fall", "2"];
    let proxy = Proxy::before(&[&node], &[&OFTEN[..], &rules].concat());
    node.say(Says::Down);
    proxy.status_becomes(&node, "down");
    node.say(Says::Up);
    let state = proxy.status_becomes(&node, "up");
    let history = node_of(&state, &node.name())["history"].as_array().unwrap();
    let why: Vec<_> = history
        .iter()
        .map(|one| one["why"].as_str().unwrap())
        .collect();
    assert!(why[1].starts_with("2 checks in a row failed"), "{why:?}");
    assert_eq!(why[2], "3 checks in a row passed");
}

#[test]
fn a_refused_datagram_marks_a_node_at_once() {
    let (mut a, b) = (Node::start(), Node::start());
    // No check comes in the time of this test.
    let proxy = Proxy::before(&[&a, &b], &["--check-interval", "1h"]);
    let keys = keys(100);
    let home = routes(&[&a, &b], &keys);
    let of_a: Vec<_> = keys
        .iter()
        .zip(&home)
        .filter(|(_, node)| **node == a.name())
        .map(|(key, _)| key)
        .collect();
    a.close();
    proxy.send(format!("{}:1|c", of_a[0]));
    let state = proxy.status_becomes(&a, "down");
    let node = node_of(&state, &a.name());
    assert_eq!(count(&node["refused"]), 1, "{state:#}");
    let why = node["history"][1]["why"].as_str().unwrap();
    assert!(why.contains("refuses"), "{why}");
    assert!(
        proxy
            .manage("status\n")
            .ends_with(&format!("\nnodes: {}\n", b.name()))
    );
    for key in &keys {
        proxy.send(format!("{key}:2|c"));
    }
    proxy.accounted(101);
    b.lines_when(100);
}

#[test]
fn a_node_that_says_up_and_refuses_lines_is_believed_less_each_time() {
    let (mut a, b) = (Node::start(), Node::start());
    let proxy = Proxy::before(&[&a, &b], &OFTEN);
    a.close();
    // Some of these are for the one that refuses, whenever it is taken for up.
    let keys = keys(30);
    let whys = |state: &serde_json::Value| -> Vec<String> {
        let history = node_of(state, &a.name())["history"].as_array().unwrap();
        let why = |one: &serde_json::Value| one["why"].as_str().unwrap().to_owned();
        history.iter().map(why).collect()
    };
    let state = proxy.state_when("the fourth return", |state| {
        for key in &keys {
            proxy.send(format!("{key}:1|c"));
        }
        whys(state).len() >= 9
    });
    let returns: Vec<_> = whys(&state)
        .into_iter()
        .step_by(2)
        .skip(1)
        .take(4)
        .collect();
    let expected = [
        "a check passed",
        "2 checks in a row passed",
        "4 checks in a row passed",
        "8 checks in a row passed",
    ];
    assert_eq!(returns, expected);
}

#[test]
fn a_node_without_an_admin_port_is_up_until_it_refuses_and_is_tried_again() {
    let mut node = Node::start();
    let name = node.name();
    let proxy = Proxy::start(&["--node", &name, "--check-interval", "50ms"]);
    let state = proxy.state();
    assert_eq!(node_of(&state, &name)["status"], "up", "{state:#}");
    assert_eq!(node_of(&state, &name)["admin"], serde_json::Value::Null);
    proxy.send("a:1|c");
    node.lines_when(1);
    node.close();
    proxy.send("a:2|c");
    proxy.state_when("a refusal", |state| history(state, &name).len() >= 2);
    node.open();
    proxy.status_becomes(&node, "up");
    proxy.send("a:3|c");
    assert_eq!(node.lines_when(2), ["a:1|c", "a:3|c"]);
    let state = proxy.accounted(3);
    assert_eq!(history(&state, &name)[..3], ["up", "down", "up"]);
}

#[test]
fn with_no_node_up_lines_are_dropped_and_counted() {
    let (mut a, mut b) = (Node::start(), Node::start());
    let proxy = Proxy::before(&[&a, &b], &OFTEN);
    a.kill();
    b.kill();
    proxy.status_becomes(&a, "down");
    proxy.status_becomes(&b, "down");
    proxy.program.expect_log("no node is up");
    proxy.send("a:1|c\nb:1|c\nc:1|c");
    let state = proxy.accounted(3);
    assert_eq!(count(&state["lines"]["dropped"]["no_node"]), 3, "{state:#}");
    assert!(proxy.manage("status\n").ends_with("\nnodes: \n"));
    a.restart();
    proxy.status_becomes(&a, "up");
    proxy.send("a:2|c");
    assert_eq!(a.lines_when(1), ["a:2|c"]);
    proxy.accounted(4);
}
