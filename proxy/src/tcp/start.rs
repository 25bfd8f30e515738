//! Starting: sockets, backends, workers, in an order in which nothing is promised that
//! cannot be kept.

use std::hash::{BuildHasher, RandomState};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use anyhow::{Context, Result};
use service::addr::HostPort;
use service::admin::{self, Routes};
use service::ready::{InheritedFd, Ready};
use service::signals::StopSignals;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::board::{Board, Parts, ReloadOrder};
use super::control::Control;
use super::keepalive;
use super::listening::Listening;
use super::load::{Loaded, Origin};
use super::members::Roster;
use super::plan::Plan;
use super::prepare::{Known, Prepared};
use super::relay::{Relay, RelayCounters};
use super::upgrade::{Inherited, Program};
use crate::discovery::Discovery;
use crate::plane::{DriverChoice, Plane, PlaneConfig};
use crate::printer::Printer;

/// Reloads that may be asked for at a time.
const MAX_RELOADS: usize = 16;

/// Signals that do not end it.
pub(super) struct Signals {
    pub(super) stop: StopSignals,
    pub(super) metrics: Signal,
    pub(super) reload: Signal,
    pub(super) upgrade: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            stop: StopSignals::listen()?,
            metrics: signal(SignalKind::user_defined1())?,
            reload: signal(SignalKind::hangup())?,
            upgrade: signal(SignalKind::user_defined2())?,
        })
    }
}

/// A proxy that runs.
pub(super) struct Proxy {
    pub(super) signals: Signals,
    pub(super) control: Control,
    pub(super) board: Arc<Board>,
    pub(super) plane: Option<Plane>,
    pub(super) program: Program,
    /// To pass them on; closed as soon as connections are to be refused.
    pub(super) listen: Option<OwnedFd>,
    pub(super) admin: Option<OwnedFd>,
    pub(super) ready: Ready,
    pub(super) inherited_ready: Option<InheritedFd>,
    pub(super) reloads: mpsc::Receiver<ReloadOrder>,
    pub(super) upgrade: Option<JoinHandle<Result<u32>>>,
    pub(super) tasks: TaskTracker,
    pub(super) stop: CancellationToken,
    pub(super) stop_admin: CancellationToken,
    pub(super) printer: Printer,
}

impl Proxy {
    /// `None` means that it was told to stop meanwhile.
    pub(super) async fn start(
        origin: Origin,
        loaded: Loaded,
        inherited: Inherited,
        program: Program,
    ) -> Result<Option<Self>> {
        let mut signals = Signals::listen()?;
        let Loaded { plan, tls, stamps } = loaded;
        let plan = Arc::new(plan);
        let fixed = plan.fixed.clone();
        let listening = Listening::open(inherited.listen, &fixed.listen)?;
        let admin_at = fixed.admin.as_ref();
        let admin = admin_at.map(|at| Listening::open(inherited.admin, at));
        let admin = admin.transpose()?;
        keepalive::replace(listening.socket.as_fd(), plan.keepalive, plan.user_timeout)
            .context("cannot set keep-alive")?;

        let stop = CancellationToken::new();
        let resolver = fixed.resolver.as_ref().map(HostPort::connect_candidates);
        let resolver = resolver
            .transpose()?
            .and_then(|found| found.into_iter().next());
        let discovery = Discovery::new(resolver, fixed.resolve_interval, stop.clone())
            .context("cannot set up the resolver")?;
        let known = Known {
            roster: Roster::default(),
            discovery: Arc::new(discovery),
            log: None,
            log_counters: Arc::default(),
        };
        let preparing = Prepared::new(Arc::clone(&plan), tls, known.clone());
        let prepared = tokio::select! {
            prepared = preparing => prepared.map_err(anyhow::Error::msg)?,
            _ = signals.stop.next() => return Ok(None),
        };
        let log_counters = Arc::clone(&known.log_counters);
        let discovery = Arc::clone(&known.discovery);
        let control = Control::new(origin, stamps, prepared, known, &inherited.states);

        let threads = fixed.threads.map_or_else(
            || std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get),
            |threads| threads as usize,
        );
        let relay: Vec<Arc<RelayCounters>> = (0..threads).map(|_| Arc::default()).collect();
        let live = control.live();
        let seed = RandomState::new().hash_one(std::process::id());
        let driver = if inherited.by_epoll {
            DriverChoice::Epoll
        } else {
            fixed.driver
        };
        let config = PlaneConfig {
            threads,
            driver,
            max_connections: plan.max_connections as usize,
        };
        let listen = listening.socket.try_clone()?;
        let plane = Plane::start(&config, listening.socket, |worker| {
            let seed = seed.wrapping_add(worker as u64);
            Relay::new(Arc::clone(&live), Arc::clone(&relay[worker]), seed)
        })
        .context("cannot start the workers")?;

        let mut sockets = vec![("listen", listening.at.to_string())];
        sockets.extend(admin.as_ref().map(|admin| ("admin", admin.at.to_string())));
        let ready = Ready::new("proxy tcp", sockets.clone());
        let (order, reloads) = mpsc::channel(MAX_RELOADS);
        let parts = Parts {
            sockets,
            driver: plane.driver(),
            threads,
            plane: Box::new(plane.totals()),
            relay,
            log: log_counters,
            discovery,
            reloads: order,
            predecessor: inherited.from,
        };
        let board = Board::new(parts, control.view());
        let (tasks, stop_admin) = (TaskTracker::new(), stop.child_token());
        let mut admin_socket = None;
        if let Some(Listening { socket, .. }) = admin {
            rustix::io::ioctl_fionbio(&socket, true)?;
            admin_socket = Some(socket.try_clone()?);
            let routes = Arc::clone(&board) as Arc<dyn Routes>;
            admin::serve(socket, routes, &tasks, stop_admin.clone())?;
        }
        let (driver, backends) = (plane.driver(), count(&control));
        tracing::info!(
            "listening on {}, {backends}, {threads} workers on {driver}",
            listening.at
        );
        Ok(Some(Self {
            signals,
            control,
            board,
            plane: Some(plane),
            program,
            listen: Some(listen),
            admin: admin_socket,
            ready,
            inherited_ready: inherited.ready,
            reloads,
            upgrade: None,
            tasks,
            stop,
            stop_admin,
            printer: Printer::start().context("cannot start the printer")?,
        }))
    }

    /// Says that it is ready, to whoever waits for it.
    pub(super) fn announce(&mut self, ready_fd: Option<InheritedFd>) -> Result<()> {
        let inherited = self.inherited_ready.take();
        self.ready
            .announce(inherited)
            .context("cannot tell the predecessor")?;
        self.ready
            .announce(ready_fd)
            .context("cannot announce readiness")
    }
}

fn count(control: &Control) -> String {
    let view = control.view();
    let plan: &Plan = &view.plan;
    let backends: usize = view.pools.iter().map(|pool| pool.backends().len()).sum();
    match &plan.pools[..] {
        [pool] => format!("balancing over {backends} backends by {}", pool.balance),
        pools => format!(
            "balancing over {backends} backends in {} pools",
            pools.len()
        ),
    }
}
