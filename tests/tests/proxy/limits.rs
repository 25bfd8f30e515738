//! What one proxy bears: a server that is down or deaf, silence, too many clients, too few
//! descriptors, thousands of idle connections.

use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use tests::peer::End;
use tests::{Listener, Peer, Program, ReservedPort, eventually, proc};

use crate::started::{DRIVERS, PROXY, args, exchange, start, start_before, stats};

/// A port on which connections are neither accepted nor refused.
fn black_hole() -> (TcpListener, Vec<TcpStream>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let addr = listener.local_addr().unwrap();
    // The queue has room for one at least, however long that one takes.
    let first = TcpStream::connect(addr).unwrap();
    let fill = || TcpStream::connect_timeout(&addr, Duration::from_millis(200)).ok();
    let queue = std::iter::once(first).chain(std::iter::from_fn(fill));
    (listener, queue.collect(), addr.to_string())
}

/// A client and its connection at the server, unless the proxy resets the client.
fn connect_through(listen: &str, server: &Listener) -> Option<(Peer, Peer)> {
    const HELLO: &str = "REQ 0 hello\n";
    let mut client = Peer::try_connect(listen)?;
    let sent = client.try_send(HELLO);
    let upstream = eventually("a connection to the server, or a refusal", || {
        if !sent || !client.is_open() {
            return Some(None);
        }
        // It may be that of a client that has gone meanwhile.
        let mut upstream = server.try_accept()?;
        (upstream.read_some() == HELLO.as_bytes()).then_some(Some(upstream))
    });
    upstream.map(|upstream| (client, upstream))
}

#[test]
fn a_server_that_is_down_resets_the_client_and_the_proxy_stays() {
    for driver in DRIVERS {
        let nobody = ReservedPort::take();
        let proxy = start_before(driver, nobody.addr(), &[]);
        for _ in 0..3 {
            Peer::expect_refused(&proxy.socket("listen"));
        }
        assert_eq!(stats(&proxy)["connections"]["failed"]["refused"], 3);
        // A connection is over for its client before it is for the statistics.
        eventually("all three to be over", || {
            (stats(&proxy)["connections"]["open"] == 0).then_some(())
        });
    }
}

#[test]
fn a_server_that_does_not_accept_is_given_up_after_the_connect_timeout() {
    for driver in DRIVERS {
        let (_listener, _queue, addr) = black_hole();
        // Long enough for a busy machine to send before.
        let proxy = start_before(driver, &addr, &["--connect-timeout", "1s"]);
        let mut client = Peer::connect(&proxy.socket("listen"));
        client.send("REQ 1 waiting\n");
        client.expect_end(End::Reset);
        assert_eq!(stats(&proxy)["connections"]["failed"]["timeout"], 1);
    }
}

#[test]
fn an_idle_connection_is_closed_and_counted() {
    for driver in DRIVERS {
        // Long enough for a busy machine to get the exchange done before.
        let (proxy, server) = start(driver, &["--idle-timeout", "2s"]);
        let mut client = Peer::connect(&proxy.socket("listen"));
        let mut upstream = server.accept();
        exchange(&mut client, &mut upstream);
        client.expect_end(End::Orderly);
        upstream.expect_end(End::Orderly);
        assert_eq!(stats(&proxy)["connections"]["idle_timeout"], 1);
    }
}

#[test]
fn connections_past_the_limit_are_refused_and_counted() {
    for driver in DRIVERS {
        let (proxy, server) = start(driver, &["--max-connections", "2"]);
        let mut open: Vec<_> = (0..2)
            .map(|_| (Peer::connect(&proxy.socket("listen")), server.accept()))
            .collect();
        Peer::expect_refused(&proxy.socket("listen"));
        assert_eq!(stats(&proxy)["connections"]["refused"], 1);
        assert_eq!(stats(&proxy)["connections"]["open"], 2);
        for (client, upstream) in &mut open {
            exchange(client, upstream);
        }
        open.pop();
        // Until the place is free the next one is refused as well.
        let (mut client, mut upstream) = eventually("a place to become free", || {
            connect_through(&proxy.socket("listen"), &server)
        });
        exchange(&mut client, &mut upstream);
    }
}

#[test]
fn out_of_descriptors_it_keeps_serving_and_does_not_spin() {
    for driver in DRIVERS {
        let server = Listener::open();
        let mut command = Command::new("sh");
        let script = "ulimit -n 64 && exec \"$@\"";
        command
            .args(["-c", script, "sh", PROXY])
            .args(args(driver, &server.addr()));
        let proxy = Program::start_command(command);
        let listen = proxy.socket("listen");
        // Fewer connections are taken than are offered; the rest waits in the kernel.
        let clients: Vec<_> = (0..60).map(|_| Peer::connect(&listen)).collect();
        let served: Vec<_> = (0..10).map(|_| server.accept()).collect();
        let before = proc::cpu(proxy.pid());
        let watched = Duration::from_millis(500);
        std::thread::sleep(watched);
        let used = proc::cpu(proxy.pid()) - before;
        assert!(
            used < watched / 4,
            "{driver}: spinning, {used:?} of {watched:?}"
        );
        // With descriptors free again, new connections are served.
        drop(clients);
        drop(served);
        // Who is still in line comes first, and may leave none for this one: then it is
        // refused, and tries again.
        let (mut client, mut upstream) =
            eventually("service to resume", || connect_through(&listen, &server));
        exchange(&mut client, &mut upstream);
        assert!(
            stats(&proxy)["pauses"]["accept"].as_u64() > Some(0),
            "{}",
            stats(&proxy)
        );
    }
}

/// What 9,000 connections that carried a message and went quiet may cost.
const IDLE_CAP_KIB: u64 = 64 * 1024;

#[test]
fn nine_thousand_idle_connections_are_cheap() {
    // Both of the proxy's sockets and our end of each need descriptors.
    const CONNECTIONS: usize = 9_000;
    let descriptors = service::limits::raise_descriptors().unwrap_or(u64::MAX);
    if descriptors < 2 * CONNECTIONS as u64 + 200 {
        eprintln!("SKIPPED: {descriptors} descriptors are too few");
        return;
    }
    let harness = env!("CARGO_BIN_EXE_test-harness");
    let upstream = Program::start(harness, &["upstream", "foo", "--listen", "127.0.0.1:0"]);
    for driver in DRIVERS {
        let proxy = Program::start(PROXY, &args(driver, &upstream.socket("listen")));
        let listen = proxy.socket("listen");
        let mut clients: Vec<_> = (0..CONNECTIONS).map(|_| Peer::connect(&listen)).collect();
        clients
            .iter_mut()
            .for_each(|client| client.send("REQ 1 a\n"));
        clients
            .iter_mut()
            .for_each(|client| assert!(!client.read_some().is_empty()));
        assert_eq!(stats(&proxy)["connections"]["open"], CONNECTIONS);
        let resident = proc::status_kib(proxy.pid(), "VmRSS");
        assert!(resident < IDLE_CAP_KIB, "{driver}: {resident} KiB");
    }
}
