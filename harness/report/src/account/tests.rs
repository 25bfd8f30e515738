//! Accounts of made-up blocks.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::sink::encoded;
use super::{Account, Keeper};
use crate::event::{Event, Exit, Role, Target};
use crate::fixtures::{Story, load_record};
use crate::run::RunFile;

/// A load client's record of so many lines, ten in each datagram.
fn lines(count: u64) -> loadgen::record::LoadRecord {
    let mut record = load_record(100, 70);
    record.statsd = Some(loadgen::record::Statsd {
        sender: "load".to_owned(),
        lines_total: count,
        numbers: count,
        datagrams_total: count / 10,
        lines_per_datagram: 10,
        ..loadgen::record::Statsd::default()
    });
    record
}

/// What a server saw: these numbers, each once, in so many datagrams.
fn saw(numbers: impl Iterator<Item = u64>, datagrams: u64, drops: u64) -> Value {
    let numbers: Vec<u64> = numbers.collect();
    json!({"requests": 0, "statsd": {
        "lines": numbers.len(), "datagrams": datagrams, "kernel_drops": drops,
        "keys": {"load.k1": {"lines": 1}}, "keys_complete": true,
        "senders": {"load": {"lines": numbers.len(), "seen": encoded(numbers)}},
    }})
}

/// A state of a proxy that took all and sent this on, with this to two servers.
fn state(received: u64, dropped: u64, nodes: [[u64; 3]; 2]) -> Value {
    let node = |nth: usize| {
        let [lines, datagrams, refused] = nodes[nth];
        json!({"address": format!("127.0.0.1:{}", 8127 + nth), "lines": lines,
               "datagrams": datagrams, "refused": refused})
    };
    let sum = |at: usize| nodes.iter().map(|node| node[at]).sum::<u64>();
    json!({"lines": {"received": received, "forwarded": sum(0), "pending": 0,
                     "dropped": {"no_node": dropped}},
           "datagrams": {"received": received / 10, "forwarded": sum(1), "refused": sum(2)},
           "kernel_drops": 0, "nodes": [node(0), node(1)]})
}

struct Scene(Story);

impl Scene {
    fn new() -> Self {
        let mut story = Story::new(Vec::new());
        for stamped in &mut story.0 {
            if let Event::ScenarioStarted(header) = &mut stamped.event {
                header.config = json!({"proxy": {"mode": "statsd"}});
            }
        }
        let mut story = story.at(
            10,
            Event::BlockStarted {
                round: 1,
                subject: "builtin".to_owned(),
                arm: None,
                rate: None,
            },
        );
        for nth in 0..2_u16 {
            story = start(story, nth);
        }
        Self(story)
    }

    fn load(self, count: u64) -> Self {
        let ended = Event::LoadEnded {
            name: "load".to_owned(),
            target: Target::Proxy,
            record: Some(Box::new(lines(count))),
            problem: None,
        };
        Self(self.0.at(1_100, ended))
    }

    fn told(self, state: Option<Value>, kernel_drops: Option<u64>) -> Self {
        Self(self.0.at(
            1_200,
            Event::ProxyCounted {
                state,
                kernel_drops,
            },
        ))
    }

    fn sink(self, nth: u16, counts: Value) -> Self {
        let name = Some(format!("upstream.{nth}"));
        let role = Role::Upstream;
        Self(self.0.at(1_300, Event::Counted { role, name, counts }))
    }

    fn killed_and_back(self, nth: u16) -> Self {
        let name = format!("upstream.{nth}");
        let exit = Exit {
            asked: true,
            signal: Some("SIGKILL".to_owned()),
            ..Exit::default()
        };
        let role = Role::Upstream;
        let story = self.0.fault(&name, "kill", 300, 600);
        Self(start(
            story.at(310, Event::Exited { role, name, exit }),
            nth,
        ))
    }

    fn account(self) -> Account {
        let mut run = RunFile::from_events(&self.0.end().0);
        run.scenarios[0].blocks[0]
            .account
            .take()
            .expect("an account")
    }
}

fn start(story: Story, nth: u16) -> Story {
    let (role, name) = (Role::Upstream, format!("upstream.{nth}"));
    let at = format!("127.0.0.1:{}", 8127 + nth);
    let sockets = BTreeMap::from([("listen".to_owned(), at)]);
    let started = Event::ChildStarted {
        role,
        name: name.clone(),
        pid: 7,
        command: Vec::new(),
    };
    story.at(20, started).at(
        21,
        Event::ChildReady {
            role,
            name,
            sockets,
        },
    )
}

#[test]
fn every_line_that_came_is_accounted_for() {
    let account = Scene::new()
        .load(1_000)
        .told(Some(state(1_000, 0, [[400, 40, 0], [600, 60, 0]])), None)
        .sink(0, saw(0..400, 40, 0))
        .sink(1, saw(400..1_000, 60, 0))
        .account();
    assert_eq!(account.keeper, Keeper::Proxy);
    assert_eq!(
        (account.received, account.missing, account.unaccounted),
        (1_000, 0, 0)
    );
    assert_eq!(account.nodes[1].forwarded, Some(600));
    assert_eq!(account.keys.unwrap().moved, 1);
}

#[test]
fn each_loss_is_put_down_to_who_tells_of_it() {
    let account = Scene::new()
        .load(1_000)
        // 20 never read, 30 dropped, two datagrams refused, three dropped by the kernel.
        .told(Some(state(980, 30, [[400, 40, 2], [550, 55, 0]])), None)
        .sink(0, saw(0..380, 38, 0))
        .sink(1, saw(400..920, 52, 3))
        .account();
    assert_eq!(account.missing, 100);
    assert_eq!(account.dropped["no_node"], 30);
    assert_eq!((account.refused, account.kernel_behind), (20, 30));
    assert_eq!(
        account.unaccounted, 20,
        "nobody tells of what the proxy never read"
    );
    assert_eq!(account.kernel_before, 0);
}

#[test]
fn a_record_that_died_with_its_server_is_told_so() {
    let account = Scene::new()
        .killed_and_back(1)
        .load(1_000)
        .told(Some(state(1_000, 0, [[400, 40, 0], [600, 60, 5]])), None)
        .sink(0, saw(0..400, 40, 0))
        .sink(1, saw(800..1_000, 20, 0))
        .account();
    assert_eq!(
        (account.refused, account.died, account.unaccounted),
        (50, 350, 0)
    );
    assert_eq!(account.nodes[1].lives, 2);
    assert_eq!(account.nodes[1].lost_records, 1);
    assert!(!account.keys.unwrap().complete);
}

#[test]
fn what_came_twice_or_was_never_sent_is_seen() {
    let account = Scene::new()
        .load(100)
        .told(Some(state(100, 0, [[40, 4, 0], [60, 6, 0]])), None)
        .sink(0, saw(0..50, 5, 0))
        .sink(1, saw((40..98).chain(200..202), 6, 0))
        .account();
    assert_eq!(
        (account.received, account.duplicated, account.unexpected),
        (98, 10, 2)
    );
    assert_eq!((account.missing, account.unaccounted), (2, 2));
}

#[test]
fn a_proxy_that_tells_nothing_leaves_what_the_kernel_tells() {
    let account = Scene::new()
        .load(1_000)
        .told(None, Some(7))
        .sink(0, saw(0..400, 40, 0))
        .sink(1, saw(400..900, 50, 1))
        .account();
    assert_eq!(account.keeper, Keeper::Nobody);
    assert_eq!((account.kernel_before, account.kernel_behind), (70, 10));
    assert_eq!(account.unaccounted, 20);
}

#[test]
fn bitmaps_stay_out_of_the_run_file() {
    let story = Scene::new()
        .load(10)
        .told(Some(state(10, 0, [[4, 1, 0], [6, 1, 0]])), None)
        .sink(0, saw(0..4, 1, 0))
        .sink(1, saw(4..10, 1, 0))
        .0
        .end();
    let run = RunFile::from_events(&story.0);
    let written = serde_json::to_string(&run).unwrap();
    assert!(!written.contains("\"seen\""), "{written}");
    let back: RunFile = serde_json::from_str(&written).unwrap();
    assert_eq!(back, run);
}
