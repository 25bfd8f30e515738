//! The sink of statsd lines: everything that was sent is accounted for.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream, UdpSocket};

use rustix::process::Signal;
use upstream::UpstreamRecord;
use upstream::statsd::record::{KeyRecord, StatsdRecord};
use upstream::statsd::{Seen, sockets::Sockets};

use crate::program::{DEADLINE, Program, read_all, read_line};

/// A sink on free ports, and a socket that sends to it.
pub(crate) fn sink(flags: &[&str]) -> (Program, UdpSocket) {
    let server = Program::serve(
        "statsd",
        &[&["--management", "127.0.0.1:0"], flags].concat(),
    );
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.connect(server.addr).unwrap();
    (server, client)
}

/// What it has counted so far.
pub(crate) fn counts(server: &mut Program) -> UpstreamRecord {
    server.signal(Signal::USR1);
    serde_json::from_str(&server.stdout_line()).unwrap()
}

pub(crate) fn statsd(record: &UpstreamRecord) -> &StatsdRecord {
    record.statsd.as_ref().unwrap()
}

fn seen(record: &StatsdRecord, sender: &str) -> Vec<u32> {
    let seen = Seen::decode(&record.senders[sender].seen).unwrap();
    seen.iter().collect()
}

#[test]
fn what_was_sent_is_what_is_told_by_sender_and_key() {
    let (mut server, client) = sink(&["--name", "one"]);
    // Every seventh is lost, every tenth comes twice.
    let mut sent = Vec::new();
    for number in 0..5_000_u32 {
        if number % 7 == 3 {
            continue;
        }
        let line = format!("load.k{:03}:{number}|c", number % 50);
        client.send(line.as_bytes()).unwrap();
        if number % 10 == 0 {
            client.send(format!("{line}\n").as_bytes()).unwrap();
        }
        sent.push(number);
    }
    client
        .send(b"other.k1:7|ms|@0.5|#a:b\nother.k1:9|g")
        .unwrap();
    let record = counts(&mut server);
    assert_eq!(record.name.as_deref(), Some("one"));
    let record = statsd(&record);
    assert_eq!(seen(record, "load"), sent);
    assert_eq!(seen(record, "other"), [7, 9]);
    let twice = sent.iter().filter(|number| *number % 10 == 0).count();
    let load = &record.senders["load"];
    assert_eq!(load.distinct, sent.len() as u64);
    assert_eq!(load.duplicates, twice as u64);
    assert_eq!(
        (load.lines, load.highest),
        (load.distinct + load.duplicates, 4_999)
    );
    assert_eq!((record.keys_total, record.keys_complete), (51, true));
    let of_key: Vec<u32> = sent.iter().copied().filter(|n| n % 50 == 1).collect();
    let key = KeyRecord {
        lines: of_key.len() as u64,
        first_seq: of_key[0],
        last_seq: *of_key.last().unwrap(),
    };
    assert_eq!(record.keys["load.k001"], key);
    assert_eq!(record.kernel_drops, Some(0));
}

#[test]
fn garbage_is_counted_by_kind_and_ends_nothing() {
    let (server, client) = sink(&[]);
    let longest = vec![b'x'; 65_507];
    let datagrams: [&[u8]; 8] = [
        b"",
        b"\n",
        b"a:1|c\n\nb:1|ms\n",
        b"cpu%d%n:1|c",
        b"no type",
        b"\x00\xff\xfe\n\x00",
        &longest,
        b"load.k1:0|c\nload.k1:4294967296|c\nload.k1:1",
    ];
    for datagram in datagrams {
        client.send(datagram).unwrap();
    }
    let record = server.stop().record();
    let record = statsd(&record);
    assert_eq!((record.datagrams, record.empty_datagrams), (8, 1));
    assert_eq!(
        record.bytes,
        datagrams.iter().map(|d| d.len() as u64).sum::<u64>()
    );
    assert_eq!((record.lines, record.empty_lines), (10, 2));
    assert_eq!((record.foreign, record.malformed), (4, 5), "{record:?}");
    assert_eq!(seen(record, "load"), [0]);
}

#[test]
fn lines_of_a_connection_whatever_pieces_they_come_in() {
    let (server, _) = sink(&[]);
    let mut stream = server.connect_to("listen-tcp");
    let lines: String = (0..1_000)
        .map(|n| format!("tcp.k{}:{n}|c\n", n % 3))
        .collect();
    for piece in lines.as_bytes().chunks(777) {
        stream.write_all(piece).unwrap();
    }
    // The last one needs no end.
    stream.write_all(b"tcp.k1:1000|h").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(&mut stream), (Vec::new(), None));
    let record = server.stop().record();
    assert_eq!(
        (record.connections_total, record.connections_closed),
        (1, 1)
    );
    let record = statsd(&record);
    assert_eq!(
        (record.tcp_lines, record.lines, record.datagrams),
        (1_001, 1_001, 0)
    );
    assert_eq!(seen(record, "tcp"), (0..=1_000).collect::<Vec<_>>());
}

#[test]
fn what_waits_is_read_before_the_end() {
    let (server, client) = sink(&[]);
    let mut stream = server.connect();
    stream.write_all(b"tcp.k1:0|c\n").unwrap();
    // Stopped, it can have read none of this when it is told to end.
    server.signal(Signal::STOP);
    for number in 0..2_000 {
        client
            .send(format!("load.k1:{number}|c").as_bytes())
            .unwrap();
    }
    stream.write_all(b"tcp.k1:1|c\n").unwrap();
    let mut late = server.connect();
    late.write_all(b"tcp.k1:2|c\n").unwrap();
    server.signal(Signal::TERM);
    server.signal(Signal::CONT);
    let record = server.wait().record();
    let record = statsd(&record);
    assert_eq!(
        record.senders["load"].distinct + record.kernel_drops.unwrap(),
        2_000
    );
    assert_eq!(record.kernel_drops, Some(0));
    assert_eq!(seen(record, "tcp"), [0, 1, 2]);
}

#[test]
fn what_the_kernel_dropped_is_told() {
    let (server, client) = sink(&["--receive-buffer", "4KiB"]);
    server.signal(Signal::STOP);
    for number in 0..1_000 {
        client
            .send(format!("load.k1:{number}|c").as_bytes())
            .unwrap();
    }
    server.signal(Signal::TERM);
    server.signal(Signal::CONT);
    let record = server.wait().record();
    let record = statsd(&record);
    let dropped = record.kernel_drops.unwrap();
    assert!(dropped > 0 && record.receive_buffer_bytes < 65_536);
    assert_eq!(record.senders["load"].distinct + dropped, 1_000);
}

/// Sends this, without a newline, and reads to the end that our side's end brings.
fn ask(server: &Program, commands: &str) -> String {
    let mut stream = server.connect_to("management");
    stream.write_all(commands.as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let (answer, end) = read_all(&mut stream);
    assert_eq!(end, None);
    String::from_utf8(answer).unwrap()
}

#[test]
fn management_speaks_as_statsd_does() {
    let (mut server, client) = sink(&[]);
    let cases = [
        ("health\r\n", "health: up\n"),
        ("health", "health: up\n"),
        (
            "health down\nhealth\nhealth UP\n",
            "health: down\nhealth: down\nhealth: up\n",
        ),
        ("ping\nwhat?\nconfig\n", "pong\nERROR\nERROR\n"),
        ("quit\nping\n", ""),
        ("\n\n", ""),
    ];
    for (commands, expected) in cases {
        assert_eq!(ask(&server, commands), expected, "{commands:?}");
    }
    client.send(b"a:1|c\nnonsense").unwrap();
    let _ = counts(&mut server);
    let stats = ask(&server, "stats\n");
    for told in [
        "uptime: ",
        "sink.lines: 2\n",
        "messages.bad_lines_seen: 1\n",
        "\nEND\n\n",
    ] {
        assert!(stats.contains(told), "{stats}");
    }
    let long = ask(&server, &"x".repeat(5_000));
    assert_eq!(long, "ERROR\n");
    let record = server.stop().record();
    assert_eq!(statsd(&record).health_checks, 5);
    assert_eq!(statsd(&record).management_connections, 8);
}

#[test]
fn a_command_without_an_end_is_answered_and_a_silent_client_blocks_nobody() {
    let (server, _) = sink(&[]);
    let silent: Vec<TcpStream> = (0..10).map(|_| server.connect_to("management")).collect();
    let mut stream = server.connect_to("management");
    for _ in 0..2 {
        stream.write_all(b"health").unwrap();
        assert_eq!(read_line(&mut stream), "health: up\n");
        // An end that comes late is no command of its own.
        stream.write_all(b"\n").unwrap();
    }
    stream.write_all(b"quit\n").unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    drop(silent);
}

#[test]
fn both_sockets_have_the_port_that_was_asked_for() {
    let any = "127.0.0.1:0".parse().unwrap();
    let taken = Sockets::open(&any, &any, 65_536).unwrap();
    let error = Sockets::open(&taken.at.into(), &any, 65_536).unwrap_err();
    assert!(error.to_string().contains(&taken.at.to_string()), "{error}");
}
