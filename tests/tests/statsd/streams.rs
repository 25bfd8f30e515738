//! Lines that come over TCP.

use rustix::process::Signal;
use tests::Peer;
use tests::peer::End;

use crate::node::Node;
use crate::started::{Proxy, count, keys};

const BOTH: [&str; 2] = ["--server", "udp,tcp"];

fn connect(proxy: &Proxy) -> Peer {
    Peer::connect(&proxy.program.socket("listen-tcp"))
}

#[test]
fn lines_are_put_together_across_reads() {
    let node = Node::start();
    let proxy = Proxy::before(&[&node], &[&BOTH[..], &["--threads", "1"]].concat());
    let mut client = connect(&proxy);
    let text = "first:1|c\nsecond:2|ms|@0.1\n\n\nthird:3|g|#a:b\n";
    for byte in text.bytes() {
        client.send([byte]);
    }
    let expected = ["first:1|c", "second:2|ms|@0.1", "third:3|g|#a:b"];
    assert_eq!(node.lines_when(3), expected);
    // One that never ends is taken when the stream does.
    client.send("last:4|c");
    proxy.accounted(3);
    client.finish();
    client.expect_end(End::Orderly);
    assert_eq!(node.lines_when(4)[3], "last:4|c");
    let state = proxy.accounted(4);
    assert_eq!(count(&state["tcp"]["lines"]), 4, "{state:#}");
    assert_eq!(count(&state["tcp"]["connections"]), 1);
    proxy.state_when("it to be closed", |state| state["tcp"]["open"] == 0);
}

#[test]
fn many_clients_and_both_transports_go_on_beside_each_other() {
    let (a, b) = (Node::start(), Node::start());
    let proxy = Proxy::before(&[&a, &b], &BOTH);
    let mut clients: Vec<_> = (0..20).map(|_| connect(&proxy)).collect();
    for key in keys(50) {
        for (nth, client) in clients.iter_mut().enumerate() {
            client.send(format!("{key}:{nth}|c\n"));
        }
        proxy.send(format!("{key}:1|c"));
    }
    let state = proxy.accounted(50 * 21);
    assert_eq!(count(&state["tcp"]["lines"]), 50 * 20);
    assert_eq!(count(&state["lines"]["forwarded"]), 50 * 21);
    assert_eq!(count(&state["tcp"]["open"]), 20);
    drop(clients);
    proxy.state_when("all to be closed", |state| state["tcp"]["open"] == 0);
}

#[test]
fn a_line_without_an_end_is_bounded() {
    let node = Node::start();
    let proxy = Proxy::before(&[&node], &BOTH);
    let mut client = connect(&proxy);
    client.send(vec![b'x'; 1_000_000]);
    client.send("\nafter:1|c\n");
    assert_eq!(node.lines_when(1), ["after:1|c"]);
    let state = proxy.accounted(2);
    assert_eq!(
        count(&state["lines"]["dropped"]["too_long"]),
        1,
        "{state:#}"
    );
}

#[test]
fn it_may_be_the_only_way_in() {
    let node = Node::start();
    let proxy = Proxy::start(&["--server", "tcp", "--node", &node.with_admin()]);
    let mut client = connect(&proxy);
    client.send("a:1|c\n");
    client.reset();
    let mut client = connect(&proxy);
    client.send("b:1|c\n");
    tests::eventually("the line of the other", || {
        node.lines().contains(&"b:1|c".to_owned()).then_some(())
    });
}

#[test]
fn what_has_come_before_the_end_is_taken_and_half_a_line_is_not_a_line() {
    let node = Node::start();
    let mut proxy = Proxy::before(&[&node], &["--server", "tcp"]);
    let mut cut = connect(&proxy);
    cut.send("whole:1|c\nhalf:1|c|@0");
    assert_eq!(node.lines_when(1), ["whole:1|c"]);
    // They wait to be accepted when it is told to end: more than one turn accepts.
    proxy.program.signal(Signal::STOP);
    let waiting: Vec<_> = (0..100)
        .map(|nth| {
            let mut client = connect(&proxy);
            client.send(format!("key{nth}:1|c\n"));
            client
        })
        .collect();
    proxy.program.signal(Signal::TERM);
    proxy.program.signal(Signal::CONT);
    assert!(proxy.program.wait().success());
    let mut lines = node.lines_when(101);
    lines.sort();
    let mut expected: Vec<_> = (0..100).map(|nth| format!("key{nth}:1|c")).collect();
    expected.push("whole:1|c".to_owned());
    expected.sort();
    assert_eq!(lines, expected);
    drop((cut, waiting));
}
