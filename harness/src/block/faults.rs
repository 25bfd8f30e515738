//! What is done on purpose while clients are at work.
//!
//! Each step is an event when it begins and another when it is over. What cannot be done is
//! an event as well, and no reason to stop: the verdict says so.

use std::time::{Duration, Instant};

use report::event::{Event, Fault, Role};
use rustix::process::Signal;

use super::{Block, Cut, GRACE};
use crate::scenario::fault::Step;
use crate::scenario::{Action, Scenario};
use crate::supervisor::spawn::{signal_group, signal_process};

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
        let scenario = &self.planned.scenario;
        let target = canonical(scenario, &step.process);
        let backend = step.backend.as_ref().map(|name| canonical(scenario, name));
        if !step.undoes {
            self.emit(Event::FaultBegan(Fault {
                id: step.id.clone(),
                target: target.clone(),
                action: step.action.word().to_owned(),
                backend: backend.clone(),
                nodes: step
                    .nodes
                    .iter()
                    .map(|name| canonical(scenario, name))
                    .collect(),
            }));
        }
        let done = match step.action {
            Action::Kill => self.end_process(&target, Signal::KILL).await,
            Action::Terminate => self.end_process(&target, Signal::TERM).await,
            Action::Freeze => self.hold(&target, Signal::STOP),
            Action::Thaw => self.hold(&target, Signal::CONT),
            Action::Restart => self.restart(&target).await,
            Action::Reload => self.reload(&step.nodes).await,
            Action::SilentClients => self.connect_silently(),
            Action::HangUp => {
                self.silent.clear();
                Ok(())
            }
            Action::Upgrade => self.upgrade().await,
            Action::Drain | Action::Disable | Action::Enable => {
                let backend = backend.unwrap_or_default();
                self.tell_proxy(&backend, step.action.word()).await
            }
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
        Role::Load | Role::Fuzz => false,
    }
}

/// The name that events have for a process.
fn canonical(scenario: &Scenario, name: &str) -> String {
    scenario
        .upstream_at(name)
        .map_or_else(|| name.to_owned(), |nth| scenario.upstream_name(nth))
}
