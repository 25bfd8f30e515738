//! What changes while lines flow: checks and refusals, names, reloads. Each ends in new
//! settings for the workers.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use balance::hashring::HashRing;
use tokio::task::{JoinError, JoinHandle, JoinSet, spawn_blocking};

use super::board::Board;
use super::check;
use super::config::NodeAt;
use super::nodes::{self, Event, Found};
use super::plan::{CheckPlan, Origin, Plan};
use super::settings::Settings;
use super::worker::Notice;
use crate::discovery::Discovery;
use crate::live::Live;
use crate::watch::{Stamps, Watch};

/// A plan, and what there is to know of its nodes that are new.
pub(super) struct Prepared {
    plan: Plan,
    whole: Arc<HashRing>,
    found: HashMap<String, Found>,
}

/// Carries changes out.
pub(super) struct Control {
    origin: Origin,
    board: Arc<Board>,
    live: Arc<Live<Settings>>,
    discovery: Arc<Discovery>,
    /// A reload that is under way.
    preparing: Option<JoinHandle<Result<Prepared, JoinError>>>,
    /// Another one was asked for meanwhile.
    again: bool,
    watch: Option<Watch>,
    /// It has been said that nodes cannot be checked, and none could be since.
    shortage_told: bool,
}

/// Looks at nodes all at once: their names, and how they are.
pub(super) async fn find_all(
    discovery: &Arc<Discovery>,
    nodes: Vec<NodeAt>,
    checks: CheckPlan,
) -> HashMap<String, Found> {
    let mut looks = JoinSet::new();
    for at in nodes {
        let discovery = Arc::clone(discovery);
        looks.spawn(async move { (at.name(), nodes::find(&discovery, &at, checks).await) });
    }
    looks.join_all().await.into_iter().collect()
}

impl Control {
    pub(super) fn new(
        origin: Origin,
        watched: Option<Stamps>,
        board: Arc<Board>,
        live: Arc<Live<Settings>>,
        discovery: Arc<Discovery>,
    ) -> Self {
        Self {
            origin,
            board,
            live,
            discovery,
            preparing: None,
            again: false,
            watch: watched.map(Watch::new),
            shortage_told: false,
        }
    }

    pub(super) fn discovery(&self) -> Arc<Discovery> {
        Arc::clone(&self.discovery)
    }

    /// Gives workers what is known now.
    fn publish(&self) {
        let plan = self.board.plan();
        let settings = self.board.members().settings(&plan);
        if !settings.up.contains(&true) {
            tracing::warn!("no node is up");
        }
        self.live.set(settings);
        self.board.wake_workers();
    }

    /// Checks have ended. However many nodes that changes, workers are told once.
    pub(super) fn checked(&mut self, events: impl IntoIterator<Item = Event>) {
        let mut changed = false;
        for event in events {
            self.tell_shortage(&event);
            changed |= self.board.members().checked(&event);
        }
        if changed {
            self.publish();
        }
    }

    /// Says once that nodes cannot be checked.
    fn tell_shortage(&mut self, event: &Event) {
        match event.outcome() {
            Some(check::Outcome::NotAsked(why)) if !self.shortage_told => {
                tracing::warn!("cannot check nodes, they stay as they are: {why}");
                self.shortage_told = true;
            }
            Some(check::Outcome::Healthy | check::Outcome::Unhealthy(_)) => {
                self.shortage_told = false;
            }
            _ => {}
        }
    }

    /// Workers have something to say. However many nodes that changes, they are told once.
    ///
    /// # Errors
    /// That of a worker that has ended.
    pub(super) fn noticed(&self, notices: impl IntoIterator<Item = Notice>) -> io::Result<()> {
        let mut changed = false;
        for notice in notices {
            match notice {
                // Its host has sent a datagram back.
                Notice::Refused(node) => changed |= self.board.members().refused(&node),
                Notice::Failed(error) => return Err(error),
            }
        }
        if changed {
            self.publish();
        }
        Ok(())
    }

    /// Names may stand for other addresses.
    pub(super) fn names_changed(&self) {
        let changed = self.board.members().names_changed(&self.discovery);
        if changed {
            self.publish();
        }
    }

    /// Reads the configuration again if it has changed.
    pub(super) fn look_at_file(&mut self) {
        if self.watch.as_mut().is_some_and(Watch::has_changed) {
            tracing::info!("the configuration has changed");
            self.reload();
        }
    }

    /// Reads the configuration again. What is new is looked at beside the traffic, and
    /// comes into force when that is done.
    pub(super) fn reload(&mut self) {
        if self.preparing.is_some() {
            self.again = true;
            return;
        }
        if let Some(watch) = &self.watch {
            self.watch = Some(Watch::new(watch.look()));
        }
        let planned = match self.origin.plan() {
            Ok(planned) => planned,
            Err(error) => return self.reload_failed(&error.to_string()),
        };
        for warning in &planned.warnings {
            tracing::warn!("{warning}");
        }
        self.discovery.refresh();
        let plan = planned.plan;
        let unknown = self.board.members().unknown_of(&plan);
        let discovery = Arc::clone(&self.discovery);
        self.preparing = Some(tokio::spawn(async move {
            let found = find_all(&discovery, unknown, plan.checks).await;
            let make = move || (Arc::new(plan.ring()), plan);
            let (whole, plan) = spawn_blocking(make).await?;
            Ok(Prepared { plan, whole, found })
        }));
    }

    fn reload_failed(&self, why: &str) {
        tracing::error!("the configuration stays as it was: {why}");
        self.board.note(|config| {
            config.reloads_failed += 1;
            config.error = Some(why.to_owned());
        });
    }

    /// Waits for a reload that is under way.
    pub(super) async fn prepared(&mut self) -> Result<Prepared, JoinError> {
        let prepared = match &mut self.preparing {
            Some(preparing) => preparing.await,
            None => std::future::pending().await,
        };
        self.preparing = None;
        prepared.flatten()
    }

    /// Ends a reload, and begins the next one if it was asked for.
    pub(super) fn finish(&mut self, prepared: Result<Prepared, JoinError>) {
        match prepared {
            Ok(prepared) => self.bring_into_force(prepared),
            Err(error) => self.reload_failed(&format!("preparing it failed: {error}")),
        }
        if std::mem::take(&mut self.again) {
            self.reload();
        }
    }

    fn bring_into_force(&self, prepared: Prepared) {
        let Prepared {
            mut plan,
            whole,
            found,
        } = prepared;
        let fixed = self.board.plan().fixed.clone();
        let ignored = fixed.differences(&plan.fixed);
        if !ignored.is_empty() {
            let what = ignored.join(", ");
            tracing::warn!("what takes a restart stays as it is: {what}");
        }
        plan.fixed = fixed;
        self.board.members().replace(&plan, whole, found);
        // A name may have got its answer while other nodes were still looked at.
        self.board.members().names_changed(&self.discovery);
        let hosts: Vec<_> = plan.nodes.iter().map(|at| at.host.clone()).collect();
        self.discovery
            .retain(|name| hosts.iter().any(|host| host == name));
        tracing::info!("the configuration is in force: {} nodes", plan.nodes.len());
        self.board.set_plan(plan);
        self.publish();
        self.board.note(|config| {
            config.reloads += 1;
            config.error = None;
            config.ignored = ignored;
        });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::mpsc::unbounded_channel;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::discovery::Bounds;
    use crate::statsd::nodes::Members;
    use crate::statsd::worker::{Workers, WorkersConfig};

    /// The control of a proxy that takes no lines.
    fn control(line: &[&str]) -> Control {
        let origin = Origin::of_line(line);
        let plan = origin.plan().unwrap().plan;
        let members = Members::new(plan.checks, unbounded_channel().0);
        let live = Arc::new(Live::new(members.settings(&plan)));
        let workers = WorkersConfig {
            udp: Vec::new(),
            tcp: None,
            live: Arc::clone(&live),
            notices: unbounded_channel().0,
        };
        let workers = Workers::start(workers).unwrap();
        let board = Board::new(Vec::new(), members, plan, workers, None);
        let bounds = Bounds {
            least: Duration::from_secs(1),
            most: Duration::from_secs(1),
        };
        let discovery = Discovery::new(None, bounds, CancellationToken::new()).unwrap();
        Control::new(origin, None, Arc::new(board), live, Arc::new(discovery))
    }

    #[tokio::test]
    async fn a_preparation_that_panics_is_a_failed_reload_and_the_next_one_goes_on() {
        let mut control = control(&["--node", "127.0.0.1:1"]);
        control.preparing = Some(tokio::spawn(async { panic!("a defect") }));
        // Asked for while the other is under way.
        control.reload();
        let prepared = control.prepared().await;
        control.finish(prepared);
        let config = control.board.config();
        assert_eq!((config.reloads, config.reloads_failed), (0, 1));
        let error = config.error.unwrap();
        assert!(error.contains("a defect"), "{error}");
        let prepared = control.prepared().await;
        control.finish(prepared);
        let config = control.board.config();
        assert_eq!((config.reloads, config.reloads_failed), (1, 1));
        assert_eq!(config.error, None);
        assert!(control.preparing.is_none());
        control.board.stop_workers();
    }
}
