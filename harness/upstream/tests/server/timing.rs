//! Defects of time: at what pace, and how late.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use crate::echo::bytes;
use crate::program::{Program, read_all};

#[test]
fn late_replies_come_after_the_end_of_the_client_and_are_complete() {
    let sent = bytes(100_000);
    for (mode, flags, expected) in [
        ("echo", ["--threads", "1"].as_slice(), sent.clone()),
        (
            "sink",
            &["--acknowledge"],
            100_000_u64.to_be_bytes().to_vec(),
        ),
    ] {
        let defect = ["--defect", "late-reply=300ms"];
        let server = Program::serve(mode, &[flags, &defect].concat());
        let mut stream = server.connect();
        stream.write_all(&sent).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        assert!(stream.read(&mut [0]).is_err(), "nothing before the end");
        let ended = Instant::now();
        stream.shutdown(Shutdown::Write).unwrap();
        stream.set_read_timeout(None).unwrap();
        stream.read_exact(&mut [0]).unwrap();
        assert!(ended.elapsed() >= Duration::from_millis(300));
        let (rest, end) = read_all(&mut stream);
        assert!(rest == expected[1..] && end.is_none(), "{mode}");
        assert_eq!(server.stop().record().hits.late_reply, 1);
    }
}

#[test]
fn late_replies_do_not_keep_a_long_transfer_from_getting_there() {
    let server = Program::serve("echo", &["--defect", "late-reply=100ms"]);
    let sent = bytes(5_000_000);
    let received = crate::echo::exchange_much(server.connect(), sent.clone());
    assert!(received == sent);
}

#[test]
fn a_slow_writer_takes_its_time_and_sends_everything() {
    let flags = ["--bytes", "20000", "--defect", "slow-writer=40kB/s"];
    let server = Program::serve("source", &flags);
    let started = Instant::now();
    let (received, end) = read_all(&mut server.connect());
    assert_eq!((received.len(), end), (20_000, None));
    assert!(started.elapsed() >= Duration::from_millis(450));
    assert!(server.stop().record().hits.slow_writer > 0);
}

#[test]
fn a_slow_reader_takes_its_time_and_takes_everything() {
    let flags = ["--acknowledge", "--defect", "slow-reader=40kB/s"];
    let server = Program::serve("sink", &flags);
    let started = Instant::now();
    let answer = server.exchange(&bytes(20_000));
    assert_eq!(answer, 20_000_u64.to_be_bytes());
    assert!(started.elapsed() >= Duration::from_millis(450));
    assert!(server.stop().record().hits.slow_reader > 0);
}

#[test]
fn delayed_echoes_keep_their_order() {
    let server = Program::serve("echo", &["--defect", "slow=50ms"]);
    let mut stream = server.connect();
    let started = Instant::now();
    for piece in [b"one", b"two", b"six"] {
        stream.write_all(piece).unwrap();
    }
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(&mut stream), (b"onetwosix".to_vec(), None));
    assert!(started.elapsed() >= Duration::from_millis(50));
}
