//! Orders on the admin endpoint.

use std::io::Write;
use std::net::TcpStream;

use tests::Listener;

use crate::server::{Server, echoes, reach, reach_until};
use crate::started::{backend, http, post, start, state, state_when, status_becomes};

#[test]
fn a_backend_can_be_drained_disabled_and_enabled() {
    let (a, b) = (Server::start("a"), Server::start("b"));
    // By chance, so that the connection that is held is no reason to go elsewhere.
    let often = ["--health-interval", "10ms", "--balance", "random"];
    let proxy = start(&[&often[..], &[a.addr(), b.addr()]].concat());
    let (mut held, _) = std::iter::repeat_with(|| reach(&proxy))
        .find(|(_, name)| name == "a")
        .expect("it goes on");
    for (order, status) in [("drain", "draining"), ("disable", "disabled")] {
        let (head, _) = post(&proxy, &format!("/backends/{}/{order}", a.addr()));
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        assert_eq!(backend(&state(&proxy), a.addr())["status"], status);
        for _ in 0..10 {
            assert_eq!(reach(&proxy).1, "b");
        }
        echoes(&mut held);
    }
    let path = format!(
        "/pools/default/backends/{}/enable",
        a.addr().replace(':', "%3A")
    );
    assert!(post(&proxy, &path).0.starts_with("HTTP/1.1 200"));
    status_becomes(&proxy, a.addr(), "up");
    reach_until(&proxy, "a");
}

#[test]
fn a_backend_that_is_enabled_again_is_checked_first() {
    let (mut a, b) = (Server::start("a"), Server::start("b"));
    let proxy = start(&["--health-interval", "1h", a.addr(), b.addr()]);
    let path = format!("/backends/{}", a.addr());
    let order = |what: &str| post(&proxy, &format!("{path}/{what}")).0;
    assert!(order("disable").contains("200"));
    a.kill();
    assert!(order("enable").contains("200"));
    assert_eq!(backend(&state(&proxy), a.addr())["status"], "down");
    assert!(order("disable").contains("200"));
    a.restart();
    assert!(order("enable").contains("200"));
    assert_eq!(backend(&state(&proxy), a.addr())["status"], "up");
}

#[test]
fn wrong_orders_are_refused_and_say_what_there_is() {
    let a = Server::start("a");
    let proxy = start(&[a.addr()]);
    let admin = proxy.socket("admin");
    for (request, status, word) in [
        ("POST /backends/x:1/drain HTTP/1.1", "404", a.addr()),
        ("POST /pools/x/backends/y/drain HTTP/1.1", "404", a.addr()),
        ("POST /backends/x/explode HTTP/1.1", "404", "/reload"),
        ("POST /state HTTP/1.1", "404", "/reload"),
        ("GET /reload HTTP/1.1", "404", "/state"),
        ("DELETE /state HTTP/1.1", "405", "POST"),
        (
            "POST /reload HTTP/1.1\r\nOrigin: http://evil.example",
            "403",
            "web pages",
        ),
    ] {
        let (head, body) = http(&admin, request);
        assert!(
            head.starts_with(&format!("HTTP/1.1 {status}")),
            "{request}: {head}"
        );
        assert!(body.contains(word), "{request}: {body}");
    }
    assert_eq!(state(&proxy)["config"]["generation"], 1);
    // A body is not read, and does no harm.
    let body = "x".repeat(100_000);
    let request = format!("POST /reload HTTP/1.1\r\nContent-Length: {}", body.len());
    let (head, _) = http(&admin, &request);
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
}

#[test]
fn an_empty_host_is_this_machine_only() {
    let a = Server::start("a");
    let proxy = crate::started::PROXY;
    let args = ["tcp", "--listen", "127.0.0.1:0", "--admin", ":0", a.addr()];
    let proxy = tests::Program::start(proxy, &args);
    assert!(proxy.socket("admin").starts_with("127.0.0.1:"));
}

#[test]
fn an_order_is_carried_out_for_who_hangs_up_and_a_later_one_counts() {
    let slow = Listener::open();
    let asks = [
        "--health-interval",
        "1h",
        "--health-timeout",
        "20s",
        "--health-expect",
        "OK",
    ];
    let proxy = std::thread::scope(|scope| {
        scope.spawn(|| slow.accept().send("OK"));
        start(&[&asks[..], &[&slow.addr()]].concat())
    });
    let admin = |state: &serde_json::Value| backend(state, &slow.addr())["admin"].clone();
    let hang_up = |order: &str| {
        let mut stream = TcpStream::connect(proxy.socket("admin")).expect("it listens");
        let request = format!(
            "POST /backends/{}/{order} HTTP/1.1\r\nHost: x\r\n\r\n",
            slow.addr()
        );
        stream.write_all(request.as_bytes()).expect("it reads");
        // The check has begun: the order was read.
        slow.accept()
    };
    assert!(
        post(&proxy, &format!("/backends/{}/disable", slow.addr()))
            .0
            .contains("200")
    );
    hang_up("enable").send("OK");
    state_when(&proxy, "enabled", |state| admin(state) == "enabled");

    assert!(
        post(&proxy, &format!("/backends/{}/disable", slow.addr()))
            .0
            .contains("200")
    );
    let mut check = hang_up("enable");
    assert!(
        post(&proxy, &format!("/backends/{}/drain", slow.addr()))
            .0
            .contains("200")
    );
    check.send("OK");
    // The check has counted.
    state_when(&proxy, "a check that passed", |state| {
        backend(state, &slow.addr())["checks_passed"] == 3
    });
    assert_eq!(admin(&state(&proxy)), "draining");
}
