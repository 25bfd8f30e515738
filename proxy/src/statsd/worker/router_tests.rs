//! Laws of the router, over real sockets.

use std::collections::HashMap;
use std::net::UdpSocket;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::statsd::settings::Policy;

/// Sockets that nodes listen on, and what they have got.
struct Nodes {
    sockets: Vec<UdpSocket>,
    nodes: Vec<Arc<Node>>,
}

impl Nodes {
    fn new(count: usize) -> Self {
        let socket = |_| {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.set_nonblocking(true).unwrap();
            socket
        };
        let sockets: Vec<UdpSocket> = (0..count).map(socket).collect();
        // Names of their own, so that the ring is the same in every run.
        let named = |(nth, socket): (usize, &UdpSocket)| {
            let addr = socket.local_addr().unwrap();
            Arc::new(Node::new(format!("10.0.0.{nth}:8125"), addr))
        };
        let nodes = sockets.iter().enumerate().map(named).collect();
        Self { sockets, nodes }
    }

    fn settings(&self, up: &[bool], policy: Policy) -> Settings {
        Settings::new(self.nodes.clone(), up.to_vec(), policy)
    }

    /// Every datagram that has arrived, by node.
    fn arrived(&self) -> Vec<Vec<Vec<u8>>> {
        let mut room = [0; 65_536];
        let all = |socket: &UdpSocket| {
            std::iter::from_fn(|| socket.recv(&mut room).ok().map(|len| room[..len].to_vec()))
                .collect()
        };
        self.sockets.iter().map(all).collect()
    }
}

fn policy(remap: WhenDown) -> Policy {
    Policy {
        remap,
        on_malformed: OnMalformed::Forward,
        mtu: 100,
        flush: Duration::from_millis(10),
        hold_bytes: 1_000,
        queue_bytes: 1_000_000,
    }
}

fn router(settings: Settings) -> (Router, Arc<Live<Settings>>) {
    let live = Arc::new(Live::new(settings));
    (Router::new(Arc::clone(&live), Arc::default()), live)
}

fn totals(router: &Router) -> super::super::WorkerTotals {
    let mut totals = super::super::WorkerTotals::default();
    totals.add(&router.counters);
    totals
}

fn send_all(router: &mut Router) {
    while router.release() {}
    router.send(true, |_| {});
}

#[test]
fn lines_of_a_node_leave_together_and_no_datagram_is_longer_than_the_mtu() {
    let nodes = Nodes::new(3);
    let (mut router, _live) = router(nodes.settings(&[true; 3], policy(WhenDown::Remap)));
    for n in 0..200 {
        router.take(format!("key{n}:1|c\n\n").as_bytes());
    }
    send_all(&mut router);
    let ring = HashRing::new(&["10.0.0.0:8125", "10.0.0.1:8125", "10.0.0.2:8125"], |_| {
        true
    });
    let arrived = nodes.arrived();
    let mut seen = 0;
    for (nth, datagrams) in arrived.iter().enumerate() {
        let short = datagrams.iter().filter(|one| one.len() < 90).count();
        assert!(short <= 1 && datagrams.iter().all(|one| one.len() <= 100));
        for line in datagrams
            .iter()
            .flat_map(|one| one.split(|byte| *byte == b'\n'))
        {
            let key = line.split(|byte| *byte == b':').next().unwrap();
            assert_eq!(ring.node_of_key(key), Some(nth as u16));
            seen += 1;
        }
    }
    assert_eq!(seen, 200);
}

#[test]
fn without_repacking_every_line_is_a_datagram_and_a_long_line_is_one_too() {
    let nodes = Nodes::new(1);
    let alone = Policy {
        mtu: 0,
        ..policy(WhenDown::Remap)
    };
    let (mut one, _live) = router(nodes.settings(&[true], alone));
    one.take(b"a:1|c\nb:2|c");
    send_all(&mut one);
    assert_eq!(nodes.arrived()[0], [&b"a:1|c"[..], b"b:2|c"]);

    let (mut packing, _live) = router(nodes.settings(&[true], policy(WhenDown::Remap)));
    let long = format!("{}:1|c", "x".repeat(500));
    packing.take(format!("a:1|c\n{long}\nb:2|c").as_bytes());
    send_all(&mut packing);
    assert_eq!(nodes.arrived()[0], [b"a:1|c", long.as_bytes(), b"b:2|c"]);
    packing.line(&vec![b'x'; 65_508]);
    assert_eq!(totals(&packing).dropped_too_long, 1);
}

#[test]
fn what_waits_for_a_node_that_goes_down_is_routed_again() {
    let nodes = Nodes::new(2);
    let (mut router, live) = router(nodes.settings(&[true, true], policy(WhenDown::Remap)));
    for n in 0..10 {
        router.line(format!("key{n}:1|c").as_bytes());
    }
    let waiting = router.pending();
    assert!(waiting > 0);
    live.set(nodes.settings(&[false, true], policy(WhenDown::Remap)));
    router.refresh();
    assert!(totals(&router).rerouted > 0);
    send_all(&mut router);
    let arrived = nodes.arrived();
    let lines = |nth: usize| -> usize {
        let datagrams = arrived[nth].iter();
        datagrams.map(|one| statsd::lines(one).count()).sum()
    };
    assert_eq!(lines(0) + lines(1), 10);
    // Only what had left before it went down.
    assert_eq!(
        lines(1) as u64,
        totals(&router).lines_forwarded - lines(0) as u64
    );
    assert!(lines(1) > lines(0));
}

#[test]
fn lines_are_kept_in_order_until_their_node_is_back() {
    let nodes = Nodes::new(1);
    let (mut router, live) = router(nodes.settings(&[false], policy(WhenDown::Hold)));
    for n in 0..40 {
        router.line(format!("g:{n}|g").as_bytes());
    }
    send_all(&mut router);
    assert!(nodes.arrived()[0].is_empty());
    assert_eq!(
        nodes.nodes[0]
            .counters
            .held_lines
            .load(std::sync::atomic::Ordering::Relaxed),
        40
    );
    live.set(nodes.settings(&[true], policy(WhenDown::Hold)));
    router.refresh();
    router.line(b"g:40|g");
    send_all(&mut router);
    let arrived = nodes.arrived().remove(0);
    let lines: Vec<_> = arrived.iter().flat_map(|one| statsd::lines(one)).collect();
    let expected: Vec<String> = (0..=40).map(|n| format!("g:{n}|g")).collect();
    assert_eq!(
        lines,
        expected.iter().map(String::as_bytes).collect::<Vec<_>>()
    );
    for n in 0..200 {
        live.set(nodes.settings(&[false], policy(WhenDown::Hold)));
        router.refresh();
        router.line(format!("g:{n}|g").as_bytes());
    }
    assert!(totals(&router).dropped_hold_full > 0);
}

#[test]
fn a_mirrored_line_goes_to_both() {
    let nodes = Nodes::new(2);
    let (mut router, _live) = router(nodes.settings(&[true, false], policy(WhenDown::Mirror)));
    for n in 0..50 {
        router.line(format!("key{n}:1|c").as_bytes());
    }
    send_all(&mut router);
    let count = |datagrams: &Vec<Vec<u8>>| -> u64 {
        datagrams
            .iter()
            .map(|one| statsd::lines(one).count() as u64)
            .sum()
    };
    let arrived: Vec<u64> = nodes.arrived().iter().map(count).collect();
    let totals = totals(&router);
    assert_eq!((totals.lines_forwarded, arrived[0]), (50, 50));
    assert!(arrived[1] > 0);
    assert_eq!(arrived[1], totals.mirrored);
}

#[derive(Clone, Debug)]
enum Step {
    Lines(u8),
    Garbage(Vec<u8>),
    Up(Vec<bool>),
    Send,
    Flush,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        // All of them together fit into one socket.
        4 => (0..6_u8).prop_map(Step::Lines),
        2 => prop::collection::vec(any::<u8>(), 0..60).prop_map(Step::Garbage),
        2 => prop::collection::vec(any::<bool>(), 3).prop_map(Step::Up),
        1 => Just(Step::Send),
        1 => Just(Step::Flush),
    ]
}

fn any_remap() -> impl Strategy<Value = WhenDown> {
    prop::sample::select(vec![
        WhenDown::Remap,
        WhenDown::Hold,
        WhenDown::Drop,
        WhenDown::Mirror,
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_line_is_accounted_for(
        remap in any_remap(),
        drop_malformed in any::<bool>(),
        mtu in prop::sample::select(vec![0_usize, 40, 1_432]),
        steps in prop::collection::vec(step(), 0..40),
    ) {
        let nodes = Nodes::new(3);
        let on_malformed = if drop_malformed { OnMalformed::Drop } else { OnMalformed::Forward };
        let policy = Policy { mtu, on_malformed, ..policy(remap) };
        let (mut router, live) = router(nodes.settings(&[true; 3], policy));
        let (mut said, mut number) = (0, 0_u64);
        let mut arrived = 0;
        let mut receive = |nodes: &Nodes| {
            let count = nodes.arrived().iter().flatten().map(|one| statsd::lines(one).count() as u64).sum::<u64>();
            arrived += count;
            arrived
        };
        for step in steps {
            match step {
                Step::Lines(count) => for _ in 0..count {
                    router.line(format!("key{}:{number}|c", number % 37).as_bytes());
                    number += 1;
                    said += 1;
                },
                Step::Garbage(bytes) => {
                    said += statsd::lines(&bytes).count() as u64;
                    router.take(&bytes);
                }
                Step::Up(up) => {
                    live.set(nodes.settings(&up, policy));
                    router.refresh();
                }
                Step::Send => router.send(false, |_| {}),
                Step::Flush => send_all(&mut router),
            }
            let totals = totals(&router);
            prop_assert_eq!(totals.lines_received, said);
            prop_assert_eq!(totals.lines_received, totals.lines_forwarded + totals.dropped() + router.pending());
            prop_assert_eq!(receive(&nodes), totals.lines_forwarded + totals.mirrored);
        }
        live.set(nodes.settings(&[true; 3], policy));
        router.refresh();
        send_all(&mut router);
        let totals = totals(&router);
        prop_assert_eq!(router.pending(), 0);
        prop_assert_eq!(totals.lines_received, totals.lines_forwarded + totals.dropped());
        prop_assert_eq!(receive(&nodes), totals.lines_forwarded + totals.mirrored);
        let told: u64 = nodes.nodes.iter().map(|node| node.counters.lines.load(std::sync::atomic::Ordering::Relaxed)).sum();
        prop_assert_eq!(told, totals.lines_forwarded);
    }
}

#[test]
fn datagrams_to_nobody_come_back_and_are_counted() {
    let nodes = Nodes::new(1);
    let gone = UdpSocket::bind("127.0.0.1:0").unwrap();
    let node = Arc::new(Node::new("gone:1".to_owned(), gone.local_addr().unwrap()));
    drop(gone);
    let alone = Policy {
        mtu: 0,
        ..policy(WhenDown::Remap)
    };
    let settings = Settings::new(
        vec![Arc::clone(&node), Arc::clone(&nodes.nodes[0])],
        vec![true; 2],
        alone,
    );
    let (mut router, _live) = router(settings);
    let mut refused = HashMap::new();
    for n in 0..50 {
        router.line(format!("key{n}:1|c").as_bytes());
        router.send(true, |node| {
            *refused.entry(node.name.clone()).or_insert(0) += 1;
        });
    }
    router.heard(0);
    router.send(true, |_| {});
    let there = nodes.arrived()[0].len() as u64;
    let totals = totals(&router);
    // Whatever had been sent back, the next line left all the same.
    assert_eq!((totals.lines_forwarded, totals.dropped()), (50, 0));
    assert_eq!(totals.datagrams_refused, 50 - there);
    assert!(refused.len() == 1 && refused.contains_key("gone:1"));
}

#[test]
fn a_burst_of_datagrams_to_nobody_is_counted_whole() {
    let gone = UdpSocket::bind("127.0.0.1:0").unwrap();
    let node = Arc::new(Node::new("gone:1".to_owned(), gone.local_addr().unwrap()));
    drop(gone);
    let alone = Policy {
        mtu: 0,
        ..policy(WhenDown::Remap)
    };
    let (mut router, _live) = router(Settings::new(vec![node], vec![true], alone));
    // More than the kernel keeps of them.
    for n in 0..1_000 {
        router.line(format!("key{n}:1|c").as_bytes());
    }
    send_all(&mut router);
    router.take_returned();
    let totals = totals(&router);
    assert_eq!(
        (totals.lines_forwarded, totals.datagrams_refused),
        (1_000, 1_000)
    );
}

#[test]
fn a_node_that_flaps_gets_what_was_kept_in_order() {
    let nodes = Nodes::new(1);
    let (mut router, live) = router(nodes.settings(&[true], policy(WhenDown::Hold)));
    let turn = |router: &mut Router, up: bool| {
        live.set(nodes.settings(&[up], policy(WhenDown::Hold)));
        router.refresh();
    };
    router.line(b"g:0|g");
    turn(&mut router, false);
    router.line(b"g:1|g");
    turn(&mut router, true);
    router.release();
    router.line(b"g:2|g");
    // What had been given to the socket waits again, before what came after it.
    turn(&mut router, false);
    router.line(b"g:3|g");
    turn(&mut router, true);
    send_all(&mut router);
    let arrived = nodes.arrived().remove(0);
    let lines: Vec<_> = arrived.iter().flat_map(|one| statsd::lines(one)).collect();
    assert_eq!(lines, [b"g:0|g", b"g:1|g", b"g:2|g", b"g:3|g"]);
}
