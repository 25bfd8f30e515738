//! What becomes of chosen messages.

use super::super::tests::{Bench, data};
use super::*;

fn outcome(kind: &'static Kind, attributes: &str) -> String {
    let mut bench = Bench::new(kind, attributes);
    // Cut within messages.
    for (part, offset) in [("A 1\nB", 0), (" 2\nC 3\nD 4\nE", 5)] {
        bench.feed(data(part, offset));
    }
    bench.feed(Item::End);
    bench.text()
}

#[test]
fn what_happens_to_message_2() {
    let chosen = r#"{"number":2}"#;
    let cases = [
        (&DROP, "A 1\nC 3\nD 4\nE[End]"),
        (&DUPLICATE, "A 1\nB 2\nB 2\nC 3\nD 4\nE[End]"),
        (&SWAP, "A 1\nC 3\nB 2\nD 4\nE[End]"),
        (&STALE, "A 1\nA 1\nC 3\nD 4\nE[End]"),
        (&SPLIT, "A 1\nB 2\nC 3\nD 4\nE[End]"),
    ];
    for (kind, expected) in cases {
        assert_eq!(outcome(kind, chosen), expected, "{}", kind.name);
    }
    let corrupted = outcome(&CORRUPT, chosen);
    assert_eq!(corrupted.lines().count(), 5);
    assert_ne!(corrupted, "A 1\nB 2\nC 3\nD 4\nE[End]");
}

#[test]
fn every_second_and_none() {
    assert_eq!(outcome(&DROP, r#"{"every":2}"#), "A 1\nC 3\nE[End]");
    assert_eq!(outcome(&DROP, "{}"), "A 1\nB 2\nC 3\nD 4\nE[End]");
    assert_eq!(outcome(&DROP, r#"{"rate":1}"#), "E[End]");
}

#[test]
fn a_delayed_message_holds_those_behind_it() {
    let mut bench = Bench::new(&DELAY, r#"{"number":2,"delay":10}"#);
    bench.feed(data("a\nb\nc\n", 0));
    assert_eq!(bench.text(), "a\n");
    assert_eq!(bench.poll(), Step::Wait(Some(10_000_000)));
    bench.now_ns = 10_000_000;
    assert_eq!(bench.text(), "b\nc\n");
}

#[test]
fn a_split_message_leaves_in_two_parts() {
    let mut bench = Bench::new(&SPLIT, r#"{"number":1,"delay":10}"#);
    bench.feed(data("abcdef\n", 0));
    let head = bench.text();
    assert!(!head.is_empty() && head.len() < 7, "{head:?}");
    bench.now_ns = 10_000;
    assert_eq!(head + &bench.text(), "abcdef\n");
}

#[test]
fn lines_of_a_datagram_stay_in_it() {
    let cases = [
        (&DROP, "a:1|c\nc:3|c|"),
        (&SWAP, "a:1|c\nc:3|c\nb:2|c\n|"),
        (&DUPLICATE, "a:1|c\nb:2|c\nb:2|c\nc:3|c|"),
    ];
    for (kind, expected) in cases {
        let mut bench = Bench::datagrams(kind, r#"{"number":2}"#);
        bench.feed(data("a:1|c\nb:2|c\nc:3|c", 0));
        assert_eq!(bench.text(), expected, "{}", kind.name);
    }
}

#[test]
fn removal_loses_nothing() {
    let mut bench = Bench::new(&SWAP, r#"{"number":1}"#);
    bench.feed(data("a\nrest", 0));
    assert_eq!(bench.release(), [data("a\n", 0), data("rest", 2)]);
}
