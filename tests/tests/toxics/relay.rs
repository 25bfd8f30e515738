//! What passes a link without toxics: everything, as it is.

use tests::peer::End;
use tests::{Peer, ReservedPort, eventually};

use super::started::{Pair, Toxics};

#[test]
fn bytes_pass_both_ways_and_a_half_close_stays_one() {
    let pair = Pair::start();
    let (mut client, mut server) = pair.connect();
    client.send("question");
    server.expect("question");
    client.finish();
    server.expect_end(End::Orderly);
    // The other way is still open.
    server.send("a late answer");
    client.expect("a late answer");
    server.finish();
    client.expect_end(End::Orderly);
    eventually("the connection to end", || {
        (pair.toxics.record("link")["connections_open"] == 0).then_some(())
    });
}

#[test]
fn a_reset_passes_in_both_directions_and_behind_the_data() {
    let pair = Pair::start();
    let (mut client, mut server) = pair.connect();
    client.send("before");
    server.expect("before");
    client.reset();
    server.expect_end(End::Reset);
    let (mut client, server) = pair.connect();
    server.reset();
    client.expect_end(End::Reset);
    // After a half-close, too.
    let (client, mut server) = pair.connect();
    client.finish();
    server.expect_end(End::Orderly);
    client.reset();
    eventually("the server to be reset", || {
        (!server.try_send("x")).then_some(())
    });
}

#[test]
fn bulk_arrives_whole_whoever_sends() {
    let pair = Pair::start();
    let (mut client, mut server) = pair.connect();
    let text: Vec<u8> = (0..64 * 1024 * 1024_u32)
        .map(|i| (i ^ (i >> 11)) as u8)
        .collect();
    for upstream in [true, false] {
        let (from, to) = if upstream {
            (&mut client, &mut server)
        } else {
            (&mut server, &mut client)
        };
        std::thread::scope(|scope| {
            scope.spawn(|| {
                from.send(&text);
                from.finish();
            });
            let (got, end) = to.rest();
            assert!(got == text, "{} bytes came", got.len());
            assert_eq!(end, End::Orderly);
        });
    }
}

#[test]
fn a_receiver_that_does_not_read_stops_the_sender_and_memory_stays() {
    let pair = Pair::start();
    let pid = pair.toxics.program.pid();
    let before = tests::proc::status_kib(pid, "VmRSS");
    let (mut client, mut server) = pair.connect();
    let chunk = vec![b'x'; 64 * 1024];
    let received = || pair.toxics.record("link")["upstream_bytes"]["received"].as_u64();
    let mut last = None;
    let taken = client.send_until_blocked(&chunk, || {
        let now = received();
        std::mem::replace(&mut last, now) == now
    });
    let grown = tests::proc::status_kib(pid, "VmRSS").saturating_sub(before);
    assert!(grown < 20_000, "{grown} KiB more for {taken} bytes");
    client.finish();
    let (got, end) = server.rest();
    assert_eq!((got.len(), end), (taken, End::Orderly));
}

#[test]
fn an_upstream_that_refuses_is_a_reset_and_the_next_connection_is_tried() {
    let toxics = Toxics::start();
    let port = ReservedPort::take();
    let listen = toxics.link("link", port.addr());
    for _ in 0..3 {
        Peer::expect_refused(&listen);
    }
    assert_eq!(toxics.record("link")["connections_failed"], 3);
}

#[test]
fn a_link_that_is_taken_down_closes_its_connections_and_refuses_new_ones() {
    let pair = Pair::start();
    let (mut client, mut server) = pair.connect();
    let change = |enabled: bool| {
        let body = serde_json::json!({ "enabled": enabled });
        pair.toxics.call("POST", "/proxies/link", &body)
    };
    assert_eq!(change(false)["enabled"], false);
    client.expect_end(End::Orderly);
    server.expect_end(End::Orderly);
    assert!(std::net::TcpStream::connect(&pair.listen).is_err());
    // The same port again.
    assert_eq!(change(true)["listen"], pair.listen.as_str());
    let (mut client, mut server) = pair.connect();
    client.send("again");
    server.expect("again");
}
