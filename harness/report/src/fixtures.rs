//! Evidence made by hand, for the tests of this crate.

mod records;

use loadgen::record::LoadRecord;

use crate::capacity::{self, CapacityPlan};
use crate::event::{
    Binary, Event, Exit, Fault, Host, Mark, Phase, Probe, ProbeOutcome, Role, RunHeader, Sample,
    ScenarioHeader, Stamped, Target, Touch, Toxic, Transition,
};
use crate::expect::{Expectation, Fate, Origin};
use crate::fold::Gathered;
use crate::run::RunFile;

pub(crate) use records::{SENT, fuzz_record, load_record};

pub(crate) const MS: u64 = 1_000_000;

/// What happens in a made-up run; times are milliseconds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Story(pub(crate) Vec<Stamped>);

impl Story {
    /// A run that begins, and in it a scenario that demands this.
    pub(crate) fn new(expectations: Vec<Expectation>) -> Self {
        let header = RunHeader {
            id: "made-up".to_owned(),
            command: vec!["harness".to_owned()],
            version: "0".to_owned(),
            seed: 7,
            host: Host {
                cpu: "made up".to_owned(),
                kernel: "Linux".to_owned(),
                cores: 2,
                ..Host::default()
            },
            design: None,
            binaries: vec![Binary::default()],
            ..RunHeader::default()
        };
        Self::default()
            .at(0, Event::RunStarted(header))
            .scenario(expectations)
    }

    pub(crate) fn scenario(self, expectations: Vec<Expectation>) -> Self {
        self.at(
            1,
            Event::ScenarioStarted(ScenarioHeader {
                name: "made-up".to_owned(),
                config: serde_json::json!({"proxy": {"args": ["--on-malformed", "forward"]}}),
                subjects: vec!["builtin".to_owned(), "direct".to_owned()],
                expectations,
                ..ScenarioHeader::default()
            }),
        )
    }

    pub(crate) fn at(mut self, ms: u64, event: Event) -> Self {
        self.0.push(Stamped {
            mono_ns: ms * MS,
            event,
        });
        self
    }

    /// Fresh processes, and a second of good answers to probes from 100 ms on.
    pub(crate) fn block(mut self, subject: &str) -> Self {
        self = self.at(
            10,
            Event::BlockStarted {
                round: 1,
                subject: subject.to_owned(),
                arm: None,
                rate: None,
            },
        );
        for role in roles(subject) {
            let name = role.word().to_owned();
            self = self.at(
                20,
                Event::ChildStarted {
                    role,
                    name,
                    pid: 4,
                    command: vec!["x".to_owned()],
                },
            );
            let sample = Sample {
                processes: 1,
                resident_bytes: 9 << 20,
                peak_bytes: 10 << 20,
                ..Sample::default()
            };
            self = self.at(
                30,
                Event::Sample {
                    role,
                    name: None,
                    sample,
                },
            );
            for number in 0..10 {
                self = self.probe(role, 100 + number * 100, 1, ProbeOutcome::Answered);
            }
        }
        self
    }

    pub(crate) fn probe(self, role: Role, ms: u64, took_ms: u64, outcome: ProbeOutcome) -> Self {
        let probe = Probe {
            role,
            name: None,
            phase: Phase::During,
            begun_mono_ns: ms * MS,
            outcome,
            sent: true,
        };
        self.at(ms + took_ms, Event::Probe(probe))
    }

    pub(crate) fn load(self, record: LoadRecord) -> Self {
        let name = || "load".to_owned();
        let mark = |at, cpu_ns| Event::CpuMark {
            role: Role::Proxy,
            name: name(),
            at,
            cpu_ns,
        };
        let record = Some(Box::new(record));
        self.at(100, mark(Mark::Begin, 1_000_000))
            .at(1_100, mark(Mark::End, 101_000_000))
            .at(
                1_101,
                Event::LoadEnded {
                    name: name(),
                    target: Target::Proxy,
                    record,
                    problem: None,
                },
            )
    }

    pub(crate) fn garbage(self, bytes: u64) -> Self {
        let name = || "garbage".to_owned();
        let record = Some(Box::new(fuzz_record(bytes, 800)));
        self.at(
            200,
            Event::FuzzStarted {
                name: name(),
                target: Target::Proxy,
            },
        )
        .at(
            800,
            Event::FuzzEnded {
                name: name(),
                record,
                problem: None,
            },
        )
    }

    /// A process ends, at 900 ms if nobody asked for it.
    pub(crate) fn exit(self, role: Role, signal: &str, asked: bool) -> Self {
        let exit = Exit {
            asked,
            signal: Some(signal.to_owned()),
            stderr_tail: vec!["x: Decode error: bad type".to_owned()],
            stderr_lines: 2_000,
            decode_errors: 2_000,
            ..Exit::default()
        };
        self.at(
            if asked { 2_000 } else { 900 },
            Event::Exited {
                role,
                name: role.word().to_owned(),
                exit,
            },
        )
    }

    pub(crate) fn counted(self, role: Role, counts: serde_json::Value) -> Self {
        self.at(
            2_001,
            Event::Counted {
                role,
                name: None,
                counts,
            },
        )
    }

    /// Something done on purpose from one moment to another.
    pub(crate) fn fault(self, target: &str, action: &str, from_ms: u64, to_ms: u64) -> Self {
        let id = || format!("{action} {from_ms}");
        let fault = Fault {
            id: id(),
            target: target.to_owned(),
            action: action.to_owned(),
            ..Fault::default()
        };
        self.at(from_ms, Event::FaultBegan(fault))
            .at(to_ms, Event::FaultEnded { id: id() })
    }

    /// A toxic on a link from one moment to another.
    pub(crate) fn toxic(self, link: &str, kind: &str, from_ms: u64, to_ms: u64) -> Self {
        let mut story = self.fault(link, kind, from_ms, to_ms);
        for stamped in story.0.iter_mut().rev().take(2) {
            if let Event::FaultBegan(fault) = &mut stamped.event {
                fault.on_link = true;
                fault.toxic = Some(Toxic {
                    stream: "downstream".to_owned(),
                    toxicity: 1.0,
                    ..Toxic::default()
                });
            }
        }
        story
    }

    /// What the fault of that id touched.
    pub(crate) fn touched(self, id: &str, hits: u64) -> Self {
        let touch = Touch {
            hits,
            bytes: 20 << 10,
            connections: 8,
            ..Touch::default()
        };
        let id = id.to_owned();
        self.at(2_000, Event::FaultTouched { id, touch })
    }

    /// The proxy thinks differently of a backend.
    pub(crate) fn changed(self, ms: u64, backend: &str, from: &str, to: &str) -> Self {
        let transition = Transition {
            backend: backend.to_owned(),
            from: from.to_owned(),
            to: to.to_owned(),
            why: "made up".to_owned(),
        };
        self.at(ms, Event::BackendChanged(transition))
    }

    pub(crate) fn end(self) -> Self {
        self.at(2_100, Event::BlockEnded { problem: None })
            .at(2_101, Event::ScenarioEnded { problem: None })
            .at(2_102, Event::RunEnded)
    }
}

/// A whole search of going direct and of our own proxy, each block as `measure` says it;
/// none is a death of the proxy.
pub(crate) fn searched(
    plan: &CapacityPlan,
    measure: impl Fn(&str, f64) -> Option<LoadRecord>,
) -> RunFile {
    let mut story = Story::new(Vec::new());
    for stamped in &mut story.0 {
        if let Event::ScenarioStarted(header) = &mut stamped.event {
            header.capacity = Some(plan.clone());
            header.description = "made up".to_owned();
        }
    }
    for subject in ["direct", "builtin"] {
        loop {
            let mut gathered = Gathered::default();
            story.0.iter().for_each(|stamped| gathered.take(stamped));
            let blocks = gathered.scenario().unwrap().blocks.iter();
            let own = blocks.filter(|block| block.subject == subject);
            let Some(asked) = capacity::next(plan, own) else {
                break;
            };
            story = story.block(subject);
            for stamped in story.0.iter_mut().rev() {
                if let Event::BlockStarted { rate, .. } = &mut stamped.event {
                    *rate = Some(asked);
                    break;
                }
            }
            story = match measure(subject, asked) {
                Some(record) => story.load(record),
                None => story.exit(Role::Proxy, "SIGSEGV", false),
            };
            story = story.at(2_100, Event::BlockEnded { problem: None });
        }
    }
    let story = story
        .at(2_101, Event::ScenarioEnded { problem: None })
        .at(2_102, Event::RunEnded);
    RunFile::from_events(&story.0)
}

fn roles(subject: &str) -> Vec<Role> {
    if subject == "direct" {
        vec![Role::Upstream]
    } else {
        vec![Role::Upstream, Role::Proxy]
    }
}

/// A demand on a load.
pub(crate) fn load(text: &str) -> Expectation {
    Expectation::load(text, None, Origin::Scenario).unwrap()
}

/// A demand on a process.
pub(crate) fn fate(role: Role, fate: Fate) -> Expectation {
    Expectation::fate(role, fate, None, None, Origin::Scenario)
}
