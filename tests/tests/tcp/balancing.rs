//! Limits of backends and the queue.

use tests::peer::End;
use tests::{Peer, eventually};

use crate::server::{Server, echoes, reach};
use crate::started::{backend, connect, start, state, state_when};

#[test]
fn who_finds_every_backend_full_waits_in_the_queue() {
    let a = Server::start("a");
    for driver in ["io_uring", "epoll"] {
        let full = format!("{},max=1", a.addr());
        let args = [
            "--queue",
            "1",
            "--queue-timeout",
            "1h",
            "--driver",
            driver,
            &full,
        ];
        let proxy = start(&args);
        let (first, _) = reach(&proxy);
        let mut second = connect(&proxy);
        second.send("y");
        state_when(&proxy, "a place in the queue", |state| {
            state["pools"][0]["queue"]["waiting"] == 1
        });
        Peer::expect_refused(&proxy.socket("listen"));
        drop(first);
        second.expect("ay");
        let state = state(&proxy);
        assert_eq!(backend(&state, a.addr())["active"], 1, "{state:#}");
        let queue = &state["pools"][0]["queue"];
        assert_eq!(
            (&queue["waiting"], &queue["queued"]),
            (&0.into(), &1.into()),
            "{state:#}"
        );
    }
}

#[test]
fn waiting_in_the_queue_has_an_end() {
    let a = Server::start("a");
    let args = [
        "--queue",
        "10",
        "--queue-timeout",
        "50ms",
        "--max-per-backend",
        "1",
        a.addr(),
    ];
    let proxy = start(&args);
    let (mut first, _) = reach(&proxy);
    let mut second = connect(&proxy);
    second.expect_end(End::Reset);
    assert_eq!(state(&proxy)["connections"]["queue_timeout"], 1);
    echoes(&mut first);
}

#[test]
fn weights_count() {
    let (a, b) = (Server::start("a"), Server::start("b"));
    let heavy = format!("{},weight=3", b.addr());
    let proxy = start(&[
        "--balance",
        "round-robin",
        "--threads",
        "1",
        a.addr(),
        &heavy,
    ]);
    let names: Vec<_> = (0..40).map(|_| reach(&proxy).1).collect();
    assert_eq!(
        names.iter().filter(|name| *name == "b").count(),
        30,
        "{names:?}"
    );
}

#[test]
fn connections_past_the_limit_are_refused_and_half_closed_ones_end() {
    let a = Server::start("a");
    let args = [
        "--max-connections",
        "2",
        "--half-closed-timeout",
        "50ms",
        a.addr(),
    ];
    let proxy = start(&args);
    let held: Vec<_> = (0..2).map(|_| reach(&proxy)).collect();
    Peer::expect_refused(&proxy.socket("listen"));
    drop(held);
    // A place is given back only when the connection is over.
    eventually("a place", || {
        let mut peer = Peer::try_connect(&proxy.socket("listen"))?;
        (peer.read_some() == b"a").then_some(())
    });
}
