//! The configuration read again.

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::Signal;
use serde_json::Value;
use tests::admin::state_at;
use tests::dns::{Answer, NameServer, UNKNOWN};

use crate::node::{Node, Says};
use crate::started::{Config, Proxy, count, history, keys, node_of, text_of};

const OFTEN: &str = "\"checkInterval\": 20, \"automaticConfigReload\": false";

fn reloads(state: &Value) -> u64 {
    count(&state["config"]["reloads"])
}

fn reload(proxy: &Proxy) -> Value {
    let before = reloads(&proxy.state());
    proxy.program.signal(Signal::HUP);
    proxy.state_when("the reload", |state| reloads(state) > before)
}

#[test]
fn nodes_come_and_go_and_no_line_is_lost() {
    let nodes = [Node::start(), Node::start(), Node::start()];
    let [a, b, c] = &nodes;
    let config = Config::of(&[a, b], OFTEN);
    let proxy = config.start(&[]);
    let stop = Arc::new(AtomicBool::new(false));
    let sender = {
        let (to, admin) = (
            proxy.program.socket("listen"),
            proxy.program.socket("admin"),
        );
        let stop = Arc::clone(&stop);
        std::thread::spawn(move || send_until(&stop, &to, &admin))
    };
    for members in [&[a, b, c][..], &[b, c], &[c], &[a, c], &[a, b, c]] {
        config.write(&text_of(members, OFTEN));
        let state = reload(&proxy);
        let names: Vec<_> = members.iter().map(|node| node.name()).collect();
        let told = state["nodes"].as_array().unwrap().iter();
        let told: Vec<_> = told.map(|node| node["name"].as_str().unwrap()).collect();
        assert_eq!(told, names);
        // Some lines come in with these nodes.
        let before = count(&state["lines"]["received"]);
        proxy.state_when("more lines", |state| {
            count(&state["lines"]["received"]) > before + 50
        });
    }
    stop.store(true, Ordering::Relaxed);
    let sent = sender.join().expect("it ends");
    let state = proxy.accounted(sent);
    assert_eq!(count(&state["lines"]["forwarded"]), sent, "{state:#}");
    let arrived = || nodes.iter().map(|node| node.lines().len()).sum::<usize>();
    tests::eventually("every line", || (arrived() as u64 == sent).then_some(()));
}

/// Sends lines, no faster than they are taken, and says how many.
fn send_until(stop: &AtomicBool, to: &str, admin: &str) -> u64 {
    let client = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let keys = keys(50);
    let mut sent = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        for key in &keys {
            let line = format!("{key}:{sent}|g");
            client.send_to(line.as_bytes(), to).expect("loopback");
            sent += 1;
        }
        tests::eventually("lines to come in", || {
            let received = count(&state_at(admin)["lines"]["received"]);
            (received == sent).then_some(())
        });
    }
    sent
}

#[test]
fn what_stays_keeps_its_health_and_its_counters() {
    let (a, b) = (Node::start(), Node::start());
    let config = Config::of(&[&a], OFTEN);
    let proxy = config.start(&[]);
    proxy.send("a:1|c");
    a.lines_when(1);
    proxy.accounted(1);
    config.write(&text_of(&[&b, &a], OFTEN));
    let state = reload(&proxy);
    let node = node_of(&state, &a.name());
    assert_eq!(count(&node["lines"]), 1);
    assert_eq!(history(&state, &a.name()), ["up"]);
    assert!(
        proxy
            .manage("status\n")
            .ends_with(&format!("\nnodes: {} {}\n", b.name(), a.name()))
    );
    assert!(proxy.manage("config\n").contains("nodes > 1 > host: 127."));
}

#[test]
fn a_broken_file_keeps_what_runs_and_says_why() {
    let a = Node::start();
    let config = Config::of(&[&a], OFTEN);
    let proxy = config.start(&[]);
    assert_eq!(proxy.state()["config"]["error"], Value::Null);
    for (broken, words) in [
        ("{ nodes: [", &["config.js:1"][..]),
        ("{ nodes: [{host: \"a\"}] }", &["config.js:1", "port"]),
        ("{\n\n nodes: [] }", &["nodes"]),
        (
            "{\n\n nodes: [{host: \"a\", port: \"x\"}] }",
            &["config.js:3", "port"],
        ),
    ] {
        config.write(broken);
        let before = count(&proxy.state()["config"]["reloads_failed"]);
        proxy.program.signal(Signal::HUP);
        let state = proxy.state_when("the refusal", |state| {
            count(&state["config"]["reloads_failed"]) > before
        });
        let error = state["config"]["error"].as_str().unwrap().to_owned();
        for word in words {
            assert!(error.contains(word), "{word}: {error}");
        }
        proxy.program.expect_log(&error);
        let lines = a.lines().len();
        proxy.send("a:1|c");
        a.lines_when(lines + 1);
    }
    config.write(&text_of(&[&a], OFTEN));
    let state = reload(&proxy);
    assert_eq!(state["config"]["error"], Value::Null);
    proxy.accounted(4);
}

#[test]
fn a_file_that_would_never_end_is_refused_and_nothing_waits_for_it() {
    let a = Node::start();
    let config = Config::of(&[&a], OFTEN);
    let proxy = config.start(&[]);
    let path = config.path();
    let fifo = || {
        let kind = rustix::fs::FileType::Fifo;
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &path, kind, mode, 0).expect("a FIFO");
    };
    let device = || std::os::unix::fs::symlink("/dev/zero", &path).expect("a link");
    for (failed, make) in [(1, &fifo as &dyn Fn()), (2, &device)] {
        std::fs::remove_file(&path).expect("it is there");
        make();
        proxy.program.signal(Signal::HUP);
        let state = proxy.state_when("the refusal", |state| {
            count(&state["config"]["reloads_failed"]) == failed
        });
        let error = state["config"]["error"].as_str().unwrap();
        assert!(error.ends_with("not a regular file"), "{error}");
        assert_eq!(proxy.manage("ping\n"), "pong\n");
    }
    config.write(&text_of(&[&a], OFTEN));
    assert_eq!(reload(&proxy)["config"]["error"], Value::Null);
}

#[test]
fn a_name_that_is_found_while_other_nodes_are_asked_is_known_after_the_reload() {
    let (a, silent, named) = (Node::start(), Node::start(), Node::start());
    silent.say(Says::Nothing);
    let dns = NameServer::start(UNKNOWN);
    let config = Config::of(&[&a], OFTEN);
    // Long enough for a second look-up, a second after the first.
    let proxy = config.start(&["--resolver", dns.addr(), "--check-timeout", "3s"]);
    let ip = named.ip().to_string();
    let text = text_of(&[&a, &silent, &named], OFTEN);
    config.write(&text.replace(&format!("\"{ip}\""), "\"metrics.test\""));
    let before = reloads(&proxy.state());
    proxy.program.signal(Signal::HUP);
    dns.is_asked();
    dns.set(Answer::Addresses(vec![named.ip()]));
    proxy.program.expect_log(&format!("metrics.test is [{ip}]"));
    proxy.state_when("the reload", |state| reloads(state) > before);
    let name = format!("metrics.test:{}", named.port());
    let state = proxy.state_when("the node to be up", |state| {
        node_of(state, &name)["status"] == "up"
    });
    assert_eq!(node_of(&state, &name)["address"], named.name());
}

#[test]
fn what_takes_a_restart_is_said() {
    let a = Node::start();
    let config = Config::of(&[&a], OFTEN);
    let proxy = config.start(&[]);
    config.write(&text_of(&[&a], &format!("{OFTEN}, forkCount: 17")));
    let state = reload(&proxy);
    assert_eq!(state["config"]["ignored"], serde_json::json!(["threads"]));
    proxy.program.expect_log("stays as it is: threads");
}

#[test]
fn a_change_is_noticed_unless_the_file_says_not_to() {
    let (a, b) = (Node::start(), Node::start());
    let config = Config::of(&[&a], "checkInterval: 20");
    let proxy = config.start(&[]);
    config.write(&text_of(&[&b], "checkInterval: 20"));
    proxy.state_when("the other node", |state| {
        state["nodes"][0]["name"] == b.name().as_str()
    });
}

#[test]
fn a_node_that_dies_while_it_is_read_is_down() {
    let (a, mut b) = (Node::start(), Node::start());
    let config = Config::of(&[&a], OFTEN);
    let proxy = config.start(&[]);
    b.kill();
    config.write(&text_of(&[&a, &b], OFTEN));
    let state = reload(&proxy);
    assert_eq!(node_of(&state, &b.name())["status"], "down");
    b.restart();
    proxy.status_becomes(&b, "up");
}
