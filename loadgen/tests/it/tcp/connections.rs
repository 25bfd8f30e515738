//! Connections that come and go, end by halves, say nothing, or begin with a header.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc;

use super::server::{BYTES, Then, churn, echo, plan, right_echo, serve};
use crate::program::{files, loadgen, record, run as run_program, shown};
use crate::server::run;
use loadgen::plan::{Mode, Plan};
use loadgen::record::LoadRecord;
use loadgen::tally::{Breakage, Failure};
use loadgen::transport::Transport;

/// The record of a program that was run with these words, and its exit code.
fn recorded(words: &str) -> (LoadRecord, Option<i32>) {
    let files = files();
    let output = run_program(loadgen(&format!("{words} --quiet --json")).arg(&files.json));
    assert!(files.json.exists(), "{}", shown(&output));
    (record(&files.json), output.status.code())
}

#[test]
fn each_new_connection_is_a_success_or_a_failure_of_a_kind_in_its_slice() {
    let target = echo(|connection, _, message| match connection % 10 {
        3 => (vec![], Then::Close),
        7 => (vec![], Then::Reset),
        _ => (message, Then::Close),
    });
    let (outcome, seen) = run(&churn(target));
    let (tally, connects) = (&outcome.measured, &outcome.connects);
    // Those that were opened beforehand and were not needed are complete as well.
    let ended = connects.completed + connects.broken_total() + connects.closed_idle;
    assert_eq!(connects.opened, ended, "{connects:?}");
    assert_eq!(tally.sent, 400);
    let (closed, reset) = (
        connects.broken(Breakage::ClosedBeforeByte),
        connects.broken(Breakage::ResetBeforeByte),
    );
    assert!(
        (30..=50).contains(&closed) && (30..=50).contains(&reset),
        "{connects:?}"
    );
    assert_eq!(closed, tally.failed(Failure::Closed));
    assert_eq!(reset, tally.failed(Failure::Reset));
    let in_slices = |of: fn(&loadgen::record::Interval) -> u64| -> u64 {
        seen.slices.iter().map(|(slice, _)| of(slice)).sum()
    };
    assert_eq!(in_slices(|slice| slice.connections_failed), closed + reset);
    assert!(in_slices(|slice| slice.connections_opened) >= 400 - 64);
}

#[test]
fn a_refused_connection_gives_up_its_message_and_the_next_is_tried_at_once() {
    // An address of its own: nobody else is given this port when it is free again.
    let listener = TcpListener::bind("127.0.0.77:0").expect("a port");
    let target = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        // Enough to begin with; then nobody listens any more.
        for _ in 0..164 {
            let (mut stream, _) = listener.accept()?;
            std::thread::spawn(move || -> std::io::Result<()> {
                let mut message = [0; BYTES];
                stream.read_exact(&mut message)?;
                stream.write_all(&message)
            });
        }
        std::io::Result::Ok(())
    });
    let (outcome, _) = run(&churn(target));
    let (tally, connects) = (&outcome.measured, &outcome.connects);
    assert_eq!(tally.sent + tally.never_written, 400, "{tally:?}");
    assert!((100..=164).contains(&tally.acked), "{tally:?}");
    let failed = connects.failed_total() + connects.broken_total();
    assert!(failed >= 400 - tally.acked, "each was tried: {connects:?}");
}

#[test]
fn after_our_end_everything_still_comes_until_the_targets_end() {
    // Says nothing before the client has ended its side.
    let late = serve(|_, mut stream| {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).ok()?;
        stream.write_all(&all).ok()
    });
    let half_close = |target: SocketAddr| Plan {
        mode: Mode::Closed,
        pipeline: 5,
        connections: 3,
        requests_per_connection: 5,
        requests: Some(30),
        transport: Transport {
            half_close: true,
            ..Transport::default()
        },
        drain: std::time::Duration::from_secs(1),
        ..plan(target)
    };
    let (outcome, _) = run(&half_close(late));
    assert_eq!(outcome.measured.acked, 30, "{:?}", outcome.measured);
    let connects = &outcome.connects;
    // Beside the six that are needed, two may be opened for what another then takes.
    assert!((6..=8).contains(&connects.opened), "{connects:?}");
    assert_eq!(
        (connects.completed, connects.broken_total()),
        (connects.opened, 0)
    );

    // Answers the first message, and drops the rest at the client's end.
    let rude = serve(|_, mut stream| {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).ok()?;
        stream.write_all(all.get(..BYTES)?).ok()
    });
    let (outcome, _) = run(&half_close(rude));
    let tally = &outcome.measured;
    assert_eq!(
        (tally.acked, tally.failed(Failure::Closed)),
        (6, 24),
        "{tally:?}"
    );
    assert_eq!(outcome.connects.broken(Breakage::ClosedEarly), 6);

    // Answers everything and does not end.
    let (held, keeper) = mpsc::channel();
    let held = std::sync::Mutex::new(held);
    let endless = serve(move |_, mut stream| {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).ok()?;
        stream.write_all(&all).ok()?;
        held.lock().ok()?.send(stream).ok()
    });
    let (outcome, _) = run(&Plan {
        requests: Some(15),
        ..half_close(endless)
    });
    drop(keeper);
    assert_eq!(outcome.measured.acked, 15, "{:?}", outcome.measured);
    assert_eq!(outcome.connects.broken(Breakage::NoEnd), 3);
}

#[test]
fn slow_readers_receive_everything() {
    let (outcome, _) = run(&Plan {
        mode: Mode::Closed,
        connections: 2,
        requests: Some(100),
        transport: Transport {
            read_rate: Some(100_000),
            half_close: true,
            ..Transport::default()
        },
        ..plan(serve(|_, mut stream| {
            let mut other = stream.try_clone().ok()?;
            std::io::copy(&mut stream, &mut other).ok()?;
            stream.shutdown(std::net::Shutdown::Write).ok()
        }))
    });
    assert_eq!(outcome.measured.acked, 100, "{:?}", outcome.measured);
    assert_eq!(outcome.connects.completed, 2, "{:?}", outcome.connects);
}

#[test]
fn idle_connections_are_counted_and_checked() {
    let words = |target: SocketAddr| {
        format!(
            "tcp --connect {target} --idle 20 --idle-check --requests 50 --rate 1k/s \
             --connections 2 --floor 0"
        )
    };
    let (good, code) = recorded(&words(right_echo()));
    let idle = good.counts.idle.expect("idle connections");
    assert_eq!((idle.opened, idle.open_at_end, idle.answered), (20, 20, 20));
    assert!(
        idle.failed.is_empty() && matches!(code, Some(0 | 3)),
        "{code:?}"
    );

    // Idle connections come first.
    let forgetful = serve(|number, mut stream| {
        if number == 5 {
            return None;
        }
        let mut message = [0; BYTES];
        while stream.read_exact(&mut message).is_ok() {
            if number == 6 {
                message[9] ^= 1;
            }
            stream.write_all(&message).ok()?;
        }
        Some(())
    });
    let (bad, code) = recorded(&words(forgetful));
    let idle = bad.counts.idle.expect("idle connections");
    assert_eq!((idle.opened, idle.open_at_end, idle.answered), (20, 19, 18));
    assert_eq!((idle.failed["closed"], idle.failed["corrupted"]), (1, 1));
    assert_eq!(code, Some(1));
}

/// The first bytes that a server is sent by a load with these flags.
fn first_bytes(flags: &str, length: usize) -> (Vec<u8>, SocketAddr) {
    let (tell, told) = mpsc::channel();
    let tell = std::sync::Mutex::new(tell);
    let target = serve(move |_, mut stream| {
        let mut header = vec![0; length];
        stream.read_exact(&mut header).ok()?;
        tell.lock().ok()?.send(header).ok()?;
        let mut message = [0; BYTES];
        while stream.read_exact(&mut message).is_ok() {
            stream.write_all(&message).ok()?;
        }
        Some(())
    });
    let (record, _) = recorded(&format!(
        "tcp --connect {target} --connections 1 --closed --requests 5 --floor 0 {flags}"
    ));
    assert_eq!(record.counts.acked, 5);
    (told.recv().expect("a connection"), target)
}

#[test]
fn a_proxy_header_goes_first() {
    let expected = |port: u16| format!("PROXY TCP4 192.0.2.7 127.0.0.1 56789 {port}\r\n");
    // Ports given out by the kernel have five digits.
    let length = expected(50_000).len();
    let flags = "--proxy-protocol v1 --proxy-source 192.0.2.7:56789";
    let (header, target) = first_bytes(flags, length);
    assert_eq!(String::from_utf8_lossy(&header), expected(target.port()));

    let flags = "--proxy-protocol v2 --proxy-source 192.0.2.7:56789";
    let (header, target) = first_bytes(flags, 28);
    let mut expected =
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\x7f\0\0\x01\xdd\xd5".to_vec();
    expected.extend(target.port().to_be_bytes());
    assert_eq!(header, expected);
}

#[test]
fn connections_come_from_the_addresses_asked_for() {
    for flags in ["--sources 2", "--source 127.0.0.2,127.0.0.3"] {
        let (tell, told) = mpsc::channel();
        let tell = std::sync::Mutex::new(tell);
        let target = serve(move |_, mut stream| {
            let peer = stream.peer_addr().ok()?;
            tell.lock().ok()?.send(peer.ip().to_string()).ok()?;
            let mut other = stream.try_clone().ok()?;
            std::io::copy(&mut stream, &mut other).ok().map(drop)
        });
        let (record, _) = recorded(&format!(
            "tcp --connect {target} --connections 4 --threads 1 --closed --requests 8 --floor 0 {flags}"
        ));
        assert_eq!(record.counts.acked, 8);
        let mut peers: Vec<String> = told.try_iter().collect();
        peers.sort();
        assert_eq!(peers, ["127.0.0.2", "127.0.0.2", "127.0.0.3", "127.0.0.3"]);
    }
}
