//! Defects of what is sent: other bytes, other clients, less than all.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::process::ExitStatusExt;

use upstream::pattern;

use crate::echo::{bytes, exchange_much};
use crate::program::{Program, read_all};

const SIGSEGV: i32 = 11;

#[test]
fn bytes_that_are_other_ones_or_missing_or_there_twice() {
    let sent = bytes(1_000_000);
    let received = |defect| {
        let server = Program::serve("echo", &["--defect", defect]);
        let received = exchange_much(server.connect(), sent.clone());
        (received, server.stop().record().hits)
    };
    let (corrupt, hits) = received("corrupt-byte=1/1000");
    let wrong = sent.iter().zip(&corrupt).filter(|(a, b)| a != b).count();
    assert_eq!((corrupt.len(), wrong), (sent.len(), 1000));
    assert_eq!(hits.corrupt_byte, 1000);

    let (short, hits) = received("drop-byte=1/1000");
    let kept = sent.chunks(1000).flat_map(|piece| &piece[..999]).copied();
    assert!(short.iter().copied().eq(kept) && hits.drop_byte == 1000);

    let (long, hits) = received("duplicate-byte=1/1000");
    let twice = sent
        .chunks(1000)
        .flat_map(|piece| [piece, &piece[999..]].concat());
    assert!(long.iter().copied().eq(twice) && hits.duplicate_byte == 1000);
}

#[test]
fn an_answer_on_the_wrong_connection() {
    let flags = ["--threads", "1", "--defect", "wrong-connection=1/2"];
    let server = Program::serve("echo", &flags);
    let (mut one, mut two) = (server.connect(), server.connect());
    let mut answer = [0; 3];
    one.write_all(b"1st").unwrap();
    one.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"1st");
    one.write_all(b"2nd").unwrap();
    two.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"2nd", "is the other client's");
    drop((one, two));
    assert_eq!(server.stop().record().hits.wrong_connection, 1);
}

#[test]
fn a_reset_after_so_many_bytes() {
    let server = Program::serve("echo", &["--defect", "reset-after=100000"]);
    let mut stream = server.connect();
    // The server may break off while we still send.
    let _ = stream.write_all(&bytes(200_000));
    let (received, end) = read_all(&mut stream);
    assert_eq!(end, Some(ErrorKind::ConnectionReset));
    assert!(received.len() <= 100_000, "{}", received.len());
    assert_eq!(pattern::mismatch(7, 0, &received), None);
    let counts = server.stop().record();
    let found = (counts.connections_cut, counts.connections_closed);
    assert_eq!((found, counts.hits.reset_after), ((1, 0), 1));
    assert_eq!(counts.bytes_out, 100_000);

    let server = Program::serve("sink", &["--defect", "reset-after=10"]);
    let mut stream = server.connect();
    stream.write_all(b"ten bytes!").unwrap();
    assert_eq!(read_all(&mut stream).1, Some(ErrorKind::ConnectionReset));
}

#[test]
fn every_second_connection_is_reset_in_the_middle_of_a_transfer() {
    let server = Program::serve("echo", &["--defect", "reset-midway=1/2"]);
    for _ in 0..3 {
        assert_eq!(server.exchange(&[7; 1000]), [7; 1000]);
        let mut stream = server.connect();
        stream.write_all(&[7; 1000]).unwrap();
        let (received, end) = read_all(&mut stream);
        assert_eq!(end, Some(ErrorKind::ConnectionReset));
        assert!(received.len() <= 500, "{}", received.len());
    }
    let counts = server.stop().record();
    assert_eq!((counts.connections_cut, counts.hits.reset_midway), (3, 3));
    assert_eq!(counts.bytes_out, 4500);
}

#[test]
fn a_crash_after_so_many_bytes_of_the_process() {
    let server = Program::serve("echo", &["--defect", "segfault-after-bytes=2000"]);
    assert_eq!(server.exchange(&[7; 999]).len(), 999);
    let mut stream = server.connect();
    let _ = stream.write_all(b"xy");
    assert_eq!(server.wait().status.signal(), Some(SIGSEGV));
}
