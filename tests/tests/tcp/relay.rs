//! Bytes, ends and resets, as messages and in bulk, on both drivers.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;

use serde_json::Value;
use tests::peer::End;
use tests::{DEADLINE, Listener, Peer, Program, proc};

use crate::started::{connect, start, state, state_when};

const DRIVERS: [&str; 2] = ["io_uring", "epoll"];

/// Bytes that cannot be taken for others: a counter in each eight of them.
fn numbered(len: usize) -> Vec<u8> {
    let words = (0..len as u64 / 8).flat_map(u64::to_le_bytes);
    words.collect()
}

/// A balancer on a driver, in front of a backend that the test plays and that no check
/// disturbs.
fn relay(driver: &str, more: &[&str]) -> (Program, Listener) {
    let backend = Listener::open();
    let addr = backend.addr();
    let args = ["--driver", driver, "--health-interval", "0", addr.as_str()];
    (start(&[&args[..], more].concat()), backend)
}

/// A client and the backend that it reached.
fn pair(proxy: &Program, backend: &Listener) -> (Peer, Peer) {
    let client = connect(proxy);
    (client, backend.accept())
}

fn stream(peer: &Peer) -> TcpStream {
    let stream = peer.as_stream().try_clone().expect("a descriptor");
    stream.set_read_timeout(Some(DEADLINE)).expect("a socket");
    stream
}

/// Sends bytes and then an end, from a thread of its own.
fn pour(peer: &Peer, bytes: Vec<u8>) -> thread::JoinHandle<()> {
    let mut stream = stream(peer);
    thread::spawn(move || {
        stream.write_all(&bytes).expect("it is taken");
        stream.shutdown(Shutdown::Write).expect("it is open");
    })
}

fn all_of(peer: &Peer) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream(peer)
        .read_to_end(&mut bytes)
        .expect("an orderly end");
    bytes
}

fn in_bulk(state: &Value) -> u64 {
    state["connections"]["bulk"].as_u64().expect("a count")
}

#[test]
fn messages_pass_byte_for_byte_and_each_direction_ends_on_its_own() {
    for driver in DRIVERS {
        let (proxy, backend) = relay(driver, &[]);
        let (mut client, mut server) = pair(&proxy, &backend);
        // Enough of them that the receive stays.
        for n in 0..50 {
            let message = format!("message {n}\n");
            client.send(&message);
            server.expect(&message);
            server.send(&message);
            client.expect(&message);
        }
        client.finish();
        server.expect_end(End::Orderly);
        server.send("a late answer");
        drop(server);
        client.expect("a late answer");
        client.expect_end(End::Orderly);
        state_when(&proxy, "the connection to be over", |state| {
            state["connections"]["open"] == 0
        });
        assert_eq!(in_bulk(&state(&proxy)), 0);
    }
}

#[test]
fn bulk_arrives_whole_both_ways_and_ends_pass_behind_it() {
    const BYTES: usize = 24 << 20;
    for driver in DRIVERS {
        let (proxy, backend) = relay(driver, &[]);
        let (client, server) = pair(&proxy, &backend);
        let (up, down) = (numbered(BYTES), numbered(BYTES / 2));
        let pouring = [pour(&client, up.clone()), pour(&server, down.clone())];
        let receiver = thread::spawn(move || all_of(&server) == up);
        assert!(all_of(&client) == down, "{driver}: the way back");
        assert!(receiver.join().expect("no panic"), "{driver}: the way there");
        pouring.map(|thread| thread.join().expect("no panic"));
        let state = state_when(&proxy, "the connection to be over", |state| {
            state["connections"]["open"] == 0
        });
        assert_eq!(in_bulk(&state), 1, "{driver}: {state:#}");
    }
}

#[test]
fn messages_go_on_after_bulk() {
    for driver in DRIVERS {
        let (proxy, backend) = relay(driver, &[]);
        let (mut client, mut server) = pair(&proxy, &backend);
        for round in 0..3 {
            for n in 0..10 {
                let message = format!("round {round}, message {n}\n");
                client.send(&message);
                server.expect(&message);
                server.send(&message);
                client.expect(&message);
            }
            let bytes = numbered(4 << 20);
            let mut out = stream(&client);
            let sent = bytes.clone();
            let pouring = thread::spawn(move || out.write_all(&sent).expect("it is taken"));
            let mut taken = vec![0; bytes.len()];
            stream(&server).read_exact(&mut taken).expect("all of it");
            assert!(taken == bytes, "{driver}, round {round}");
            pouring.join().expect("no panic");
        }
        assert_eq!(in_bulk(&state(&proxy)), 1, "{driver}");
    }
}

#[test]
fn a_reset_passes_behind_the_bytes_before_it() {
    for driver in DRIVERS {
        let (proxy, backend) = relay(driver, &[]);
        let (mut client, mut server) = pair(&proxy, &backend);
        client.send("hello");
        server.expect("hello");
        client.reset();
        server.expect_end(End::Reset);
        // Three megabytes on their way, as messages and as bulk: a close that threw away what the
        // client has not acknowledged would lose most of it.
        for warm_up in [0, 8 << 20] {
            let (mut client, mut server) = pair(&proxy, &backend);
            let bytes = numbered(warm_up);
            let pouring = {
                let mut out = stream(&server);
                let bytes = bytes.clone();
                thread::spawn(move || out.write_all(&bytes).expect("it is taken"))
            };
            let mut taken = vec![0; bytes.len()];
            stream(&client).read_exact(&mut taken).expect("all of it");
            pouring.join().expect("no panic");
            let before = state(&proxy)["bytes"]["backend_in"].as_u64();
            let last = numbered(3 << 20);
            server.send(&last);
            state_when(&proxy, "the proxy to have taken everything", |state| {
                let taken = state["bytes"]["backend_in"].as_u64();
                taken.zip(before).map(|(now, before)| now - before) == Some(last.len() as u64)
            });
            server.reset();
            client.expect(&last);
            client.expect_end(End::Reset);
        }
    }
}

/// What a proxy may take for a connection whose peers do not read: pipes and sockets are
/// the kernel's, so this is far less than what was offered.
const MEMORY_CAP_KIB: u64 = 32 * 1024;

#[test]
fn a_slow_reader_costs_no_memory_and_nobody_else() {
    for driver in DRIVERS {
        let (proxy, backend) = relay(driver, &[]);
        let (mut client, server) = pair(&proxy, &backend);
        let bytes = numbered(1 << 20);
        let is_stuck = || state(&proxy)["bytes"]["client_in"].as_u64() > Some(1 << 20);
        let offered = client.send_until_blocked(&bytes, is_stuck);
        let peak = proc::status_kib(proxy.pid(), "VmHWM");
        assert!(peak < MEMORY_CAP_KIB, "{driver}: {peak} KiB of {offered} bytes");
        let (mut other, mut other_server) = pair(&proxy, &backend);
        other.send("still there?");
        other_server.expect("still there?");
        // It reads after all, and gets everything.
        let mut reader = stream(&server);
        client.finish();
        let mut taken = Vec::new();
        reader.read_to_end(&mut taken).expect("an orderly end");
        assert_eq!(taken.len(), offered, "{driver}");
        assert!(taken.chunks(bytes.len()).all(|part| bytes.starts_with(part)));
    }
}
