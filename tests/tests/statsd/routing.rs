//! Where lines go.

use std::collections::HashMap;

use crate::node::Node;
use crate::started::{OFTEN, Proxy, count, keys, node_of, routes};

#[test]
fn each_line_goes_where_the_ring_says() {
    let nodes = [Node::start(), Node::start(), Node::start()];
    let nodes: Vec<&Node> = nodes.iter().collect();
    let mut keys = keys(300);
    // Names that mean something in JavaScript, in C and in this protocol.
    let odd = ["constructor", "__proto__", "cpu%d", "é", "a b", "tab\there"];
    keys.extend(odd.map(str::to_owned));
    let proxy = Proxy::before(&nodes, &[]);
    let lines: Vec<_> = keys.iter().map(|key| format!("{key}:1|c")).collect();
    // In datagrams of one line, of several, with empty lines between and behind.
    for chunk in lines.chunks(7) {
        proxy.send(format!("{}\n\n", chunk.join("\n\n")));
    }
    for line in &lines {
        proxy.send(line);
    }
    let state = proxy.accounted(2 * lines.len() as u64);
    assert_eq!(count(&state["lines"]["forwarded"]), 2 * lines.len() as u64);
    let mut expected: HashMap<String, Vec<String>> = HashMap::new();
    for (line, node) in lines.iter().zip(routes(&nodes, &keys)) {
        expected.entry(node).or_default().push(line.clone());
    }
    for node in nodes {
        let mut once = expected.remove(&node.name()).unwrap_or_default();
        assert!(once.len() > 30, "a node has few keys: {once:?}");
        let mut seen = node.lines_when(2 * once.len());
        once.extend(once.clone());
        once.sort();
        seen.sort();
        assert_eq!(seen, once);
        let told = node_of(&state, &node.name());
        assert_eq!(count(&told["lines"]), seen.len() as u64);
        assert_eq!(count(&told["datagrams"]), node.datagrams().len() as u64);
    }
}

#[test]
fn the_command_line_tells_the_vectors_of_the_original() {
    use serde_json::Value;
    use std::io::Write;
    use std::process::{Command, Stdio};
    let vectors = include_str!("../../../proxy/balance/tests/data/hashring-vectors.json");
    let vectors: Value = serde_json::from_str(vectors).expect("JSON");
    let rings = vectors["rings"].as_array().expect("a list");
    let mut tested = 0;
    for ring in rings.iter().take(5) {
        let mut command = Command::new(crate::started::PROXY);
        command.args(["statsd", "route", "--json"]);
        for node in ring["nodes"].as_array().expect("a list") {
            command.args(["--node", node.as_str().expect("a name")]);
        }
        let keys = ring["keys"].as_object().expect("by key");
        // A line of standard input holds neither of these in a key.
        let plain: Vec<_> = keys
            .iter()
            .filter(|(key, _)| !key.is_empty() && !key.contains(['\n', ':', '\r']))
            .collect();
        let mut child = command
            .arg("-")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it runs");
        let mut stdin = child.stdin.take().expect("piped");
        for (key, _) in &plain {
            writeln!(stdin, "{key}").expect("it reads");
        }
        drop(stdin);
        let output = child.wait_with_output().expect("our own child");
        let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let told = told["keys"].as_array().expect("a list");
        let told: HashMap<&str, &Value> = told
            .iter()
            .map(|one| (one["key"].as_str().expect("a key"), &one["node"]))
            .collect();
        for (key, node) in plain {
            assert_eq!(told[key.as_str()], node, "{key}");
            tested += 1;
        }
    }
    assert!(tested > 100, "only {tested} vectors");
}

#[test]
fn a_node_that_leaves_moves_only_its_keys_and_takes_them_back() {
    let mut nodes = [Node::start(), Node::start(), Node::start()];
    let keys = keys(200);
    let home = routes(&nodes.iter().collect::<Vec<_>>(), &keys);
    let proxy = Proxy::before(&nodes.iter().collect::<Vec<_>>(), &OFTEN);
    let send_all = |tag: &str, nodes: &[Node], total: u64| -> Vec<String> {
        for key in &keys {
            proxy.send(format!("{key}:{tag}|c"));
        }
        proxy.accounted(total);
        let find = |key: &String| {
            let line = format!("{key}:{tag}|c");
            tests::eventually(&line, || {
                let mut nodes = nodes.iter();
                let node = nodes.find(|node| node.lines().contains(&line))?;
                Some(node.name())
            })
        };
        keys.iter().map(find).collect()
    };
    assert_eq!(send_all("1", &nodes, 200), home);
    nodes[1].kill();
    proxy.status_becomes(&nodes[1], "down");
    let gone = nodes[1].name();
    let without = send_all("2", &nodes, 400);
    for ((key, home), now) in keys.iter().zip(&home).zip(&without) {
        match *home == gone {
            true => assert_ne!(*now, gone, "{key}"),
            false => assert_eq!(now, home, "{key}"),
        }
    }
    nodes[1].restart();
    proxy.status_becomes(&nodes[1], "up");
    assert_eq!(send_all("3", &nodes, 600), home);
}
