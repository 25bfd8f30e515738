//! Where everything is read off: by the management port, the admin endpoint, SIGUSR1.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde::Serialize;

use super::nodes::Members;
use super::plan::Plan;
use super::worker::{Totals, Workers};

/// Everything that can be asked for.
pub(super) struct Board {
    pub(super) started: Instant,
    /// Sockets, by role.
    pub(super) sockets: Vec<(&'static str, String)>,
    members: Mutex<Members>,
    plan: Mutex<Arc<Plan>>,
    crew: Mutex<Crew>,
    config: Mutex<ConfigState>,
    /// What the management port says of us: operators take a proxy out by it.
    says_up: AtomicBool,
}

/// The workers, or what they had counted when they ended.
enum Crew {
    Working(Workers),
    Ended(Totals),
}

/// How reading the configuration went.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct ConfigState {
    /// The file, if there is one.
    pub(super) file: Option<String>,
    /// Why what it says now is not in force, if it is not.
    pub(super) error: Option<String>,
    /// Times that it was read again and came into force.
    pub(super) reloads: u64,
    /// Times that it could not be used.
    pub(super) reloads_failed: u64,
    /// What it says now that takes a restart.
    pub(super) ignored: Vec<&'static str>,
}

impl Board {
    pub(super) fn new(
        sockets: Vec<(&'static str, String)>,
        members: Members,
        plan: Plan,
        workers: Workers,
        file: Option<String>,
    ) -> Self {
        Self {
            started: Instant::now(),
            sockets,
            members: Mutex::new(members),
            plan: Mutex::new(Arc::new(plan)),
            crew: Mutex::new(Crew::Working(workers)),
            config: Mutex::new(ConfigState {
                file,
                ..ConfigState::default()
            }),
            says_up: AtomicBool::new(true),
        }
    }

    pub(super) fn members(&self) -> MutexGuard<'_, Members> {
        lock(&self.members)
    }

    /// The plan in force.
    pub(super) fn plan(&self) -> Arc<Plan> {
        Arc::clone(&lock(&self.plan))
    }

    pub(super) fn set_plan(&self, plan: Plan) {
        *lock(&self.plan) = Arc::new(plan);
    }

    pub(super) fn config(&self) -> ConfigState {
        lock(&self.config).clone()
    }

    pub(super) fn note(&self, change: impl FnOnce(&mut ConfigState)) {
        change(&mut lock(&self.config));
    }

    /// What the workers have counted.
    pub(super) fn totals(&self) -> Totals {
        match &*lock(&self.crew) {
            Crew::Working(workers) => workers.totals(),
            Crew::Ended(totals) => *totals,
        }
    }

    /// Has workers look for new settings.
    pub(super) fn wake_workers(&self) {
        if let Crew::Working(workers) = &*lock(&self.crew) {
            workers.settings_changed();
        }
    }

    /// Has workers send everything and end. Takes as long as that takes.
    pub(super) fn stop_workers(&self) {
        let mut crew = lock(&self.crew);
        let ended = Crew::Ended(Totals::default());
        if let Crew::Working(workers) = std::mem::replace(&mut *crew, ended) {
            *crew = Crew::Ended(workers.stop());
        }
    }

    pub(super) fn says_up(&self) -> bool {
        self.says_up.load(Ordering::Relaxed)
    }

    pub(super) fn say_up(&self, up: bool) {
        self.says_up.store(up, Ordering::Relaxed);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
