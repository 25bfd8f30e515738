//! What changes while the proxy runs: reloads, names that resolve anew, backends that
//! come and go. One change is prepared at a time, beside the loop of [`run`](super::run);
//! carrying it out is a moment.

use std::sync::Arc;

use balance::{Backend, Pool};
use tokio::task::JoinHandle;

use super::access_log::AccessLog;
use super::board::{Board, ReloadOrder, View};
use super::clock::now_ms;
use super::health::Checks;
use super::load::{Loaded, Origin};
use super::members::host;
use super::plan::Plan;
use super::prepare::{Known, Prepared, settings};
use super::settings::Settings;
use super::tls::Terminator;
use super::upgrade::AdminOrder;
use crate::live::Live;
use crate::watch::{Stamps, Watch};

/// What is in force, and what is being prepared.
pub(super) struct Control {
    origin: Origin,
    plan: Arc<Plan>,
    tls: Option<Arc<Terminator>>,
    pools: Vec<Arc<Pool>>,
    known: Known,
    checks: Checks,
    live: Arc<Live<Settings>>,
    watch: Watch,
    generation: u64,
    job: Option<Job>,
    waiting: Waiting,
}

struct Job {
    task: JoinHandle<Result<Prepared, String>>,
    /// Who wants to know, if it is a reload.
    reload: Option<Vec<ReloadOrder>>,
}

/// What to prepare next.
#[derive(Default)]
struct Waiting {
    reload: bool,
    replies: Vec<ReloadOrder>,
    names: bool,
}

impl Control {
    /// Starts with what was prepared first.
    pub(super) fn new(
        origin: Origin,
        stamps: Stamps,
        first: Prepared,
        mut known: Known,
        states: &[AdminOrder],
    ) -> Self {
        let Prepared {
            plan,
            tls,
            log,
            members,
        } = first;
        let pools = members.pools(&plan, &[], &mut known.roster);
        known.log = log;
        known.roster.restore(&plan, states);
        let live = Arc::new(Live::new(settings(&plan, &pools, &tls, &known.log)));
        let mut control = Self {
            origin,
            plan,
            tls,
            pools,
            known,
            checks: Checks::default(),
            live,
            watch: Watch::new(stamps),
            generation: 1,
            job: None,
            waiting: Waiting::default(),
        };
        control.check();
        control
    }

    pub(super) fn live(&self) -> Arc<Live<Settings>> {
        Arc::clone(&self.live)
    }

    pub(super) fn plan(&self) -> &Plan {
        &self.plan
    }

    pub(super) fn log(&self) -> Option<&AccessLog> {
        self.known.log.as_ref()
    }

    pub(super) fn view(&self) -> View {
        View {
            plan: Arc::clone(&self.plan),
            pools: self.pools.clone(),
            generation: self.generation,
            since_unix_ms: service::clock::unix_ms(),
        }
    }

    /// Backends that an operator has taken out.
    pub(super) fn admin_orders(&self) -> Vec<AdminOrder> {
        self.known.roster.orders(&self.plan)
    }

    /// Reads the configuration again as soon as nothing else is being prepared.
    pub(super) fn reload(&mut self, reply: Option<ReloadOrder>, board: &Board) {
        self.waiting.reload = true;
        self.waiting.replies.extend(reply);
        self.prepare_next(board);
    }

    /// Looks at what names resolve to now, likewise.
    pub(super) fn names_changed(&mut self, board: &Board) {
        self.waiting.names = true;
        self.prepare_next(board);
    }

    /// Does what has to be done from time to time; `look` says whether to look at files.
    pub(super) fn tick(&mut self, board: &Board, look: bool) {
        for pool in &self.pools {
            pool.tick(now_ms());
        }
        self.tell();
        board.set_leaving(self.known.roster.prune(&self.pools, &self.plan));
        if look && self.watch.has_changed() {
            tracing::info!("the configuration has changed: reading it again");
            self.reload(None, board);
        }
    }

    /// Checks backends no more, and changes nothing more: another process does.
    pub(super) fn retire(&mut self) {
        self.checks = Checks::default();
        self.known.discovery.retain(|_| false);
        if let Some(job) = self.job.take() {
            job.task.abort();
        }
    }

    /// Waits for what is being prepared, and does it. Dropping the future loses nothing.
    pub(super) async fn prepared(&mut self) -> Option<Result<Prepared, String>> {
        let Some(job) = &mut self.job else {
            return std::future::pending().await;
        };
        let outcome = (&mut job.task).await;
        outcome.ok()
    }

    /// Puts what was prepared into force, or says why not.
    pub(super) fn finish(&mut self, outcome: Option<Result<Prepared, String>>, board: &Board) {
        let reload = self.job.take().and_then(|job| job.reload);
        let outcome = outcome.unwrap_or_else(|| Err("preparing it failed".to_owned()));
        let outcome = outcome.map(|prepared| self.put_into_force(prepared, board));
        let used = Arc::clone(&self.plan);
        self.known.discovery.retain(|name| {
            let mut backends = used.pools.iter().flat_map(|pool| &pool.backends);
            backends.any(|at| host(at) == name)
        });
        if let Some(replies) = reload {
            self.report(outcome, replies, board);
        }
        self.prepare_next(board);
    }

    fn put_into_force(&mut self, prepared: Prepared, board: &Board) {
        let Prepared {
            plan,
            tls,
            log,
            members,
        } = prepared;
        self.pools = members.pools(&plan, &self.pools, &mut self.known.roster);
        self.plan = plan;
        self.tls = tls;
        self.known.log = log;
        self.live.set(settings(
            &self.plan,
            &self.pools,
            &self.tls,
            &self.known.log,
        ));
        self.generation += 1;
        board.set_leaving(self.known.roster.prune(&self.pools, &self.plan));
        board.set_view(self.view());
        self.check();
    }

    fn report(&self, outcome: Result<(), String>, replies: Vec<ReloadOrder>, board: &Board) {
        let generation = self.generation;
        match &outcome {
            Ok(()) => tracing::info!("reloaded: generation {generation}"),
            Err(error) => {
                tracing::error!("reload refused, generation {generation} stays: {error}");
            }
        }
        board.note(|progress| match &outcome {
            Ok(()) => {
                progress.reloads += 1;
                progress.reload_error = None;
            }
            Err(error) => {
                progress.reloads_failed += 1;
                progress.reload_error = Some(error.clone());
            }
        });
        for reply in replies {
            // Whoever asked may have gone.
            let _ = reply.send(outcome.clone().map(|()| generation));
        }
    }

    fn prepare_next(&mut self, board: &Board) {
        while self.job.is_none() {
            if std::mem::take(&mut self.waiting.reload) {
                let replies = std::mem::take(&mut self.waiting.replies);
                let before = self.watch.look();
                match self.origin.load() {
                    Ok(loaded) => {
                        let (plan, tls) = self.take_up(loaded, board);
                        self.start(plan, tls, Some(replies));
                    }
                    Err(error) => {
                        // Refused once is enough, until it changes again.
                        self.watch = Watch::new(before);
                        self.report(Err(error.to_string()), replies, board);
                    }
                }
            } else if std::mem::take(&mut self.waiting.names) {
                self.start(Arc::clone(&self.plan), self.tls.clone(), None);
            } else {
                return;
            }
        }
    }

    fn take_up(&mut self, loaded: Loaded, board: &Board) -> (Arc<Plan>, Option<Arc<Terminator>>) {
        loaded.warn();
        let Loaded {
            mut plan,
            tls,
            stamps,
        } = loaded;
        self.watch = Watch::new(stamps);
        self.known.discovery.refresh();
        let ignored = self.plan.fixed_differences(&plan);
        if !ignored.is_empty() {
            let keys = ignored.join(", ");
            tracing::warn!("cannot change while running, stays as it is: {keys}");
        }
        plan.fixed = self.plan.fixed.clone();
        board.note(|progress| progress.reload_ignored = ignored);
        (Arc::new(plan), tls)
    }

    fn start(
        &mut self,
        plan: Arc<Plan>,
        tls: Option<Arc<Terminator>>,
        reload: Option<Vec<ReloadOrder>>,
    ) {
        let task = tokio::spawn(Prepared::new(plan, tls, self.known.clone()));
        self.job = Some(Job { task, reload });
    }

    /// Checks the backends of the pools in force, as the plan says.
    fn check(&mut self) {
        let pools = self.pools.iter().zip(&self.plan.pools);
        let wanted = pools.flat_map(|(pool, plan)| {
            let backends = pool.backends().iter();
            backends.map(|backend| (Arc::clone(backend), plan.check.clone()))
        });
        self.checks.set(wanted);
    }

    /// Logs each change of a backend's status once.
    fn tell(&self) {
        for pool in &self.pools {
            for backend in pool.backends() {
                tell(pool.name(), backend);
            }
        }
    }
}

fn tell(pool: &str, backend: &Backend) {
    for change in backend.take_transitions() {
        let (name, from, to, why) = (backend.name(), change.from, change.to, change.why);
        if change.to.takes_connections() {
            tracing::info!("backend {name} of {pool} is {to}, was {from}: {why}");
        } else {
            tracing::warn!("backend {name} of {pool} is {to}, was {from}: {why}");
        }
    }
}
