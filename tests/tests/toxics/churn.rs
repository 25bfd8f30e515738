//! Adding, updating and removing toxics ten thousand times under traffic: nothing hangs,
//! and no byte is lost that was not meant to be.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use serde_json::json;
use tests::peer::End;

use super::started::Pair;

/// Changes in all.
const CHANGES: usize = 10_000;

#[test]
fn ten_thousand_changes_lose_no_byte() {
    let pair = Pair::start();
    let over = AtomicBool::new(false);
    let kinds = [
        ("latency", json!({"latency": 5, "jitter": 5})),
        ("bandwidth", json!({"rate": 0})),
        ("slicer", json!({"average_size": 100, "size_variation": 50})),
        ("half_open", json!({})),
        ("latency", json!({"latency": 3_600_000})),
        ("message_split", json!({"every": 2, "delay": 100})),
        ("noop", json!({})),
    ];
    std::thread::scope(|scope| {
        for number in 0..4_usize {
            let (mut client, mut server) = pair.connect();
            let over = &over;
            scope.spawn(move || {
                // A line says where it is, so that every loss or swap shows.
                let mut sent = 0_u64;
                while !over.load(Relaxed) {
                    let lines: Vec<String> = (sent..sent + 50 * (number as u64 + 1))
                        .map(|n| format!("{n}\n"))
                        .collect();
                    sent += lines.len() as u64;
                    client.send(lines.concat());
                    // Traffic all the time, and not as much as there could be.
                    std::thread::sleep(Duration::from_millis(1));
                }
                client.finish();
            });
            scope.spawn(move || {
                let (got, end) = server.rest();
                assert_eq!(end, End::Orderly);
                let text = String::from_utf8(got).expect("digits");
                for (n, line) in text.lines().enumerate() {
                    assert_eq!(line, n.to_string());
                }
            });
        }
        let change = |method, path: &str, body| pair.toxics.call(method, path, &body);
        for round in 0..CHANGES / 4 {
            let (kind, attributes) = &kinds[round % kinds.len()];
            let toxic = |name| json!({"name": name, "type": kind, "stream": "upstream", "attributes": attributes});
            change("POST", "/proxies/link/toxics", toxic("a"));
            let update = json!({"attributes": {"latency": 1}});
            change("PATCH", "/proxies/link/toxics/a", update);
            let other = json!({"name": "b", "type": "noop", "stream": "upstream"});
            if round % 2 == 0 {
                change("POST", "/proxies/link/toxics", other);
                change("POST", "/reset", json!(null));
            } else {
                change("PATCH", "/proxies/link/toxics/a", json!({"toxicity": 0}));
                change("DELETE", "/proxies/link/toxics/a", json!(null));
            }
        }
        over.store(true, Relaxed);
    });
    let record = pair.toxics.record("link");
    assert_eq!(
        record["upstream_bytes"]["received"],
        record["upstream_bytes"]["sent"]
    );
}

/// What a byte of the transfer is depends on where it lies, and no block ends where it does.
const PERIOD: usize = 251;

#[test]
fn toxics_that_come_and_go_in_the_middle_of_bulk_lose_no_byte() {
    let pair = Pair::start();
    let (mut client, mut server) = pair.connect();
    let over = AtomicBool::new(false);
    let block: Vec<u8> = (0..PERIOD * 4_096).map(|i| (i % PERIOD) as u8).collect();
    let kinds = [
        ("noop", json!({})),
        ("latency", json!({"latency": 1, "jitter": 1})),
        ("slicer", json!({"average_size": 10_000})),
        ("half_open", json!({})),
        ("bandwidth", json!({"rate": 100_000})),
    ];
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let mut sent = 0;
            while !over.load(Relaxed) {
                client.send(&block);
                sent += block.len();
            }
            client.finish();
            sent
        });
        let receiver = scope.spawn(|| {
            let mut got = 0;
            loop {
                let some = server.read_some();
                if some.is_empty() {
                    return got;
                }
                for part in some.chunks(block.len() - PERIOD) {
                    let from = got % PERIOD;
                    assert!(part == &block[from..from + part.len()], "at byte {got}");
                    got += part.len();
                }
            }
        });
        let received = || pair.toxics.record("link")["upstream_bytes"]["received"].as_u64();
        for (kind, attributes) in kinds.iter().cycle().take(200) {
            // Bulk again, before each of them.
            let before = received();
            tests::eventually("bytes to pass", || {
                (received() > before.map(|bytes| bytes + 4_000_000)).then_some(())
            });
            pair.add(kind, "upstream", attributes);
            pair.remove(kind, "upstream");
        }
        over.store(true, Relaxed);
        let sent = sender.join().expect("it sends");
        assert_eq!(receiver.join().expect("it receives"), sent);
    });
}
