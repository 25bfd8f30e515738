//! One life of a target after the other, each attacked until something is wrong.
//!
//! `plan` is what is to be done; `aim` finds out how the target is to be talked to, `turn` is
//! one strategy's, `conclude` keeps what was found.

mod aim;
mod conclude;
mod plan;
mod turn;

use std::time::Instant;

use bundle::{Asked, Process, Transport, Turn};
use fuzzclient::generate::Protocol;
use fuzzclient::probe::{Probe, Question, USUAL_TIMES};
use fuzzclient::watch::Found;
use service::signals::{Stop, StopSignals};

pub use plan::{Outcome, Plan, Progress, Sums};

use super::evidence::Evidence;
use super::history::History;
use super::judge::Judged;
use super::leaks::{Leaks, Usage};
use super::life::{Life, SharedGuard};
use super::rounds;
use super::target::{Named, Target, processes};
use super::watchers::Watchers;
use crate::supervisor::tree;

/// Why a life is cut short.
enum Cut {
    Stopped(Stop),
    Problem(String),
}

impl From<String> for Cut {
    fn from(reason: String) -> Self {
        Self::Problem(reason)
    }
}

/// What ends a turn before its time.
#[derive(Debug)]
enum Trouble {
    /// A process has ended.
    Ended,
    /// A probe has found something.
    Found(usize, Found),
    /// Something is kept and kept again.
    Leaked(Judged),
}

struct Hunter<'a> {
    plan: &'a Plan,
    guard: &'a SharedGuard,
    stop: &'a mut StopSignals,
    tell: &'a mut dyn FnMut(&Progress<'_>),
    started: Instant,
    sums: Sums,
    evidence: Evidence,
    next_connection: u64,
    protocol: Option<Protocol>,
    asked: Option<Asked>,
}

/// One life of the target.
struct Attacked {
    life: Life,
    probes: Vec<Probe>,
    watchers: Watchers,
    leaks: Vec<Option<Leaks>>,
    history: History,
    /// Probes that are in it.
    noted_probes: u64,
    turns: Vec<Turn>,
}

/// Attacks until enough is found or time is up.
pub async fn run(
    plan: &Plan,
    guard: &SharedGuard,
    stop: &mut StopSignals,
    tell: &mut dyn FnMut(&Progress<'_>),
) -> Outcome {
    let mut hunter = Hunter {
        plan,
        guard,
        stop,
        tell,
        started: Instant::now(),
        sums: Sums::default(),
        evidence: Evidence::new(&plan.bundles),
        next_connection: 0,
        protocol: plan.protocol,
        asked: None,
    };
    let cut = hunter.lives().await.err();
    hunter.sums.elapsed = hunter.started.elapsed();
    let (stopped, problem) = match cut {
        None => (None, None),
        Some(Cut::Stopped(stop)) => (Some(stop), None),
        Some(Cut::Problem(problem)) => (None, Some(problem)),
    };
    Outcome {
        found: hunter.evidence.into_reported(),
        sums: hunter.sums,
        stopped,
        problem,
    }
}

impl Hunter<'_> {
    async fn lives(&mut self) -> Result<(), Cut> {
        let mut nth = 0;
        while self.is_on() {
            let mut attacked = self.begin().await?;
            let trouble = self.attack(&mut attacked, rounds::of_life(nth)).await;
            let (probes, slowest) = attacked.watchers.counts();
            self.sums.probes += probes;
            self.sums.slowest = self.sums.slowest.max(slowest);
            match trouble {
                Ok(Some(trouble)) => self.conclude(attacked, trouble).await?,
                Ok(None) => attacked.life.end().await,
                Err(cut) => {
                    attacked.life.end().await;
                    return Err(cut);
                }
            }
            nth += 1;
        }
        Ok(())
    }

    fn is_on(&self) -> bool {
        // What we have not started we cannot start again.
        let is_over = matches!(self.plan.named, Named::Running(_)) && !self.evidence.is_empty();
        !is_over
            && self.started.elapsed() < self.plan.duration
            && self.evidence.len() < self.plan.findings
    }

    fn processes(&self, protocol: Protocol) -> Result<Vec<Process>, String> {
        processes(
            &self.plan.named,
            &self.plan.extras,
            protocol,
            self.plan.transport,
        )
    }

    async fn start(&mut self, protocol: Protocol) -> Result<Life, Cut> {
        let transport = self.plan.transport;
        let life = match self.target(protocol)? {
            Target::Running { at, pid } => Life::of_running(at, pid, transport, self.guard)?,
            Target::Started(processes) => {
                tokio::select! {
                    life = Life::start(&processes, transport, self.guard) => life?,
                    stop = self.stop.next() => return Err(Cut::Stopped(stop)),
                }
            }
        };
        Ok(life)
    }

    fn target(&self, protocol: Protocol) -> Result<Target, String> {
        Ok(match &self.plan.named {
            Named::Running(addr) => {
                let candidates = addr
                    .connect_candidates()
                    .map_err(|error| error.to_string())?;
                let at = candidates.into_iter().next();
                let at = at.ok_or_else(|| format!("{addr} has no address"))?;
                Target::Running {
                    at,
                    pid: self.plan.pid,
                }
            }
            _ => Target::Started(self.processes(protocol)?),
        })
    }

    /// Starts the target and makes sure that it answers.
    async fn begin(&mut self) -> Result<Attacked, Cut> {
        let (protocol, asked) = self.aim().await?;
        self.sums.lives += 1;
        let mut life = self.start(protocol).await?;
        let probes = match aim::learn(&life, &asked, protocol).await {
            Ok(probes) => probes,
            Err(problem) => {
                life.end().await;
                return Err(Cut::Problem(problem));
            }
        };
        let mut history = History::new(self.plan.transport);
        if let Some(bytes) = probes.last().and_then(Probe::bytes) {
            let times = if asked.question == Question::Foo {
                USUAL_TIMES
            } else {
                1
            };
            history.add_probes((times * life.parts.len()) as u64, bytes);
        }
        if self.plan.transport == Transport::Tcp && !asked.serial {
            life.hold();
            history.add_probes(life.parts.len() as u64, b"");
        }
        let leaks = (0..life.parts.len()).map(|place| usage(&life, place).map(Leaks::new));
        let leaks = leaks.collect();
        let mut watchers = Watchers::default();
        for (place, probe) in probes.iter().enumerate().filter(|_| !asked.serial) {
            watchers.watch(
                place,
                probe.clone(),
                life.parts[place].at,
                life.sink.clone(),
            );
        }
        Ok(Attacked {
            life,
            probes,
            watchers,
            leaks,
            history,
            noted_probes: 0,
            turns: Vec::new(),
        })
    }

    async fn attack(
        &mut self,
        attacked: &mut Attacked,
        rounds: u32,
    ) -> Result<Option<Trouble>, Cut> {
        let mut round = 0;
        while round < rounds && self.is_on() {
            let nth = u32::try_from(self.sums.lives)
                .unwrap_or(u32::MAX)
                .wrapping_add(round);
            let is_serial = self.asked.as_ref().is_some_and(|asked| asked.serial);
            // Of several connections all but one would wait.
            let connections = self.plan.connections.or(is_serial.then_some(1));
            let turns = rounds::turns(&self.plan.strategies, nth.wrapping_sub(1), connections);
            for turn in turns {
                if !self.is_on() {
                    break;
                }
                let (trouble, too_much) = self.turn(attacked, turn).await?;
                if trouble.is_some() {
                    return Ok(trouble);
                }
                if too_much {
                    break;
                }
            }
            round += 1;
            match self.settle(attacked).await? {
                (Some(trouble), _) => return Ok(Some(trouble)),
                // Another load will tell, in this life.
                (None, true) => {
                    (self.tell)(&Progress::Suspicious);
                    round = round.min(rounds - 1);
                }
                (None, false) => {}
            }
        }
        Ok(None)
    }
}

fn usage(life: &Life, place: usize) -> Option<Usage> {
    let part = &life.parts[place];
    if part.status.is_some() {
        return None;
    }
    Some(tree::sample(&[part.pid?])?.into())
}
