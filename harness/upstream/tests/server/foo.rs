//! The sound server: literal bytes, limits, back-pressure, signals, bad input.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::program::{DEADLINE, Program, read_line};
use rustix::process::Signal;
use upstream::UpstreamRecord;

#[test]
fn every_line_is_answered_in_turn_and_an_unterminated_last_line_too() {
    let server = Program::start(&[]);
    let sent = b"REQ 1 hello\nreq 1 x\nACK 2 b\r\nREQ 1 a b\n\nREQ 9 \xff\xfe\nREQ -1";
    let expected = "ACK 1 2158e4ce83d1e1e0de5ed0a4c781f906\n\
        NAK 0 ERRDECODE\n\
        ACK 2 a04d2e7f49eccacffd164cdad433e658\n\
        NAK 0 ERRDECODE\n\
        NAK 0 ERRDECODE\n\
        NAK 9 03206e5f6f1a37c53dae43cd5bdee0db\n\
        ACK -1 5334ec22748b5fcd2d10110a247d19dd\n";
    let received = server.exchange(sent);
    assert_eq!(String::from_utf8(received).unwrap(), expected);
    let ended = server.stop();
    let counts = ended.record();
    let wanted = UpstreamRecord {
        connections_total: 1,
        connections_closed: 1,
        requests: 4,
        acks: 3,
        naks: 1,
        decode_errors: 3,
        bytes_in: sent.len() as u64,
        bytes_out: expected.len() as u64,
        ..UpstreamRecord::default()
    };
    assert_eq!(counts, wanted);
    let log: Vec<&str> = ended
        .stderr
        .lines()
        .filter_map(|line| line.split_once(": Decode error: "))
        .map(|l| l.1)
        .collect();
    assert_eq!(
        log,
        ["bad type \"req\"", "too many fields", "not enough fields"]
    );
}

#[test]
fn a_line_of_64_kib_closes_its_connection_without_an_answer() {
    let server = Program::start(&[]);
    let mut stream = server.connect();
    stream.write_all(b"REQ 1 hello\n").unwrap();
    assert_eq!(
        read_line(&mut stream),
        "ACK 1 2158e4ce83d1e1e0de5ed0a4c781f906\n"
    );
    // The server may close while we still send.
    let _ = stream.write_all(&[b'x'; 65_536]);
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
    assert_eq!(rest, b"");

    let mut longest = b"REQ 1 ".to_vec();
    longest.resize(65_535, b'x');
    longest.push(b'\n');
    assert!(server.exchange(&longest).ends_with(b"\n"));
    let counts = server.stop().record();
    assert_eq!(
        (counts.too_long, counts.requests, counts.decode_errors),
        (1, 2, 0)
    );
}

#[test]
fn a_client_that_does_not_read_is_not_read_from_and_loses_nothing() {
    let server = Program::start(&["--threads", "1", "--log-level", "off"]);
    let mut stream = server.connect();
    stream
        .set_write_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    let lines = b"\nREQ 1 hello\n".repeat(1000);
    let mut sent = 0_usize;
    // Answers are longer than these lines, so that a server without a bound would take
    // them until memory ends.
    let blocked = loop {
        match stream.write(&lines[sent % lines.len()..]) {
            Ok(n) => sent += n,
            // A process that was stopped and goes on sees this.
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => break error,
        }
        assert!(sent < 1 << 30, "the server takes everything");
    };
    assert_eq!(blocked.kind(), ErrorKind::WouldBlock);
    // Another client is served meanwhile.
    assert_eq!(server.exchange(b"\n"), b"NAK 0 ERRDECODE\n");
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut received = Vec::new();
    stream.read_to_end(&mut received).unwrap();
    let newlines = (0..sent)
        .filter(|at| lines[at % lines.len()] == b'\n')
        .count();
    let tail = usize::from(lines[(sent - 1) % lines.len()] != b'\n');
    assert_eq!(
        received.iter().filter(|&&b| b == b'\n').count(),
        newlines + tail
    );
}

#[test]
fn sigusr1_reports_and_goes_on() {
    let mut server = Program::start(&[]);
    assert_eq!(server.exchange(b"REQ 1 hello\nx\n").len(), 39 + 16);
    server.signal(Signal::USR1);
    let counts: UpstreamRecord = serde_json::from_str(&server.stdout_line()).unwrap();
    assert_eq!((counts.requests, counts.decode_errors), (1, 1));
    server.exchange(b"REQ 1 hello\n");
    let ended = server.stop();
    assert_eq!(ended.stdout.lines().count(), 1, "{ended:?}");
    assert_eq!(ended.record().requests, 2);
}

#[test]
fn out_of_descriptors_it_waits_and_serves_on() {
    let mut server = Program::start_after("ulimit -n 24;", "foo", &["--threads", "2"]);
    let clients: Vec<_> = (0..40).map(|_| server.connect()).collect();
    server.expect_log("cannot accept");
    drop(clients);
    assert_eq!(server.exchange(b"\n"), b"NAK 0 ERRDECODE\n");
    let ended = server.stop();
    assert!(ended.stderr.lines().count() < 1000, "it does not spin");
    assert_eq!(ended.record().decode_errors, 1);
}

#[test]
fn what_cannot_start_says_so_in_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let cases: [(&[&str], i32, &str); 10] = [
        (&["foo", "--listen", &taken], 1, &taken),
        (&["echo", "--listen", &taken], 1, &taken),
        (&["foo", "--listen", "nowhere"], 2, "HOST:PORT"),
        (
            &["foo", "--defect", "explode"],
            2,
            "segfault-after-decode-errors=N",
        ),
        (&["foo", "--defect", "freeze=1s"], 2, "DURATION@PERIOD"),
        (&["foo", "--threads", "0"], 2, "--threads"),
        (
            &["echo", "--defect", "wrong-reply=1/3"],
            2,
            "wrong-reply makes no sense for echo, expected one of",
        ),
        (
            &["sink", "--defect", "corrupt-byte=1/3"],
            2,
            "makes no sense for sink",
        ),
        (&["echo", "--name", "a b"], 2, "letters, digits"),
        (&["source", "--bytes", "many"], 2, "a size such as"),
    ];
    for (flags, code, said) in cases {
        let started = Instant::now();
        let output = Command::new(env!("CARGO_BIN_EXE_upstream-server"))
            .args(flags)
            .output()
            .unwrap();
        assert!(started.elapsed() < DEADLINE);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{flags:?}: {stderr}");
        assert!(stderr.contains(said), "{flags:?}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{flags:?}: {stderr}");
    }
}
