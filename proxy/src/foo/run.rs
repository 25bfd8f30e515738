//! The control plane of `proxy foo`: it opens the sockets, starts the workers, and then
//! waits for signals, beside the traffic and never in its way.

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use service::admin::{self, Reply, Routes};
use service::ready::Ready;
use service::signals::StopSignals;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::args::FooArgs;
use super::counters::{FooCounters, FooTotals};
use super::rates::{BUCKET, Sample, Windows};
use super::shield::Shield;
use super::stats::Stats;
use crate::plane::{Backlog, Limits, Plane, PlaneConfig, PlaneTotals};
use crate::printer::Printer;

/// No longer than this, however long was asked for: the clock must be able to say when.
const LONGEST_GRACE: Duration = Duration::from_secs(365 * 24 * 3600);

/// How long the last statistics may take to be read.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Runs the proxy until it is told to stop.
///
/// # Errors
/// What kept it from starting, or that a worker failed.
pub(crate) fn run(args: FooArgs) -> Result<ExitCode> {
    service::logging::init(args.log_level);
    service::limits::raise_descriptors();
    let upstream = args.forward.connect_candidates()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve(args, upstream))
}

async fn serve(args: FooArgs, upstream: Vec<std::net::SocketAddr>) -> Result<ExitCode> {
    let mut stop_signals = StopSignals::listen()?;
    let mut stats_signal = signal(SignalKind::user_defined1())?;
    let (listener, listen_addr) = service::addr::listen(&args.listen)?;
    let admin = args.admin.as_ref().map(admin::bind).transpose()?;

    let threads = args.threads.unwrap_or_else(|| {
        std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get)
    });
    let config = PlaneConfig {
        threads,
        driver: args.driver,
        max_connections: args.max_connections,
    };
    let limits = Limits {
        connect_ms: Limits::ms(args.connect_timeout),
        idle_ms: Limits::ms(args.idle_timeout),
        ..Limits::default()
    };
    let upstream: Arc<[_]> = upstream.into();
    let counters: Vec<_> = (0..threads)
        .map(|_| Arc::new(FooCounters::default()))
        .collect();
    let mut plane = Plane::start(&config, listener, |worker| Shield {
        on_malformed: args.on_malformed,
        grammar: args.grammar.into(),
        max_line: args.max_line,
        counters: Arc::clone(&counters[worker]),
        upstream: Arc::clone(&upstream),
        limits,
    })
    .context("cannot start the workers")?;
    let board = Arc::new(Board {
        started: Instant::now(),
        counters,
        plane: Box::new(plane.totals()),
        windows: Mutex::default(),
        driver: plane.driver(),
    });

    let tasks = TaskTracker::new();
    let stop = CancellationToken::new();
    let mut sockets = vec![("listen", listen_addr.to_string())];
    if let Some((listener, addr)) = admin {
        admin::serve(
            listener,
            Arc::clone(&board) as Arc<dyn Routes>,
            &tasks,
            stop.clone(),
        )?;
        sockets.push(("admin", addr.to_string()));
    }
    let (forward, driver) = (&args.forward, plane.driver());
    tracing::info!(
        "listening on {listen_addr}, forwarding to {forward}, {threads} workers on {driver}"
    );
    Ready::new("proxy foo", sockets)
        .announce(args.ready_fd)
        .context("cannot announce readiness")?;

    let printer = Printer::start().context("cannot start the printer")?;
    let mut buckets = interval(BUCKET);
    buckets.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut grace_ends: Option<Instant> = None;
    loop {
        let grace = grace_ends.map_or(Duration::MAX, |end| end.duration_since(Instant::now()));
        tokio::select! {
            _ = buckets.tick() => board.record(),
            _ = stats_signal.recv() => printer.print(board.stats().json()),
            _ = stop_signals.next() => {
                if grace_ends.is_some() {
                    tracing::info!("told again: ending now");
                    break;
                }
                tracing::info!("draining, for {:?} at most", args.grace);
                plane.drain(Backlog::Take);
                grace_ends = Some(Instant::now() + args.grace.min(LONGEST_GRACE));
            }
            outcome = plane.finished() => {
                outcome.context("a worker failed")?;
                break;
            }
            () = tokio::time::sleep(grace) => {
                tracing::info!("connections were still open after {:?}", args.grace);
                break;
            }
        }
    }
    plane.stop();
    printer.print(board.stats().json());
    printer.finish(LAST_WORDS);
    stop.cancel();
    tasks.close();
    tasks.wait().await;
    Ok(ExitCode::SUCCESS)
}

/// Where the statistics are read off.
struct Board {
    started: Instant,
    counters: Vec<Arc<FooCounters>>,
    plane: Box<dyn Fn() -> PlaneTotals + Send + Sync>,
    windows: Mutex<Windows>,
    driver: &'static str,
}

impl Board {
    fn sample(&self, messages: &FooTotals) -> Sample {
        let (requests, responses) = (messages.requests, messages.responses());
        Sample {
            at: self.started.elapsed(),
            requests,
            responses,
        }
    }

    fn windows(&self) -> std::sync::MutexGuard<'_, Windows> {
        self.windows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self) {
        self.windows()
            .record(self.sample(&FooTotals::of(&self.counters)));
    }

    fn stats(&self) -> Stats {
        let messages = FooTotals::of(&self.counters);
        let now = self.sample(&messages);
        Stats {
            rates: self.windows().rates(now),
            plane: (self.plane)(),
            uptime_s: now.at.as_secs_f64(),
            driver: self.driver,
            threads: self.counters.len(),
            messages,
        }
    }
}

impl Routes for Board {
    fn paths(&self) -> &'static [&'static str] {
        &["/stats", "/metrics", "/healthz"]
    }

    fn get(&self, path: &str) -> Option<Reply> {
        match path {
            "/stats" => Some(Reply::json(self.stats().json() + "\n")),
            "/metrics" => Some(Reply::prometheus(self.stats().prometheus())),
            "/healthz" => Some(Reply::text("ok\n")),
            _ => None,
        }
    }
}
