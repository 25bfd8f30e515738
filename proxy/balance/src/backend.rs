//! One server: its load, its health, its counters.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::counters::{BackendCounters, count};
use crate::ejection::Trouble;
use crate::ewma::PeakEwma;
use crate::gate::{Gate, View};
use crate::health::Health;
use crate::histogram::Histogram;
use crate::journal::Transition;
use crate::spec::{AdminState, BackendSpec, HealthPolicy, MAX_WEIGHT};
use crate::status::{CheckState, Status};

/// The time in which a remembered latency decays to 1/e: Finagle's and Linkerd's default.
const TAU_MS: u32 = 10_000;

/// `max_connections` when there is no limit.
const NO_LIMIT: u32 = u32::MAX;

/// `next_change_ms` when nothing changes by time alone.
const NEVER: u64 = u64::MAX;

/// A backend, shared by the workers that dial it, the checks that watch it and the operator.
///
/// It outlives reloads of the configuration: put the same one into the next
/// [`Pool`](crate::Pool), after [`reconfigure`](Self::reconfigure), and its connections,
/// counters and health go on. `now_ms` is always of one monotonic clock.
///
/// Report only what is the backend's doing: a dial that failed because the proxy ran out
/// of ports or descriptors is not.
#[derive(Debug)]
pub struct Backend {
    name: String,
    addr: SocketAddr,
    weight: AtomicU32,
    max_connections: AtomicU32,
    gate: Gate,
    next_change_ms: AtomicU64,
    /// Whether a dial that succeeds, or a first byte, would change the health: else the
    /// lock is not taken for it.
    minds_dials: AtomicBool,
    minds_resets: AtomicBool,
    active: AtomicU32,
    connect_latency: PeakEwma,
    first_byte_latency: PeakEwma,
    counters: BackendCounters,
    connect_histogram: Histogram,
    check_histogram: Histogram,
    health: Mutex<Health>,
}

impl Backend {
    /// A backend that nothing is known of yet.
    pub fn new(spec: BackendSpec, policy: HealthPolicy) -> Arc<Self> {
        let health = Health::new(policy);
        let backend = Self {
            name: spec.name,
            addr: spec.addr,
            weight: AtomicU32::new(spec.weight.clamp(1, MAX_WEIGHT)),
            max_connections: AtomicU32::new(spec.max_connections.unwrap_or(NO_LIMIT)),
            gate: Gate::new(&health.view()),
            next_change_ms: AtomicU64::new(NEVER),
            minds_dials: AtomicBool::new(false),
            minds_resets: AtomicBool::new(false),
            active: AtomicU32::new(0),
            connect_latency: PeakEwma::new(TAU_MS),
            first_byte_latency: PeakEwma::new(TAU_MS),
            counters: BackendCounters::default(),
            connect_histogram: Histogram::default(),
            check_histogram: Histogram::default(),
            health: Mutex::new(health),
        };
        Arc::new(backend)
    }

    /// Its name in logs and metrics.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where to connect.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its share against the others'. A pool reads it when it is made.
    pub fn weight(&self) -> u32 {
        self.weight.load(Ordering::Relaxed)
    }

    /// The most connections at once.
    pub fn max_connections(&self) -> Option<u32> {
        let limit = self.max_connections.load(Ordering::Relaxed);
        (limit != NO_LIMIT).then_some(limit)
    }

    /// What it was told to be, as of the last [`reconfigure`](Self::reconfigure).
    pub fn spec(&self) -> BackendSpec {
        BackendSpec {
            name: self.name.clone(),
            addr: self.addr,
            weight: self.weight(),
            max_connections: self.max_connections(),
        }
    }

    /// When it counts as down or up.
    pub fn policy(&self) -> HealthPolicy {
        self.health().policy()
    }

    /// Takes over what may change while it runs: weight and limit from a new spec (whose
    /// name and address are not looked at), and the policy. Connections above a lowered
    /// limit stay.
    pub fn reconfigure(&self, spec: &BackendSpec, policy: HealthPolicy, now_ms: u64) {
        self.weight
            .store(spec.weight.clamp(1, MAX_WEIGHT), Ordering::Relaxed);
        self.max_connections
            .store(spec.max_connections.unwrap_or(NO_LIMIT), Ordering::Relaxed);
        self.change(|health| health.set_policy(policy, now_ms));
    }

    /// Its state at a moment; takes no lock.
    pub fn status(&self, now_ms: u64) -> Status {
        self.view().status(now_ms)
    }

    /// What the operator wants of it.
    pub fn admin_state(&self) -> AdminState {
        self.view().admin
    }

    /// What the active checks say, whatever else shows in the [`status`](Self::status).
    pub fn check_state(&self) -> CheckState {
        self.view().check
    }

    /// Drains, disables or enables it.
    pub fn set_admin(&self, state: AdminState, now_ms: u64) {
        self.change(|health| health.set_admin(state, now_ms));
    }

    /// An active check passed. The first result of all decides at once, then `rise` in a
    /// row bring a backend up that is down. As many also end an ejection for failed dials.
    pub fn check_passed(&self, now_ms: u64) {
        count(&self.counters.checks_passed);
        self.change(|health| health.check_passed(now_ms));
    }

    /// An active check failed. The first result of all decides at once, then `fall` in a
    /// row take a backend down.
    pub fn check_failed(&self, now_ms: u64, why: &str) {
        count(&self.counters.checks_failed);
        self.change(|health| health.check_failed(now_ms, why));
    }

    /// It is no longer checked: what checks have said is forgotten, so that a backend that
    /// was down is not so for ever.
    pub fn checks_stopped(&self, now_ms: u64) {
        self.change(|health| health.checks_stopped(now_ms));
    }

    /// A dial succeeded.
    pub fn dial_succeeded(&self, now_ms: u64, took_us: u64) {
        count(&self.counters.connections);
        self.connect_histogram.record(took_us);
        self.connect_latency.observe(now_ms, took_us);
        if self.minds_dials.load(Ordering::Relaxed) {
            self.change(|health| health.succeeded(Trouble::Dial, now_ms));
        }
    }

    /// A dial failed: refused, unreachable, reset.
    pub fn dial_failed(&self, now_ms: u64, why: &str) {
        count(&self.counters.dial_failures);
        self.failed(Trouble::Dial, now_ms, why);
    }

    /// A dial was given up after that time, which counts as a failure and as latency.
    pub fn dial_timed_out(&self, now_ms: u64, took_us: u64) {
        count(&self.counters.dial_failures);
        count(&self.counters.dial_timeouts);
        self.connect_latency.observe(now_ms, took_us);
        self.failed(Trouble::Dial, now_ms, "timed out");
    }

    /// The backend reset a connection. Only before its first byte does that speak against it:
    /// later it may be the way in which its protocol ends.
    pub fn was_reset(&self, now_ms: u64, before_first_byte: bool) {
        count(&self.counters.resets);
        if before_first_byte {
            self.failed(Trouble::Reset, now_ms, "connection reset");
        }
    }

    /// The first byte of a connection came from the backend, that long after the first byte
    /// was sent to it, or after the connect where it speaks first.
    pub fn first_byte(&self, now_ms: u64, took_us: u64) {
        self.first_byte_latency.observe(now_ms, took_us);
        self.ended_well(now_ms);
    }

    /// A connection ended in order without a byte from the backend: as good as a
    /// [`first_byte`](Self::first_byte) against the resets counted so far.
    pub fn ended_well(&self, now_ms: u64) {
        if self.minds_resets.load(Ordering::Relaxed) {
            self.change(|health| health.succeeded(Trouble::Reset, now_ms));
        }
    }

    /// Takes note of what has changed by time alone: an ejection or a slow start that is
    /// over. Cheap when nothing has; picking is right without it, only the history lags.
    pub fn tick(&self, now_ms: u64) {
        if self.next_change_ms.load(Ordering::Relaxed) <= now_ms {
            self.change(|health| health.advance(now_ms));
        }
    }

    /// Connections that are open or being dialled.
    pub fn active(&self) -> u32 {
        self.active.load(Ordering::Relaxed)
    }

    /// The peak-EWMA of the connect time and of the time to the first byte, together, in
    /// microseconds; `None` before anything was measured.
    pub fn latency_us(&self, now_ms: u64) -> Option<f32> {
        let connect = self.connect_latency.get(now_ms);
        let first_byte = self.first_byte_latency.get(now_ms);
        match (connect, first_byte) {
            (None, None) => None,
            (connect, first_byte) => Some(connect.unwrap_or(0.0) + first_byte.unwrap_or(0.0)),
        }
    }

    /// What is counted; the fields say which of them are the caller's to add to.
    pub fn counters(&self) -> &BackendCounters {
        &self.counters
    }

    /// How long the dials took that succeeded.
    pub fn connect_histogram(&self) -> &Histogram {
        &self.connect_histogram
    }

    /// How long active checks took; the caller records them.
    pub fn check_histogram(&self) -> &Histogram {
        &self.check_histogram
    }

    /// The last [`HISTORY`](crate::HISTORY) changes of status, oldest first.
    pub fn history(&self) -> Vec<Transition> {
        self.health().journal().history()
    }

    /// The changes of status since the last call, oldest first: each is handed out once.
    /// [`tick`](Self::tick) first.
    pub fn take_transitions(&self) -> Vec<Transition> {
        self.health().journal().take()
    }

    pub(crate) fn view(&self) -> View {
        self.gate.view()
    }

    /// Whether it has reached its limit.
    pub(crate) fn is_full(&self) -> bool {
        self.active() >= self.max_connections.load(Ordering::Relaxed)
    }

    /// One more connection, unless its limit or `bound` are reached.
    pub(crate) fn add_active(&self, bound: u32) -> bool {
        let limit = self.max_connections.load(Ordering::Relaxed).min(bound);
        self.active
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |active| {
                (active < limit).then_some(active + 1)
            })
            .is_ok()
    }

    pub(crate) fn remove_active(&self) {
        self.active.fetch_sub(1, Ordering::Relaxed);
    }

    fn failed(&self, trouble: Trouble, now_ms: u64, why: &str) {
        if self.change(|health| health.failed(trouble, now_ms, why)) {
            count(&self.counters.ejections);
        }
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        // Nothing in it panics half-way; whoever held it and did leaves it whole.
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the health, and publishes what picking reads of it.
    fn change<T>(&self, change: impl FnOnce(&mut Health) -> T) -> T {
        let mut health = self.health();
        let changed = change(&mut health);
        self.gate.set(&health.view());
        self.next_change_ms
            .store(health.next_change_ms().unwrap_or(NEVER), Ordering::Relaxed);
        self.minds_dials
            .store(health.minds(Trouble::Dial), Ordering::Relaxed);
        self.minds_resets
            .store(health.minds(Trouble::Reset), Ordering::Relaxed);
        self.counters
            .transitions
            .store(health.journal().written(), Ordering::Relaxed);
        changed
    }
}
