//! From events to a run file.

use std::collections::BTreeMap;

use crate::account::ledger::Ledger;
use crate::account::sink;
use crate::event::{Event, Mark, Role, ScenarioHeader, Stamped};
use crate::evidence::{
    Block, FaultEvidence, FuzzEvidence, LoadEvidence, ProcessEvidence, TimedExit, TimedProbe,
    TimedSample, TimedTransition,
};
use crate::run::{Interruption, RunFile, SCHEMA_VERSION, ScenarioRun};
use crate::{capacity, compare, figures, reconcile, verdict};

impl RunFile {
    /// Makes a run file from the events of a run, in order, and judges it. Events that
    /// are missing because the run was cut short leave their evidence out.
    #[must_use]
    pub fn from_events(events: &[Stamped]) -> Self {
        let mut gathered = Gathered::default();
        for stamped in events {
            gathered.take(stamped);
        }
        let mut run = gathered.run;
        if let (Some(first), Some(last)) = (events.first(), events.last()) {
            run.started_mono_ns = first.mono_ns;
            run.elapsed_s = last.mono_ns.saturating_sub(first.mono_ns) as f64 / 1e9;
        }
        run.conclude();
        run
    }

    /// Computes from the evidence what it means, whatever was computed before.
    pub fn conclude(&mut self) {
        for scenario in &mut self.scenarios {
            scenario.capacity = capacity::of(scenario);
            // Blocks of a search have a rate each: no sum of them means anything.
            scenario.figures = match scenario.header.capacity {
                Some(_) => Vec::new(),
                None => figures::of(scenario),
            };
            scenario.reconciliation = reconcile::rows(scenario);
            scenario.verdicts = verdict::judge(scenario);
            scenario.verdicts.extend(capacity::verdict(scenario));
        }
        self.comparisons = compare::judge::of(self);
        self.exit_code = verdict::exit_code(self);
    }

    fn take(&mut self, stamped: &Stamped) {
        if is_notable(&stamped.event) {
            self.events.push(stamped.clone());
        }
        match &stamped.event {
            Event::RunStarted(header) => self.header = header.clone(),
            Event::ScenarioStarted(header) => self.scenarios.push(started(header)),
            Event::Interrupted { signal, exit_code } => {
                self.interrupted = Some(Interruption {
                    signal: signal.clone(),
                    exit_code: *exit_code,
                });
            }
            Event::HarnessFailed { message } => self.failures.push(message.clone()),
            Event::RunEnded => {}
            event => {
                if let Some(scenario) = self.scenarios.last_mut() {
                    scenario.take(stamped.mono_ns, event);
                }
            }
        }
    }
}

/// The evidence of a run in its place, while it goes on: nothing is concluded from it.
#[derive(Debug)]
pub struct Gathered {
    run: RunFile,
    marks: CpuMarks,
    ledger: Ledger,
}

impl Default for Gathered {
    fn default() -> Self {
        let run = RunFile {
            schema_version: SCHEMA_VERSION,
            ..RunFile::default()
        };
        Self {
            run,
            marks: CpuMarks::default(),
            ledger: Ledger::default(),
        }
    }
}

impl Gathered {
    /// Takes the next event.
    pub fn take(&mut self, stamped: &Stamped) {
        self.run.take(stamped);
        self.marks.take(&stamped.event, &mut self.run);
        let scenario = self.run.scenarios.last_mut();
        if let Event::ScenarioStarted(header) = &stamped.event {
            self.ledger.begin_scenario(header);
        } else if let Some(block) = scenario.and_then(|scenario| scenario.blocks.last_mut()) {
            self.ledger.take(&stamped.event, block);
        }
    }

    /// The scenario that is being run, or was the last.
    #[must_use]
    pub fn scenario(&self) -> Option<&ScenarioRun> {
        self.run.scenarios.last()
    }
}

/// CPU marks that wait for their end. Without both of them it is not known what a load
/// cost.
#[derive(Debug, Default)]
struct CpuMarks(BTreeMap<String, u64>);

impl CpuMarks {
    fn take(&mut self, event: &Event, run: &mut RunFile) {
        match event {
            Event::BlockStarted { .. } => self.0.clear(),
            Event::CpuMark {
                role: Role::Proxy,
                name,
                at: Mark::Begin,
                cpu_ns,
            } => drop(self.0.insert(name.clone(), *cpu_ns)),
            Event::CpuMark {
                role: Role::Proxy,
                name,
                at: Mark::End,
                cpu_ns,
            } => {
                let block = run
                    .scenarios
                    .last_mut()
                    .and_then(|scenario| scenario.blocks.last_mut());
                if let (Some(block), Some(begin)) = (block, self.0.remove(name)) {
                    block.load(name).proxy_cpu_ns = cpu_ns.checked_sub(begin);
                }
            }
            _ => {}
        }
    }
}

fn started(header: &ScenarioHeader) -> ScenarioRun {
    ScenarioRun {
        header: header.clone(),
        ..ScenarioRun::default()
    }
}

/// What a reader of the run file wants to see in a row. The rest is in the evidence.
fn is_notable(event: &Event) -> bool {
    !matches!(
        event,
        Event::RunStarted(_)
            | Event::ScenarioStarted(_)
            | Event::NoiseKnown(_)
            | Event::LoadInterval { .. }
            | Event::LoadEnded { .. }
            | Event::FuzzEnded { .. }
            | Event::Probe(_)
            | Event::Sample { .. }
            | Event::CpuMark { .. }
            | Event::Counted { .. }
            | Event::ProxyCounted { .. }
            | Event::LinksCounted { .. }
            | Event::FaultTouched { .. }
    )
}

impl ScenarioRun {
    fn take(&mut self, mono_ns: u64, event: &Event) {
        match event {
            Event::BlockStarted {
                round,
                subject,
                arm,
                rate,
            } => self.blocks.push(Block {
                round: *round,
                subject: subject.clone(),
                arm: *arm,
                rate: *rate,
                started_mono_ns: mono_ns,
                ..Block::default()
            }),
            Event::NoiseKnown(noise) => self.noise = Some(noise.clone()),
            Event::ScenarioEnded { problem } => {
                self.complete = problem.is_none();
                self.problem.clone_from(problem);
            }
            event => {
                if let Some(block) = self.blocks.last_mut() {
                    block.take(mono_ns, event);
                }
            }
        }
    }
}

impl Block {
    fn take(&mut self, mono_ns: u64, event: &Event) {
        match event {
            Event::ChildStarted {
                role,
                name,
                pid,
                command,
            } => {
                if let Some(process) = self.of(*role, Some(name)) {
                    process.pid = Some(*pid).filter(|pid| *pid != 0);
                    process.command.clone_from(command);
                    // One that was started in vain, because its port was taken, counts no
                    // more; nor does one that a fault ended, now that it is back.
                    let is_known = !process.probes.is_empty();
                    process.exit.take_if(|exit| exit.exit.asked || !is_known);
                }
            }
            Event::ChildReady { role, name, .. } => {
                if let Some(process) = self.of(*role, Some(name)) {
                    process.lives += 1;
                }
            }
            Event::Exited { role, name, exit } => {
                if let Some(process) = self.of(*role, Some(name)) {
                    // A death stays one, even if a successor ends in good order.
                    let exit = exit.clone();
                    if process.death().is_none() {
                        process.exit = Some(TimedExit { mono_ns, exit });
                    }
                }
            }
            Event::Probe(probe) => {
                if let Some(process) = self.of(probe.role, probe.name.as_deref()) {
                    process.probes.push(TimedProbe {
                        mono_ns,
                        probe: probe.clone(),
                    });
                }
            }
            Event::Sample { role, name, sample } => {
                if let Some(process) = self.of(*role, name.as_deref()) {
                    process.samples.push(TimedSample {
                        mono_ns,
                        sample: *sample,
                    });
                }
            }
            Event::Counted { role, name, counts } => {
                if let Some(process) = self.of(*role, name.as_deref()) {
                    let earlier = process.counts.replace(sink::in_short(counts));
                    process.earlier_counts.extend(earlier);
                }
            }
            Event::Audit(audit) => {
                if let Some(process) = self.of(audit.role, audit.name.as_deref()) {
                    process.audit = Some(audit.clone());
                }
            }
            Event::BlockEnded { problem } => {
                self.ended_mono_ns = Some(mono_ns);
                self.problem.clone_from(problem);
            }
            event => self.take_client(mono_ns, event),
        }
    }

    fn take_fault(&mut self, mono_ns: u64, event: &Event) {
        let find = |faults: &mut Vec<FaultEvidence>, id: &str| {
            faults.iter().position(|fault| fault.fault.id == id)
        };
        match event {
            Event::FaultBegan(fault) => self.faults.push(FaultEvidence {
                fault: fault.clone(),
                began_mono_ns: mono_ns,
                ..FaultEvidence::default()
            }),
            Event::FaultEnded { id } => {
                if let Some(at) = find(&mut self.faults, id) {
                    self.faults[at].ended_mono_ns = Some(mono_ns);
                }
            }
            Event::FaultFailed { id, reason } => {
                if let Some(at) = find(&mut self.faults, id) {
                    self.faults[at].problem = Some(reason.clone());
                }
            }
            Event::FaultTouched { id, touch } => {
                if let Some(at) = find(&mut self.faults, id) {
                    self.faults[at].touched = Some(touch.clone());
                }
            }
            Event::InvariantBroken(broken) => self.broken = Some(broken.clone()),
            Event::LinksCounted { links } => self.links.clone_from(links),
            Event::BackendChanged(transition) => {
                self.transitions.push(TimedTransition {
                    mono_ns,
                    transition: transition.clone(),
                });
                self.transitions.sort_by_key(|change| change.mono_ns);
            }
            _ => {}
        }
    }

    fn take_client(&mut self, mono_ns: u64, event: &Event) {
        match event {
            Event::LoadEnded {
                name,
                target,
                record,
                problem,
            } => {
                let load = self.load(name);
                load.target = *target;
                load.record = record.as_deref().cloned();
                load.problem.clone_from(problem);
            }
            Event::FuzzStarted { name, target } => self.fuzzes.push(FuzzEvidence {
                name: name.clone(),
                target: *target,
                started_mono_ns: mono_ns,
                ended_mono_ns: None,
                record: None,
                problem: None,
            }),
            Event::FuzzEnded {
                name,
                record,
                problem,
                ..
            } => {
                if let Some(fuzz) = self.fuzzes.iter_mut().find(|fuzz| fuzz.name == *name) {
                    fuzz.ended_mono_ns = Some(mono_ns);
                    fuzz.record = record.as_deref().cloned();
                    fuzz.problem.clone_from(problem);
                }
            }
            event => self.take_fault(mono_ns, event),
        }
    }

    /// The process in `role` of that name; the first, if none is given.
    fn of(&mut self, role: Role, name: Option<&str>) -> Option<&mut ProcessEvidence> {
        match (role, nth(name)) {
            (Role::Upstream, 0) => Some(self.upstream.get_or_insert_default()),
            (Role::Upstream, nth) => {
                if self.more_upstreams.len() < nth {
                    self.more_upstreams
                        .resize_with(nth, ProcessEvidence::default);
                }
                self.more_upstreams.get_mut(nth - 1)
            }
            (Role::Proxy, _) => Some(self.proxy.get_or_insert_default()),
            (Role::Load | Role::Fuzz | Role::Link, _) => None,
        }
    }

    fn load(&mut self, name: &str) -> &mut LoadEvidence {
        let at = self
            .loads
            .iter()
            .position(|load| load.name == name)
            .unwrap_or_else(|| {
                self.loads.push(LoadEvidence {
                    name: name.to_owned(),
                    target: crate::event::Target::Proxy,
                    record: None,
                    problem: None,
                    proxy_cpu_ns: None,
                });
                self.loads.len() - 1
            });
        &mut self.loads[at]
    }
}

/// Servers of one scenario at most: what an event file names beyond is none of ours.
pub const MOST_UPSTREAMS: usize = 256;

/// 2 for `upstream.2`.
fn nth(name: Option<&str>) -> usize {
    let number = name.and_then(|name| name.strip_prefix("upstream.")?.parse().ok());
    number.filter(|nth| *nth < MOST_UPSTREAMS).unwrap_or(0)
}

#[cfg(test)]
mod tests;
