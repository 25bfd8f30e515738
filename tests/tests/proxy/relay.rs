//! `proxy foo` as a relay: bytes, ends, resets and back-pressure, on both drivers.

use tests::peer::End;
use tests::{Peer, eventually, proc};

use crate::started::{DRIVERS, exchange, has_paused_reading, start, stats};

#[test]
fn valid_traffic_passes_byte_for_byte() {
    for driver in DRIVERS {
        let (proxy, server) = start(driver, &[]);
        let mut client = Peer::connect(&proxy.socket("listen"));
        client.send("REQ 1 abc\nREQ 2 d\r\nREQ ");
        let mut upstream = server.accept();
        upstream.expect("REQ 1 abc\nREQ 2 d\r\n");
        upstream.send("ACK 1 r\r\nNAK");
        client.expect("ACK 1 r\r\nNAK");
        client.send("-3\n");
        upstream.expect("REQ -3\n");
        upstream.send(" 2 whatever the server says\n\n");
        client.expect(" 2 whatever the server says\n\n");
        drop(proxy);
    }
}

#[test]
fn the_shield_keeps_the_order_of_pipelined_good_and_bad_lines() {
    for driver in DRIVERS {
        let (proxy, server) = start(driver, &[]);
        let mut client = Peer::connect(&proxy.socket("listen"));
        client.send("bad\nREQ 1 a\nworse line of words\n\nREQ 2 b\nREQ 3 c\nACK 4 x\nREQ 5 e\ncut");
        client.finish();
        let mut upstream = server.accept();
        upstream.expect("REQ 1 a\nREQ 2 b\nREQ 3 c\nREQ 5 e\n");
        upstream.expect_end(End::Orderly);
        client.expect("NAK 0 ERRDECODE\n");
        upstream.send("ACK 1 r\nACK 2 r\nNA");
        client.expect("ACK 1 r\nNAK 0 ERRDECODE\nNAK 0 ERRDECODE\nACK 2 r\nNA");
        upstream.send("K 3 r\nACK 5 r\n");
        drop(upstream);
        client.expect("K 3 r\nNAK 0 ERRDECODE\nACK 5 r\nNAK 0 ERRDECODE\n");
        client.expect_end(End::Orderly);
        let stats = stats(&proxy);
        assert_eq!(stats["msg_req"], 4, "{stats}");
        assert_eq!(
            (&stats["msg_ack"], &stats["msg_nak"]),
            (&3.into(), &1.into()),
            "{stats}"
        );
        assert_eq!(stats["own_answers"], 5, "{stats}");
        let malformed = &stats["malformed"]["client"];
        assert_eq!(malformed["not_enough_fields"], 2, "{stats}");
        assert_eq!(malformed["too_many_fields"], 1, "{stats}");
        assert_eq!(malformed["wrong_direction"], 1, "{stats}");
        assert_eq!(malformed["unterminated"], 1, "{stats}");
    }
}

#[test]
fn malformed_lines_can_be_dropped_forwarded_or_end_the_connection() {
    for driver in DRIVERS {
        let lines = "REQ 1 a\n\u{7f}garbage\nREQ 2 b\n";
        let (proxy, server) = start(driver, &["--on-malformed", "drop"]);
        let mut client = Peer::connect(&proxy.socket("listen"));
        client.send(lines);
        server.accept().expect("REQ 1 a\nREQ 2 b\n");

        let (proxy, server) = start(driver, &["--on-malformed", "forward"]);
        let mut client = Peer::connect(&proxy.socket("listen"));
        client.send(lines);
        client.send("tail");
        client.finish();
        let mut upstream = server.accept();
        upstream.expect(format!("{lines}tail"));
        upstream.expect_end(End::Orderly);

        let (proxy, _server) = start(driver, &["--on-malformed", "close"]);
        let mut client = Peer::connect(&proxy.socket("listen"));
        client.send("garbage\n");
        client.expect_end(End::Reset);
        assert_eq!(stats(&proxy)["connections"]["reset_on_malformed"], 1);
    }
}

#[test]
fn the_spec_grammar_lets_data_hold_spaces() {
    let (proxy, server) = start("epoll", &["--grammar", "spec"]);
    let mut client = Peer::connect(&proxy.socket("listen"));
    client.send("REQ \t1  some words here\nnonsense\nREQ 2\n");
    server.accept().expect("REQ \t1  some words here\nREQ 2\n");
}

#[test]
fn a_longer_line_than_allowed_never_reaches_the_server() {
    for driver in DRIVERS {
        let (proxy, server) = start(driver, &["--max-line", "100"]);
        let mut client = Peer::connect(&proxy.socket("listen"));
        let fits = format!("REQ 1 {}\n", "x".repeat(94));
        client.send(&fits);
        let mut upstream = server.accept();
        upstream.expect(&fits);
        upstream.send("ACK 1\n");
        client.expect("ACK 1\n");
        client.send(format!("REQ 2 {}\nREQ 3\n", "x".repeat(1 << 20)));
        upstream.expect("REQ 3\n");
        client.expect("NAK 0 ERRDECODE\n");
        assert_eq!(stats(&proxy)["malformed"]["client"]["too_long"], 1);
    }
}

#[test]
fn each_direction_ends_on_its_own() {
    for driver in DRIVERS {
        let (proxy, server) = start(driver, &[]);
        // The client ends first; a late answer still arrives.
        let mut client = Peer::connect(&proxy.socket("listen"));
        client.send("REQ 1 a\n");
        client.finish();
        let mut upstream = server.accept();
        upstream.expect("REQ 1 a\n");
        upstream.expect_end(End::Orderly);
        upstream.send("ACK 1 late\n");
        drop(upstream);
        client.expect("ACK 1 late\n");
        client.expect_end(End::Orderly);
        // The server ends first; the client may go on.
        let mut client = Peer::connect(&proxy.socket("listen"));
        let mut upstream = server.accept();
        upstream.send("ACK 1 bye\n");
        upstream.finish();
        client.expect("ACK 1 bye\n");
        client.expect_end(End::Orderly);
        client.send("REQ 2 more\n");
        upstream.expect("REQ 2 more\n");
        drop(client);
        upstream.expect_end(End::Orderly);
        eventually("both connections to be over", || {
            (stats(&proxy)["connections"]["open"] == 0).then_some(())
        });
    }
}

#[test]
fn a_reset_on_one_side_becomes_a_reset_on_the_other_after_the_bytes_before_it() {
    for driver in DRIVERS {
        let (proxy, server) = start(driver, &[]);
        let mut client = Peer::connect(&proxy.socket("listen"));
        client.send("REQ 1 a\n");
        let mut upstream = server.accept();
        upstream.expect("REQ 1 a\n");
        client.reset();
        upstream.expect_end(End::Reset);

        let mut client = Peer::connect(&proxy.socket("listen"));
        let mut upstream = server.accept();
        client.send("REQ 1 a\n");
        upstream.expect("REQ 1 a\n");
        // More than sockets buffer, so that some of it is still with the proxy.
        let answers = "ACK 1 0123456789abcdef0123456789abcdef\n".repeat(20_000);
        upstream.send(&answers);
        eventually("the proxy to have taken everything", || {
            (stats(&proxy)["bytes"]["upstream_in"].as_u64() == Some(answers.len() as u64))
                .then_some(())
        });
        upstream.reset();
        client.expect(&answers);
        client.expect_end(End::Reset);
        assert!(stats(&proxy)["connections"]["reset"].as_u64() >= Some(2));
    }
}

/// What a proxy may hold for one connection whose peers do not read: a line on the way
/// to the server, answers on the way to the client, buffers of both workers; far from
/// what was offered.
const MEMORY_CAP_KIB: u64 = 24 * 1024;

#[test]
fn memory_is_bounded_whoever_does_not_read() {
    let good = "REQ 1 abcdefghijklmnopqrstuvwxyz\n".repeat(2_000);
    let bad = "\n".repeat(65_536);
    let mixed = "REQ 1 abc\nbad\n".repeat(5_000);
    for driver in DRIVERS {
        for (what, bytes) in [("good", &good), ("bad", &bad), ("mixed", &mixed)] {
            let (proxy, server) = start(driver, &[]);
            // A server that never reads nor answers, a client that never reads.
            let mut client = Peer::connect(&proxy.socket("listen"));
            let _upstream = server.accept();
            let taken = client.send_until_blocked(bytes.as_bytes(), || has_paused_reading(&proxy));
            let peak = proc::status_kib(proxy.pid(), "VmHWM");
            assert!(
                peak < MEMORY_CAP_KIB,
                "{driver}, {what}: {peak} KiB after {taken} bytes"
            );
            // The others are served all the same.
            let mut other = Peer::connect(&proxy.socket("listen"));
            let mut upstream = server.accept();
            exchange(&mut other, &mut upstream);
        }
    }
}

#[test]
fn a_client_that_does_not_read_stops_the_server_and_loses_nothing() {
    for driver in DRIVERS {
        let (proxy, server) = start(driver, &[]);
        let mut client = Peer::connect(&proxy.socket("listen"));
        let mut upstream = server.accept();
        let answer = "ACK 1 0123456789abcdef0123456789abcdef\n";
        let answers = answer.repeat(1_000);
        let taken = upstream.send_until_blocked(answers.as_bytes(), || has_paused_reading(&proxy));
        let peak = proc::status_kib(proxy.pid(), "VmHWM");
        assert!(
            peak < MEMORY_CAP_KIB,
            "{driver}: {peak} KiB after {taken} bytes"
        );
        upstream.finish();
        drop(upstream);
        let (bytes, end) = client.rest();
        assert_eq!((bytes.len(), end), (taken, End::Orderly));
        assert!(
            bytes
                .chunks(answer.len())
                .all(|line| answer.as_bytes().starts_with(line))
        );
    }
}

#[test]
fn many_connections_that_never_read_do_not_starve_the_rest() {
    for driver in DRIVERS {
        let (proxy, server) = start(driver, &["--threads", "1"]);
        let answers = "ACK 1 0123456789abcdef0123456789abcdef\n".repeat(1_000);
        // More of them than a worker has receive buffers.
        let mut stuck = Vec::new();
        for _ in 0..300 {
            let client = Peer::connect(&proxy.socket("listen"));
            let mut upstream = server.accept();
            rustix::net::sockopt::set_socket_send_buffer_size(upstream.as_stream(), 1 << 16)
                .unwrap();
            upstream.send(&answers);
            stuck.push((client, upstream));
        }
        let mut client = Peer::connect(&proxy.socket("listen"));
        let mut upstream = server.accept();
        client.send("REQ 1 a\n");
        upstream.expect("REQ 1 a\n");
        for (mut client, upstream) in stuck {
            drop(upstream);
            client.expect(&answers);
            client.expect_end(End::Orderly);
        }
    }
}
