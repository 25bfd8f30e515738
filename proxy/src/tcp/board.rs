//! Where everything is read off: by the admin endpoint, by SIGUSR1, while the control
//! loop goes on.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use balance::{AdminState, Backend, Pool};
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};

use super::access_log::LogCounters;
use super::clock::now_ms;
use super::members::Leaving;
use super::plan::Plan;
use super::pool_plan::Check;
use super::relay::{RelayCounters, RelayTotals};
use crate::discovery::Discovery;
use crate::plane::PlaneTotals;

/// An order to read the configuration again, and where to say how that went.
pub(super) type ReloadOrder = oneshot::Sender<Result<u64, String>>;

/// Everything that can be asked for.
pub(super) struct Board {
    /// Itself, for what goes on beside it.
    pub(super) this: Weak<Self>,
    pub(super) started: Instant,
    /// What to add to the monotonic clock for the time of day. Worked out once, so that a
    /// moment has the same time of day whenever it is told.
    pub(super) unix_offset_ms: u64,
    pub(super) sockets: Vec<(&'static str, String)>,
    pub(super) driver: &'static str,
    pub(super) threads: usize,
    pub(super) plane: Box<dyn Fn() -> PlaneTotals + Send + Sync>,
    pub(super) relay: Vec<Arc<RelayCounters>>,
    pub(super) log: Arc<LogCounters>,
    pub(super) discovery: Arc<Discovery>,
    pub(super) reloads: mpsc::Sender<ReloadOrder>,
    view: Mutex<Arc<View>>,
    leaving: Mutex<Vec<Leaving>>,
    progress: Mutex<Progress>,
    /// Enabled backends whose first check goes on, each with the number of its order.
    enabling: Mutex<Vec<(u64, Arc<Backend>)>>,
    orders: AtomicU64,
}

/// What is in force.
pub(super) struct View {
    pub(super) plan: Arc<Plan>,
    pub(super) pools: Vec<Arc<Pool>>,
    /// Goes up by one with each change.
    pub(super) generation: u64,
    pub(super) since_unix_ms: u64,
}

/// How reloads and upgrades went.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Progress {
    /// `running`, `draining`, or `handed over`.
    pub(super) phase: Phase,
    /// Reloads that were carried out.
    pub(super) reloads: u64,
    /// Reloads that were refused.
    pub(super) reloads_failed: u64,
    /// Why the last reload was refused, if it was.
    pub(super) reload_error: Option<String>,
    /// What the last reload could not change.
    pub(super) reload_ignored: Vec<&'static str>,
    /// Upgrades that failed.
    pub(super) upgrades_failed: u64,
    /// Why the last upgrade failed, if it did.
    pub(super) upgrade_error: Option<String>,
    /// The process that took over.
    pub(super) successor: Option<u32>,
    /// The process that we took over from.
    pub(super) predecessor: Option<u32>,
}

/// What the process is at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Phase {
    /// It takes connections.
    #[default]
    Running,
    /// It lets open connections finish.
    Draining,
    /// It does so, and a successor takes connections.
    HandedOver,
}

/// What the board is made from.
pub(super) struct Parts {
    pub(super) sockets: Vec<(&'static str, String)>,
    pub(super) driver: &'static str,
    pub(super) threads: usize,
    pub(super) plane: Box<dyn Fn() -> PlaneTotals + Send + Sync>,
    pub(super) relay: Vec<Arc<RelayCounters>>,
    pub(super) log: Arc<LogCounters>,
    pub(super) discovery: Arc<Discovery>,
    pub(super) reloads: mpsc::Sender<ReloadOrder>,
    pub(super) predecessor: Option<u32>,
}

impl Board {
    pub(super) fn new(parts: Parts, view: View) -> Arc<Self> {
        let progress = Progress {
            predecessor: parts.predecessor,
            ..Progress::default()
        };
        Arc::new_cyclic(|this| Self {
            this: Weak::clone(this),
            started: Instant::now(),
            unix_offset_ms: service::clock::unix_ms().saturating_sub(now_ms()),
            sockets: parts.sockets,
            driver: parts.driver,
            threads: parts.threads,
            plane: parts.plane,
            relay: parts.relay,
            log: parts.log,
            discovery: parts.discovery,
            reloads: parts.reloads,
            view: Mutex::new(Arc::new(view)),
            leaving: Mutex::default(),
            progress: Mutex::new(progress),
            enabling: Mutex::default(),
            orders: AtomicU64::new(0),
        })
    }

    pub(super) fn view(&self) -> Arc<View> {
        Arc::clone(&lock(&self.view))
    }

    pub(super) fn set_view(&self, view: View) {
        *lock(&self.view) = Arc::new(view);
    }

    /// Backends that are in no pool any more and still have connections.
    pub(super) fn leaving(&self) -> Vec<Leaving> {
        lock(&self.leaving).clone()
    }

    pub(super) fn set_leaving(&self, leaving: Vec<Leaving>) {
        *lock(&self.leaving) = leaving;
    }

    pub(super) fn progress(&self) -> Progress {
        lock(&self.progress).clone()
    }

    pub(super) fn note(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut lock(&self.progress));
    }

    pub(super) fn relay_totals(&self) -> RelayTotals {
        RelayTotals::of(&self.relay)
    }

    /// Drains, disables or enables a backend. One that was disabled has to be checked
    /// before anybody can pick it: then it drains until [`enable`](Self::enable), with the
    /// number that this returns.
    pub(super) fn set_admin(
        &self,
        backend: &Arc<Backend>,
        state: AdminState,
        is_checked: bool,
    ) -> Option<u64> {
        let mut enabling = lock(&self.enabling);
        // A later order is what counts.
        enabling.retain(|(_, other)| !Arc::ptr_eq(other, backend));
        let was_disabled = backend.admin_state() == AdminState::Disabled;
        if !is_checked || state != AdminState::Enabled || !was_disabled {
            backend.set_admin(state, now_ms());
            return None;
        }
        let number = self.orders.fetch_add(1, Ordering::Relaxed);
        backend.set_admin(AdminState::Draining, now_ms());
        enabling.push((number, Arc::clone(backend)));
        Some(number)
    }

    /// The check is over: enables the backend, unless another order has come meanwhile.
    /// Says whether it did.
    pub(super) fn enable(&self, number: u64) -> bool {
        let mut enabling = lock(&self.enabling);
        let position = enabling.iter().position(|(other, _)| *other == number);
        let Some(at) = position else { return false };
        let (_, backend) = enabling.swap_remove(at);
        backend.set_admin(AdminState::Enabled, now_ms());
        true
    }

    /// Every backend of this name, in one pool or in all of them, and how it is checked.
    pub(super) fn find(
        &self,
        pool: Option<&str>,
        name: &str,
    ) -> Vec<(Arc<Backend>, Option<Check>)> {
        let view = self.view();
        let pools = view.pools.iter().zip(&view.plan.pools);
        let pools = pools.filter(|(other, _)| pool.is_none_or(|pool| other.name() == pool));
        let backends = pools.flat_map(|(pool, plan)| {
            let found = pool.backends().iter().filter(|one| is_called(one, name));
            found.map(|backend| (Arc::clone(backend), plan.check.clone()))
        });
        backends.collect()
    }
}

/// By its name, or by its address.
fn is_called(backend: &Backend, name: &str) -> bool {
    backend.name() == name || backend.addr().to_string() == name
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
