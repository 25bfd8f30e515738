//! Defects of the port: who comes in, and for how long.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use upstream::UpstreamRecord;

use crate::program::{DEADLINE, Program, read_all};

/// Expects that nothing comes for a while.
fn expect_silence(stream: &mut TcpStream) {
    stream
        .set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    let silence = loop {
        match stream.read(&mut [0; 100]) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            read => break read.unwrap_err(),
        }
    };
    assert_eq!(silence.kind(), ErrorKind::WouldBlock);
}

#[test]
fn accepted_and_never_spoken_to_not_even_at_the_end() {
    let server = Program::serve("echo", &["--defect", "accept-then-silence"]);
    let mut stream = server.connect();
    stream.write_all(b"hello").unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    expect_silence(&mut stream);
    let counts = server.stop().record();
    let found = (counts.bytes_in, counts.hits.accept_then_silence);
    assert_eq!((found, counts.connections_total), ((0, 1), 1));
}

#[test]
fn after_so_many_connections_none_is_accepted_and_those_go_on() {
    let flags = ["--threads", "2", "--defect", "stop-accepting=2"];
    let mut server = Program::serve("echo", &flags);
    let (mut one, mut two) = (server.connect(), server.connect());
    for stream in [&mut one, &mut two] {
        stream.write_all(b"x").unwrap();
        stream.read_exact(&mut [0]).unwrap();
    }
    // The kernel still takes it.
    let mut third = server.connect();
    third.write_all(b"x").unwrap();
    expect_silence(&mut third);
    one.write_all(b"x").unwrap();
    one.read_exact(&mut [0]).unwrap();
    server.signal(Signal::USR1);
    let counts: UpstreamRecord = serde_json::from_str(&server.stdout_line()).unwrap();
    let found = (counts.connections_open, counts.hits.stop_accepting);
    assert_eq!((counts.connections_total, found), (2, (2, 1)));
}

#[test]
fn an_exit_at_the_nth_connection() {
    let server = Program::serve("echo", &["--defect", "exit-after=3"]);
    for _ in 0..2 {
        assert_eq!(server.exchange(b"x"), b"x");
    }
    let _third = server.connect();
    let ended = server.wait();
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(ended.stderr.contains("the planted exit"), "{ended:?}");
}

#[test]
fn a_port_that_closes_and_opens_again() {
    let flags = ["--threads", "2", "--defect", "flap=400ms/200ms"];
    let mut server = Program::serve("echo", &flags);
    let started = Instant::now();
    for round in 1..=3 {
        // Open: a connection that is answered, and is reset as the port closes.
        let mut stream = loop {
            assert!(started.elapsed() < DEADLINE, "it does not open");
            let Ok(mut stream) = TcpStream::connect(server.addr) else {
                continue;
            };
            stream.set_read_timeout(Some(DEADLINE)).unwrap();
            if stream.write_all(b"x").is_ok() && stream.read_exact(&mut [0]).is_ok() {
                break stream;
            }
        };
        let (_, end) = read_all(&mut stream);
        assert_eq!(end, Some(ErrorKind::ConnectionReset), "round {round}");
        while TcpStream::connect(server.addr).is_ok() {
            assert!(started.elapsed() < DEADLINE, "it does not close");
        }
    }
    server.signal(Signal::USR1);
    let counts: UpstreamRecord = serde_json::from_str(&server.stdout_line()).unwrap();
    assert!(counts.hits.flap >= 3 && counts.connections_cut >= 3);
    let ended = counts.connections_closed + counts.connections_reset + counts.connections_cut;
    assert_eq!(counts.connections_total, counts.connections_open + ended);
}

#[test]
fn defects_of_foo_strike_elsewhere_too() {
    let server = Program::serve("echo", &["--defect", "accept-then-close"]);
    assert_eq!(read_all(&mut server.connect()), (Vec::new(), None));
    assert_eq!(server.stop().record().hits.accept_then_close, 1);

    let server = Program::serve("echo", &["--defect", "hang-after=1"]);
    let mut stream = server.connect();
    stream.write_all(b"x").unwrap();
    stream.read_exact(&mut [0]).unwrap();
    stream.write_all(b"x").unwrap();
    expect_silence(&mut stream);
    expect_silence(&mut server.connect());

    let server = Program::serve("sink", &["--defect", "leak-memory=1MiB"]);
    server.exchange(b"x");
    assert_eq!(server.stop().record().hits.leak_memory, 1);
}
