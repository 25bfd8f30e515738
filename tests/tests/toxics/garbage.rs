//! Garbage at the control API: it answers on, and its links pass bytes on.

use std::process::Command;

use serde_json::{Value, json};

use super::started::Pair;

const FUZZCLIENT: &str = env!("CARGO_BIN_EXE_test-fuzzclient");

/// Sends garbage of a kind to the API, on thousands of connections, and fails if the
/// fuzzer finds fault with what stands there.
fn attack(pair: &Pair, strategy: &str) {
    let mut command = Command::new(FUZZCLIENT);
    command
        .args([
            "tcp",
            "--connect",
            pair.toxics.api(),
            "--strategy",
            strategy,
        ])
        .args(["--until-crash", "--bytes", "2MB", "--session-bytes", "1KiB"])
        .args(["--connections", "4", "--hang-after", "20s"]);
    let output = command.output().expect("it starts");
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn the_api_survives_garbage_and_links_go_on() {
    let mut pair = Pair::start();
    let (mut client, mut server) = pair.connect();
    pair.add("noop", "upstream", &json!({}));
    for strategy in ["random", "lines", "mutate", "grammar", "churn"] {
        attack(&pair, strategy);
        let version = pair.toxics.call("GET", "/version", &Value::Null);
        assert_eq!(version["version"], "2.12.0", "after {strategy}");
        // The connection that was open, and a new one.
        client.send(strategy);
        server.expect(strategy);
        let (mut client, mut server) = pair.connect();
        server.send(strategy);
        client.expect(strategy);
    }
    // Nothing of it was taken for an order.
    let link = pair.toxics.call("GET", "/proxies/link", &Value::Null);
    assert_eq!(link["toxics"].as_array().map(Vec::len), Some(1));
    let stderr = pair.toxics.program.stderr();
    assert!(!stderr.contains("panicked"), "{stderr}");
    pair.toxics.program.signal(rustix::process::Signal::TERM);
    assert!(pair.toxics.program.wait().success());
}
