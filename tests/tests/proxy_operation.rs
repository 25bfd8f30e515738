//! `proxy foo` as a service: limits, failures, signals, statistics, bad input.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use assert_cmd::assert::OutputAssertExt;
use rustix::process::Signal;
use tests::peer::End;
use tests::{DEADLINE, Listener, Peer, Program, eventually, proc};

const PROXY: &str = env!("CARGO_BIN_EXE_test-proxy");
const DRIVERS: [&str; 2] = ["io_uring", "epoll"];

fn args<'a>(driver: &'a str, forward: &'a str) -> Vec<&'a str> {
    let listen = "127.0.0.1:0";
    vec![
        "foo",
        "--listen",
        listen,
        "--forward",
        forward,
        "--driver",
        driver,
        "--admin",
        listen,
    ]
}

fn start(driver: &str, more: &[&str]) -> (Program, Listener) {
    let server = Listener::open();
    let proxy = Program::start(PROXY, &[&args(driver, &server.addr())[..], more].concat());
    (proxy, server)
}

/// A plain HTTP request, as `curl` would send it.
fn http(addr: &str, request: &str) -> (String, String) {
    let mut stream = TcpStream::connect(addr).expect("the admin endpoint");
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    write!(
        stream,
        "{request}\r\nHost: test\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    (head.to_owned(), body.to_owned())
}

fn stats(proxy: &Program) -> serde_json::Value {
    let (_, body) = http(&proxy.socket("admin"), "GET /stats HTTP/1.1");
    serde_json::from_str(&body).expect("JSON")
}

fn exchange(client: &mut Peer, upstream: &mut Peer) {
    client.send("REQ 1 a\n");
    upstream.expect("REQ 1 a\n");
    upstream.send("ACK 1 b\n");
    client.expect("ACK 1 b\n");
}

/// A port on which connections are neither accepted nor refused.
fn black_hole() -> (TcpListener, Vec<TcpStream>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let addr = listener.local_addr().unwrap();
    let fill = || TcpStream::connect_timeout(&addr, Duration::from_millis(200)).ok();
    let queue = std::iter::from_fn(fill).collect();
    (listener, queue, addr.to_string())
}

#[test]
fn a_server_that_is_down_resets_the_client_and_the_proxy_stays() {
    for driver in DRIVERS {
        let nobody = Listener::open().addr();
        let proxy = Program::start(PROXY, &args(driver, &nobody));
        for _ in 0..3 {
            Peer::expect_refused(&proxy.socket("listen"));
        }
        assert_eq!(stats(&proxy)["connections"]["failed"]["refused"], 3);
        assert_eq!(stats(&proxy)["connections"]["open"], 0);
    }
}

#[test]
fn a_server_that_does_not_accept_is_given_up_after_the_connect_timeout() {
    for driver in DRIVERS {
        let (_listener, _queue, addr) = black_hole();
        let proxy = Program::start(
            PROXY,
            &[&args(driver, &addr)[..], &["--connect-timeout", "100ms"]].concat(),
        );
        let mut client = Peer::connect(&proxy.socket("listen"));
        client.send("REQ 1 waiting\n");
        client.expect_end(End::Reset);
        assert_eq!(stats(&proxy)["connections"]["failed"]["timeout"], 1);
    }
}

#[test]
fn an_idle_connection_is_closed_and_counted() {
    for driver in DRIVERS {
        let (proxy, server) = start(driver, &["--idle-timeout", "100ms"]);
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
        eventually("a place to become free", || {
            (stats(&proxy)["connections"]["open"] == 1).then_some(())
        });
        let mut client = Peer::connect(&proxy.socket("listen"));
        exchange(&mut client, &mut server.accept());
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
        let admin = proxy.socket("admin");
        // Fewer connections are taken than are offered; the rest waits in the kernel.
        let mut served = Vec::new();
        let clients: Vec<_> = (0..60).map(|_| Peer::connect(&listen)).collect();
        drop(admin);
        let enough = eventually("some connections to be served", || {
            served.push(server.accept());
            (served.len() >= 10).then_some(served.len())
        });
        assert!(enough >= 10);
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
        let (mut client, mut upstream) = eventually("service to resume", || {
            let mut client = Peer::connect(&listen);
            let sent = client.try_send("REQ 7 again\n");
            let upstream = eventually("a connection to the upstream, or a refusal", || {
                if !sent || !client.is_open() {
                    return Some(None);
                }
                let mut upstream = server.try_accept()?;
                (upstream.read_some() == b"REQ 7 again\n").then_some(Some(upstream))
            });
            upstream.map(|upstream| (client, upstream))
        });
        upstream.send("ACK 7 r\n");
        client.expect("ACK 7 r\n");
        assert!(
            stats(&proxy)["pauses"]["accept"].as_u64() > Some(0),
            "{}",
            stats(&proxy)
        );
    }
}

#[test]
fn on_sigterm_open_connections_finish_and_the_statistics_are_printed() {
    for driver in DRIVERS {
        let (mut proxy, server) = start(driver, &[]);
        let listen = proxy.socket("listen");
        let mut client = Peer::connect(&listen);
        let mut upstream = server.accept();
        proxy.signal(Signal::TERM);
        eventually("the port to close", || {
            (!proc::is_listening(&listen)).then_some(())
        });
        exchange(&mut client, &mut upstream);
        drop(client);
        upstream.expect_end(End::Orderly);
        drop(upstream);
        let status = proxy.wait();
        assert!(status.success(), "{status} {}", proxy.describe());
        let stdout = proxy.stdout();
        let last: serde_json::Value =
            serde_json::from_str(stdout.trim()).expect("one line of JSON");
        assert_eq!(
            (&last["msg_total"], &last["connections"]["open"]),
            (&2.into(), &0.into())
        );
    }
}

#[test]
fn the_grace_period_is_a_bound_and_a_second_signal_ends_at_once() {
    for driver in DRIVERS {
        let (mut proxy, server) = start(driver, &["--grace", "100ms"]);
        let mut client = Peer::connect(&proxy.socket("listen"));
        let _upstream = server.accept();
        proxy.signal(Signal::TERM);
        assert!(proxy.wait().success());
        assert!(client.rest().0.is_empty());

        let (mut proxy, server) = start(driver, &["--grace", "1h"]);
        let listen = proxy.socket("listen");
        let _client = Peer::connect(&listen);
        let _upstream = server.accept();
        proxy.signal(Signal::INT);
        eventually("the port to close", || {
            (!proc::is_listening(&listen)).then_some(())
        });
        proxy.signal(Signal::TERM);
        assert!(proxy.wait().success());
    }
}

#[test]
fn sigusr1_prints_the_eight_fields_first() {
    let (proxy, server) = start("io_uring", &[]);
    let mut client = Peer::connect(&proxy.socket("listen"));
    let mut upstream = server.accept();
    for _ in 0..3 {
        exchange(&mut client, &mut upstream);
    }
    proxy.signal(Signal::USR1);
    let line = eventually("statistics", || {
        proxy.stdout().lines().next().map(str::to_owned)
    });
    let start = r#"{"msg_total":6,"msg_req":3,"msg_ack":3,"msg_nak":0,"request_rate_1s":"#;
    assert!(line.starts_with(start), "{line}");
    let value: serde_json::Value = serde_json::from_str(&line).expect("JSON");
    let keys: Vec<_> = value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .take(9)
        .collect();
    let expected = "msg_total msg_req msg_ack msg_nak request_rate_1s request_rate_10s \
        response_rate_1s response_rate_10s own_answers";
    assert_eq!(keys.join(" "), expected);
    let ten = value["request_rate_10s"].as_f64().unwrap();
    assert!((ten - 0.3).abs() < 1e-9, "{line}");
}

#[test]
fn the_admin_endpoint_answers_and_survives_garbage() {
    let (proxy, _server) = start("epoll", &[]);
    let admin = proxy.socket("admin");
    assert!(http(&admin, "GET /healthz HTTP/1.1").1 == "ok\n");
    let (head, metrics) = http(&admin, "GET /metrics HTTP/1.1");
    assert!(
        head.starts_with("HTTP/1.1 200") && head.contains("text/plain; version=0.0.4"),
        "{head}"
    );
    assert!(
        metrics.contains("proxy_foo_messages_total{type=\"req\"} 0\n"),
        "{metrics}"
    );
    for line in metrics.lines().filter(|line| !line.starts_with('#')) {
        let (_, value) = line.rsplit_once(' ').expect("a sample");
        assert!(value.parse::<f64>().is_ok(), "{line}");
    }
    assert!(
        http(&admin, "GET /nothing HTTP/1.1")
            .0
            .starts_with("HTTP/1.1 404")
    );
    assert!(
        http(&admin, "POST /stats HTTP/1.1")
            .0
            .starts_with("HTTP/1.1 405")
    );
    for garbage in [
        &b"\0\xff\r\n\r\n"[..],
        &[b'x'; 100_000],
        b"GET / HTTP/9.9\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(&admin).unwrap();
        // It may close before everything is sent.
        let _ = stream.write_all(garbage);
        let _ = stream.read(&mut [0; 100]);
    }
    let _silent: Vec<_> = (0..10)
        .map(|_| TcpStream::connect(&admin).unwrap())
        .collect();
    assert!(http(&admin, "GET /healthz HTTP/1.1").1 == "ok\n");
}

#[test]
fn a_used_port_is_refused_by_name() {
    let (proxy, _server) = start("io_uring", &[]);
    let taken = proxy.socket("listen");
    let mut second = Command::new(PROXY);
    second.args(["foo", "--listen", &taken, "--forward", "127.0.0.1:1"]);
    let output = second.assert().code(1).get_output().clone();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.contains(&taken) && stderr.contains("in use"),
        "{stderr}"
    );
    assert_eq!(
        stderr
            .lines()
            .filter(|line| line.starts_with("error"))
            .count(),
        1,
        "{stderr}"
    );
}

#[test]
fn where_io_uring_is_forbidden_epoll_serves_and_the_reason_is_logged() {
    const WITHOUT: &str = env!("CARGO_BIN_EXE_test-without-io-uring");
    let server = Listener::open();
    let forward = server.addr();
    let args = [&[PROXY][..], &args("auto", &forward)].concat();
    let proxy = Program::start(WITHOUT, &args);
    let mut client = Peer::connect(&proxy.socket("listen"));
    exchange(&mut client, &mut server.accept());
    assert_eq!(stats(&proxy)["driver"], "epoll");
    assert!(
        proxy.stderr().contains("Operation not permitted"),
        "{}",
        proxy.stderr()
    );
    let forced = [
        &[PROXY][..],
        &["foo", "--listen", "127.0.0.1:0", "--driver", "io_uring"],
    ]
    .concat();
    Command::new(WITHOUT).args(forced).assert().code(1);
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

#[test]
fn go_style_flags_work() {
    let server = Listener::open();
    let forward = format!("-forward={}", server.addr());
    let proxy = Program::start(PROXY, &["foo", "-listen=127.0.0.1:0", &forward]);
    let mut client = Peer::connect(&proxy.socket("listen"));
    exchange(&mut client, &mut server.accept());
}

#[test]
fn bad_arguments_are_one_line_that_names_what_is_accepted() {
    let cases: &[(&[&str], &[&str])] = &[
        (&["--listen", "8002"], &["8002", "HOST:PORT"]),
        (&["--forward", "localhost"], &["localhost", "HOST:PORT"]),
        (
            &["--on-malformed", "shrug"],
            &["shrug", "reply", "drop", "close", "forward"],
        ),
        (&["--grammar", "loose"], &["loose", "strict", "spec"]),
        (&["--max-line", "4"], &["5 to 1048576"]),
        (&["--max-line", "many"], &["many", "64KiB"]),
        (&["--connect-timeout", "5"], &["\"5\"", "250ms"]),
        (&["--idle-timeout=-1s"], &["-1s", "250ms"]),
        (&["--grace", "soon"], &["soon", "250ms"]),
        (&["--threads", "0"], &["\"0\"", "at least 1"]),
        (&["--max-connections", "0"], &["\"0\"", "at least 1"]),
        (&["--driver", "kqueue"], &["kqueue", "io_uring", "epoll"]),
        (&["--ready-fd", "1"], &["\"1\"", "descriptor"]),
        (&["--no-such-flag"], &["--no-such-flag"]),
    ];
    for (args, expected) in cases {
        let mut command = Command::new(PROXY);
        let output = command
            .arg("foo")
            .args(*args)
            .assert()
            .code(2)
            .get_output()
            .clone();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(stderr.lines().count(), 1, "{args:?}: {stderr}");
        for word in *expected {
            assert!(
                stderr.contains(word),
                "{args:?} should mention {word}: {stderr}"
            );
        }
    }
}

#[test]
fn help_teaches_by_example() {
    for args in [&["--help"][..], &["foo", "--help"]] {
        let output = Command::new(PROXY)
            .args(args)
            .assert()
            .success()
            .get_output()
            .clone();
        let help = String::from_utf8(output.stdout).unwrap();
        assert!(
            help.contains("Examples:") && help.contains("proxy foo --listen :8002"),
            "{help}"
        );
    }
}
