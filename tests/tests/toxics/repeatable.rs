//! Same seed, same faults.

use serde_json::json;
use tests::peer::End;

use super::started::Pair;

/// The sorted log of a run whose clients send the same in chunks of this many bytes.
fn decisions(chunk: usize, seed: &str) -> Vec<String> {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("decisions.log");
    let pair = Pair::start_with(&["--decisions", path.to_str().expect("plain"), "--seed", seed]);
    let toxic = |kind: &str, toxicity: f64, attributes: serde_json::Value| {
        let toxic = json!({"type": kind, "name": kind, "stream": "upstream",
            "toxicity": toxicity, "attributes": attributes});
        pair.toxics.call("POST", "/proxies/link/toxics", &toxic);
    };
    toxic("corrupt", 0.7, json!({"rate": 0.01}));
    toxic("message_duplicate", 1.0, json!({"rate": 0.2}));
    // Each with the blocks of a stream that it has by itself, and with smaller ones.
    toxic(
        "packet_loss",
        1.0,
        json!({"loss_rate": 0.1, "correlation": 0.3}),
    );
    toxic("latency", 1.0, json!({"latency": 2, "jitter": 2}));
    toxic(
        "slicer",
        1.0,
        json!({"average_size": 50, "size_variation": 20}),
    );
    let path_of = |name: &str| format!("/proxies/link/toxics/{name}");
    pair.toxics.call(
        "PATCH",
        &path_of("latency"),
        &json!({"attributes": {"jitter": 1}}),
    );
    let fine = json!({"type": "latency", "name": "fine", "stream": "upstream",
        "attributes": {"jitter": 1, "grain": 100}});
    pair.toxics.call("POST", "/proxies/link/toxics", &fine);
    toxic("close_after", 1.0, json!({"timeout": 3_600_000}));
    toxic("slow_close", 1.0, json!({"delay": 1}));
    let text = "0123456789abcde\n".repeat(500);
    for _ in 0..10 {
        let (mut client, mut server) = pair.connect();
        for part in text.as_bytes().chunks(chunk) {
            client.send(part);
        }
        client.finish();
        assert_eq!(server.rest().1, End::Orderly);
    }
    // The record is answered when the log is written.
    let _ = pair.toxics.record("link");
    let log = std::fs::read_to_string(&path).expect("a log");
    let mut lines: Vec<String> = log.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn two_runs_decide_the_same_whatever_the_chunks_and_another_seed_otherwise() {
    let first = decisions(8_000, "7");
    assert!(first.len() > 1_000, "{}", first.len());
    for chunk in [8_000, 331, 17] {
        let again = decisions(chunk, "7");
        let differing = first.iter().zip(&again).find(|(a, b)| a != b);
        assert_eq!(differing, None, "in chunks of {chunk}");
        assert_eq!(first.len(), again.len());
    }
    assert!(first != decisions(8_000, "8"), "with another seed");
}
