//! Defects of the echo of datagrams.

use std::time::Instant;

use protocol::probe::{Probe, Read};
use rustix::process::Signal;

use crate::program::{DEADLINE, Program};
use crate::udp_echo::{Client, counts, echo, udp};

/// The numbers of the answers to datagrams 0 to `sent - 1`, of which `answers` must come.
fn numbers(defect: &str, sent: u64, answers: usize) -> (Vec<u64>, Program) {
    let server = echo(&["--seed", "0", "--defect", defect]);
    let client = Client::of(&server, 0);
    (0..sent).for_each(|sequence| client.send(sequence));
    let came = (0..answers).map(|_| client.number()).collect();
    client.assert_silence();
    (came, server)
}

#[test]
fn lost_doubled_overtaken_and_stale_answers() {
    let cases: [(&str, &[u64], u64); 5] = [
        ("wrong-reply=dropped:1/3", &[0, 1, 3, 4, 6], 2),
        (
            "wrong-reply=duplicated:1/3",
            &[0, 1, 2, 2, 3, 4, 5, 5, 6],
            2,
        ),
        ("wrong-reply=swapped:1/3", &[0, 1, 3, 2, 4, 6, 5], 2),
        ("wrong-reply=stale:1/3", &[0, 1, 1, 3, 4, 4, 6], 2),
        // The last waits for one that never comes, and leaves all the same.
        ("wrong-reply=swapped:1/7", &[0, 1, 2, 3, 4, 5, 6], 1),
    ];
    for (defect, expected, wrong) in cases {
        let (came, server) = numbers(defect, 7, expected.len());
        assert_eq!(came, expected, "{defect}");
        let record = server.stop().record();
        assert_eq!(record.wrong_replies, wrong, "{defect}");
        assert_eq!(udp(&record).answers, expected.len() as u64, "{defect}");
        assert_eq!(udp(&record).clients["00000abc.0"].distinct, 7);
    }
}

#[test]
fn bytes_that_are_changed_are_seen_by_the_check() {
    for (defect, damaged) in [("corrupt-byte=1/350", 2), ("wrong-reply=corrupted:1/2", 3)] {
        let server = echo(&["--defect", defect]);
        let client = Client::of(&server, 0);
        let mut sound = 0;
        for sequence in 0..7 {
            client.send(sequence);
            let bytes = client.receive();
            assert_eq!(bytes.len(), 100);
            sound += usize::from(matches!(Probe::read(&bytes), Read::Sound(_)));
        }
        assert_eq!(sound, 7 - damaged, "{defect}");
        let record = server.stop().record();
        let struck = record.hits.corrupt_byte + record.wrong_replies;
        assert_eq!(struck, damaged as u64, "{defect}");
    }
}

#[test]
fn an_answer_from_the_wrong_port_does_not_reach_a_connected_client() {
    let server = echo(&["--defect", "wrong-port=1/2"]);
    let client = Client::of(&server, 0);
    (0..4).for_each(|sequence| client.send(sequence));
    assert_eq!((client.number(), client.number()), (0, 2));
    client.assert_silence();
    // One that takes everything sees where they come from.
    let open = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    open.set_read_timeout(Some(DEADLINE)).unwrap();
    let from = || {
        open.send_to(b"x", server.addr).unwrap();
        open.recv_from(&mut [0; 10]).unwrap().1
    };
    let (right, wrong) = (from(), from());
    assert_eq!(right, server.addr);
    assert!(wrong.port() != right.port() && wrong.ip() == right.ip());
    let record = server.stop().record();
    assert_eq!((record.hits.wrong_port, udp(&record).answers), (3, 6));
}

#[test]
fn an_answer_to_another_client() {
    let server = echo(&["--defect", "wrong-connection=1/3"]);
    let (one, two) = (Client::of(&server, 1), Client::of(&server, 2));
    one.send(0);
    assert_eq!(one.receive(), one.datagram(0));
    two.send(0);
    assert_eq!(two.receive(), two.datagram(0));
    two.send(1);
    assert_eq!(one.receive(), two.datagram(1));
    assert_eq!(server.stop().record().hits.wrong_connection, 1);
}

#[test]
fn slow_answers_come_in_order() {
    let server = echo(&["--defect", "slow=50ms"]);
    let client = Client::of(&server, 0);
    (0..20).for_each(|sequence| client.send(sequence));
    let came: Vec<_> = (0..20).map(|_| client.number()).collect();
    assert!(came.into_iter().eq(0..20));
    assert_eq!(server.stop().record().hits.slow, 20);
}

#[test]
fn silence_counts_and_says_nothing() {
    let mut server = echo(&["--defect", "silence"]);
    let client = Client::of(&server, 0);
    (0..5).for_each(|sequence| client.send(sequence));
    client.assert_silence();
    let record = counts(&mut server);
    assert_eq!((udp(&record).datagrams, udp(&record).answers), (5, 0));
    assert_eq!(record.hits.silence, 5);
}

#[test]
fn a_port_that_comes_and_goes_answers_all_that_it_took() {
    let server = echo(&["--defect", "flap=200ms/100ms"]);
    let client = Client::of(&server, 0);
    let short = Some(std::time::Duration::from_millis(20));
    client.socket.set_read_timeout(short).unwrap();
    let (started, mut sequence, mut answered) = (Instant::now(), 0, 0);
    // Answered, refused, and answered again.
    for wanted in [true, false, true] {
        loop {
            assert!(started.elapsed() < DEADLINE);
            // An error may be that of the one before.
            let _ = client.socket.send(&client.datagram(sequence));
            sequence += 1;
            let is_answered = client.socket.recv(&mut [0; 200]).is_ok();
            answered += u64::from(is_answered);
            if is_answered == wanted {
                break;
            }
        }
    }
    let record = server.stop().record();
    assert!(record.hits.flap >= 1);
    assert_eq!(udp(&record).answers, answered);
    assert_eq!(udp(&record).datagrams, answered);
}

#[test]
fn a_hang_answers_the_last_one_and_dies_of_the_signal() {
    let server = echo(&["--defect", "hang-after=3"]);
    let client = Client::of(&server, 0);
    (0..6).for_each(|sequence| client.send(sequence));
    assert_eq!(
        (client.number(), client.number(), client.number()),
        (0, 1, 2)
    );
    client.assert_silence();
    server.signal(Signal::TERM);
    let ended = server.wait();
    let signal = std::os::unix::process::ExitStatusExt::signal(&ended.status);
    assert_eq!(signal, Some(libc::SIGTERM));
}

#[test]
fn a_crash_is_one() {
    let server = echo(&["--defect", "segfault-after-bytes=250"]);
    let client = Client::of(&server, 0);
    (0..2).for_each(|sequence| client.send(sequence));
    assert_eq!((client.number(), client.number()), (0, 1));
    client.send(2);
    let signal = std::os::unix::process::ExitStatusExt::signal(&server.wait().status);
    assert_eq!(signal, Some(libc::SIGSEGV));
}

#[test]
fn defects_of_connections_are_refused_with_those_that_make_sense() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_upstream-server"))
        .args(["udp-echo", "--defect", "reset-after=1KiB"])
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("reset-after makes no sense for udp-echo, expected one of"));
    for defect in [
        "wrong-reply=[KIND:]1/N",
        "wrong-port=1/N",
        "silence",
        "flap=UP/DOWN",
    ] {
        assert!(stderr.contains(defect), "{defect}: {stderr}");
    }
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
}
