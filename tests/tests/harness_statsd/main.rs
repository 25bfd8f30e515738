//! The harness on proxies for statsd: every line is accounted for. Short forms of the
//! built-in scenarios, proxies that fail them, and the cluster proxy of npm's statsd.

mod bench;
mod faults;
mod peers;

use serde_json::Value;
use tests::scenario::Run;

const HARNESS: &str = env!("CARGO_BIN_EXE_test-harness");

/// Health checks that take notice soon.
const SOON: &str = r#"args = ["--check-interval", "100ms", "--check-timeout", "100ms"]"#;

/// Nodes, a proxy with these settings, and 5,000 lines a second for so long.
fn scenario(nodes: usize, proxy: &str, duration: &str, more: &str) -> String {
    let nodes = "[[upstream]]\nmode = \"statsd\"\n".repeat(nodes);
    format!(
        r#"
        {nodes}
        [proxy]
        mode = "statsd"
        {proxy}
        [[load]]
        mode = "statsd"
        rate = "5k/s"
        lines_per_datagram = "5"
        keys = "200"
        connections = 4
        warmup = "0"
        duration = "{duration}"

        {more}
        "#
    )
}

/// A demand on the account.
fn account(demand: &str) -> String {
    format!("[[expect]]\naccount = \"{demand}\"\n")
}

fn block(run: &Run, nth: usize) -> Value {
    run.record()["scenarios"][0]["blocks"][nth].clone()
}
