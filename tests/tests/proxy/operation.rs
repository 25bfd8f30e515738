//! `proxy foo` as a service: signals, statistics, the admin endpoint.

use std::io::{Read, Write};
use std::net::TcpStream;

use rustix::process::Signal;
use tests::peer::End;
use tests::{Peer, eventually, proc};

use crate::started::{DRIVERS, exchange, http, start};

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
    let line = proxy.line_after(|proxy| proxy.signal(Signal::USR1));
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
