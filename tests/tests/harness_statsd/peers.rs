//! Beside the cluster proxy of npm's statsd.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tests::scenario::Run;

use super::{HARNESS, account, block, scenario};

/// Whether npm's statsd is there, or can be installed; says so when it cannot.
fn has_npm_statsd() -> bool {
    let given = std::env::var_os("HARNESS_STATSD_NPM").is_some();
    tests::is_installed("node") && (given || tests::is_installed("npm"))
}

#[test]
fn a_proxy_that_keeps_no_account_is_told_by_what_is_missing() {
    if !has_npm_statsd() {
        return;
    }
    let ended = r#"
        [[fault]]
        at = "500ms"
        for = "1s"
        process = "upstream.1"
        action = "terminate"
    "#;
    let more = ended.to_owned() + &account("unaccounted = 0") + &account("dropped = 0");
    let text = scenario(3, "", "2500ms", &more);
    let run = Run::of_text(HARNESS, &text, &["--proxy", "statsd"]);
    if is_offline(&run) {
        return;
    }
    run.expect_code(1)
        .expect_text("lost (the proxy keeps no account)")
        .expect_text("the proxy keeps no account");
    assert_eq!(block(&run, 0)["account"]["keeper"], "nobody");
}

#[test]
fn the_cluster_proxy_of_npm_sends_the_same_keys_to_the_same_nodes() {
    if !has_npm_statsd() {
        return;
    }
    let text = scenario(3, "against = [\"statsd\"]", "1s", "");
    let run = Run::of_text(HARNESS, &text, &["--lenient"]);
    if is_offline(&run) {
        return;
    }
    run.expect_code(0);
    let [ours, theirs] = [0, 1].map(|nth| keys(&run, nth));
    assert!(ours.values().all(|keys| !keys.is_empty()), "{ours:?}");
    assert_eq!(ours, theirs);
}

/// Says so if npm's package could not be had.
fn is_offline(run: &Run) -> bool {
    let is_missing = run.stderr.contains("could not be installed");
    let required = std::env::var_os("HARNESS_TEST_PEERS").is_some_and(|value| value == "required");
    assert!(!is_missing || !required, "{}", run.stderr);
    if is_missing {
        eprintln!("SKIPPED: npm's statsd cannot be installed: {}", run.stderr);
    }
    is_missing
}

/// The keys that came to each node in a block, as the nodes told them.
fn keys(run: &Run, block: usize) -> BTreeMap<String, BTreeSet<String>> {
    let text = std::fs::read_to_string(run.file("events.jsonl")).expect("events");
    let events = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("an event"));
    let (mut begun, mut keys) = (0, BTreeMap::new());
    for event in events {
        if event["event"] == "block_started" {
            begun += 1;
        }
        if event["event"] != "counted" || event["role"] != "upstream" || begun != block + 1 {
            continue;
        }
        let of_node = event["counts"]["statsd"]["keys"].as_object().expect("keys");
        let name = event["name"].as_str().expect("a name").to_owned();
        keys.insert(name, of_node.keys().cloned().collect());
    }
    keys
}
