//! Serving links: what `toxiproxy-server` does.

use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use serde_json::{Value, json};
use service::addr::HostPort;
use service::logging::LogLevel;
use service::ready::{InheritedFd, Ready};
use service::signals::StopSignals;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::client::Place;
use crate::api::{Api, Metrics};
use crate::control::{Control, body};
use crate::evidence::{DecisionLog, now_ns};
use crate::worker::Workers;

/// How links are served.
#[derive(Args, Debug)]
pub(super) struct Serve {
    /// Begin with the links of this file: JSON as POST /populate takes it, toxics included
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Begin with a link called "link" that listens here, without any file
    #[arg(long, value_name = "ADDR", requires = "upstream")]
    listen: Option<String>,

    /// Where that link connects to
    #[arg(long, value_name = "ADDR", requires = "listen")]
    upstream: Option<String>,

    /// Make all random decisions from this number [default: a new one, which is logged]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    /// Serve the traffic of all links at /metrics
    #[arg(long)]
    proxy_metrics: bool,

    /// Serve what the process uses at /metrics
    #[arg(long)]
    runtime_metrics: bool,

    /// Append every decision to this file, a line each; sorted, the lines of two runs with
    /// the same seed and the same traffic are equal
    #[arg(long, value_name = "FILE")]
    decisions: Option<PathBuf>,

    /// Move bytes with this many threads [default: one for each core]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,

    /// Announce the API and every link with one JSON line on this open descriptor
    #[arg(long, value_name = "FD")]
    ready_fd: Option<InheritedFd>,

    /// Log this much to stderr
    #[arg(long, value_name = "LEVEL", value_enum, default_value_t)]
    log_level: LogLevel,
}

/// What to serve, once it is known to be sound.
pub(super) struct Prepared {
    flags: Serve,
    at: HostPort,
    links: Value,
}

impl Serve {
    /// Checks what can be checked before anything starts.
    pub(super) fn prepare(self, place: &Place) -> Result<Prepared, String> {
        let mut links = match &self.config {
            Some(path) => read_config(path)?,
            None => Value::Null,
        };
        if links.is_null() {
            links = Value::Array(Vec::new());
        }
        if let (Some(listen), Some(upstream), Value::Array(links)) =
            (&self.listen, &self.upstream, &mut links)
        {
            links.push(json!({ "name": "link", "listen": listen, "upstream": upstream }));
        }
        crate::control::check(&links).map_err(|error| error.to_string())?;
        Ok(Prepared {
            flags: self,
            at: place.to_host_port()?,
            links,
        })
    }
}

fn read_config(path: &Path) -> Result<Value, String> {
    let told = |why: String| format!("{}: {why}", path.display());
    let text = std::fs::read(path).map_err(|error| told(error.to_string()))?;
    let value = body::decode(&text).map_err(|error| told(error.to_string()))?;
    crate::control::check(&value).map_err(|error| told(error.to_string()))?;
    Ok(value)
}

/// Serves until a signal asks to stop.
pub(super) fn run(prepared: Prepared) -> io::Result<ExitCode> {
    let flags = &prepared.flags;
    service::logging::init(flags.log_level);
    service::limits::raise_descriptors();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(16)
        .build()?;
    runtime.block_on(serve(&prepared))
}

async fn serve(prepared: &Prepared) -> io::Result<ExitCode> {
    let flags = &prepared.flags;
    // Before anybody can know that this is there, so that no signal is lost.
    let mut stop = StopSignals::listen()?;
    let mut report = signal(SignalKind::user_defined1())?;
    let log = flags
        .decisions
        .as_deref()
        .map(DecisionLog::create)
        .transpose()?;
    let cores = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let threads = flags.threads.map_or_else(cores, NonZeroUsize::get);
    let seed = flags.seed.unwrap_or_else(now_ns);
    let workers = Workers::start(threads, log, &tokio::runtime::Handle::current())?;
    let control = Arc::new(Control::new(seed, workers));
    let (listener, at) = service::addr::listen(&prepared.at)?;
    if let (_, Some(error)) = control.populate(&prepared.links).await {
        return Err(io::Error::other(error));
    }
    tracing::info!("the API listens on {at}; the seed is {seed}");
    let (tracker, ended) = (TaskTracker::new(), CancellationToken::new());
    let metrics = Metrics {
        proxies: flags.proxy_metrics,
        runtime: flags.runtime_metrics,
    };
    let api = Api::new(Arc::clone(&control), metrics);
    crate::api::serve(listener, api, &tracker, ended.clone())?;
    announce(flags, &control, &at.to_string()).await?;
    loop {
        tokio::select! {
            _ = stop.next() => break,
            _ = report.recv() => {
                control.flush().await;
                write_record(&control).await;
            }
        }
    }
    ended.cancel();
    tracker.close();
    tracker.wait().await;
    control.flush().await;
    write_record(&control).await;
    if let Some(control) = Arc::into_inner(control) {
        control.stop_workers();
    }
    Ok(ExitCode::SUCCESS)
}

/// One line with the address of the API, and of every link by its name.
async fn announce(flags: &Serve, control: &Control, api: &str) -> io::Result<()> {
    let mut sockets: Vec<(String, String)> = control.sockets().await;
    sockets.retain(|(name, _)| name != "api");
    sockets.push(("api".to_owned(), api.to_owned()));
    let sockets = sockets.iter().map(|(name, at)| (name.as_str(), at.clone()));
    Ready::new("toxics", sockets).announce(flags.ready_fd)
}

/// One JSON line on stdout. Nobody may be reading any more, which is no fault of ours.
async fn write_record(control: &Control) {
    let record = control.record().await;
    let mut line = serde_json::to_vec(&record).expect("numbers and texts are always JSON");
    line.push(b'\n');
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(&line).and_then(|()| stdout.flush());
}
