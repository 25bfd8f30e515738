//! `echo`: every byte back, in order.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use rustix::process::Signal;
use upstream::{UpstreamRecord, pattern};

use crate::program::{Program, read_all};

pub(crate) fn bytes(len: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    pattern::append(7, 0..len, &mut bytes);
    bytes
}

/// Exchanges more than any buffer on the way holds, writing and reading at once.
pub(crate) fn exchange_much(mut stream: TcpStream, sent: Vec<u8>) -> Vec<u8> {
    let mut writer = stream.try_clone().unwrap();
    let writing = std::thread::spawn(move || {
        // The server may be one that breaks the connection off.
        let _ = writer.write_all(&sent);
        let _ = writer.shutdown(Shutdown::Write);
    });
    let (received, _) = read_all(&mut stream);
    writing.join().unwrap();
    received
}

#[test]
fn every_byte_comes_back_in_order_and_then_the_end() {
    let server = Program::serve("echo", &["--name", "backend-1"]);
    assert_eq!(server.exchange(b""), b"");
    assert_eq!(server.exchange(b"hello\n\0\xff"), b"hello\n\0\xff");
    let much = bytes(20_000_000);
    assert!(exchange_much(server.connect(), much.clone()) == much);
    let counts = server.stop().record();
    let wanted = UpstreamRecord {
        name: Some("backend-1".to_owned()),
        connections_total: 3,
        connections_closed: 3,
        bytes_in: 20_000_008,
        bytes_out: 20_000_008,
        ..UpstreamRecord::default()
    };
    assert_eq!(counts, wanted);
}

#[test]
fn messages_go_to_and_fro_on_many_connections() {
    let server = Program::serve("echo", &["--threads", "2"]);
    let mut clients: Vec<_> = (0..50).map(|_| server.connect()).collect();
    for round in 0..20_u8 {
        for (nth, client) in clients.iter_mut().enumerate() {
            client.write_all(&[round, nth as u8, 3, 4]).unwrap();
        }
        for (nth, client) in clients.iter_mut().enumerate() {
            let mut answer = [0; 4];
            client.read_exact(&mut answer).unwrap();
            assert_eq!(answer, [round, nth as u8, 3, 4]);
        }
    }
}

#[test]
fn a_client_that_does_not_read_loses_nothing_and_holds_nobody_up() {
    let mut server = Program::serve("echo", &["--threads", "1"]);
    let mut stream = server.connect();
    stream
        .set_write_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    let (sent, mut taken) = (bytes(1 << 26), 0);
    let blocked = loop {
        match stream.write(&sent[taken..]) {
            Ok(n) => taken += n,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => break error,
        }
        assert!(taken < sent.len(), "the server takes everything");
    };
    assert_eq!(blocked.kind(), ErrorKind::WouldBlock);
    assert_eq!(server.exchange(b"x"), b"x");
    server.signal(Signal::USR1);
    let counts: UpstreamRecord = serde_json::from_str(&server.stdout_line()).unwrap();
    assert_eq!((counts.connections_open, counts.connections_closed), (1, 1));
    stream.shutdown(Shutdown::Write).unwrap();
    let (received, end) = read_all(&mut stream);
    assert!(received == sent[..taken] && end.is_none());
}

#[test]
fn a_reset_by_the_client_is_counted_apart() {
    let mut server = Program::serve("echo", &[]);
    let mut stream = server.connect();
    stream.write_all(b"x").unwrap();
    stream.read_exact(&mut [0]).unwrap();
    eventloop::net::reset_on_close(&stream).unwrap();
    drop(stream);
    loop {
        server.signal(Signal::USR1);
        let counts: UpstreamRecord = serde_json::from_str(&server.stdout_line()).unwrap();
        if counts.connections_open == 0 {
            assert_eq!(
                (counts.connections_reset, counts.connections_closed),
                (1, 0)
            );
            break;
        }
    }
}

#[test]
fn thousands_of_idle_connections_cost_little_memory() {
    let server = Program::start_after("ulimit -n 4096;", "echo", &["--threads", "2"]);
    let resident = || {
        let statm = std::fs::read_to_string(format!("/proc/{}/statm", server.pid())).unwrap();
        let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
        pages * rustix::param::page_size()
    };
    service::limits::raise_descriptors();
    let before = resident();
    let clients: Vec<_> = (0..2000)
        .map(|_| {
            let mut client = server.connect();
            client.write_all(&[7; 3000]).unwrap();
            client.read_exact(&mut [0; 3000]).unwrap();
            client
        })
        .collect();
    let each = resident().saturating_sub(before) / clients.len();
    assert!(
        each < 2048,
        "{each} bytes for each connection that has talked"
    );
}
