//! Defects of the sink of statsd lines: of its management port, its ports and its reading.

use std::io::{ErrorKind, Write};
use std::net::{TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::program::{DEADLINE, Program, read_all, read_line};
use crate::statsd::{counts, sink, statsd};

#[test]
fn a_management_port_that_answers_nothing() {
    for flags in [&["--silent-health"][..], &["--defect", "silent-health"]] {
        let (mut server, client) = sink(flags);
        let mut stream = server.connect_to("management");
        stream.write_all(b"health\nping\n").unwrap();
        let started = Instant::now();
        while statsd(&counts(&mut server)).health_checks == 0 {
            assert!(started.elapsed() < DEADLINE, "it does not read");
        }
        let wait = Some(Duration::from_millis(200));
        stream.set_read_timeout(wait).unwrap();
        let (answer, error) = read_all(&mut stream);
        assert!(answer.is_empty() && error == Some(ErrorKind::WouldBlock));
        // Lines are taken all the same.
        client.send(b"load.k1:0|c").unwrap();
        let record = server.stop().record();
        assert_eq!((statsd(&record).lines, record.hits.silent_health), (1, 1));
    }
}

#[test]
fn a_management_port_that_closes_at_once() {
    let (server, _) = sink(&["--accept-then-close"]);
    for _ in 0..3 {
        let mut stream = server.connect_to("management");
        assert!(read_all(&mut stream).0.is_empty());
    }
    let mut lines = server.connect();
    lines.write_all(b"load.k1:0|c\n").unwrap();
    let record = server.stop().record();
    assert_eq!(record.hits.accept_then_close, 3);
    assert_eq!(
        (statsd(&record).tcp_lines, record.connections_total),
        (1, 4)
    );
}

#[test]
fn a_sink_that_says_that_it_is_down() {
    let (server, _) = sink(&["--health", "down"]);
    let mut stream = server.connect_to("management");
    stream.write_all(b"health\nhealth up\nhealth\n").unwrap();
    let mut answer = || read_line(&mut stream);
    assert_eq!(
        [answer(), answer(), answer()].concat(),
        "health: down\nhealth: up\nhealth: up\n"
    );
    assert_eq!(server.stop().record().hits.health_down, 1);
}

/// Whether the host takes datagrams on this port, for all that a sender can see.
fn is_taken(client: &UdpSocket, number: u32) -> bool {
    // The first tells what became of the one before it.
    let _ = client.take_error();
    client
        .send(format!("load.k1:{number}|c").as_bytes())
        .is_ok()
        && client.take_error().unwrap().is_none()
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < DEADLINE, "not {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn is_open(server: &Program, role: &str) -> bool {
    TcpStream::connect(&server.sockets[role]).is_ok()
}

#[test]
fn ports_that_close_and_open_again_and_lose_nothing_that_they_took() {
    let flags = [
        "--down-after",
        "300ms",
        "--down-for",
        "200ms",
        "--down-times",
        "2",
    ];
    let (mut server, client) = sink(&flags);
    let mut stream = server.connect();
    let (mut number, mut taken) = (0, 0);
    let mut next = |wanted: bool| {
        wait_until("as planted", || {
            let is = is_taken(&client, number);
            number += 1;
            taken += u32::from(is);
            is == wanted
        });
    };
    for _ in 0..2 {
        next(true);
        next(false);
        wait_until("closed", || !is_open(&server, "listen-tcp"));
        wait_until("closed", || !is_open(&server, "management"));
    }
    next(true);
    assert_eq!(read_all(&mut stream).1, Some(ErrorKind::ConnectionReset));
    wait_until("open", || {
        is_open(&server, "listen-tcp") && is_open(&server, "management")
    });
    let record = counts(&mut server);
    assert_eq!(record.hits.flap, 2);
    assert_eq!(statsd(&record).senders["load"].distinct, u64::from(taken));
    assert_eq!(statsd(&record).kernel_drops, Some(0));
}

#[test]
fn down_for_good() {
    let (server, client) = sink(&["--down-after", "50ms"]);
    let mut number = 0;
    wait_until("closed", || {
        number += 1;
        !is_taken(&client, number)
    });
    let record = server.stop().record();
    assert_eq!(record.hits.flap, 1);
}

#[test]
fn a_slow_reader_makes_the_kernel_drop_and_reads_what_is_left_at_the_end() {
    let flags = ["--slow", "1KiB/s", "--receive-buffer", "32KiB"];
    let (mut server, client) = sink(&flags);
    for number in 0..1_000 {
        let line = format!("load.k1:{number}|c|#{}", "x".repeat(200));
        client.send(line.as_bytes()).unwrap();
    }
    let record = counts(&mut server);
    assert!(record.hits.slow_reader > 0);
    let before = statsd(&record);
    assert!(before.kernel_drops.unwrap() > 0);
    assert!(
        before.lines + before.kernel_drops.unwrap() < 1_000,
        "{before:?}"
    );
    server.signal(Signal::TERM);
    let record = server.wait().record();
    let after = statsd(&record);
    assert_eq!(after.lines + after.kernel_drops.unwrap(), 1_000);
}

#[test]
fn flags_that_make_no_sense_are_answered_with_what_does() {
    let cases: [(&[&str], &str); 5] = [
        (
            &["--defect", "slow=1s"],
            "makes no sense for statsd, expected one of slow-reader",
        ),
        (&["--down-for", "1s"], "--down-after"),
        (&["--down-after", "0"], "more than 0"),
        (&["--slow", "fast"], "BYTES/s"),
        (&["--health", "sick"], "up, down"),
    ];
    for (flags, said) in cases {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_upstream-server"))
            .arg("statsd")
            .args(flags)
            .output()
            .unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{flags:?}: {stderr}");
        assert!(
            stderr.contains(said) && stderr.lines().count() == 1,
            "{stderr}"
        );
    }
}
