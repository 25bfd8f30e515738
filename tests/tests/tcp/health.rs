//! Health: checks, ejection, what happens when all are down.

use tests::{Listener, Peer, ReservedPort};

use crate::server::{Server, reach, reach_until};
use crate::started::{backend, connect, start, state, status_becomes};

/// Checks so often that a test need not wait.
const OFTEN: [&str; 6] = [
    "--health-interval",
    "10ms",
    "--health-rise",
    "2",
    "--health-fall",
    "2",
];

#[test]
fn a_backend_that_dies_is_left_out_until_it_is_back() {
    let (mut a, b) = (Server::start("a"), Server::start("b"));
    let proxy = start(&[&OFTEN[..], &["--eject-after", "0", a.addr(), b.addr()]].concat());
    reach_until(&proxy, "a");
    a.kill();
    status_becomes(&proxy, a.addr(), "down");
    for _ in 0..20 {
        assert_eq!(reach(&proxy).1, "b");
    }
    a.restart();
    let state = status_becomes(&proxy, a.addr(), "up");
    reach_until(&proxy, "a");
    let history = backend(&state, a.addr())["history"].as_array().unwrap();
    let changes: Vec<_> = history
        .iter()
        .map(|one| one["to"].as_str().unwrap())
        .collect();
    assert_eq!(changes, ["up", "down", "up"], "{state:#}");
    assert!(
        history
            .iter()
            .all(|one| one["unix_ms"].as_u64() > Some(1_600_000_000_000))
    );
    // Each change is told once.
    proxy.expect_log(&format!("{} of default is up, was down", a.addr()));
    let downs = format!("{} of default is down", a.addr());
    assert_eq!(proxy.stderr().matches(&downs).count(), 1);
}

#[test]
fn the_first_check_comes_before_the_first_connection() {
    let (a, nobody) = (Server::start("a"), ReservedPort::take());
    let proxy = start(&[
        "--retries",
        "0",
        "--balance",
        "round-robin",
        nobody.addr(),
        a.addr(),
    ]);
    assert_eq!(backend(&state(&proxy), nobody.addr())["status"], "down");
    for _ in 0..10 {
        assert_eq!(reach(&proxy).1, "a");
    }
}

#[test]
fn a_check_may_ask_for_an_answer() {
    let (a, b) = (Server::start("a"), Server::start("b"));
    // Each says its name and then echoes.
    let asks = ["--health-send", "PING\\r\\n", "--health-expect", "bPING\\r"];
    let proxy = start(&[&asks[..], &[a.addr(), b.addr()]].concat());
    let state = state(&proxy);
    assert_eq!(backend(&state, a.addr())["status"], "down", "{state:#}");
    assert_eq!(backend(&state, b.addr())["status"], "up", "{state:#}");
    assert_eq!(reach(&proxy).1, "b");
}

#[test]
fn failed_dials_go_to_another_backend_and_eject_the_first() {
    let (a, nobody) = (Server::start("a"), ReservedPort::take());
    for driver in ["io_uring", "epoll"] {
        let unchecked = [
            "--health-interval",
            "0",
            "--balance",
            "round-robin",
            "--driver",
            driver,
        ];
        let proxy = start(&[&unchecked[..], &[nobody.addr(), a.addr()]].concat());
        for _ in 0..10 {
            assert_eq!(reach(&proxy).1, "a");
        }
        let state = state(&proxy);
        let failed = backend(&state, nobody.addr());
        assert_eq!(failed["status"], "ejected", "{state:#}");
        assert_eq!(failed["dial_failures"], 3, "{state:#}");
        assert_eq!(failed["ejections"], 1, "{state:#}");
        assert_eq!(state["relay"]["retries"], 3, "{state:#}");
    }
}

#[test]
fn when_all_are_down_connections_fail_or_any_is_tried() {
    let nobody = ReservedPort::take();
    let proxy = start(&[nobody.addr()]);
    Peer::expect_refused(&proxy.socket("listen"));
    assert_eq!(state(&proxy)["pools"][0]["all_down"], 1);

    let a = Server::start("a");
    let wrong = ["--health-expect", "never said", "--health-timeout", "50ms"];
    let proxy = start(&[&wrong[..], &["--when-all-down", "any", a.addr()]].concat());
    assert_eq!(backend(&state(&proxy), a.addr())["status"], "down");
    assert_eq!(reach(&proxy).1, "a");
}

#[test]
fn a_pool_is_not_ejected_as_a_whole() {
    let backend = Listener::open();
    let proxy = start(&["--health-interval", "0", &backend.addr()]);
    // More junk than it takes to eject it.
    for _ in 0..5 {
        let mut client = connect(&proxy);
        client.send("junk");
        let mut server = backend.accept();
        server.expect("junk");
        server.reset();
        let _ = client.rest();
    }
    let state = status_becomes(&proxy, &backend.addr(), "ejected");
    assert_eq!(state["pools"][0]["all_down"], 0, "{state:#}");
    let mut client = connect(&proxy);
    client.send("hello");
    backend.accept().expect("hello");
}
