//! How lines share datagrams.

use crate::node::Node;
use crate::started::{Proxy, count};

#[test]
fn lines_share_datagrams_up_to_the_size_that_was_asked_for() {
    let node = Node::start();
    let proxy = Proxy::before(&[&node], &["--mtu", "100", "--threads", "1"]);
    let lines: Vec<_> = (0..200).map(|nth| format!("key.{nth:03}:1|c")).collect();
    proxy.send(lines.join("\n"));
    assert_eq!(node.lines_when(200), lines);
    let state = proxy.accounted(200);
    let datagrams = node.datagrams();
    // Eleven bytes and what parts them: eight in a hundred.
    assert_eq!(datagrams.len(), 25);
    assert!(datagrams.iter().all(|datagram| datagram.len() <= 100));
    assert!(datagrams.iter().all(|datagram| !datagram.ends_with(b"\n")));
    assert_eq!(count(&state["datagrams"]["forwarded"]), 25);
    let bytes: usize = datagrams.iter().map(Vec::len).sum();
    assert_eq!(count(&state["bytes"]["forwarded"]), bytes as u64);
}

#[test]
fn without_it_each_line_travels_alone() {
    let node = Node::start();
    let proxy = Proxy::before(&[&node], &["--mtu", "0"]);
    proxy.send("a:1|c\nb:2|c\n\nc:3|c\n");
    node.lines_when(3);
    assert_eq!(node.datagrams(), [b"a:1|c", b"b:2|c", b"c:3|c"]);
    proxy.accounted(3);
}

#[test]
fn lines_of_many_datagrams_share_some_and_keep_their_order() {
    let node = Node::start();
    let proxy = Proxy::before(&[&node], &["--flush", "1s"]);
    let lines: Vec<_> = (0..300).map(|nth| format!("gauge:{nth}|g")).collect();
    for line in &lines {
        proxy.send(line);
    }
    assert_eq!(node.lines_when(300), lines);
    assert!(node.datagrams().len() < 100);
    proxy.accounted(300);
}

#[test]
fn a_line_that_is_longer_travels_alone_and_whole() {
    let node = Node::start();
    let proxy = Proxy::before(&[&node], &["--mtu", "50", "--threads", "1"]);
    let long = format!("{}:1|c", "k".repeat(3_000));
    proxy.send(format!("a:1|c\n{long}\nb:1|c"));
    let mut seen = node.lines_when(3);
    seen.sort();
    assert_eq!(seen, ["a:1|c".to_owned(), "b:1|c".to_owned(), long.clone()]);
    assert!(node.datagrams().contains(&long.into_bytes()));
    proxy.accounted(3);
}
