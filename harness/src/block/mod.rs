//! One block: fresh processes, one fixed schedule, and everything seen on the way as
//! events.
//!
//! This module is the order of things; `start` starts processes, `clients` runs the
//! schedule, `listen` is the one loop through which all waiting goes.

mod clients;
mod listen;
mod start;

use std::cell::RefCell;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use report::event::{Binary, Event, Phase, ProbeOutcome, Role};
use rustix::process::Signal;
use service::signals::{Stop, StopSignals};
use tokio::sync::mpsc;

use crate::descriptor::Descriptor;
use crate::plan::{Plan, Planned};
use crate::recorder::Recorder;
use crate::schedule::BlockPlan;
use crate::supervisor::child::Child;
use crate::supervisor::guard::Guard;
use crate::supervisor::notes::{self, Note, SharedPhase, Sink};
use crate::supervisor::probe::Check;

/// How long a process may take from its start until it can be talked to.
const START_PATIENCE: Duration = Duration::from_secs(10);

/// How long a process may take to end when it is asked to.
const GRACE: Duration = Duration::from_secs(5);

/// How long a process may take to end when it is killed: the kernel has to tear it down.
const KILL_PATIENCE: Duration = Duration::from_secs(10);

/// What all blocks of a run share.
#[derive(Debug)]
pub struct Shared<'a> {
    /// The run.
    pub plan: &'a Plan,
    /// The programs that were found when it was checked.
    pub binaries: &'a [Binary],
    /// Where events go.
    pub recorder: &'a RefCell<Recorder>,
    /// Ends children if the harness is killed.
    pub guard: &'a RefCell<Guard>,
    /// Where children leave their records for us.
    pub scratch: PathBuf,
}

/// Why a block did not come to its planned end.
#[derive(Debug)]
pub enum Cut {
    /// Somebody ended the run.
    Stopped(Stop),
    /// Something is wrong with the harness, or with what it was to start.
    Problem(String),
}

impl From<Stop> for Cut {
    fn from(stop: Stop) -> Self {
        Self::Stopped(stop)
    }
}

/// A block while it runs.
struct Block<'a> {
    shared: &'a Shared<'a>,
    planned: &'a Planned,
    plan: &'a BlockPlan,
    stop: &'a mut StopSignals,
    children: Vec<Child>,
    notes: mpsc::UnboundedReceiver<Note>,
    sink: Sink,
    phase: SharedPhase,
    /// Where clients connect.
    entry: Option<SocketAddr>,
    /// Where the upstream listens, if it is ours.
    upstream_at: Option<SocketAddr>,
    /// Who is probed, with how many probes done, and whether the last one is over.
    probed: Vec<Probed>,
    audits: usize,
    is_suspicious: bool,
    deadline: Instant,
    /// Who ended the run, if somebody did.
    stopped: Option<Stop>,
    next_look: Instant,
}

struct Probed {
    role: Role,
    at: SocketAddr,
    count: usize,
    last: Option<ProbeOutcome>,
    is_done: bool,
}

/// Runs a block to its end, whatever happens: no process of it is left.
pub async fn run(
    shared: &Shared<'_>,
    planned: &Planned,
    plan: &BlockPlan,
    stop: &mut StopSignals,
) -> Result<(), Cut> {
    let (sink, notes) = mpsc::unbounded_channel();
    let mut block = Block {
        shared,
        planned,
        plan,
        stop,
        children: Vec::new(),
        notes,
        sink,
        phase: SharedPhase::default(),
        entry: None,
        upstream_at: None,
        probed: Vec::new(),
        audits: 0,
        is_suspicious: false,
        deadline: Instant::now() + planned.scenario.timeout,
        stopped: None,
        next_look: Instant::now(),
    };
    block.emit(Event::BlockStarted {
        round: plan.round,
        subject: plan.subject.to_string(),
        arm: plan.arm,
        rate: plan.rate,
    });
    let outcome = block.work().await;
    if let Err(Cut::Stopped(stop)) = &outcome {
        block.stopped = Some(*stop);
    }
    block.end_everything().await;
    let stopped = block.stopped;
    let problem = match &outcome {
        Err(Cut::Problem(problem)) => Some(problem.clone()),
        Ok(()) | Err(Cut::Stopped(_)) => stopped.map(|_| "interrupted".to_owned()),
    };
    block.emit(Event::BlockEnded { problem });
    // Also if that came while the block ended: nothing more is started.
    stopped.map_or(outcome, |stop| Err(Cut::Stopped(stop)))
}

impl Block<'_> {
    async fn work(&mut self) -> Result<(), Cut> {
        self.start_upstream().await?;
        self.start_proxy().await?;
        self.first_probes().await?;
        self.phase.set(Phase::During);
        self.run_clients().await?;
        self.last_probes().await?;
        self.audit_if_suspicious().await
    }

    fn emit(&self, event: Event) {
        self.shared.recorder.borrow_mut().take(event);
    }

    fn check(&self) -> Check {
        if self.upstream_at.is_some() {
            Check::Digest
        } else {
            Check::Seq
        }
    }

    fn is_direct(&self) -> bool {
        self.plan.subject == Descriptor::Direct
    }

    /// Everybody is asked once before anything is done to them.
    async fn first_probes(&mut self) -> Result<(), Cut> {
        let proxied = self
            .entry
            .filter(|_| !self.is_direct())
            .map(|at| (Role::Proxy, at));
        let targets = self
            .upstream_at
            .map(|at| (Role::Upstream, at))
            .into_iter()
            .chain(proxied);
        for (role, at) in targets.collect::<Vec<_>>() {
            self.probed.push(Probed {
                role,
                at,
                count: 0,
                last: None,
                is_done: false,
            });
            notes::probe_on_and_on(
                role,
                at,
                self.check(),
                self.phase.clone(),
                self.sink.clone(),
            );
        }
        let patience = Instant::now() + 2 * notes::HANG_AFTER;
        self.listen_until(patience, |block| {
            block.probed.iter().all(|probed| probed.count > 0)
        })
        .await?;
        Ok(())
    }

    /// And once after; the probers end.
    async fn last_probes(&mut self) -> Result<(), Cut> {
        self.phase.set(Phase::After);
        let patience = Instant::now() + Duration::from_secs(10);
        self.listen_until(patience, |block| {
            block.probed.iter().all(|probed| probed.is_done)
        })
        .await?;
        Ok(())
    }

    /// If anybody got a wrong answer, it is found out who gives them.
    async fn audit_if_suspicious(&mut self) -> Result<(), Cut> {
        if !self.is_suspicious {
            return Ok(());
        }
        for probed in &self.probed {
            notes::audit(probed.role, probed.at, self.check(), self.sink.clone());
        }
        let wanted = self.probed.len();
        let patience = Instant::now() + Duration::from_secs(10);
        self.listen_until(patience, |block| block.audits == wanted)
            .await?;
        Ok(())
    }

    fn note_outcome(&mut self, role: Role, outcome: ProbeOutcome) {
        self.is_suspicious |= outcome == ProbeOutcome::Wrong;
        if let Some(probed) = self.probed.iter_mut().find(|probed| probed.role == role) {
            probed.count += 1;
            probed.last = Some(outcome);
        }
    }

    /// Ends all children, clients first, and the upstream last so that nobody suffers
    /// from its end.
    async fn end_everything(&mut self) {
        for role in [Role::Fuzz, Role::Load, Role::Proxy, Role::Upstream] {
            self.look(role);
            self.end(role).await;
        }
        // Workers that their parent left behind are in its process group still.
        for child in &self.children {
            crate::supervisor::spawn::signal_group(child.pid, Signal::KILL);
            self.shared.guard.borrow_mut().forget(child.pid);
        }
    }

    async fn end(&mut self, role: Role) {
        self.signal(role, Signal::TERM).await;
        let in_a_hurry = self.ends_too_slowly(role, GRACE).await;
        if self.is_gone(role) {
            return;
        }
        let is_hung = |probed: &Probed| {
            probed.role == role && matches!(probed.last, Some(ProbeOutcome::Silent))
        };
        let may_be_killed = in_a_hurry || self.probed.iter().any(is_hung);
        for child in self.children.iter_mut().filter(|child| child.role == role) {
            child.may_be_killed = may_be_killed;
        }
        self.signal(role, Signal::KILL).await;
        self.ends_too_slowly(role, KILL_PATIENCE).await;
    }

    async fn signal(&mut self, role: Role, signal: Signal) {
        // What has died by itself is not to look as if it had been asked to.
        self.take_waiting_notes().await;
        for child in self.children.iter_mut().filter(|child| child.role == role) {
            child.signal(signal);
        }
    }

    /// Waits until all in this role have ended. `true` if somebody is in a hurry: the
    /// first Ctrl-C is remembered, a second means now.
    async fn ends_too_slowly(&mut self, role: Role, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        loop {
            let waited = self.listen_until(deadline, |block| block.is_gone(role));
            match waited.await {
                Ok(_) => return false,
                Err(stop) if self.stopped.is_none() => self.stopped = Some(stop),
                Err(_) => return true,
            }
        }
    }

    fn is_gone(&self, role: Role) -> bool {
        let mut children = self.children.iter();
        children.all(|child| child.role != role || !child.is_running())
    }
}
