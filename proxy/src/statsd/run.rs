//! Starting, and then waiting for signals, checks and refusals beside the traffic.

use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use service::addr::HostPort;
use service::admin::{self, Routes};
use service::ready::Ready;
use service::signals::StopSignals;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::args::{StatsdArgs, StatsdCommand};
use super::board::Board;
use super::control::{self, Control};
use super::nodes::{Event, Members};
use super::plan::{Origin, Plan};
use super::worker::{Notice, Workers, WorkersConfig};
use super::{management, route, sockets, state};
use crate::discovery::{Bounds, Discovery};
use crate::live::Live;
use crate::printer::Printer;
use crate::watch::Stamps;

/// How often the file is looked at for changes.
const LOOK: Duration = Duration::from_secs(1);

/// Most that is heard of nodes before workers are told: a thousand nodes that go down
/// together are one change, and all else has its turn in between.
const AT_ONCE: usize = 1_024;

/// How long the last statistics may take to be read.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Shortest and longest time between look-ups of a node's name.
const LOOK_UPS: Bounds = Bounds {
    least: Duration::from_secs(1),
    most: Duration::from_secs(60),
};

/// Runs the proxy until it is told to stop, or tells where keys go.
///
/// # Errors
/// What kept it from starting, or that a worker failed.
pub(crate) fn run(mut args: StatsdArgs) -> Result<ExitCode> {
    if let Some(StatsdCommand::Route(args)) = args.command.take() {
        return route::run(args);
    }
    let ready_fd = args.ready_fd;
    let origin = Origin::new(args);
    // Before it is read, so that no change is missed.
    let stamps = origin.config.clone().map(|file| Stamps::of([file]));
    let planned = match origin.plan() {
        Ok(planned) => planned,
        Err(error) => {
            let error = Err::<ExitCode, _>(error);
            return Ok(service::cli::exit(error, service::cli::USAGE));
        }
    };
    service::logging::init(planned.plan.fixed.log_level);
    for warning in &planned.warnings {
        tracing::warn!("{warning}");
    }
    service::limits::raise_descriptors();
    let stamps = stamps.filter(|_| planned.watch);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut signals = Signals::listen()?;
        let starting = Proxy::start(origin, planned.plan, stamps);
        let proxy = tokio::select! {
            proxy = starting => proxy?,
            // Told to stop before it was ready.
            _ = signals.stop.next() => return Ok(ExitCode::SUCCESS),
        };
        Ready::new("proxy statsd", proxy.board.sockets.clone())
            .announce(ready_fd)
            .context("cannot announce readiness")?;
        proxy.serve(signals).await
    })
}

struct Signals {
    stop: StopSignals,
    statistics: Signal,
    reload: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            stop: StopSignals::listen()?,
            statistics: signal(SignalKind::user_defined1())?,
            reload: signal(SignalKind::hangup())?,
        })
    }
}

/// A proxy that runs.
struct Proxy {
    board: Arc<Board>,
    control: Control,
    events: UnboundedReceiver<Event>,
    notices: UnboundedReceiver<Notice>,
    tasks: TaskTracker,
    stop: CancellationToken,
    printer: Printer,
}

/// Everything that listens.
struct Listening {
    udp: Vec<OwnedFd>,
    tcp: Option<OwnedFd>,
    management: OwnedFd,
    admin: Option<OwnedFd>,
    /// Where, by role.
    sockets: Vec<(&'static str, String)>,
}

impl Listening {
    fn open(plan: &Plan) -> Result<Self> {
        let fixed = &plan.fixed;
        let mut sockets = Vec::new();
        let mut udp = Vec::new();
        if fixed.udp {
            udp = sockets::udp(&fixed.listen, fixed.threads, fixed.receive_buffer)?;
            let at = eventloop::net::local_addr(udp[0].as_fd())?;
            sockets.push(("listen", at.to_string()));
        }
        let mut tcp = None;
        if fixed.tcp {
            let (listener, at) = sockets::tcp(&fixed.listen, udp.first())?;
            sockets.push(("listen-tcp", at.to_string()));
            tcp = Some(listener);
        }
        let (management, at) =
            service::addr::listen(&fixed.management).context("the management port")?;
        sockets.push(("management", at.to_string()));
        let admin = fixed.admin.as_ref().map(admin::bind).transpose()?;
        let admin = admin.map(|(listener, at)| {
            sockets.push(("admin", at.to_string()));
            listener
        });
        Ok(Self {
            udp,
            tcp,
            management,
            admin,
            sockets,
        })
    }
}

impl Proxy {
    /// Opens the sockets, looks at the nodes, and only then takes lines: those that come
    /// meanwhile wait in the kernel.
    async fn start(origin: Origin, plan: Plan, watched: Option<Stamps>) -> Result<Self> {
        let listening = Listening::open(&plan)?;
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let resolver = plan.fixed.resolver.as_ref();
        let resolver = resolver.map(HostPort::connect_candidates).transpose()?;
        let resolver = resolver.and_then(|found| found.into_iter().next());
        let discovery = Discovery::new(resolver, LOOK_UPS, stop.clone());
        let discovery = Arc::new(discovery.context("cannot set up the resolver")?);
        let found = control::find_all(&discovery, plan.nodes.clone(), plan.checks).await;
        let (event, events) = unbounded_channel();
        let mut members = Members::new(plan.checks, event);
        members.replace(&plan, Arc::new(plan.ring()), found);
        let settings = members.settings(&plan);
        let up = settings.up.iter().filter(|up| **up).count();
        let live = Arc::new(Live::new(settings));
        let (notice, notices) = unbounded_channel();
        let workers = Workers::start(WorkersConfig {
            udp: listening.udp,
            tcp: listening.tcp,
            live: Arc::clone(&live),
            notices: notice,
        })
        .context("cannot start the workers")?;
        let at: Vec<_> = listening
            .sockets
            .iter()
            .map(|(role, at)| format!("{role} {at}"))
            .collect();
        tracing::info!(
            "{}; {up} of {} nodes up, {} threads",
            at.join(", "),
            plan.nodes.len(),
            plan.fixed.threads
        );
        let file = origin
            .config
            .as_ref()
            .map(|file| file.display().to_string());
        let board = Board::new(listening.sockets, members, plan, workers, file);
        let board = Arc::new(board);
        management::serve(
            listening.management,
            Arc::clone(&board),
            &tasks,
            stop.clone(),
        )?;
        if let Some(admin) = listening.admin {
            let routes = Arc::clone(&board) as Arc<dyn Routes>;
            admin::serve(admin, routes, &tasks, stop.clone())?;
        }
        Ok(Self {
            control: Control::new(origin, watched, Arc::clone(&board), live, discovery),
            board,
            events,
            notices,
            tasks,
            stop,
            printer: Printer::start().context("cannot start the printer")?,
        })
    }

    async fn serve(mut self, mut signals: Signals) -> Result<ExitCode> {
        let discovery = self.control.discovery();
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let (mut events, mut notices) = (Vec::new(), Vec::new());
        let failed = loop {
            tokio::select! {
                _ = signals.stop.next() => break None,
                _ = signals.statistics.recv() => self.printer.print(state::line(&self.board)),
                _ = signals.reload.recv() => self.control.reload(),
                _ = looks.tick() => self.control.look_at_file(),
                () = discovery.changed.notified() => self.control.names_changed(),
                1.. = self.events.recv_many(&mut events, AT_ONCE) => {
                    self.control.checked(events.drain(..));
                }
                prepared = self.control.prepared() => self.control.finish(prepared),
                1.. = self.notices.recv_many(&mut notices, AT_ONCE) => {
                    if let Err(error) = self.control.noticed(notices.drain(..)) {
                        break Some(error);
                    }
                }
            }
        };
        self.board.stop_workers();
        self.printer.print(state::line(&self.board));
        self.printer.finish(LAST_WORDS);
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        match failed {
            Some(error) => Err(error).context("a worker failed"),
            None => Ok(ExitCode::SUCCESS),
        }
    }
}
