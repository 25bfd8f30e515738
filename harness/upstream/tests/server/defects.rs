//! Each planted defect, seen from outside.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use crate::program::{DEADLINE, Program, read_line};
use rustix::process::Signal;

const SIGABRT: i32 = 6;
const SIGSEGV: i32 = 11;
const SIGTERM: i32 = 15;

/// Sends it to a server that is to die of it.
fn send(server: &Program, bytes: &[u8]) -> TcpStream {
    let mut stream = server.connect();
    // The server may die in the middle.
    let _ = stream.write_all(bytes);
    stream
}

#[test]
fn a_segmentation_fault_after_so_many_decode_errors_of_the_process() {
    let server = Program::start(&["--defect", "segfault-after-decode-errors=1000"]);
    for _ in 0..3 {
        assert_eq!(
            server.exchange(&b"x\n".repeat(333)).len(),
            333 * 16,
            "it lives with 999"
        );
    }
    let _stream = send(&server, b"REQ 1 a\nx\nx\n");
    let ended = server.wait();
    assert_eq!(ended.status.signal(), Some(SIGSEGV), "{ended:?}");
    let logged = ended
        .stderr
        .lines()
        .filter(|line| line.contains(": Decode error: "))
        .count();
    assert_eq!(logged, 1000, "what was counted is logged");
}

#[test]
fn an_abort_at_a_line() {
    let server = Program::start(&["--defect", "abort-on-line=a\\x00b"]);
    assert_eq!(server.exchange(b"a\nb\n").len(), 32);
    let _stream = send(&server, b"REQ 1 xa\0bx\n");
    let ended = server.wait();
    assert_eq!(ended.status.signal(), Some(SIGABRT), "{ended:?}");
}

#[test]
fn an_abort_at_a_long_line_whether_it_ends_or_not() {
    let most = [b"x".repeat(99), b"\n".to_vec()].concat();
    let server = Program::start(&["--defect", "abort-on-long-line=100"]);
    assert_eq!(server.exchange(&most), b"NAK 0 ERRDECODE\n");
    assert_eq!(server.exchange(&most[..99]), b"NAK 0 ERRDECODE\n");
    let _stream = send(&server, &[b'x'; 100]);
    let ended = server.wait();
    assert_eq!(ended.status.signal(), Some(SIGABRT), "{ended:?}");
    // One byte more than any line may have.
    let server = Program::start(&["--defect", "abort-on-long-line=64KiB"]);
    let _stream = send(&server, &[b'x'; 65_536]);
    let ended = server.wait();
    assert_eq!(ended.status.signal(), Some(SIGABRT), "{ended:?}");
}

#[test]
fn a_panic_at_a_line_that_is_not_utf8() {
    let server = Program::start(&["--defect", "panic-on-invalid-utf8"]);
    assert_eq!(server.exchange("é\n".as_bytes()), b"NAK 0 ERRDECODE\n");
    let _stream = send(&server, b"REQ 1 \xff\n");
    let ended = server.wait();
    assert_eq!(ended.status.code(), Some(101), "{ended:?}");
    assert!(ended.stderr.contains("not UTF-8"), "{ended:?}");
}

#[test]
fn a_hang_after_so_many_requests_of_the_process() {
    let server = Program::start(&["--defect", "hang-after=2", "--threads", "2"]);
    let mut first = server.connect();
    first.write_all(b"REQ 1 a\nREQ 2 b\nREQ 3 c\n").unwrap();
    assert!(read_line(&mut first).contains(" 1 "));
    assert!(read_line(&mut first).contains(" 2 "));
    // It still takes connections, and nobody answers on any of them.
    let mut second = server.connect();
    second.write_all(b"REQ 4 d\n").unwrap();
    for stream in [&mut first, &mut second] {
        stream
            .set_read_timeout(Some(Duration::from_millis(300)))
            .unwrap();
        let silence = loop {
            match stream.read(&mut [0; 100]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read.unwrap_err(),
            }
        };
        assert_eq!(silence.kind(), ErrorKind::WouldBlock);
    }
    let ended = server.stop();
    assert_eq!(
        ended.status.signal(),
        Some(SIGTERM),
        "the default action ends it: {ended:?}"
    );
    assert_eq!(ended.stdout, "");
}

#[test]
fn a_freeze_once_in_every_period() {
    let server = Program::start(&["--defect", "freeze=400ms@500ms"]);
    let mut stream = server.connect();
    let started = Instant::now();
    let mut longest = Duration::ZERO;
    // The best case of a request that meets a freeze, some of which begin with one.
    while longest < Duration::from_millis(350) {
        assert!(
            started.elapsed() < DEADLINE,
            "no freeze, the longest wait was {longest:?}"
        );
        let sent = Instant::now();
        stream.write_all(b"REQ 1 hello\n").unwrap();
        assert_eq!(
            read_line(&mut stream),
            "ACK 1 2158e4ce83d1e1e0de5ed0a4c781f906\n"
        );
        longest = longest.max(sent.elapsed());
    }
    assert!(server.stop().status.success());
}

#[test]
fn slow_answers_keep_their_order_and_do_not_add_up() {
    let server = Program::start(&["--defect", "slow=300ms"]);
    let requests: String = (1..=200).map(|seq| format!("REQ {seq} x\n")).collect();
    let started = Instant::now();
    let received = server.exchange(requests.as_bytes());
    let took = started.elapsed();
    let seqs: Vec<u32> = String::from_utf8(received)
        .unwrap()
        .lines()
        .map(|line| line.split(' ').nth(1).unwrap().parse().unwrap())
        .collect();
    assert!(seqs.iter().copied().eq(1..=200), "{seqs:?}");
    assert!(took >= Duration::from_millis(300), "{took:?}");
    assert!(
        took < DEADLINE,
        "200 delays one after the other take a minute"
    );
}

#[test]
fn wrong_replies_of_each_kind() {
    let cases = [
        ("swapped:1/3", [1, 2, 4, 3, 5].as_slice()),
        ("duplicated:1/3", &[1, 2, 3, 3, 4, 5]),
        ("stale:1/3", &[1, 2, 2, 4, 5]),
        ("dropped:1/3", &[1, 2, 4, 5]),
        ("corrupted:1/3", &[1, 2, 3, 4, 5]),
    ];
    let requests: String = (1..=5).map(|seq| format!("REQ {seq} x\n")).collect();
    let sound = String::from_utf8(Program::start(&[]).exchange(requests.as_bytes())).unwrap();
    for (kind, expected) in cases {
        let server = Program::start(&["--defect", &format!("wrong-reply={kind}")]);
        let received = String::from_utf8(server.exchange(requests.as_bytes())).unwrap();
        let seqs: Vec<i64> = received
            .lines()
            .map(|l| l.split(' ').nth(1).unwrap().parse().unwrap())
            .collect();
        assert_eq!(seqs, expected, "{kind}");
        let foreign = received
            .lines()
            .filter(|line| !sound.lines().any(|l| l == *line))
            .count();
        assert_eq!(
            foreign,
            usize::from(kind.starts_with("corrupted")),
            "{kind}: {received}"
        );
        let record = server.stop().stdout;
        assert!(record.contains("\"wrong_replies\":1,"), "{kind}: {record}");
    }
}

#[test]
fn memory_that_really_grows() {
    let server = Program::start(&["--defect", "leak-memory=64KiB"]);
    let resident = || {
        let statm = std::fs::read_to_string(format!("/proc/{}/statm", server.pid())).unwrap();
        let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
        pages * rustix::param::page_size()
    };
    let before = resident();
    assert_eq!(server.exchange(&b"REQ 1 a\n".repeat(512)).len() % 512, 0);
    let grown = resident() - before;
    assert!(
        grown >= 32 << 20,
        "{grown} bytes after 512 requests of 64 KiB"
    );
}

#[test]
fn descriptors_that_really_leak() {
    let server = Program::start(&["--defect", "leak-descriptors"]);
    let open = || {
        std::fs::read_dir(format!("/proc/{}/fd", server.pid()))
            .unwrap()
            .count()
    };
    let before = open();
    for _ in 0..20 {
        server.exchange(b"\n");
    }
    // What the server had open to start with may have been closed meanwhile.
    assert!(
        open() >= before + 15,
        "{before} before, {} after 20 connections",
        open()
    );
}

#[test]
fn threads_that_really_leak() {
    let server = Program::start(&["--defect", "leak-threads"]);
    let running = || {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", server.pid()));
        tasks.unwrap().count()
    };
    let before = running();
    for _ in 0..20 {
        server.exchange(b"\n");
    }
    assert!(
        running() >= before + 20,
        "{before} before, {} after 20 connections",
        running()
    );
    let record = server.stop().stdout;
    assert!(record.contains("\"leak_threads\":20"), "{record}");
}

#[test]
fn accepted_and_closed_at_once() {
    let server = Program::start(&["--defect", "accept-then-close"]);
    for _ in 0..3 {
        let mut received = Vec::new();
        assert_eq!(server.connect().read_to_end(&mut received).unwrap(), 0);
    }
    server.signal(Signal::TERM);
    assert!(
        server
            .wait()
            .stdout
            .contains("\"connections_total\":3,\"connections_open\":0,")
    );
}
