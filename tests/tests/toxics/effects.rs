//! What toxics do to a connection, seen from both ends. How exactly delays and rates are
//! kept is measured, not tested.

use serde_json::json;
use tests::peer::End;
use tests::{Peer, eventually};

use super::started::Pair;

#[test]
fn latency_delays_and_its_removal_lets_everything_go() {
    let pair = Pair::start();
    pair.add("latency", "upstream", &json!({"latency": 3_600_000}));
    let (mut client, mut server) = pair.connect();
    client.send("held");
    client.finish();
    eventually("the toxic to touch it", || {
        (pair.count("hits") > 0).then_some(())
    });
    pair.remove("latency", "upstream");
    server.expect("held");
    server.expect_end(End::Orderly);
    assert_eq!((pair.count("bytes"), pair.count("connections")), (4, 1));
    assert!(pair.count("removed_ns") >= pair.count("first_ns"));
}

#[test]
fn a_rate_of_0_holds_until_it_is_changed() {
    let pair = Pair::start();
    let (mut client, mut server) = pair.connect();
    pair.add("bandwidth", "downstream", &json!({"rate": 0}));
    server.send("held");
    eventually("the toxic to touch it", || {
        (pair.count("hits") > 0).then_some(())
    });
    assert!(client.is_open());
    let path = "/proxies/link/toxics/bandwidth_downstream";
    let change = json!({"attributes": {"rate": 1000}});
    pair.toxics.call("PATCH", path, &change);
    client.expect("held");
}

#[test]
fn limit_data_passes_exactly_so_many_bytes() {
    let pair = Pair::start();
    pair.add("limit_data", "downstream", &json!({"bytes": 100_000}));
    let (mut client, mut server) = pair.connect();
    let _ = server.try_send(vec![b'x'; 150_000]);
    let (got, end) = client.rest();
    assert_eq!((got.len(), end), (100_000, End::Orderly));
}

#[test]
fn timeout_swallows_and_closes_and_its_removal_closes_too() {
    let pair = Pair::start();
    pair.add("timeout", "upstream", &json!({"timeout": 50}));
    let (mut client, mut server) = pair.connect();
    client.send("lost");
    server.expect_end(End::Orderly);
    client.expect_end(End::Orderly);
    pair.toxics.call("POST", "/reset", &json!(null));
    pair.add("timeout", "upstream", &json!({"timeout": 0}));
    let (mut client, mut server) = pair.connect();
    client.send("lost");
    assert!(server.is_open());
    pair.remove("timeout", "upstream");
    server.expect_end(End::Orderly);
    client.expect_end(End::Orderly);
}

#[test]
fn reset_peer_resets_connections_that_are_open_already() {
    let pair = Pair::start();
    let (mut client, mut server) = pair.connect();
    client.send("fine");
    server.expect("fine");
    pair.add("reset_peer", "downstream", &json!({"timeout": 0}));
    client.expect_end(End::Reset);
    server.expect_end(End::Reset);
    assert_eq!(pair.count("connections"), 1);
}

#[test]
fn slow_close_and_close_after_end_in_order() {
    let pair = Pair::start();
    pair.add("slow_close", "upstream", &json!({"delay": 50}));
    let (mut client, mut server) = pair.connect();
    client.send("all of it");
    client.finish();
    server.expect("all of it");
    server.expect_end(End::Orderly);
    assert_eq!(pair.count("hits"), 1);
    pair.toxics.call("POST", "/reset", &json!(null));
    pair.add("close_after", "upstream", &json!({"timeout": 50}));
    let (mut client, mut server) = pair.connect();
    client.send("in time");
    server.expect("in time");
    server.expect_end(End::Orderly);
    client.expect_end(End::Orderly);
}

#[test]
fn slices_lose_nothing_and_corruption_hits_one_byte() {
    let pair = Pair::start();
    let slices = json!({"average_size": 10, "size_variation": 5});
    pair.add("slicer", "upstream", &slices);
    let (mut client, mut server) = pair.connect();
    let text = "0123456789".repeat(2_000);
    client.send(&text);
    server.expect(&text);
    assert!(pair.count("hits") > 1_000);
    pair.add("corrupt", "upstream", &json!({"at": 20_003}));
    let (mut client, mut server) = pair.connect();
    client.send(text.repeat(2));
    client.finish();
    let (got, _) = server.rest();
    let wrong: Vec<usize> = (0..got.len())
        .filter(|i| got[*i] != text.as_bytes()[i % 20_000])
        .collect();
    assert_eq!(wrong, [20_002]);
}

#[test]
fn half_open_stops_the_sender_and_its_removal_lets_it_go_on() {
    let pair = Pair::start();
    pair.add("half_open", "upstream", &json!({}));
    let (mut client, mut server) = pair.connect();
    let received = || pair.toxics.record("link")["upstream_bytes"]["received"].as_u64();
    let mut last = None;
    let taken = client.send_until_blocked(&[b'x'; 65_536], || {
        let now = received();
        std::mem::replace(&mut last, now) == now
    });
    // The other way is open.
    server.send("hello");
    client.expect("hello");
    pair.remove("half_open", "upstream");
    client.finish();
    assert_eq!(server.rest().0.len(), taken);
}

#[test]
fn toxicity_chooses_the_same_connections_whatever_is_updated() {
    let pair = Pair::start();
    let toxic = json!({"type": "limit_data", "stream": "upstream", "toxicity": 0.5,
        "attributes": {"bytes": 0}});
    pair.toxics.call("POST", "/proxies/link/toxics", &toxic);
    let spared = |count: usize| -> Vec<bool> {
        (0..count)
            .map(|_| {
                let (mut client, mut server) = pair.connect();
                let _ = client.try_send("x");
                !server.read_some().is_empty()
            })
            .collect()
    };
    let outcome = spared(100);
    let survivors = outcome.iter().filter(|spared| **spared).count();
    // Six standard deviations; the seed is fixed.
    assert!((20..=80).contains(&survivors), "{survivors}");
    let path = "/proxies/link/toxics/limit_data_upstream";
    let (mut client, mut server) = loop {
        let (mut client, mut server) = pair.connect();
        client.send("x");
        if !server.read_some().is_empty() {
            break (client, server);
        }
    };
    // An update does not roll again for a connection that was spared.
    for bytes in 0..20 {
        pair.toxics
            .call("PATCH", path, &json!({"attributes": {"bytes": bytes}}));
        client.send("y");
        server.expect("y");
    }
}

#[test]
fn listeners_that_refuse_or_never_accept() {
    let pair = Pair::start();
    let (mut client, mut server) = pair.connect();
    pair.add("refuse", "upstream", &json!({}));
    for _ in 0..7 {
        assert!(std::net::TcpStream::connect(&pair.listen).is_err());
    }
    client.send("still open");
    server.expect("still open");
    let hits = || pair.toxics.record("link")["toxics"][0]["hits"].as_u64();
    if may_open_raw_sockets() {
        eventually("each of them to be counted", || {
            (hits() == Some(7)).then_some(())
        });
    } else {
        assert_eq!(hits(), Some(1), "the port is closed");
    }
    pair.remove("refuse", "upstream");
    let (mut client, mut server) = pair.connect();
    client.send("again");
    server.expect("again");
    pair.add("never_accept", "upstream", &json!({}));
    let mut waiting: Vec<Peer> = (0..5).map(|_| Peer::connect(&pair.listen)).collect();
    waiting[0].send("patience");
    eventually("the toxic to see them", || {
        let record = pair.toxics.record("link");
        (record["toxics"][1]["hits"] == 5).then_some(())
    });
    assert!(pair.listener.try_accept().is_none());
    pair.remove("never_accept", "upstream");
    pair.listener.accept().expect("patience");
    for _ in 1..waiting.len() {
        let _ = pair.listener.accept();
    }
}

/// Whether what this test starts may see the packets of those who are refused.
fn may_open_raw_sockets() -> bool {
    use rustix::net::{AddressFamily, SocketType, ipproto, socket};
    socket(AddressFamily::INET, SocketType::RAW, Some(ipproto::TCP)).is_ok()
}

#[test]
fn messages_are_dropped_repeated_and_swapped_by_number() {
    let pair = Pair::start();
    let (mut client, mut server) = pair.connect();
    pair.add("message_swap", "downstream", &json!({"number": 2}));
    pair.add("message_drop", "downstream", &json!({"number": 4}));
    server.send("ACK 1\nACK 2\nACK 3\nACK 4\nACK 5\n");
    client.expect("ACK 1\nACK 3\nACK 2\nACK 5\n");
}

#[test]
fn two_faults_at_once_and_one_that_goes_while_it_holds() {
    let pair = Pair::start();
    pair.add("latency", "upstream", &json!({"latency": 3_600_000}));
    pair.add("bandwidth", "upstream", &json!({"rate": 0}));
    let (mut client, mut server) = pair.connect();
    client.send("first");
    eventually("the toxic to touch it", || {
        (pair.count("hits") > 0).then_some(())
    });
    pair.remove("latency", "upstream");
    client.send(" second");
    client.finish();
    pair.remove("bandwidth", "upstream");
    server.expect("first second");
    server.expect_end(End::Orderly);
}
