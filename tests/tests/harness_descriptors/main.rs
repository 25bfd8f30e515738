//! What can be put under test: revisions of a repository, installed peers, and the relay
//! with planted changes.

mod repository;
mod revisions;

use std::process::Command;
use std::time::{Duration, Instant};

use tests::peer::End;
use tests::scenario::Run;
use tests::{Listener, Peer, Program, ReservedPort, eventually, proc};

const HARNESS: &str = env!("CARGO_BIN_EXE_test-harness");
const PLANTED_RELAY: &str = env!("CARGO_BIN_EXE_test-planted-relay");

#[test]
fn nginx_can_be_measured_where_a_path_has_spaces() {
    if !tests::is_installed("nginx") {
        return;
    }
    let directory = tempfile::Builder::new()
        .prefix("my runs; all ")
        .tempdir()
        .expect("a directory");
    let args = ["bench", "--proxy", "nginx", "--closed", "--connections"];
    let more = ["4", "--duration", "300ms", "--rounds", "1", "--lenient"];
    let run = Run::in_directory(directory, HARNESS, &[&args[..], &more].concat());
    run.expect_code(0).expect_text("nginx");
}

#[test]
fn envoy_can_be_measured() {
    if !tests::is_installed("envoy") {
        return;
    }
    let args = [
        "bench",
        "--proxy",
        "envoy",
        "--closed",
        "--connections",
        "4",
    ];
    let more = ["--duration", "500ms", "--rounds", "1", "--lenient"];
    let run = Run::of(HARNESS, &[&args[..], &more].concat());
    run.expect_code(0)
        .expect_text("envoy")
        .expect_text("direct");
}

#[test]
fn an_envoy_that_is_not_where_it_should_be_is_named() {
    let output = Command::new(HARNESS)
        .args(["bench", "--proxy", "envoy"])
        .env("HARNESS_ENVOY", "/nowhere/envoy")
        .output()
        .expect("a harness");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(5), "{stderr}");
    assert!(
        stderr.contains("HARNESS_ENVOY: there is no /nowhere/envoy"),
        "{stderr}"
    );
}

/// Starts the relay with a planted change between a client and a server.
fn planted(args: &[&str]) -> (Program, Peer, Peer) {
    let server = Listener::open();
    let port = ReservedPort::take();
    let mut command = Command::new(PLANTED_RELAY);
    command
        .args(["--listen", port.addr(), "--forward", &server.addr()])
        .args(args);
    let relay = Program::spawn(command, None);
    eventually("the relay", || {
        proc::is_listening(port.addr()).then_some(())
    });
    let client = Peer::connect(port.addr());
    (relay, client, server.accept())
}

#[test]
fn the_relay_with_planted_changes_keeps_order_and_ends() {
    for args in [&[][..], &["--delay", "1ms"], &["--burn", "50"]] {
        let (_relay, mut client, mut server) = planted(args);
        for number in 0..100 {
            client.send(format!("ask {number}\n"));
            server.send(format!("answer {number}\n"));
        }
        client.finish();
        let asked: String = (0..100).map(|number| format!("ask {number}\n")).collect();
        server.expect(asked);
        server.expect_end(End::Orderly);
        server.finish();
        let answered: String = (0..100)
            .map(|number| format!("answer {number}\n"))
            .collect();
        client.expect(answered);
        client.expect_end(End::Orderly);
    }
}

#[test]
fn the_relay_holds_replies_back_and_loses_some() {
    let (_relay, mut client, mut server) = planted(&["--delay", "50ms", "--drop-every", "3"]);
    let sent = Instant::now();
    server.send("a\nb\nc\nd\ne\nf\ng");
    client.expect("a\nb\nd\ne\ng");
    assert!(sent.elapsed() >= Duration::from_millis(50));
}
