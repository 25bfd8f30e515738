//! The command line and the files of the replaced proxies, and what is wrong with either.

use std::process::Command;

use assert_cmd::assert::OutputAssertExt;
use tests::{Listener, Program};

use crate::node::Node;
use crate::started::{Config, PROXY, Proxy};

fn refused(args: &[&str], words: &[&str], code: i32) {
    let mut command = Command::new(PROXY);
    let command = command.arg("statsd").args(args);
    let output = command.assert().code(code).get_output().clone();
    let stderr = String::from_utf8(output.stderr).expect("text");
    assert_eq!(stderr.lines().count(), 1, "{args:?}: {stderr}");
    assert!(stderr.starts_with("error"), "{args:?}: {stderr}");
    assert!(output.stdout.is_empty(), "{args:?}");
    for word in words {
        assert!(
            stderr.contains(word),
            "{args:?} should mention {word}: {stderr}"
        );
    }
}

#[test]
fn bad_arguments_are_one_line_that_names_what_is_accepted() {
    let node = ["--node", "127.0.0.1:1"];
    let cases: &[(&[&str], &[&str])] = &[
        (&[], &["no nodes", "--node", "HOST:PORT"]),
        (&["--node", "a"], &["\"a\"", "HOST:PORT"]),
        (&["--node", "a:0"], &["a:0", "1 to 65535"]),
        (&["--node", "a:1:2:3"], &["a:1:2:3", "ADMINPORT"]),
        (&["--node", "a:1", "--node", "a:1:2"], &["a:1", "twice"]),
        (
            &["--node", "127.0.0.1:7", "--listen", ":7"],
            &["127.0.0.1:7", "this proxy"],
        ),
        (&["--listen", "8125"], &["8125", "HOST:PORT"]),
        (&["--server", "sctp"], &["sctp", "udp"]),
        (&["--threads", "0"], &["\"0\"", "1 to"]),
        (&["--mtu", "70000"], &["70000", "65507"]),
        (&["--flush", "10"], &["\"10\"", "10s"]),
        (
            &["--flush", "18000000000000000000s"],
            &["\"18000000000000000000s\"", "up to 8760h"],
        ),
        (&["--on-malformed", "reply"], &["reply", "forward"]),
        (&["--remap", "move"], &["move", "mirror"]),
        (&["--check-interval", "0"], &["above 0"]),
        (&["--check-interval", "8761h"], &["8761h", "up to 8760h"]),
        (&["--check-timeout", "8761h"], &["8761h", "up to 8760h"]),
        (&["--rise", "0"], &["\"0\"", "at least 1"]),
        (&["--ready-fd", "1"], &["\"1\"", "descriptor"]),
        (&["--no-such-flag"], &["--no-such-flag"]),
        (&["-f", "/none.json"], &["/none.json"]),
        (&["-f", "/dev/zero"], &["/dev/zero", "not a regular file"]),
        (&["-f", "/"], &["/: ", "not a regular file"]),
    ];
    for (args, words) in cases {
        let with_node = args.contains(&"--node") || args.is_empty() || args[0] == "-f";
        let args = match with_node {
            true => args.to_vec(),
            false => [&node[..], args].concat(),
        };
        refused(&args, words, 2);
    }
}

#[test]
fn a_bad_configuration_is_one_line_that_names_file_line_and_key() {
    for (text, words) in [
        ("", &["config.js:1"][..]),
        ("{\nnodes: [\n{host: \"a\"}]}", &["config.js:3", "port"]),
        (
            "{\nnodes: [\n{host: \"a\", port: 1},\n{host: \"a\", port: 1}]}",
            &["config.js:4", "a:1"],
        ),
        (
            "{\n\nport: \"many\",\nnodes: [{host: \"a\", port: 1}]}",
            &["config.js:3", "port", "many"],
        ),
        (
            "{\nnodes: [{host: \"a\", port: 70000}]}",
            &["config.js:2", "port", "70000"],
        ),
        ("{ nodes: \"a:1\" }", &["config.js:1", "nodes"]),
        ("{ nodes: [] }", &["nodes"]),
        (
            "{ nodes: [{host: \"a\", port: 1}], server: \"sctp\" }",
            &["config.js:1", "server"],
        ),
        (
            "{ nodes: [{host: \"a\", port: 1}], checkInterval: \"often\" }",
            &["checkInterval"],
        ),
    ] {
        let config = Config::new(text);
        refused(&["-f", config.path().to_str().unwrap()], words, 2);
    }
}

#[test]
fn the_files_of_both_proxies_work_with_their_flags() {
    let (a, b) = (Node::start(), Node::start());
    let nodes = format!("{}, {}", a.json(), b.json());
    let javascript = format!(
        "// A cluster.\n{{\n  nodes: [{nodes},],\n  server: './servers/udp',\n  host: '127.0.0.1',\n  \
         port: 0,\n  mgmt_port: 0,\n  mgmt_address: '127.0.0.1',\n  udp_version: 'udp4',\n  forkCount: 2,\n  \
         checkInterval: 1000,\n  cacheSize: 10000\n}}\n"
    );
    let json = format!(
        "{{\"Nodes\": [{nodes}], \"HOST\": \"127.0.0.1\", \"port\": 0, \"managementport\": 0, \
         \"checkInterval\": 1000}}"
    );
    for text in [javascript, json] {
        let config = Config::new(&text);
        let path = config.path();
        let program = Program::start(PROXY, &["statsd", "-d", "-f", path.to_str().unwrap()]);
        let proxy = Proxy::of(program);
        assert!(proxy.program.socket("listen").starts_with("127.0.0.1:"));
        let before = a.lines().len() + b.lines().len();
        proxy.send("gorets:1|c\nglork:320|ms\ngaugor:333|g\nuniques:765|s");
        tests::eventually("four lines", || {
            (a.lines().len() + b.lines().len() == before + 4).then_some(())
        });
        assert!(
            !proxy.program.stderr().contains("left out"),
            "{}",
            proxy.program.stderr()
        );
    }
}

#[test]
fn an_unknown_key_is_warned_about_and_the_rest_is_used() {
    let node = Node::start();
    let config = Config::of(&[&node], "\"flushh\": 1,\n\"log\": {}");
    let proxy = config.start(&[]);
    proxy.program.expect_log("config.js:3: flushh: ");
    proxy.send("a:1|c");
    node.lines_when(1);
}

#[test]
fn flags_go_before_the_file() {
    let (a, b) = (Node::start(), Node::start());
    let config = Config::of(&[&a], "\"port\": 1, \"mgmt_port\": 1, \"forkCount\": 3");
    let proxy = config.start(&[
        "--node",
        &b.with_admin(),
        "--threads",
        "1",
        "--check-interval",
        "7s",
    ]);
    proxy.send("a:1|c");
    b.lines_when(1);
    let told = proxy.manage("config\n");
    for line in ["forkCount: 1\n", "checkInterval: 7000\n"] {
        assert!(told.contains(line), "{told}");
    }
}

#[test]
fn what_cannot_start_is_one_line_too() {
    let taken = Listener::open();
    let node = ["--node", "127.0.0.1:1", "--log-level", "off"];
    let free = ["--listen", "127.0.0.1:0", "--management"];
    let addr = taken.addr();
    refused(
        &[&node[..], &free, &[&addr]].concat(),
        &[&addr, "in use", "management"],
        1,
    );
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let addr = socket.local_addr().expect("bound").to_string();
    refused(
        &[
            &node[..],
            &["--management", "127.0.0.1:0", "--listen", &addr],
        ]
        .concat(),
        &[&addr, "in use"],
        1,
    );
}

#[test]
fn help_teaches_by_example() {
    let mut command = Command::new(PROXY);
    let command = command.args(["statsd", "--help"]);
    let output = command.assert().success().get_output().clone();
    let help = String::from_utf8(output.stdout).unwrap();
    for word in [
        "-f config.json",
        "node proxy.js config.js",
        "go-statsd-proxy",
        "SIGHUP",
        "nc -w1",
        "default: 0.0.0.0:8125",
        "--remap",
        "route",
    ] {
        assert!(help.contains(word), "help should mention {word}: {help}");
    }
}
