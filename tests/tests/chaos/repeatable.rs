//! Same seed, same faults.

use std::collections::BTreeMap;

use tempfile::TempDir;
use tests::scenario::Run;

use super::HARNESS;

/// Connections that are over in any case when the load ends.
const OVER: u64 = 24;

/// What the link decided of each of the first connections, sorted.
fn decisions(seed: &str) -> BTreeMap<u64, Vec<String>> {
    let text = r#"
        [[load]]
        rate = "400/s"
        connections = 4
        requests_per_connection = 10
        warmup = "0"
        duration = "1500ms"

        [[fault]]
        at = "0"
        link = "client-proxy"
        toxic = "latency"
        attributes = { latency = 2, jitter = 2, grain = 20 }

        [[fault]]
        at = "0"
        link = "client-proxy"
        toxic = "slicer"
        stream = "upstream"
        toxicity = 0.5
        attributes = { average_size = 7, size_variation = 3 }

        [[expect]]
        load = "failed = 0"
    "#;
    let directory = TempDir::new().expect("a directory");
    let path = directory.path().to_str().expect("plain");
    let args = ["--seed", seed, "--decisions", path];
    Run::of_text(HARNESS, text, &args).expect_code(0);
    let log = std::fs::read_to_string(directory.path().join("test-1-builtin.log"));
    let mut found: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for line in log.expect("a log").lines() {
        let number = line.split_whitespace().nth(1).expect("a connection");
        let number = number.parse().expect("a number");
        if number < OVER {
            found.entry(number).or_default().push(line.to_owned());
        }
    }
    found.values_mut().for_each(|lines| lines.sort());
    found
}

#[test]
fn the_same_seed_decides_the_same() {
    let first = decisions("5");
    let count: usize = first.values().map(Vec::len).sum();
    assert!(first.len() == OVER as usize && count > 400, "{count}");
    assert_eq!(first, decisions("5"));
    assert_ne!(first, decisions("6"));
}
