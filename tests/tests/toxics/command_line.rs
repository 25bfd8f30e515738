//! The command line: the drop-in for the server, and the one that steers it.

use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;
use tests::{Listener, Peer};

use super::started::{TOXICS, Toxics};

/// Runs it to its end: exit code, stdout and stderr.
fn run(args: &[&str]) -> (i32, String, String) {
    let output = Command::new(TOXICS).args(args).output().expect("it starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let code = output.status.code().expect("it is not killed");
    (code, text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_link_by_commands() {
    let toxics = Toxics::start();
    let listener = Listener::open();
    let ask = |args: &[&str]| {
        let (code, out, err) = run(&[args, &["--host", toxics.api()]].concat());
        assert_eq!(code, 0, "{args:?}: {out}{err}");
        out
    };
    assert_eq!(ask(&["list"]), "no links\n");
    ask(&["create", "a b", "--upstream", &listener.addr()]);
    let list = ask(&["list"]);
    assert!(
        list.starts_with("a b: tcp 127.0.0.1:") && list.ends_with(", up, 0 toxics\n"),
        "{list}"
    );
    let added = ask(&[
        "toxic",
        "add",
        "a b",
        "--type",
        "latency",
        "-a",
        "latency=1",
        "--stream",
        "upstream",
    ]);
    assert_eq!(
        added,
        "latency_upstream: latency upstream, toxicity 1, latency=1 jitter=0\n"
    );
    ask(&[
        "toxic",
        "update",
        "a b",
        "latency_upstream",
        "-a",
        "latency=2",
        "--toxicity",
        "0.5",
    ]);
    let shown = ask(&["inspect", "a b"]);
    assert!(
        shown.contains("toxicity 0.5, latency=2 jitter=0; 0 hits on 0 connections\n"),
        "{shown}"
    );
    ask(&["toxic", "remove", "a b", "latency_upstream"]);
    assert!(ask(&["toggle", "a b"]).contains(", down, "));
    ask(&["reset"]);
    assert!(ask(&["list"]).contains(", up, "));
    ask(&["delete", "a b"]);
    let (code, _, error) = run(&["delete", "a b", "--host", toxics.api()]);
    assert_eq!((code, error.as_str()), (1, "error: proxy not found\n"));
}

#[test]
fn what_is_wrong_is_said_in_one_line() {
    let nobody = tests::ReservedPort::take();
    let cases: [(&[&str], i32, &str); 8] = [
        (
            &["toxic", "add", "a", "--type", "fever"],
            2,
            "there is latency, bandwidth",
        ),
        (
            &["toxic", "add", "a", "--type", "latency", "-a", "lag=1"],
            2,
            "it has latency, jitter",
        ),
        (
            &["toxic", "add", "a", "--type", "latency", "-a", "latency=x"],
            2,
            "KEY=NUMBER",
        ),
        (&["--config", "/nowhere"], 2, "/nowhere"),
        (&["--listen", "127.0.0.1:0"], 2, "--upstream"),
        (
            &["--listen", "127.0.0.1:0", "--upstream", "nowhere"],
            2,
            "upstream: ",
        ),
        (&["--seed", "many"], 2, "--seed"),
        (
            &["list", "--host", nobody.addr()],
            1,
            "no answer from the API",
        ),
    ];
    for (args, code, text) in cases {
        let (got, out, error) = run(args);
        assert_eq!((got, out.as_str()), (code, ""), "{args:?}: {error}");
        assert!(
            error.contains(text) && error.lines().count() == 1,
            "{args:?}: {error}"
        );
    }
}

#[test]
fn one_link_needs_no_file() {
    let listener = Listener::open();
    let toxics = Toxics::start_with(&["--listen", "127.0.0.1:0", "--upstream", &listener.addr()]);
    let mut client = Peer::connect(&toxics.program.socket("link"));
    let mut server = listener.accept();
    client.send("abc");
    server.expect("abc");
}

#[test]
fn a_file_of_links_a_line_for_the_harness_and_a_record() {
    let listener = Listener::open();
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("links.json");
    let upstream = listener.addr();
    let links = serde_json::json!([{"name": "a", "listen": "127.0.0.1:0", "upstream": upstream,
        "toxics": [{"type": "slicer", "stream": "upstream", "attributes": {"average_size": 1}}]}]);
    std::fs::write(&path, links.to_string()).expect("a file");
    let config = path.to_str().expect("plain");
    let mut toxics = Toxics::start_with(&["-config", config]);
    let mut client = Peer::connect(&toxics.program.socket("a"));
    let mut server = listener.accept();
    client.send("abc");
    server.expect("abc");
    let line = toxics
        .program
        .line_after(|program| program.signal(Signal::USR1));
    let record: Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(record["seed"], 7);
    let toxic = &record["links"]["a"]["toxics"][0];
    assert_eq!(
        (&toxic["hits"], &toxic["connections"]),
        (&2.into(), &1.into())
    );
    assert_eq!(toxic["touched"][0]["connection"], 0);
    let line = toxics
        .program
        .line_after(|program| program.signal(Signal::TERM));
    assert!(line.contains("\"slicer_upstream\""), "{line}");
    assert!(toxics.program.wait().success());
    std::fs::write(
        &path,
        r#"[{"name":"a","upstream":"x:1","toxics":[{"type":"fever"}]}]"#,
    )
    .expect("a file");
    let (code, _, error) = run(&["--config", config]);
    assert!(
        code == 2 && error.contains("links.json: invalid toxic type"),
        "{error}"
    );
}
