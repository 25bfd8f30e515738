//! Datagrams of any content.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::node::Node;
use crate::started::{Proxy, count};

/// What ended, hung or confused the replaced proxies, and what else may.
fn nasty() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = [
        &b"cpu%d:1|c"[..],
        b"%s%n%x",
        b"%",
        b"no-bar:1",
        b"nothing",
        b":",
        b"|",
        b":|",
        b":1|c",
        b"a:|c",
        b"a:1|",
        b"a:1|c|@",
        b"constructor:1|c",
        b"__proto__:1|c",
        b"hasOwnProperty:1|c",
        b"\0",
        b"a\0b:1|c",
        b"\xff\xfe:1|c",
        b"\xc3:1|c",
        b"\r",
        b"a:1|c\r",
        b"[object Object]:1|c",
        b"_e{5,4}:title|text",
        b"_sc|name|0",
        b"{\"json\": true}",
    ]
    .map(<[u8]>::to_vec)
    .into();
    all.push((0..=255).filter(|byte| *byte != b'\n').collect());
    all.push(vec![b'x'; 65_507]);
    all
}

fn is_statsd(line: &[u8]) -> bool {
    protocol::statsd::is_well_formed(line)
}

#[test]
fn what_is_not_statsd_goes_on_as_it_came() {
    let node = Node::start();
    let proxy = Proxy::before(&[&node], &["--threads", "1", "--mtu", "0"]);
    for datagram in [&b""[..], b"\n", b"\n\n\n"] {
        proxy.send(datagram);
    }
    let nasty = nasty();
    for (nth, line) in nasty.iter().enumerate() {
        proxy.send(line);
        // One by one: the largest fill a socket's buffer.
        proxy.accounted(nth as u64 + 1);
    }
    node.lines_when(nasty.len());
    let mut seen = node.datagrams();
    let mut expected = nasty.clone();
    // A line's end may have two bytes in TCP, and is what it is in a datagram.
    seen.sort();
    expected.sort();
    assert_eq!(seen, expected);
    let state = proxy.accounted(nasty.len() as u64);
    let malformed = nasty.iter().filter(|line| !is_statsd(line)).count();
    assert_eq!(count(&state["lines"]["malformed"]), malformed as u64);
    assert!(malformed > 10 && malformed < nasty.len());
    assert_eq!(count(&state["datagrams"]["empty"]), 1);
    assert_eq!(
        count(&state["datagrams"]["received"]),
        nasty.len() as u64 + 3
    );
}

#[test]
fn what_is_not_statsd_is_dropped_where_that_was_asked_for() {
    let node = Node::start();
    let proxy = Proxy::before(&[&node], &["--on-malformed", "drop"]);
    let nasty = nasty();
    for (nth, line) in nasty.iter().enumerate() {
        proxy.send(line);
        proxy.accounted(nth as u64 + 1);
    }
    let (good, bad): (Vec<_>, Vec<_>) = nasty.iter().partition(|line| is_statsd(line));
    let state = proxy.accounted(nasty.len() as u64);
    assert_eq!(
        count(&state["lines"]["dropped"]["malformed"]),
        bad.len() as u64
    );
    assert_eq!(count(&state["lines"]["forwarded"]), good.len() as u64);
    assert_eq!(node.lines_when(good.len()).len(), good.len());
}

#[test]
fn whatever_comes_is_accounted_for() {
    let (a, b) = (Node::start(), Node::start());
    let proxy = Proxy::before(&[&a, &b], &["--on-malformed", "drop", "--flush", "1ms"]);
    let mut received = 0;
    let cases = 64;
    let mut runner = TestRunner::new(Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    });
    let lines = prop::collection::vec("[a-c:|0-9@#\n%]{0,40}|\\PC{0,20}", 0..20);
    let received = &mut received;
    let cell = std::cell::RefCell::new(received);
    runner
        .run(&lines, |lines| {
            let datagram = lines.join("\n");
            proxy.send(&datagram);
            let mut received = cell.borrow_mut();
            **received += datagram.split('\n').filter(|line| !line.is_empty()).count() as u64;
            proxy.accounted(**received);
            Ok(())
        })
        .expect("the law");
    let state = proxy.state();
    assert_eq!(count(&state["datagrams"]["received"]), u64::from(cases));
}
