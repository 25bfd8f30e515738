//! What becomes of lines whose node is down.

use crate::node::{Node, Says};
use crate::started::{OFTEN, Proxy, count, held, is_lawful, keys, lawful, node_of, routes};

/// Two nodes, keys of the first, keys of the second.
fn two() -> (Node, Node, Vec<String>, Vec<String>) {
    let (a, b) = (Node::start(), Node::start());
    let keys = keys(60);
    let home = routes(&[&a, &b], &keys);
    let (mut of_a, mut of_b) = (Vec::new(), Vec::new());
    for (key, home) in keys.into_iter().zip(home) {
        if home == a.name() {
            of_a.push(key);
        } else {
            of_b.push(key);
        }
    }
    assert!(of_a.len() >= 10 && of_b.len() >= 10);
    (a, b, of_a, of_b)
}

fn lines(keys: &[String], value: &str) -> Vec<String> {
    keys.iter().map(|key| format!("{key}:{value}|g")).collect()
}

#[test]
fn remapped_lines_go_to_the_others() {
    let (mut a, b, of_a, of_b) = two();
    let proxy = Proxy::before(&[&a, &b], &[&OFTEN[..], &["--remap", "remap"]].concat());
    a.kill();
    proxy.status_becomes(&a, "down");
    proxy.send(lines(&of_a, "1").join("\n"));
    proxy.send(lines(&of_b, "1").join("\n"));
    let state = proxy.accounted(60);
    assert_eq!(count(&state["lines"]["forwarded"]), 60);
    b.lines_when(60);
}

#[test]
fn lines_that_wait_when_their_node_goes_down_are_routed_again() {
    let (mut a, b, of_a, _) = two();
    // They wait so long that only a change makes them leave.
    let proxy = Proxy::before(&[&a, &b], &[&OFTEN[..], &["--flush", "1h"]].concat());
    proxy.send(lines(&of_a, "1").join("\n"));
    let waiting = of_a.len() as u64;
    proxy.state_when("lines to wait", |state| {
        count(&state["lines"]["pending"]) == waiting
    });
    a.kill();
    proxy.state_when("lines to be routed again", |state| {
        count(&state["lines"]["rerouted"]) == waiting && is_lawful(state)
    });
    proxy.program.signal(rustix::process::Signal::TERM);
    let mut seen = b.lines_when(of_a.len());
    seen.sort();
    let mut expected = lines(&of_a, "1");
    expected.sort();
    assert_eq!(seen, expected);
}

#[test]
fn held_lines_wait_for_their_node_and_keep_their_order() {
    let (mut a, b, of_a, of_b) = two();
    let proxy = Proxy::before(
        &[&a, &b],
        &[&OFTEN[..], &["--remap", "hold", "--threads", "1"]].concat(),
    );
    a.kill();
    proxy.status_becomes(&a, "down");
    for value in ["1", "2", "3"] {
        proxy.send(lines(&of_a, value).join("\n"));
        proxy.send(lines(&of_b, value).join("\n"));
    }
    let state = proxy.accounted(180);
    let kept = 3 * of_a.len() as u64;
    assert_eq!(held(&state), kept, "{state:#}");
    assert_eq!(count(&state["lines"]["pending"]), kept);
    assert_eq!(count(&node_of(&state, &a.name())["held_lines"]), kept);
    b.lines_when(3 * of_b.len());
    a.restart();
    let seen = a.lines_when(3 * of_a.len());
    let expected: Vec<_> = ["1", "2", "3"]
        .iter()
        .flat_map(|value| lines(&of_a, value))
        .collect();
    assert_eq!(seen, expected);
    proxy.state_when("nothing to be held", |state| held(state) == 0);
    let state = proxy.accounted(180);
    assert_eq!(count(&state["lines"]["forwarded"]), 180);
}

#[test]
fn what_is_held_is_bounded() {
    let (mut a, b, of_a, _) = two();
    let more = ["--remap", "hold", "--hold-bytes", "1KiB"];
    let proxy = Proxy::before(&[&a, &b], &[&OFTEN[..], &more].concat());
    a.kill();
    proxy.status_becomes(&a, "down");
    for nth in 0..100 {
        proxy.send(format!("{}:{nth}|g", of_a[0]));
    }
    let state = proxy.accounted(100);
    let (kept, full) = (held(&state), count(&state["lines"]["dropped"]["hold_full"]));
    assert!(kept > 10 && full > 10 && kept + full == 100, "{state:#}");
    a.restart();
    a.lines_when(kept as usize);
    proxy.state_when("nothing to be held", |state| held(state) == 0);
}

#[test]
fn held_lines_are_accounted_for_at_the_end() {
    let (mut a, b, of_a, _) = two();
    let mut proxy = Proxy::before(&[&a, &b], &[&OFTEN[..], &["--remap", "hold"]].concat());
    a.kill();
    proxy.status_becomes(&a, "down");
    proxy.send(lines(&of_a, "1").join("\n"));
    proxy.accounted(of_a.len() as u64);
    proxy.program.signal(rustix::process::Signal::TERM);
    assert!(proxy.program.wait().success());
    let last = proxy.program.stdout();
    let last = serde_json::from_str(last.lines().last().expect("statistics")).expect("JSON");
    lawful(&last);
    assert_eq!(count(&last["lines"]["pending"]), 0);
    assert_eq!(count(&last["lines"]["forwarded"]), 0);
}

#[test]
fn dropped_lines_are_counted_and_the_others_stay_where_they_are() {
    let (mut a, b, of_a, of_b) = two();
    let proxy = Proxy::before(&[&a, &b], &[&OFTEN[..], &["--remap", "drop"]].concat());
    a.kill();
    proxy.status_becomes(&a, "down");
    proxy.send(lines(&of_a, "1").join("\n"));
    proxy.send(lines(&of_b, "1").join("\n"));
    let state = proxy.accounted(60);
    assert_eq!(
        count(&state["lines"]["dropped"]["node_down"]),
        of_a.len() as u64
    );
    let mut seen = b.lines_when(of_b.len());
    seen.sort();
    let mut expected = lines(&of_b, "1");
    expected.sort();
    assert_eq!(seen, expected);
}

#[test]
fn mirrored_lines_go_to_the_others_and_to_the_node_that_is_down() {
    let (a, b, of_a, of_b) = two();
    let proxy = Proxy::before(&[&a, &b], &[&OFTEN[..], &["--remap", "mirror"]].concat());
    // It says that it is not well, and takes lines all the same.
    a.say(Says::Down);
    proxy.status_becomes(&a, "down");
    proxy.send(lines(&of_a, "1").join("\n"));
    proxy.send(lines(&of_b, "1").join("\n"));
    let state = proxy.accounted(60);
    assert_eq!(count(&state["lines"]["forwarded"]), 60);
    b.lines_when(60);
    a.lines_when(of_a.len());
    let state = proxy.state_when("copies to be counted", |state| {
        count(&state["lines"]["mirrored"]) == of_a.len() as u64 && is_lawful(state)
    });
    let node = node_of(&state, &a.name());
    assert_eq!(
        (count(&node["lines"]), count(&node["mirrored"])),
        (0, of_a.len() as u64)
    );
}
