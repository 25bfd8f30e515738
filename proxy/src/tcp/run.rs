//! The control plane of `proxy tcp`: once everything has started, it waits for signals and
//! orders, beside the traffic and never in its way.

use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use super::args::TcpArgs;
use super::board::{Phase, ReloadOrder};
use super::load::Origin;
use super::start::Proxy;
use super::upgrade::{Inherited, Program};
use super::{keepalive, metrics};
use crate::plane::{Backlog, Plane};

/// How often backends are looked at for changes to tell, and how many of these times it
/// takes until files are looked at.
const TICK: Duration = Duration::from_millis(100);
const TICKS_PER_LOOK: u32 = 10;

/// How long the last lines may take to be read or written.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Runs the proxy until it is told to stop.
///
/// # Errors
/// What kept it from starting, or that a worker failed.
pub(crate) fn run(args: TcpArgs) -> Result<ExitCode> {
    let program = Program::current().context("cannot tell where this program is")?;
    let origin = Origin {
        config: args.config,
        flags: args.options,
    };
    let loaded = match origin.load() {
        Ok(loaded) => loaded,
        Err(error) => return Ok(service::cli::exit(Err(error), service::cli::USAGE)),
    };
    service::logging::init(loaded.plan.fixed.log_level);
    loaded.warn();
    service::limits::raise_descriptors();
    let inherited = Inherited::take()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let started = Proxy::start(origin, loaded, inherited, program).await?;
        let Some(mut proxy) = started else {
            // Told to stop before it was ready.
            return Ok(ExitCode::SUCCESS);
        };
        proxy.announce(args.ready_fd)?;
        proxy.serve().await
    })
}

impl Proxy {
    async fn serve(mut self) -> Result<ExitCode> {
        let board = Arc::clone(&self.board);
        let discovery = Arc::clone(&board.discovery);
        let mut plane = self.plane.take().context("it runs once")?;
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut tick = 0_u32;
        let mut told_to_stop = false;
        let mut ends: Option<Instant> = None;
        loop {
            let left = ends.map_or(Duration::MAX, |at| at.duration_since(Instant::now()));
            tokio::select! {
                _ = ticks.tick() => {
                    tick = tick.wrapping_add(1);
                    let look = tick.is_multiple_of(TICKS_PER_LOOK);
                    self.control.tick(&board, look && board.progress().phase == Phase::Running);
                }
                _ = self.signals.metrics.recv() => self.printer.print(metrics::lines(&board)),
                _ = self.signals.reload.recv() => {
                    if let Some(log) = self.control.log() {
                        log.reopen();
                    }
                    self.reload(None);
                }
                Some(reply) = self.reloads.recv() => self.reload(Some(reply)),
                () = discovery.changed.notified() => self.control.names_changed(&board),
                outcome = self.control.prepared() => {
                    self.control.finish(outcome, &board);
                    self.changed(&plane);
                }
                _ = self.signals.upgrade.recv() => self.start_upgrade(),
                outcome = finished(&mut self.upgrade) => {
                    if self.end_upgrade(outcome) {
                        plane.drain(Backlog::Leave);
                        let grace = self.control.plan().upgrade_grace;
                        ends = (!grace.is_zero()).then(|| Instant::now() + grace);
                    }
                }
                _ = self.signals.stop.next() => {
                    if told_to_stop {
                        tracing::info!("told again: ending now");
                        break;
                    }
                    told_to_stop = true;
                    let grace = self.control.plan().grace;
                    tracing::info!("draining, for {grace:?} at most");
                    ends = Some(Instant::now() + grace);
                    self.drain(&plane);
                }
                outcome = plane.finished() => {
                    outcome.context("a worker failed")?;
                    break;
                }
                () = tokio::time::sleep(left) => {
                    tracing::info!("connections were still open at the end of the grace time");
                    break;
                }
            }
        }
        plane.stop();
        self.end().await;
        Ok(ExitCode::SUCCESS)
    }

    fn reload(&mut self, reply: Option<ReloadOrder>) {
        if self.board.progress().phase == Phase::Running {
            self.control.reload(reply, &self.board);
        }
    }

    /// Something else is in force now.
    fn changed(&self, plane: &Plane) {
        let plan = self.control.plan();
        plane.set_max_connections(plan.max_connections as usize);
        if let Some(listen) = &self.listen {
            let set = keepalive::replace(listen.as_fd(), plan.keepalive, plan.user_timeout);
            if let Err(error) = set {
                tracing::warn!("cannot set keep-alive: {error}");
            }
        }
    }

    /// Takes no more connections, unless a successor does already.
    fn drain(&mut self, plane: &Plane) {
        if self.board.progress().phase == Phase::Running {
            self.board.note(|progress| progress.phase = Phase::Draining);
            self.listen = None;
            plane.drain(Backlog::Take);
        }
    }

    fn start_upgrade(&mut self) {
        let running = self.board.progress().phase == Phase::Running;
        if !running || self.upgrade.is_some() {
            tracing::warn!("no upgrade now: another one or the end is on its way");
            return;
        }
        let sockets = (|| {
            let listen = self.listen.as_ref().map(OwnedFd::try_clone).transpose()?;
            let admin = self.admin.as_ref().map(OwnedFd::try_clone).transpose()?;
            std::io::Result::Ok(listen.map(|listen| (listen, admin)))
        })();
        let (listen, admin) = match sockets {
            Ok(Some(sockets)) => sockets,
            Ok(None) => return,
            Err(error) => return self.upgrade_failed(&error.into()),
        };
        let (driver, states) = (self.board.driver, self.control.admin_orders());
        let program = self.program.clone();
        self.upgrade = Some(tokio::spawn(async move {
            program.succeed(listen, admin, driver, states).await
        }));
    }

    /// Says whether a successor serves.
    fn end_upgrade(&mut self, outcome: Result<u32>) -> bool {
        self.upgrade = None;
        match outcome {
            Ok(pid) if self.board.progress().phase == Phase::Running => {
                tracing::info!("process {pid} has taken over; open connections finish here");
                self.board.note(|progress| {
                    progress.phase = Phase::HandedOver;
                    progress.successor = Some(pid);
                    progress.upgrade_error = None;
                });
                self.listen = None;
                self.admin = None;
                self.stop_admin.cancel();
                self.control.retire();
                true
            }
            Ok(pid) => {
                tracing::info!("process {pid} has taken over while this one was ending");
                self.board.note(|progress| progress.successor = Some(pid));
                false
            }
            Err(error) => {
                self.upgrade_failed(&error);
                false
            }
        }
    }

    fn upgrade_failed(&self, error: &anyhow::Error) {
        tracing::error!("upgrade failed, this process goes on: {error:#}");
        self.board.note(|progress| {
            progress.upgrades_failed += 1;
            progress.upgrade_error = Some(format!("{error:#}"));
        });
    }

    async fn end(mut self) {
        if let Some(log) = self.control.log() {
            log.flush(LAST_WORDS);
        }
        self.printer.finish(LAST_WORDS);
        self.control.retire();
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// The outcome of an upgrade that is under way.
async fn finished(upgrade: &mut Option<JoinHandle<Result<u32>>>) -> Result<u32> {
    match upgrade {
        Some(task) => task.await.unwrap_or_else(|error| Err(error.into())),
        None => std::future::pending().await,
    }
}
