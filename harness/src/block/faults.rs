//! What is done on purpose while clients are at work.
//!
//! Each step is an event when it begins and another when it is over. What cannot be done is
//! an event as well, and no reason to stop: the verdict says so.

use std::time::{Duration, Instant};

use report::event::{Event, Fault, Limits, Role, Toxic};
use rustix::process::Signal;

use super::{Block, Cut, GRACE};
use crate::scenario::fault::{Deed, Step};
use crate::scenario::{self, Action, Scenario};
use crate::supervisor::limit::limit;
use crate::supervisor::spawn::{signal_group, signal_process};
use crate::supervisor::tree;

/// How long the kernel may take to tear down what was killed.
const KILL_PATIENCE: Duration = Duration::from_secs(5);

/// How long a proxy may take to read its configuration.
const RELOAD_PATIENCE: Duration = Duration::from_secs(5);

/// Between two questions whether it has.
const RELOAD_PAUSE: Duration = Duration::from_millis(5);

/// Why a step could not be done, or why the whole block cannot go on.
pub(super) enum Undone {
    /// The proxy or a process did not do as it was told.
    Reason(String),
    /// Somebody ended the run.
    Cut(Cut),
}

impl From<Cut> for Undone {
    fn from(cut: Cut) -> Self {
        Self::Cut(cut)
    }
}

impl From<service::signals::Stop> for Undone {
    fn from(stop: service::signals::Stop) -> Self {
        Self::Cut(Cut::Stopped(stop))
    }
}

impl Block<'_> {
    /// Does one step of the timeline.
    pub(super) async fn do_step(&mut self, step: &Step) -> Result<(), Cut> {
        if !step.undoes && !matches!(step.deed, Deed::Change(_)) {
            self.emit(Event::FaultBegan(described(&self.planned.scenario, step)));
        }
        let done = match step.deed {
            Deed::Act(action) if step.fault.link.is_none() => self.act(action, step).await,
            _ => self.do_to_links(step).await,
        };
        let id = step.id.clone();
        match done {
            Ok(()) if !step.is_over => {}
            Ok(()) => self.emit(Event::FaultEnded { id }),
            Err(Undone::Reason(reason)) => self.emit(Event::FaultFailed { id, reason }),
            Err(Undone::Cut(cut)) => return Err(cut),
        }
        Ok(())
    }

    /// Does something to a process.
    async fn act(&mut self, action: Action, step: &Step) -> Result<(), Undone> {
        let scenario = &self.planned.scenario;
        let target = canonical(scenario, step.fault.target());
        match action {
            Action::Kill => self.end_process(&target, Signal::KILL).await,
            Action::Terminate => self.end_process(&target, Signal::TERM).await,
            Action::Freeze => self.hold(&target, Signal::STOP),
            Action::Thaw => self.hold(&target, Signal::CONT),
            Action::Restart => self.restart(&target).await,
            Action::Reload => self.reload(&step.fault.nodes).await,
            Action::SilentClients => self.connect_silently(),
            Action::HangUp => {
                self.silent.clear();
                Ok(())
            }
            Action::Upgrade => self.upgrade().await,
            Action::Drain | Action::Disable | Action::Enable => {
                let backend = step.fault.backend.as_ref();
                let backend = backend.map(|name| canonical(scenario, name));
                self.tell_proxy(&backend.unwrap_or_default(), action.word())
                    .await
            }
            Action::Limit => self.limit(&target, &step.id, limits(&step.fault)),
            Action::Unlimit => self.unlimit(&step.id),
            Action::Down | Action::Up => Err(Undone::Reason("that is for a link".to_owned())),
        }
    }

    /// Lets a process and its children use no more than this.
    fn limit(&mut self, target: &str, id: &str, limits: Limits) -> Result<(), Undone> {
        let at = self.running(target)?;
        let pid = self.children[at].pid;
        for pid in std::iter::once(pid).chain(tree::children(pid)) {
            let before = limit(pid, limits);
            let before = before
                .map_err(|error| Undone::Reason(format!("{target} cannot be limited: {error}")))?;
            self.limited.push((id.to_owned(), pid, before));
        }
        Ok(())
    }

    /// Lets the processes of that fault use as much as before; one that is gone needs nothing.
    fn unlimit(&mut self, id: &str) -> Result<(), Undone> {
        let (mine, others): (Vec<_>, Vec<_>) = std::mem::take(&mut self.limited)
            .into_iter()
            .partition(|(of, ..)| of == id);
        self.limited = others;
        for (_, pid, before) in mine {
            let is_there = std::path::Path::new(&format!("/proc/{pid}")).exists();
            if let Err(error) = limit(pid, before)
                && is_there
            {
                let reason = format!("the limit cannot be taken back: {error}");
                return Err(Undone::Reason(reason));
            }
        }
        Ok(())
    }

    /// The child of that name that runs, by its place.
    pub(super) fn running(&self, target: &str) -> Result<usize, Undone> {
        let is_meant = |at: &usize| {
            let child = &self.children[*at];
            child.is_running() && is_called(child.role, &child.name, target)
        };
        // The latest: of a proxy and its successor it is the successor.
        let mut all = (0..self.children.len()).rev();
        all.find(is_meant)
            .ok_or_else(|| Undone::Reason(format!("{target} does not run")))
    }

    async fn end_process(&mut self, target: &str, signal: Signal) -> Result<(), Undone> {
        let at = self.running(target)?;
        self.take_waiting_notes().await;
        // A look now: what it cost is not known any more when it has ended.
        self.look(self.children[at].role);
        self.children[at].end_on_purpose(signal);
        let patience = if signal == Signal::KILL {
            KILL_PATIENCE
        } else {
            GRACE
        };
        let ended = |block: &Self| !block.children[at].is_running();
        if self.listen_until(Instant::now() + patience, ended).await? {
            return Ok(());
        }
        Err(Undone::Reason(format!(
            "{target} still ran after {} s",
            patience.as_secs()
        )))
    }

    fn hold(&mut self, target: &str, signal: Signal) -> Result<(), Undone> {
        let at = self.running(target)?;
        signal_group(self.children[at].group, signal);
        Ok(())
    }

    async fn restart(&mut self, target: &str) -> Result<(), Undone> {
        if self.running(target).is_ok() {
            self.end_process(target, Signal::TERM).await?;
        }
        let mut known = self.children.iter().rev();
        let spec = known
            .find(|child| is_called(child.role, &child.name, target))
            .and_then(|child| Some((child.role, child.name.clone(), child.spec.clone()?)));
        let Some((role, name, spec)) = spec else {
            return Err(Undone::Reason(format!("{target} was never started by us")));
        };
        let is_ours = spec.write_fds.contains(&"--ready-fd");
        let started = if is_ours {
            self.start_and_wait(role, &name, spec).await.map(drop)
        } else {
            self.start_foreign_again(&name, spec).await
        };
        match started {
            // It may come up later, or never: that is for the verdict.
            Err(Cut::Problem(problem)) => Err(Undone::Reason(problem)),
            other => Ok(other?),
        }
    }

    async fn start_foreign_again(
        &mut self,
        name: &str,
        spec: crate::supervisor::spawn::Spec,
    ) -> Result<(), Cut> {
        let Some(listen) = self.entry else {
            return Err(Cut::Problem("the proxy has no address".to_owned()));
        };
        let target = report::event::Target::Proxy;
        let at = self.start(Role::Proxy, name, target, &spec)?;
        self.children[at].spec = Some(spec);
        self.wait_for_foreign(at, listen).await
    }

    /// Has the proxy read its configuration again, and waits until it says that it has,
    /// where it can say so.
    async fn reload(&mut self, nodes: &[String]) -> Result<(), Undone> {
        let at = self.running("proxy")?;
        let before = self.generation().await;
        if !nodes.is_empty() {
            self.write_statsd_config(nodes)?;
        }
        // Else the file stays as it is: a proxy that watches it would read it without being told.
        signal_process(self.children[at].pid, Signal::HUP);
        if self.admin.is_none() {
            return Ok(());
        }
        let deadline = Instant::now() + RELOAD_PATIENCE;
        while Instant::now() < deadline {
            if self.generation().await > before {
                return Ok(());
            }
            let pause = Instant::now() + RELOAD_PAUSE;
            self.listen_until(pause, |_| false).await?;
        }
        let said = self.children[at].last_words();
        Err(Undone::Reason(format!(
            "the proxy had not read its configuration after {} s; {said}",
            RELOAD_PATIENCE.as_secs()
        )))
    }

    /// How often the proxy has taken on a configuration.
    async fn generation(&self) -> Option<u64> {
        let state = self.state().await?;
        let config = state.get("config")?;
        let count = config.get("generation").or_else(|| config.get("reloads"));
        count?.as_u64()
    }
}

/// Whether that child is meant by `target`.
fn is_called(role: Role, name: &str, target: &str) -> bool {
    match role {
        Role::Proxy => target == "proxy",
        Role::Upstream => target == name,
        Role::Load | Role::Fuzz | Role::Link => false,
    }
}

/// What a process is limited to.
fn limits(fault: &scenario::Fault) -> Limits {
    Limits {
        descriptors: fault.descriptors,
        memory_bytes: fault.memory.map(|size| size.0),
    }
}

/// A fault as events tell it.
fn described(scenario: &Scenario, step: &Step) -> Fault {
    let fault = &step.fault;
    let is_limit = fault.action == Some(Action::Limit);
    let nodes = fault.nodes.iter().map(|name| canonical(scenario, name));
    Fault {
        id: step.id.clone(),
        target: canonical(scenario, fault.target()),
        action: fault.word().to_owned(),
        backend: fault.backend.as_ref().map(|name| canonical(scenario, name)),
        nodes: nodes.collect(),
        toxic: fault.toxic.as_ref().map(|_| Toxic {
            stream: fault.stream().to_owned(),
            toxicity: fault.toxicity(),
            attributes: fault.attributes.clone(),
            to: fault.to.clone(),
        }),
        limits: is_limit.then(|| limits(fault)),
        on_link: fault.link.is_some(),
    }
}

/// The name that events have for a process.
fn canonical(scenario: &Scenario, name: &str) -> String {
    scenario
        .upstream_at(name)
        .map_or_else(|| name.to_owned(), |nth| scenario.upstream_name(nth))
}
