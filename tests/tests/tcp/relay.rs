//! Bytes, ends and resets, as messages and in bulk, on both drivers.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;

use serde_json::Value;
use tests::peer::End;
use tests::{DEADLINE, Listener, Peer, Program, eventually, proc};

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

/// Sends bytes, from a thread of its own.
fn pour(peer: &Peer, bytes: &[u8]) -> thread::JoinHandle<()> {
    let (mut stream, bytes) = (stream(peer), bytes.to_vec());
    thread::spawn(move || stream.write_all(&bytes).expect("it is taken"))
}

/// So much that it does not fit into the buffers between two peers.
const A_LOT: usize = 32 << 20;

fn pauses(proxy: &Program) -> u64 {
    let pauses = &state(proxy)["connections"]["read_paused"];
    pauses.as_u64().expect("a count")
}

/// Sends a lot and waits until it moves in bulk, or the proxy could not pass on what it
/// read, so that its next reads are full ones and make it so: how many of them come in a
/// row is otherwise a matter of who is faster.
fn jam(proxy: &Program, sender: &Peer, bytes: &[u8]) -> thread::JoinHandle<()> {
    let before = pauses(proxy);
    let pouring = pour(sender, bytes);
    eventually("the proxy to be held up", || {
        (pauses(proxy) > before || in_bulk(&state(proxy)) > 0).then_some(())
    });
    pouring
}

fn read(peer: &Peer, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    stream(peer).read_exact(&mut bytes).expect("all of it");
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
    for driver in DRIVERS {
        let (proxy, backend) = relay(driver, &[]);
        let (mut client, mut server) = pair(&proxy, &backend);
        let (up, down) = (numbered(A_LOT), numbered(A_LOT / 2));
        let pouring = [pour(&client, &up), jam(&proxy, &server, &down)];
        let reader = stream(&server);
        let receiver = thread::spawn(move || read(&Peer::new(reader), A_LOT) == up);
        assert!(read(&client, A_LOT / 2) == down, "{driver}: the way back");
        assert!(
            receiver.join().expect("no panic"),
            "{driver}: the way there"
        );
        for pouring in pouring {
            pouring.join().expect("no panic");
        }
        client.finish();
        server.expect_end(End::Orderly);
        server.send("a late answer");
        server.finish();
        client.expect("a late answer");
        client.expect_end(End::Orderly);
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
        for round in 0..2 {
            for n in 0..10 {
                let message = format!("round {round}, message {n}\n");
                client.send(&message);
                server.expect(&message);
                server.send(&message);
                client.expect(&message);
            }
            let bytes = numbered(A_LOT);
            let pouring = jam(&proxy, &client, &bytes);
            assert!(read(&server, A_LOT) == bytes, "{driver}, round {round}");
            pouring.join().expect("no panic");
            assert_eq!(in_bulk(&state(&proxy)), 1, "{driver}");
        }
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
        // Three megabytes on their way, as messages and as bulk: a close that threw away
        // what the client has not acknowledged would lose most of it.
        for bulk in [0, 1] {
            let (mut client, mut server) = pair(&proxy, &backend);
            if bulk > 0 {
                let bytes = numbered(A_LOT);
                let pouring = jam(&proxy, &server, &bytes);
                assert!(read(&client, A_LOT) == bytes, "{driver}");
                pouring.join().expect("no panic");
            }
            assert!(in_bulk(&state(&proxy)) >= bulk, "{driver}");
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
        assert!(
            peak < MEMORY_CAP_KIB,
            "{driver}: {peak} KiB of {offered} bytes"
        );
        let (mut other, mut other_server) = pair(&proxy, &backend);
        other.send("still there?");
        other_server.expect("still there?");
        // It reads after all, and gets everything.
        let mut reader = stream(&server);
        client.finish();
        let mut taken = Vec::new();
        reader.read_to_end(&mut taken).expect("an orderly end");
        assert_eq!(taken.len(), offered, "{driver}");
        assert!(
            taken
                .chunks(bytes.len())
                .all(|part| bytes.starts_with(part))
        );
    }
}

#[test]
fn readers_that_stop_do_not_take_the_buffers_of_others() {
    // The ring's buffers are the kernel's to fill; epoll reads only what it can pass on.
    let (proxy, backend) = relay("io_uring", &["--threads", "1"]);
    // Each backend floods its client with small messages, and no client reads: what
    // was read for them may not fill what is read with.
    let mut stuck = Vec::new();
    for _ in 0..130 {
        let (mut client, mut server) = pair(&proxy, &backend);
        for _ in 0..8 {
            server.send("small");
            client.expect("small");
        }
        stuck.push((client, server));
    }
    for (_, server) in &mut stuck {
        server.as_stream().set_nonblocking(true).expect("a socket");
    }
    let message = [b'x'; 4_000];
    let mut is_blocked = false;
    eventually("every one of them to be stuck", || {
        let sent = stuck
            .iter()
            .filter(|(_, server)| server.as_stream().write(&message).is_ok());
        let none = sent.count() == 0;
        let done = none && is_blocked;
        is_blocked = none;
        done.then_some(())
    });
    let (mut client, mut server) = pair(&proxy, &backend);
    for _ in 0..20 {
        client.send("still there?");
        server.expect("still there?");
        server.send("yes");
        client.expect("yes");
    }
}

#[test]
fn both_ways_full_with_a_reader_that_comes_late_goes_on() {
    for driver in DRIVERS {
        let (proxy, backend) = relay(driver, &[]);
        let (client, server) = pair(&proxy, &backend);
        let bytes = numbered(A_LOT);
        // An echo server that writes back what it reads before it reads on, and a client
        // that sends all it has before it reads: both pipes are full, and only reading from
        // the one who does not take anything gets things going.
        let mut echo = stream(&server);
        let echoing = thread::spawn(move || {
            let mut buffer = vec![0; 1 << 20];
            while let Ok(n @ 1..) = echo.read(&mut buffer) {
                echo.write_all(&buffer[..n]).expect("it is taken");
            }
        });
        let pouring = jam(&proxy, &client, &bytes);
        assert!(read(&client, A_LOT) == bytes, "{driver}");
        pouring.join().expect("no panic");
        client.finish();
        echoing.join().expect("no panic");
    }
}

#[test]
fn a_client_that_leaves_when_everything_is_full_frees_its_connection() {
    for driver in DRIVERS {
        let (proxy, backend) = relay(driver, &[]);
        let (client, server) = pair(&proxy, &backend);
        // An echo server, and a client that never reads: the server ends up waiting to
        // write and reads no more, so that nothing moves either way.
        let mut echo = stream(&server);
        let echoing = thread::spawn(move || {
            let mut buffer = vec![0; 1 << 20];
            while let Ok(n @ 1..) = echo.read(&mut buffer) {
                if echo.write_all(&buffer[..n]).is_err() {
                    break;
                }
            }
        });
        let mut sender = Peer::new(stream(&client));
        let taken = || state(&proxy)["bytes"].to_string();
        let mut before = String::new();
        let is_stuck = || {
            let now = taken();
            now == std::mem::replace(&mut before, now.clone())
        };
        sender.send_until_blocked(&numbered(1 << 20), is_stuck);
        drop(sender);
        client.reset();
        state_when(&proxy, "the connection to be over", |state| {
            state["connections"]["open"] == 0
        });
        drop(server);
        echoing.join().expect("no panic");
    }
}
