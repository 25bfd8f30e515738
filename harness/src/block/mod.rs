//! One block: fresh processes, one fixed schedule, and everything seen on the way as
//! events.
//!
//! This module is the order of things; `start` starts our own processes, `foreign` those of
//! other people, both by `launch`, `links` what is put between them. `clients` runs the schedule, `faults` does what is done on
//! purpose, `successor` follows a proxy that is upgraded, `backends` asks and tells it what
//! to think of its servers, `lines` what became of the lines that it took. `ending` leaves nobody behind. `listen` is the one loop through
//! which all waiting goes; `watch` sees meanwhile whether anything happens that must not, by
//! the `invariants`.

mod backends;
mod clients;
mod ending;
mod faults;
mod foreign;
mod invariants;
mod launch;
mod lines;
mod links;
mod listen;
mod start;
mod successor;
mod watch;

use std::cell::RefCell;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use report::event::{Binary, Event, Limits, Phase, ProbeOutcome, Role};
use service::signals::{Stop, StopSignals};
use tokio::sync::mpsc;

use self::backends::Transitions;
use self::links::Links;
use self::watch::Watching;
use crate::descriptor::Descriptor;
use crate::foreign::Backend;
use crate::plan::{Plan, Planned, split};
use crate::ports::Ports;
use crate::recorder::Recorder;
use crate::scenario::{Mode, Server, Upstream};
use crate::schedule::BlockPlan;
use crate::supervisor::child::Child;
use crate::supervisor::guard::Guard;
use crate::supervisor::notes::{self, Note, SharedPhase, Sink};
use crate::supervisor::probe::Check;

/// How long a process may take from its start until it can be talked to.
const START_PATIENCE: Duration = Duration::from_secs(10);

/// How long a process may take to end when it is asked to.
const GRACE: Duration = Duration::from_secs(5);

/// How often a process is looked at and probed in a block at most, however long it is: what
/// is kept of a run must not grow without bounds.
const MOST_LOOKS: u32 = 2_000;

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
    /// Something has happened that must not in a scenario that is watched: the run ends.
    Broken,
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
    /// Where the proxy listens; the first server, if there is no proxy.
    entry: Option<SocketAddr>,
    /// Where clients connect, if that is a link.
    door: Option<SocketAddr>,
    /// The links between the parties, if there are any.
    links: Option<Links>,
    /// What processes might use before they were limited.
    limited: Vec<(String, u32, Limits)>,
    /// The servers, as far as they are ours.
    backends: Vec<Backend>,
    /// Where the proxy is told what to think of its backends, if it can be told.
    admin: Option<SocketAddr>,
    /// Where a proxy for statsd is asked how it is, if it has such a port.
    management: Option<SocketAddr>,
    /// Clients there that say nothing.
    silent: Vec<std::net::TcpStream>,
    /// Where everybody listens, if that must not change.
    ports: Option<Ports>,
    /// What the proxy has said of its backends so far.
    known: Transitions,
    /// The process that spoke of them last.
    said_by: Option<u64>,
    /// Who is probed, with how many probes done, and whether the last one is over.
    probed: Vec<Probed>,
    audits: usize,
    is_suspicious: bool,
    deadline: Instant,
    /// Who ended the run, if somebody did.
    stopped: Option<Stop>,
    next_look: Instant,
    /// Between two looks at what processes use, and between two probes.
    pause: Duration,
    /// What must not happen, and what has been seen of it.
    watching: Option<Watching>,
}

struct Probed {
    whom: notes::Probed,
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
        door: None,
        links: None,
        limited: Vec::new(),
        backends: Vec::new(),
        admin: None,
        management: None,
        silent: Vec::new(),
        ports: None,
        known: Transitions::default(),
        said_by: None,
        probed: Vec::new(),
        audits: 0,
        is_suspicious: false,
        deadline: Instant::now() + planned.scenario.timeout,
        stopped: None,
        next_look: Instant::now(),
        pause: planned.scenario.length() / MOST_LOOKS,
        watching: None,
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
        Ok(()) | Err(Cut::Stopped(_) | Cut::Broken) => stopped.map(|_| "interrupted".to_owned()),
    };
    block.emit(Event::BlockEnded { problem });
    // Also if that came while the block ended: nothing more is started.
    if let Some(stop) = stopped {
        return Err(Cut::Stopped(stop));
    }
    if outcome.is_ok() && block.is_broken() {
        return Err(Cut::Broken);
    }
    outcome
}

impl Block<'_> {
    async fn work(&mut self) -> Result<(), Cut> {
        self.choose_ports()?;
        self.start_upstreams().await?;
        self.start_proxy().await?;
        self.first_probes().await?;
        self.phase.set(Phase::During);
        self.watch_backends();
        self.begin_watching();
        self.run_clients().await?;
        self.end_watching();
        self.settle_lines().await?;
        self.settle_links().await?;
        self.last_probes().await?;
        self.last_state().await;
        self.audit_if_suspicious().await
    }

    fn emit(&self, event: Event) {
        self.shared.recorder.borrow_mut().take(event);
    }

    /// Whoever goes down and comes back must find its port free.
    fn choose_ports(&mut self) -> Result<(), Cut> {
        self.ports.clone_from(&self.planned.ports);
        // And no socket of a client may take that of a proxy for datagrams meanwhile.
        let is_of_datagrams = self.planned.scenario.has_datagrams();
        let must_stay = !self.planned.scenario.fault.is_empty() || is_of_datagrams;
        if self.ports.is_none() && must_stay {
            let count = self.planned.scenario.upstream.len().max(1);
            // Which node gets a key depends on the nodes' ports: subjects that are set beside
            // each other have the same.
            let purpose = if self.is_about_lines() {
                "ports".to_owned()
            } else {
                self.plan.subject.to_string()
            };
            let seed = split(self.plan.seed, &purpose);
            let ports = Ports::choose(seed, count);
            self.ports = Some(ports.map_err(|error| Cut::Problem(error.to_string()))?);
        }
        Ok(())
    }

    /// What the server of that number has to answer.
    fn check_of(&self, nth: usize) -> Check {
        let upstream = self.planned.scenario.upstream.get(nth);
        let usual = self.planned.scenario.proxy.mode.usual_server();
        match upstream.map_or(usual, |upstream| upstream.mode) {
            Server::Foo if self.backends.is_empty() => Check::Seq,
            Server::Foo => Check::Digest,
            // Such a server keeps its last words until the client has ended.
            Server::Echo if upstream.is_some_and(answers_at_end) => Check::EchoAtEnd,
            Server::Echo => Check::Echo,
            Server::Sink => Check::Open,
            Server::Source => Check::Bytes,
            Server::Http => Check::Http,
            // Such a server does not say how it is.
            Server::Statsd if upstream.is_some_and(is_silent) => Check::Open,
            Server::Statsd => Check::Health,
            Server::UdpEcho => Check::Datagram,
        }
    }

    /// What the proxy has to answer. Where clients begin with more than their bytes, a
    /// probe that does not is only to be taken.
    fn check_of_proxy(&self) -> Check {
        if self.planned.scenario.proxy.mode == Mode::Udp {
            return Check::Datagram;
        }
        if self.is_about_lines() {
            return Check::Health;
        }
        let mut loads = self.planned.scenario.load.iter();
        if loads.any(|load| load.tls || load.proxy_protocol.is_some()) {
            return Check::Open;
        }
        self.check_of(0)
    }

    fn is_direct(&self) -> bool {
        self.plan.subject == Descriptor::Direct
    }

    /// Everybody is asked once before anything is done to them.
    async fn first_probes(&mut self) -> Result<(), Cut> {
        let several = self.backends.len() > 1;
        let upstreams = self.backends.iter().enumerate();
        let mut targets: Vec<notes::Probed> = upstreams
            .map(|(nth, backend)| notes::Probed {
                role: Role::Upstream,
                name: several.then(|| backend.name.clone()),
                at: backend.admin.unwrap_or(backend.server),
                check: self.check_of(nth),
            })
            .collect();
        // Nobody answers lines: a proxy for them is asked at another port, if it has one.
        let asked = if self.is_about_lines() {
            self.management
        } else {
            self.entry
        };
        targets.extend(asked.filter(|_| !self.is_direct()).map(|at| notes::Probed {
            role: Role::Proxy,
            name: None,
            at,
            check: self.check_of_proxy(),
        }));
        for whom in targets {
            let pause = self.pause.max(notes::PROBE_PAUSE);
            notes::probe_on_and_on(whom.clone(), pause, self.phase.clone(), self.sink.clone());
            self.probed.push(Probed {
                whom,
                count: 0,
                last: None,
                is_done: false,
            });
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
        let suspects = self.probed.iter().map(|probed| &probed.whom);
        let suspects: Vec<_> = suspects.filter(|whom| whom.check.is_foo()).collect();
        let wanted = suspects.len();
        for whom in suspects {
            notes::audit(whom.clone(), self.sink.clone());
        }
        let patience = Instant::now() + Duration::from_secs(10);
        self.listen_until(patience, |block| block.audits == wanted)
            .await?;
        Ok(())
    }

    fn note_outcome(&mut self, role: Role, name: Option<&str>, outcome: ProbeOutcome) {
        self.is_suspicious |= outcome == ProbeOutcome::Wrong;
        let mut probed = self.probed.iter_mut();
        let is_meant =
            |one: &&mut Probed| one.whom.role == role && one.whom.name.as_deref() == name;
        if let Some(probed) = probed.find(is_meant) {
            probed.count += 1;
            probed.last = Some(outcome);
        }
    }
}

fn is_silent(upstream: &Upstream) -> bool {
    let mut defects = upstream.defects.iter();
    defects.any(|defect| ["silent-health", "accept-then-close"].contains(&defect.as_str()))
}

fn answers_at_end(upstream: &Upstream) -> bool {
    let mut defects = upstream.defects.iter();
    defects.any(|defect| defect.starts_with("late-reply"))
}
