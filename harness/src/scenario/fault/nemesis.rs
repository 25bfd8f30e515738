//! Faults by chance: from a seed to single faults, before anything starts.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use service::units::format_duration;

use super::super::limits::Refused;
use super::super::{Mode, Scenario};
use super::check::refuse;
use super::{Action, Fault};
use crate::plan::split;

/// How faults are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Nemesis {
    /// One after another at random distances: what, how strong and how long is drawn as well.
    Random,
}

/// Faults of one nemesis at most.
const MOST_DRAWN: u128 = 10_000;

/// Shortest mean distance: a fault has to have the time to do something.
const SHORTEST_EVERY: Duration = Duration::from_millis(100);

pub(super) fn check(fault: &Fault, scenario: &Scenario) -> Result<(), Refused> {
    let named = [
        ("process", fault.process.is_some()),
        ("action", fault.action.is_some()),
        ("link", fault.link.is_some()),
        ("toxic", fault.toxic.is_some()),
        ("stream", fault.stream.is_some()),
        ("toxicity", fault.toxicity.is_some()),
        ("attributes", !fault.attributes.is_empty()),
        ("to", !fault.to.is_empty()),
        ("backend", fault.backend.is_some()),
        ("nodes", !fault.nodes.is_empty()),
        ("descriptors", fault.descriptors.is_some()),
        ("memory", fault.memory.is_some()),
        ("times", fault.times.is_some()),
    ];
    refuse(
        &named,
        "a nemesis draws that: expected at, for, every, links and processes",
    )?;
    if fault.lasts.is_zero() {
        return Err((
            "for",
            "expected the time in which faults are drawn".to_owned(),
        ));
    }
    if fault.every < SHORTEST_EVERY {
        let least = format_duration(SHORTEST_EVERY);
        return Err((
            "every",
            format!("expected the mean distance of faults, {least} or more"),
        ));
    }
    if fault.lasts.as_millis() / fault.every.as_millis() > MOST_DRAWN {
        return Err(("every", format!("expected at most {MOST_DRAWN} faults")));
    }
    if fault.links.is_empty() && fault.processes.is_empty() {
        return Err(("links", "expected links, processes or both".to_owned()));
    }
    if let Some(said) = fault.links.iter().find_map(|name| scenario.no_link(name)) {
        return Err(("links", said));
    }
    let mut processes = fault.processes.iter();
    match processes.find_map(|name| scenario.no_process(name)) {
        Some(said) => Err(("processes", said)),
        None => Ok(()),
    }
}

/// The faults of a scenario with every nemesis replaced by what it draws.
#[must_use]
pub fn drawn(scenario: &Scenario, seed: u64) -> Vec<Fault> {
    let faults = scenario.fault.iter().enumerate();
    faults
        .flat_map(|(nth, fault)| match fault.nemesis {
            None => vec![Fault {
                id: Some((nth + 1).to_string()),
                ..fault.clone()
            }],
            Some(Nemesis::Random) => Drawing::new(fault, scenario, nth, seed).all(),
        })
        .collect()
}

struct Drawing<'a> {
    fault: &'a Fault,
    mode: Mode,
    nth: usize,
    seed: u64,
    draws: u64,
}

impl<'a> Drawing<'a> {
    fn new(fault: &'a Fault, scenario: &Scenario, nth: usize, seed: u64) -> Self {
        Self {
            fault,
            mode: scenario.proxy.mode,
            nth,
            seed: split(seed, &format!("nemesis {nth}")),
            draws: 0,
        }
    }

    /// The next number, uniform in 0..most.
    fn below(&mut self, most: u64) -> u64 {
        self.draws += 1;
        split(self.seed, &self.draws.to_string()) % most.max(1)
    }

    /// The next number between two.
    fn within(&mut self, least: u64, most: u64) -> u64 {
        least + self.below(most - least + 1)
    }

    fn all(mut self) -> Vec<Fault> {
        let fault = self.fault;
        let mut drawn = Vec::new();
        let mut at = fault.at;
        let end = fault.at + fault.lasts;
        loop {
            // From half to one and a half times the mean distance.
            let distance = fault.every.mul_f64(self.within(50, 150) as f64 / 100.0);
            let share = if fault.overlap {
                self.within(20, 200)
            } else {
                // It is over before the next can begin.
                self.within(20, 80)
            };
            let most = if fault.overlap { fault.every } else { distance };
            let lasts = most.mul_f64(share as f64 / 100.0);
            if at + lasts >= end {
                return drawn;
            }
            let id = Some(format!("{}.{}", self.nth + 1, drawn.len() + 1));
            let what = self.what();
            drawn.push(Fault {
                id,
                at,
                lasts,
                ..what
            });
            at += distance;
        }
    }

    /// What is done, without when.
    fn what(&mut self) -> Fault {
        let (links, processes) = (&self.fault.links, &self.fault.processes);
        let count = (links.len() + processes.len()) as u64;
        let place = self.below(count) as usize;
        if let Some(link) = links.get(place) {
            return self.on_link(link);
        }
        let process = processes[place - links.len()].clone();
        // A proxy that is ended has failed: it is only held.
        let action = if process == "proxy" || self.below(2) == 0 {
            Action::Freeze
        } else if self.mode == Mode::Statsd {
            // What came to a node that is killed nobody knows.
            Action::Terminate
        } else {
            Action::Kill
        };
        Fault {
            process: Some(process),
            action: Some(action),
            ..Fault::default()
        }
    }

    fn on_link(&mut self, link: &str) -> Fault {
        let link = Some(link.to_owned());
        // Nothing comes back where lines are sent.
        let ways = if self.mode == Mode::Statsd { 1 } else { 2 };
        let stream = ["upstream", "downstream"][self.below(ways) as usize];
        let (toxic, attributes): (&str, Vec<(&str, Value)>) = match self.mode {
            Mode::Foo | Mode::Tcp => match self.below(8) {
                0 => {
                    return Fault {
                        link,
                        action: Some(Action::Down),
                        ..Fault::default()
                    };
                }
                1 => {
                    let rate = self.within(20, 2_000);
                    ("bandwidth", vec![("rate", rate.into())])
                }
                2 => {
                    let size = self.within(1, 64);
                    let delay = self.within(0, 200);
                    let attributes = vec![
                        ("average_size", size.into()),
                        ("size_variation", (size / 2).into()),
                        ("delay", delay.into()),
                    ];
                    ("slicer", attributes)
                }
                3 => ("timeout", vec![("timeout", 0.into())]),
                4 => {
                    let timeout = self.within(0, 100);
                    ("reset_peer", vec![("timeout", timeout.into())])
                }
                5 => {
                    let bytes = self.within(1, 10_000);
                    ("limit_data", vec![("bytes", bytes.into())])
                }
                _ => {
                    let latency = self.within(1, 200);
                    let jitter = self.below(latency);
                    let attributes = vec![("latency", latency.into()), ("jitter", jitter.into())];
                    ("latency", attributes)
                }
            },
            Mode::Statsd | Mode::Udp => match self.below(3) {
                0 => {
                    let share = self.within(1, 30) as f64 / 100.0;
                    ("loss", vec![("loss_rate", share.into())])
                }
                1 => {
                    let share = self.within(1, 30) as f64 / 100.0;
                    ("reorder", vec![("rate", share.into())])
                }
                _ => {
                    let latency = self.within(1, 100);
                    ("latency", vec![("latency", latency.into())])
                }
            },
        };
        let attributes: BTreeMap<String, Value> = attributes
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        Fault {
            link,
            toxic: Some(toxic.to_owned()),
            stream: Some(stream.to_owned()),
            attributes,
            ..Fault::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::builtin;

    fn scenario() -> Scenario {
        let mut scenario = builtin::named("tcp-backend-killed").unwrap();
        scenario.fault = vec![Fault {
            at: Duration::from_secs(1),
            lasts: Duration::from_secs(600),
            every: Duration::from_secs(1),
            nemesis: Some(Nemesis::Random),
            links: vec!["client-proxy".to_owned(), "proxy-upstream.1".to_owned()],
            processes: vec!["upstream.0".to_owned(), "proxy".to_owned()],
            ..Fault::default()
        }];
        scenario
    }

    #[test]
    fn what_is_drawn_can_be_done_and_ends_before_the_next() {
        let mut scenario = scenario();
        check(&scenario.fault[0], &scenario).unwrap();
        let drawn = drawn(&scenario, 7);
        assert!((400..900).contains(&drawn.len()), "{}", drawn.len());
        for pair in drawn.windows(2) {
            assert!(pair[0].at + pair[0].lasts <= pair[1].at, "{pair:?}");
        }
        let words: std::collections::BTreeSet<&str> = drawn.iter().map(Fault::word).collect();
        assert!(words.len() >= 9, "{words:?}");
        for mode in [Mode::Tcp, Mode::Statsd] {
            scenario.proxy.mode = mode;
            for fault in super::drawn(&scenario, 8) {
                super::super::check(&fault, &scenario).unwrap_or_else(|(key, said)| {
                    panic!("{fault:?}: {key}: {said}");
                });
            }
        }
    }

    #[test]
    fn the_seed_decides() {
        let scenario = scenario();
        assert_eq!(drawn(&scenario, 7), drawn(&scenario, 7));
        assert_ne!(drawn(&scenario, 7), drawn(&scenario, 8));
    }
}
