//! The echo of datagrams: everything comes back, and everything is counted.

use std::net::UdpSocket;
use std::time::Duration;

use protocol::probe::Probe;
use rustix::process::Signal;
use upstream::UpstreamRecord;
use upstream::udp::UdpRecord;
use upstream::udp::record::ClientRecord;

use crate::program::{DEADLINE, Program};

/// An echo on a free port.
pub(crate) fn echo(flags: &[&str]) -> Program {
    Program::serve("udp-echo", flags)
}

/// A client of it.
pub(crate) struct Client {
    pub(crate) socket: UdpSocket,
    client: u32,
}

impl Client {
    /// Client number `client` of the run, from a socket of its own.
    pub(crate) fn of(server: &Program, client: u32) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(server.addr).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        Self { socket, client }
    }

    /// Its datagram of this number, of 100 bytes.
    pub(crate) fn datagram(&self, sequence: u64) -> Vec<u8> {
        let probe = Probe {
            run: 0xabc,
            client: self.client,
            sequence,
            sent_ns: 1,
        };
        let mut bytes = Vec::new();
        probe.write(100, &mut bytes);
        bytes
    }

    pub(crate) fn send(&self, sequence: u64) {
        self.socket.send(&self.datagram(sequence)).unwrap();
    }

    /// What comes next.
    pub(crate) fn receive(&self) -> Vec<u8> {
        let mut bytes = vec![0; 65_536];
        let len = self.socket.recv(&mut bytes).unwrap();
        bytes.truncate(len);
        bytes
    }

    /// The number of what comes next, which must be sound.
    pub(crate) fn number(&self) -> u64 {
        match Probe::read(&self.receive()) {
            protocol::probe::Read::Sound(probe) => probe.sequence,
            other => panic!("{other:?}"),
        }
    }

    /// Nothing comes any more.
    pub(crate) fn assert_silence(&self) {
        let short = Some(Duration::from_millis(100));
        self.socket.set_read_timeout(short).unwrap();
        let mut bytes = [0; 100];
        let received = self.socket.recv(&mut bytes);
        assert!(received.is_err(), "{received:?}");
        self.socket.set_read_timeout(Some(DEADLINE)).unwrap();
    }
}

/// What it has counted so far.
pub(crate) fn counts(server: &mut Program) -> UpstreamRecord {
    server.signal(Signal::USR1);
    serde_json::from_str(&server.stdout_line()).unwrap()
}

pub(crate) fn udp(record: &UpstreamRecord) -> &UdpRecord {
    record.udp.as_ref().unwrap()
}

/// All that came is accounted for.
fn assert_adds_up(record: &UdpRecord) {
    let of_clients: u64 = record.clients.values().map(|one| one.datagrams).sum();
    let all = of_clients + record.foreign + record.corrupted;
    assert_eq!(all, record.datagrams, "{record:?}");
}

#[test]
fn every_datagram_comes_back_byte_for_byte() {
    let server = echo(&["--name", "one"]);
    let client = Client::of(&server, 0);
    let longest = vec![b'x'; 65_507];
    let sent: [&[u8]; 5] = [b"", b"hello", b"\n\0\xff", &longest, b"last"];
    for datagram in sent {
        client.socket.send(datagram).unwrap();
        assert_eq!(client.receive(), datagram);
    }
    let record = server.stop().record();
    let bytes = sent.iter().map(|datagram| datagram.len() as u64).sum();
    assert_eq!((record.bytes_in, record.bytes_out), (bytes, bytes));
    assert_eq!(record.name.as_deref(), Some("one"));
    let record = udp(&record);
    assert_eq!((record.datagrams, record.answers), (5, 5));
    assert_eq!((record.foreign, record.sources), (5, 1));
    assert_eq!((record.not_sent, record.kernel_drops), (0, Some(0)));
    assert_adds_up(record);
}

#[test]
fn numbers_are_counted_by_client_whatever_socket_they_come_from() {
    let mut server = echo(&[]);
    let (one, two) = (Client::of(&server, 1), Client::of(&server, 2));
    for sequence in [0, 1, 3, 2, 3, 5] {
        one.send(sequence);
        assert_eq!(one.number(), sequence);
    }
    // A proxy may send for several clients, and for one from several sockets.
    two.socket.send(&one.datagram(6)).unwrap();
    two.send(0);
    let mut damaged = two.datagram(1);
    damaged[50] ^= 1;
    two.socket.send(&damaged).unwrap();
    assert_eq!((two.number(), two.number()), (6, 0));
    assert_eq!(two.receive(), damaged, "an echo repairs nothing");
    let record = counts(&mut server);
    let record = udp(&record);
    let expected = ClientRecord {
        datagrams: 7,
        distinct: 6,
        duplicates: 1,
        reordered: 1,
        highest: 6,
    };
    assert_eq!(record.clients["00000abc.1"], expected);
    assert_eq!(record.clients["00000abc.2"].distinct, 1);
    assert_eq!((record.corrupted, record.sources), (1, 2));
    assert_adds_up(record);
}

#[test]
fn a_port_without_room_drops_and_tells() {
    let mut server = echo(&["--receive-buffer", "8KiB"]);
    server.signal(Signal::STOP);
    let client = Client::of(&server, 0);
    for sequence in 0..1_000 {
        client.send(sequence);
    }
    server.signal(Signal::CONT);
    let record = counts(&mut server);
    let record = udp(&record);
    let drops = record.kernel_drops.unwrap();
    assert!(drops > 0);
    assert_eq!(record.datagrams + drops, 1_000);
    assert_eq!(record.clients["00000abc.0"].distinct, record.answers);
}

#[test]
fn what_waits_at_the_end_is_answered() {
    let server = echo(&[]);
    let client = Client::of(&server, 0);
    server.signal(Signal::STOP);
    (0..100).for_each(|sequence| client.send(sequence));
    server.signal(Signal::TERM);
    server.signal(Signal::CONT);
    let record = server.wait().record();
    assert_eq!(udp(&record).answers, 100);
    let came: Vec<_> = (0..100).map(|_| client.number()).collect();
    assert!(came.into_iter().eq(0..100));
}

#[test]
fn a_port_in_use_is_one_line() {
    let server = echo(&[]);
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_upstream-server"))
        .args(["udp-echo", "--listen", &server.addr.to_string()])
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    let said = format!("cannot receive datagrams on {}", server.addr);
    assert!(stderr.contains(&said), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
}
