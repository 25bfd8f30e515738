//! Reference servers with planted defects.
//!
//! What a proxy or a fuzzer is tested against: servers for Foo, for bare bytes (`echo`,
//! `sink`, `source`) and for HTTP, as fast as two system calls per read allow, that crash,
//! hang, freeze, leak, reset or answer wrongly on demand. Each defect is real: a crash is
//! a bad memory access, a hang is threads that never run again, a closed port is closed.
//!
//! In reading order: `args` is the command line with its `examples`, [`mode`] which server
//! it is, [`defect`] what may be planted, [`server`] starts and stops the workers,
//! `worker` is one event loop, `door` its listener, `connection` one client, the same for
//! every mode, over a `socket` with borrowed buffers, `turn` what the two have to do with
//! each other; `preface` is the PROXY header before it, `talk` what is said on it, one
//! conversation for each mode, [`pattern`] the bytes that are sent unasked. What defects
//! make of a connection is `planted` (time and counts), `delayed` (answers) and `distort`
//! (bytes); `process` is what the workers share, `fatal` the ways to die, [`record`] what
//! was counted.
//!
//! [`statsd`] and [`udp`] are servers of another shape, for `datagrams`, each of one thread
//! (`solo`): they stand beside all of this and share what defects are called, what they do
//! to the process, and how ports are closed (`outages`).
//!
//! It never retries, repairs or forgives: a harness that misses a planted defect must
//! not be able to blame the server.

mod args;
mod connection;
mod datagrams;
pub mod defect;
mod delayed;
mod distort;
mod door;
mod examples;
mod fatal;
pub mod mode;
mod outages;
pub mod pattern;
mod planted;
mod preface;
mod process;
pub mod record;
pub mod server;
mod socket;
mod solo;
pub mod statsd;
mod talk;
mod turn;
pub mod udp;
mod worker;

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use args::Settled;
use service::ready::Ready;
use service::signals::StopSignals;
use tokio::signal::unix::{SignalKind, signal};

pub use mode::Mode;
pub use record::UpstreamRecord;
pub use server::{Config, Server};

/// Runs the server with the arguments of this process.
pub fn main() -> ExitCode {
    run(std::env::args_os().collect())
}

/// Runs the server with these arguments; the first is the program's name.
#[must_use]
pub fn run(args: Vec<OsString>) -> ExitCode {
    let flags = match service::cli::parse::<args::Upstream>(args) {
        Ok(upstream) => upstream.settle(),
        Err(code) => return code,
    };
    let settled = match flags {
        Ok(settled) => settled,
        Err(error) => return service::cli::exit(Err(error), service::cli::USAGE),
    };
    service::limits::raise_descriptors();
    let served = match settled {
        Settled::Connections(flags, config) => {
            service::logging::init(flags.log_level);
            serve(|| start(&flags, config))
        }
        Settled::Statsd(flags, config) => {
            service::logging::init(flags.log_level);
            serve(|| start_statsd(&flags, config))
        }
        Settled::UdpEcho(flags, config) => {
            service::logging::init(flags.log_level);
            serve(|| start_udp_echo(&flags, config))
        }
    };
    service::cli::exit(served, 1)
}

/// A server that runs until it is told to stop.
trait Running {
    /// Whether the planted hang has come.
    fn is_hung(&self) -> bool;
    fn record(&self) -> UpstreamRecord;
    fn stop(self) -> UpstreamRecord;
}

impl Running for Server {
    fn is_hung(&self) -> bool {
        self.is_hung()
    }

    fn record(&self) -> UpstreamRecord {
        self.record()
    }

    fn stop(self) -> UpstreamRecord {
        self.stop()
    }
}

impl Running for statsd::Server {
    fn is_hung(&self) -> bool {
        false
    }

    fn record(&self) -> UpstreamRecord {
        self.record()
    }

    fn stop(self) -> UpstreamRecord {
        self.stop()
    }
}

impl Running for udp::Server {
    fn is_hung(&self) -> bool {
        self.is_hung()
    }

    fn record(&self) -> UpstreamRecord {
        self.record()
    }

    fn stop(self) -> UpstreamRecord {
        self.stop()
    }
}

fn start(flags: &args::Flags, config: Config) -> io::Result<Server> {
    let (listener, at) = service::addr::listen(&flags.listen)?;
    let mode = config.mode;
    let called = config.name.as_ref().map(|name| format!("{name}: "));
    let server = Server::start(listener, config)?;
    tracing::info!("{}{mode} listening on {at}", called.unwrap_or_default());
    let name = format!("upstream {mode}");
    Ready::new(&name, [("listen", at.to_string())]).announce(flags.ready_fd)?;
    Ok(server)
}

fn start_statsd(
    flags: &statsd::args::Statsd,
    config: statsd::Config,
) -> io::Result<statsd::Server> {
    let room = usize::try_from(flags.receive_buffer.0).unwrap_or(usize::MAX);
    let sockets = statsd::Sockets::open(&flags.listen, &flags.management, room)?;
    let (at, management) = (sockets.at.to_string(), sockets.management_at.to_string());
    let called = config.name.as_ref().map(|name| format!("{name}: "));
    let server = statsd::Server::start(sockets, config)?;
    let called = called.unwrap_or_default();
    tracing::info!("{called}statsd listening on {at}, management on {management}");
    // Datagrams and connections are taken on the same port.
    let roles = [
        ("listen", at.clone()),
        ("listen-tcp", at),
        ("management", management),
    ];
    Ready::new("upstream statsd", roles).announce(flags.ready_fd)?;
    Ok(server)
}

fn start_udp_echo(flags: &udp::args::UdpEcho, config: udp::Config) -> io::Result<udp::Server> {
    let room = usize::try_from(flags.receive_buffer.0).unwrap_or(usize::MAX);
    let socket = udp::Socket::open(&flags.listen, room)?;
    let at = socket.at.to_string();
    let called = config.name.as_ref().map(|name| format!("{name}: "));
    let server = udp::Server::start(socket, config)?;
    tracing::info!("{}udp-echo listening on {at}", called.unwrap_or_default());
    Ready::new("upstream udp-echo", [("listen", at)]).announce(flags.ready_fd)?;
    Ok(server)
}

/// Serves until a signal asks to stop.
fn serve<S: Running>(start: impl FnOnce() -> io::Result<S>) -> io::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        // Before anybody can know that this server is there, so that no signal is lost.
        let mut stop = StopSignals::listen()?;
        let mut report = signal(SignalKind::user_defined1())?;
        let server = start()?;
        loop {
            tokio::select! {
                stop = stop.next() => {
                    if server.is_hung() {
                        fatal::die_of(stop);
                    }
                    break;
                }
                _ = report.recv() => {
                    // A process that hangs says nothing either.
                    if !server.is_hung() {
                        write_record(&server.record());
                    }
                }
            }
        }
        write_record(&server.stop());
        Ok(ExitCode::SUCCESS)
    })
}

/// One JSON line on stdout. Nobody may be reading any more, which is no fault of ours.
fn write_record(record: &UpstreamRecord) {
    let mut line = serde_json::to_vec(record).expect("plain integers are always JSON");
    line.push(b'\n');
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(&line).and_then(|()| stdout.flush());
}
