//! `proxy statsd route`: where keys go, without sending anything.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::started::{Config, PROXY};

/// The nodes of one of the original's rings, and who gets `foo` there.
const NODES: [&str; 3] = ["127.0.0.1:8127", "127.0.0.1:8129", "127.0.0.1:8131"];
const FOO: &str = "127.0.0.1:8127";

/// What it says with these arguments, and this on stdin.
fn route(args: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(PROXY)
        .args(["statsd", "route"])
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut stdin = child.stdin.take().expect("piped");
    // It reads no more than it is told to.
    let _ = stdin.write_all(input);
    drop(stdin);
    child.wait_with_output().expect("our own child")
}

/// What it prints when all is well.
fn told(args: &[&str], input: &[u8]) -> String {
    let output = route(args, input);
    assert!(output.status.success(), "{args:?}: {output:?}");
    String::from_utf8(output.stdout).expect("text")
}

fn routes(args: &[&str], input: &[u8]) -> Value {
    serde_json::from_str(&told(&[&["--json"], args].concat(), input)).expect("JSON")
}

fn with_nodes<'a>(args: &[&'a str]) -> Vec<&'a str> {
    let nodes = NODES.iter().flat_map(|node| ["--node", node]);
    nodes.chain(args.iter().copied()).collect()
}

/// A file with the same nodes.
fn config() -> Config {
    let nodes = [8127, 8129, 8131];
    let nodes = nodes.map(|port| format!("{{host: '127.0.0.1', port: {port}, adminport: 1}}"));
    let nodes = nodes.join(", ");
    Config::new(&format!("{{ nodes: [{nodes}], cacheSizes: 1 }}"))
}

/// The key and the node of each row of the first table.
fn rows(table: &str) -> Vec<(&str, &str)> {
    let rows = table.lines().skip(1).take_while(|line| !line.is_empty());
    rows.map(|row| {
        let (key, node) = row.rsplit_once("  ").expect("two columns");
        (key.trim_end(), node)
    })
    .collect()
}

#[test]
fn the_table_and_the_json_say_the_same_of_a_file_and_of_flags() {
    let keys = ["foo", "app.requests", "café", "cpu%d"];
    let config = config();
    let path = config.path();
    let path = path.to_str().expect("a plain path");
    let from_file = [&["-f", path], &keys[..]].concat();
    let table = told(&with_nodes(&keys), b"");
    let json = routes(&with_nodes(&keys), b"");
    assert_eq!(told(&from_file, b""), table);
    assert_eq!(routes(&from_file, b""), json);

    let head: Vec<_> = table
        .lines()
        .next()
        .expect("a head")
        .split_whitespace()
        .collect();
    assert_eq!(head, ["KEY", "NODE"]);
    let expected: Vec<_> = json["keys"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| (one["key"].as_str().unwrap(), one["node"].as_str().unwrap()))
        .collect();
    assert_eq!(rows(&table), expected);
    assert_eq!(
        expected.iter().map(|(key, _)| *key).collect::<Vec<_>>(),
        keys
    );
    assert_eq!(json["keys"][0], json!({ "key": "foo", "node": FOO }));

    let nodes = json["nodes"].as_array().expect("a list");
    let (_, deaths) = table.split_once("\n\n").expect("two tables");
    assert!(deaths.starts_with("IF THIS NODE DIES"), "{table}");
    for (node, name) in nodes.iter().zip(NODES) {
        assert_eq!(node["name"], name);
        let share = node["share"].as_f64().unwrap();
        let row = deaths
            .lines()
            .find(|row| row.starts_with(name))
            .expect(name);
        assert!(row.contains(&format!("{:.2} %", share * 100.0)), "{row}");
        // What it has goes to the others, and nothing else moves.
        let moves = node["moves_if_it_dies"].as_array().expect("a list");
        assert!(!moves.is_empty() && moves.iter().all(|one| one["from"] == name));
        let moved: f64 = moves.iter().map(|one| one["share"].as_f64().unwrap()).sum();
        assert!((moved - share).abs() < 1e-9, "{moved} of {share}");
    }
}

#[test]
fn flags_go_before_the_file_whose_mistakes_are_told_all_the_same() {
    let config = config();
    let path = config.path();
    let path = path.to_str().expect("a plain path");
    let output = route(&["-f", path, "--node", "10.9.9.9:1", "foo"], b"");
    let table = String::from_utf8(output.stdout).expect("text");
    assert_eq!(rows(&table), [("foo", "10.9.9.9:1")]);
    assert!(table.contains("nowhere: no node is left"), "{table}");
    let warnings = String::from_utf8(output.stderr).expect("text");
    assert!(warnings.contains("config.js:1: cacheSizes: "), "{warnings}");
}

#[test]
fn keys_come_from_lines_and_from_stdin_each_once() {
    let json = routes(
        &with_nodes(&["foo:1|c", "-", "foo"]),
        b"bar:2|ms\r\n\nbaz\ncaf\xe9:1|c\nfoo:3|c",
    );
    let keys = json["keys"].as_array().expect("a list").iter();
    let keys: Vec<_> = keys.map(|one| one["key"].as_str().unwrap()).collect();
    assert_eq!(keys, ["foo", "bar", "baz", "caf\u{fffd}"]);
    let counted = json["nodes"].as_array().expect("a list").iter();
    let counted: u64 = counted.map(|node| node["keys"].as_u64().unwrap()).sum();
    assert_eq!(counted, 4);
    // Without keys it is all about the nodes.
    assert!(told(&with_nodes(&[]), b"").starts_with("IF THIS NODE DIES"));
}

#[test]
fn what_is_wrong_is_one_line_and_nothing_is_printed() {
    let broken = Config::new("{\nnodes: [{host: 'a'}] }");
    let path = broken.path();
    let path = path.to_str().expect("a plain path");
    for (args, words) in [
        (&["foo"][..], &["no nodes", "--node", "--config"][..]),
        (&["-f", "/none.js", "foo"], &["/none.js"]),
        (&["-f", "/dev/zero", "foo"], &["/dev/zero", "regular file"]),
        (&["-f", path, "foo"], &["config.js:2", "port"]),
        // Wrong, although its nodes are not asked for.
        (
            &["-f", path, "--node", "a:1", "foo"],
            &["config.js:2", "port"],
        ),
        (&["--node", "a:1", "--node", "a:1:2"], &["a:1", "twice"]),
        (&["--node", "a", "foo"], &["\"a\"", "HOST:PORT"]),
        (&["--node", "a:1", "--jsn"], &["--jsn"]),
    ] {
        let output = route(args, b"");
        assert_eq!(output.status.code(), Some(2), "{args:?}: {output:?}");
        assert!(output.stdout.is_empty(), "{args:?}: {output:?}");
        let stderr = String::from_utf8(output.stderr).expect("text");
        assert_eq!(stderr.lines().count(), 1, "{args:?}: {stderr}");
        for word in words {
            assert!(
                stderr.contains(word),
                "{args:?} should mention {word}: {stderr}"
            );
        }
    }
}
