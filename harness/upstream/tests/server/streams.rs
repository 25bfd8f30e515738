//! `sink` and `source`: one way only.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::process::Command;

use rustix::process::Signal;
use upstream::{UpstreamRecord, pattern};

use crate::echo::bytes;
use crate::program::{Program, read_all};

#[test]
fn a_sink_says_nothing_and_counts() {
    let server = Program::serve("sink", &[]);
    assert_eq!(server.exchange(&bytes(3_000_000)), b"");
    let counts = server.stop().record();
    let found = (counts.bytes_in, counts.bytes_out, counts.connections_closed);
    assert_eq!(found, (3_000_000, 0, 1));
}

#[test]
fn a_sink_acknowledges_what_each_client_sent() {
    let server = Program::serve("sink", &["--acknowledge"]);
    assert_eq!(server.exchange(b""), [0; 8]);
    assert_eq!(server.exchange(b"hello"), [0, 0, 0, 0, 0, 0, 0, 5]);
    let much = server.exchange(&bytes(3_000_000));
    assert_eq!(much, 3_000_000_u64.to_be_bytes());
}

#[test]
fn a_source_sends_the_documented_bytes_and_ends() {
    let server = Program::serve("source", &["--bytes", "3000001", "--seed", "9"]);
    let mut stream = server.connect();
    // What a client says does not matter, and does not break the connection.
    stream.write_all(b"hello").unwrap();
    let (received, end) = read_all(&mut stream);
    assert_eq!((received.len(), end), (3_000_001, None));
    assert_eq!(pattern::mismatch(9, 0, &received), None);
    assert_eq!(received[..8], pattern::word(9, 0).to_le_bytes());
    stream.write_all(b"still here").unwrap();
    drop(stream);
    // It goes on after the end of its client.
    assert_eq!(server.exchange(b"").len(), 3_000_001);
    let counts = server.stop().record();
    assert_eq!((counts.connections_total, counts.bytes_out), (2, 6_000_002));
}

#[test]
fn an_endless_source_ends_with_its_client() {
    let mut server = Program::serve("source", &[]);
    let mut stream = server.connect();
    let mut received = vec![0; 5_000_000];
    stream.read_exact(&mut received).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let (rest, end) = read_all(&mut stream);
    received.extend_from_slice(&rest);
    assert_eq!((pattern::mismatch(1, 0, &received), end), (None, None));
    drop(stream);
    server.signal(Signal::USR1);
    let counts: UpstreamRecord = serde_json::from_str(&server.stdout_line()).unwrap();
    assert_eq!(counts.bytes_out, received.len() as u64);
}

#[test]
fn help_teaches_each_server_with_its_defects() {
    for mode in ["foo", "echo", "sink", "source", "http", "statsd"] {
        let output = Command::new(env!("CARGO_BIN_EXE_upstream-server"))
            .args([mode, "--help"])
            .output()
            .unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        assert!(help.contains(&format!("harness upstream {mode}")), "{help}");
        assert!(help.contains("flap=UP/DOWN"), "{help}");
        assert_eq!(help.contains("wrong-reply"), mode == "foo", "{help}");
    }
}
