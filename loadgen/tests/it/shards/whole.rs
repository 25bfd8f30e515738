//! One shard against four: the same requests, each once.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use protocol::probe::{Probe, Read};

use super::ran;
use crate::server::serve_and_hear;
use crate::statsd::assert_each_once;
use crate::statsd::sink::{datagrams, numbers, streams};
use crate::tcp::server::{BYTES, right_echo};
use crate::udp::echo::sound;

/// The requests that so many shards send, in order, and the sums of their records.
fn requests(words: &str, shards: u64) -> (Vec<(i64, Vec<u8>)>, [u64; 3]) {
    let heard = Arc::new(Mutex::new(vec![]));
    let server = {
        let heard = heard.clone();
        serve_and_hear(move |seq, data| heard.lock().expect("no panic").push((seq, data.to_vec())))
    };
    let ran = ran(
        &format!(
            "foo --connect {server} --requests 800 --connections 16 --verify digest --floor 0 \
             {words}"
        ),
        shards,
    );
    let sums = [
        ran.sum(|record| record.counts.sent),
        ran.sum(|record| record.latency_us.response.count),
        ran.sum(|record| record.counts.connections),
    ];
    for (shard, index) in ran.shards().zip(0..) {
        assert_eq!((shard.index, shard.count), (index, shards));
        assert_eq!(shard.told_by, "--shard");
    }
    if words.contains("--rate") && !words.contains("max") {
        let slots = ran.shards().map(|shard| shard.slots.expect("a schedule"));
        assert_eq!(slots.sum::<u64>(), 800);
        let target: f64 = ran.records.iter().filter_map(|one| one.target_rate).sum();
        assert!((target - 2_000.0).abs() < 1e-6, "{target}");
    }
    let mut heard = std::mem::take(&mut *heard.lock().expect("no panic"));
    heard.sort_unstable();
    (heard, sums)
}

#[test]
fn four_send_the_requests_that_one_sends() {
    // With so much room, connections take slots in turn: which request is whose is certain.
    for words in [
        "--rate 2k/s --pipeline 1000 --threads 2",
        "--rate 2k/s --pipeline 1000 --arrivals poisson",
    ] {
        let (one, sums) = requests(words, 1);
        assert_eq!(sums, [800, 800, 16], "{words}");
        let distinct: BTreeSet<_> = one.iter().collect();
        assert_eq!((one.len(), distinct.len()), (800, 800), "{words}");
        let (four, of_four) = requests(words, 4);
        assert_eq!(of_four, sums, "{words}");
        assert_eq!(four, one, "{words}");
    }
}

#[test]
fn without_a_rate_four_send_as_many_as_one() {
    for words in ["--closed", "--rate max"] {
        let (heard, sums) = requests(words, 4);
        assert_eq!((heard.len(), sums), (800, [800, 800, 16]), "{words}");
        let distinct: BTreeSet<_> = heard.into_iter().collect();
        assert_eq!(distinct.len(), 800, "connections have numbers of their own");
    }
}

#[test]
fn the_record_says_what_is_the_shards_and_what_the_wholes() {
    let server = serve_and_hear(|_, _| {});
    let words = format!(
        "foo --connect {server} --rate 900/s --duration 300ms --warmup 100ms --interval 100ms \
         --connections 7 --floor 0"
    );
    let ran = ran(&words, 3);
    let mut configs = vec![];
    let mut starts = BTreeSet::new();
    for (record, index) in ran.records.iter().zip(0_u64..) {
        assert_eq!(record.config["shard"], format!("{index}/3"));
        assert_eq!(record.config["start-within"], "60s");
        assert_eq!(record.config["rate"], 900.0);
        assert_eq!(record.config["connections"], 7);
        assert_eq!(record.target_rate, Some(300.0));
        assert_eq!(record.counts.sent, 90);
        let shard = record.shard.as_ref().expect("a shard");
        assert!(!shard.host.is_empty());
        assert_eq!(shard.late_allowed_ns, 60_000_000_000);
        starts.insert(shard.start_unix_ns);
        // All slices are where the clock says, whatever the machine was busy with.
        let offsets: Vec<u64> = record
            .intervals
            .iter()
            .map(|slice| slice.start_mono_ns + 100_000_000 - record.started_mono_ns)
            .collect();
        assert_eq!(offsets[..4], [0, 100_000_000, 200_000_000, 300_000_000]);
        let mut config = record.config.clone();
        config.remove("shard");
        configs.push(config);
    }
    assert_eq!(starts.len(), 1);
    assert!(configs.iter().all(|config| *config == configs[0]));
}

#[test]
fn datagrams_of_four_are_those_of_one() {
    let sent = |shards| {
        let echo = sound();
        let ran = ran(
            &format!(
                "udp --connect {} --rate 2k/s --requests 800 --clients 16 --payload 40-90 \
                 --timeout 10s --floor 0",
                echo.at
            ),
            shards,
        );
        let runs: BTreeSet<_> = ran
            .records
            .iter()
            .map(|record| record.udp.as_ref().expect("datagrams").run.clone())
            .collect();
        assert_eq!(runs.len(), 1);
        assert_eq!(ran.sum(|record| record.counts.acked), 800);
        let mut sent: Vec<_> = echo
            .end()
            .iter()
            .map(|(_, bytes)| match Probe::read(bytes) {
                Read::Sound(probe) => (probe.run, probe.client, probe.sequence, bytes.len()),
                _ => panic!("{bytes:?}"),
            })
            .collect();
        sent.sort_unstable();
        sent
    };
    let one = sent(1);
    assert_eq!(one.len(), 800);
    let sequences: Vec<u64> = one.iter().map(|(_, _, sequence, _)| *sequence).collect();
    let in_turn: Vec<u64> = (0..16).flat_map(|_| 0..50).collect();
    assert_eq!(sequences, in_turn, "each of 16 clients sends its 50");
    assert_eq!(sent(4), one);
}

#[test]
fn lines_of_four_are_numbered_as_those_of_one() {
    for pace in [
        "--rate 20k/s --lines 3003",
        "--rate 20k/s --arrivals poisson --duration 200ms --warmup 50ms",
        "--burst 70@10ms --duration 200ms --warmup 0 --threads 2",
    ] {
        let sent = |shards| {
            let sink = datagrams();
            let words = format!(
                "statsd --connect {} --lines-per-datagram 30 --types c,ms {pace}",
                sink.at
            );
            let ran = ran(&words, shards);
            let mut came = sink.end();
            let numbers = numbers(&came);
            let statsd = |record: &loadgen::record::LoadRecord| record.statsd.clone();
            let used = ran.sum(|record| statsd(record).expect("lines").numbers);
            assert_each_once(numbers, used);
            came.sort_unstable();
            (came, ran.sum(|record| record.counts.sent))
        };
        let one = sent(1);
        assert!(one.1 >= 1_400, "{pace}: {}", one.1);
        assert_eq!(sent(4), one, "{pace}");
    }
}

#[test]
fn lines_of_shards_over_streams_are_all_there() {
    let (at, came) = streams(4);
    let ran = ran(
        &format!("statsd --connect {at} --transport tcp --rate 5k/s --lines 1000 --connections 4"),
        2,
    );
    assert_eq!(ran.sum(|record| record.counts.sent), 1_000);
    let all: Vec<Vec<u8>> = came.join().expect("no panic");
    let all: Vec<Vec<u8>> = all
        .iter()
        .flat_map(|stream| stream.split(|byte| *byte == b'\n'))
        .filter(|line| !line.is_empty())
        .map(<[u8]>::to_vec)
        .collect();
    assert_each_once(numbers(&all), 1_000);
}

#[test]
fn messages_idle_connections_and_transfers_are_shared_out() {
    let echo = right_echo();
    let shared = ran(
        &format!(
            "tcp --connect {echo} --payload {BYTES} --closed --requests 100 --connections 5 \
             --idle 7 --idle-check --floor 0"
        ),
        3,
    );
    let sent: Vec<u64> = shared.records.iter().map(|one| one.counts.sent).collect();
    assert_eq!(sent, [34, 33, 33]);
    let idle = |of: fn(&loadgen::record::Idle) -> u64| {
        shared.sum(|record| record.counts.idle.as_ref().map_or(0, of))
    };
    assert_eq!(
        (idle(|idle| idle.asked), idle(|idle| idle.answered)),
        (7, 7)
    );
    assert_eq!(shared.sum(|record| record.counts.connections), 5);

    let bulk = ran(
        &format!("tcp --connect {echo} --bulk echo --bytes 64000 --connections 3"),
        2,
    );
    let connections: Vec<u64> = bulk.records.iter().map(|one| one.counts.acked).collect();
    assert_eq!(connections, [2, 1]);
    let bytes = bulk.sum(|record| record.bulk.as_ref().map_or(0, |bulk| bulk.bytes_received));
    assert_eq!(bytes, 3 * 64_000);
}
