//! What is sent, and how much of it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::UdpSocket;

use protocol::probe::{Probe, Read};

use super::echo::sound;
use super::ran;

#[test]
fn each_socket_numbers_its_own_and_all_come_back() {
    let echo = sound();
    let ran = ran(
        echo.at,
        "--rate 5k/s --requests 3000 --clients 7 --threads 2 --payload 40-90 --timeout 10s",
    );
    ran.assert_went_well();
    assert_eq!(ran.record.counts.sent, 3_000);
    let run = u32::from_str_radix(&ran.udp.run, 16).unwrap();
    let mut sequences = BTreeMap::<u32, Vec<u64>>::new();
    let mut sources = BTreeSet::new();
    let mut lengths = BTreeSet::new();
    for (from, bytes) in echo.end() {
        let Read::Sound(probe) = Probe::read(&bytes) else {
            panic!("{bytes:?}");
        };
        assert_eq!(probe.run, run);
        assert!(probe.sent_ns >= ran.record.started_mono_ns);
        sequences
            .entry(probe.client)
            .or_default()
            .push(probe.sequence);
        sources.insert((probe.client, from));
        lengths.insert(bytes.len());
    }
    assert_eq!((sequences.len(), sources.len()), (7, 7));
    for (client, sequence) in sequences {
        assert!(sequence.iter().copied().eq(0..sequence.len() as u64));
        let told = &ran.udp.clients[&format!("{}.{client}", ran.udp.run)];
        assert_eq!(told.numbers, sequence.len() as u64);
        assert_eq!(told.returned, told.numbers);
    }
    assert!(lengths.first() == Some(&40) && lengths.last() == Some(&90));
    assert_eq!(ran.record.latency_us.response.count, 3_000);
}

#[test]
fn a_closed_loop_sends_as_many_as_are_wanted_and_no_more_at_once() {
    for mode in ["--closed --window 3", "--rate max --segmentation off"] {
        let echo = sound();
        let words = format!("{mode} --requests 2000 --clients 4 --threads 2 --timeout 10s");
        let ran = ran(echo.at, &words);
        ran.assert_went_well();
        assert_eq!(ran.record.counts.acked, 2_000, "{mode}");
        assert_eq!(echo.end().len(), 2_000, "{mode}");
        assert_eq!(ran.udp.clients.len(), 4);
        let note = ran.record.notes.join("\n");
        assert!(note.contains("claim nothing about latency"), "{note}");
    }
}

#[test]
fn a_closed_loop_goes_on_after_a_loss() {
    // The first datagram of each socket is lost.
    let mut met = BTreeSet::new();
    let echo = super::echo::echo(move |all| {
        let (from, bytes) = super::echo::last(all);
        let is_first = met.insert(from);
        if is_first {
            vec![]
        } else {
            vec![(from, bytes)]
        }
    });
    let words = "--closed --clients 2 --requests 200 --threads 1 --timeout 200ms";
    let ran = ran(echo.at, words);
    assert_eq!(ran.output.status.code(), Some(1), "{}", ran.shown());
    assert!(ran.failed("lost") >= 2, "{}", ran.shown());
    assert_eq!(ran.record.counts.sent, 200);
    assert_eq!(echo.end().len(), 200);
}

#[test]
fn nobody_there_is_told_and_ends() {
    for mode in ["--rate 1k/s", "--closed"] {
        let gone = UdpSocket::bind("127.0.0.1:0").unwrap();
        let at = gone.local_addr().unwrap();
        drop(gone);
        let words = format!("{mode} --duration 300ms --clients 2 --timeout 50ms");
        let ran = ran(at, &words);
        assert_eq!(ran.output.status.code(), Some(1), "{}", ran.shown());
        assert_eq!(ran.record.counts.acked, 0);
        assert!(ran.udp.datagrams_refused > 0, "{}", ran.shown());
        assert!(ran.udp.not_sent.keys().all(|kind| kind == "refused"));
        assert_eq!(ran.failed("lost"), ran.record.counts.sent);
    }
}

#[test]
fn the_report_tells_what_became_of_datagrams_and_the_floor_is_measured() {
    let echo = sound();
    let words = format!(
        "udp --connect {} --rate 500/s --duration 400ms --warmup 100ms --quiet --timeout 10s",
        echo.at
    );
    let output = crate::program::run(&mut crate::program::loadgen(&words));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        text.contains("250 datagrams sent = 250 returned + 0 lost"),
        "{text}"
    );
    assert!(text.contains("own floor"), "{text}");
    assert_eq!(echo.end().len(), 250);
}
