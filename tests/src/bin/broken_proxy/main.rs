//! A small proxy with one defect of choice, to see whether the harness finds and names it.
//! It takes the flags that the harness gives to a program in the place of ours:
//! `test-broken-proxy foo --listen ADDR --forward ADDR [--defect NAME]` and
//! `test-broken-proxy tcp --listen ADDR [--defect NAME] BACKEND…`.
//!
//! [`defect`] says what may be broken, [`relay`] relays and is broken, [`clients`] knows
//! who could get an answer that is not theirs.

use std::io;
use std::net::TcpListener;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use service::addr::HostPort;
use service::ready::{InheritedFd, Ready};

mod clients;
mod defect;
mod relay;

use defect::Defect;
use relay::{Relay, Unit};

/// Connections that are served at a time; more are closed at once. Each takes two threads,
/// and this many the machines have that tests run on.
const MOST_CONNECTIONS: usize = 4096;

/// How long nothing is accepted when descriptors ran out, which is what comes of a leak.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Relay TCP, with a defect of choice
#[derive(Debug, Parser)]
#[command(name = "test-broken-proxy", after_help = defect::HELP)]
struct BrokenProxy {
    #[command(subcommand)]
    mode: Mode,
}

#[derive(Debug, Subcommand)]
enum Mode {
    /// Relay lines to one server, as proxy foo does, without a shield
    #[command(after_help = defect::HELP)]
    Foo {
        /// Relay to this server
        #[arg(long, value_name = "ADDR")]
        forward: HostPort,

        #[command(flatten)]
        flags: Flags,
    },
    /// Relay bytes to servers in turn, as proxy tcp does, without health checks
    #[command(after_help = defect::HELP)]
    Tcp {
        /// Relay to these; what follows a comma, such as a weight, is ignored
        #[arg(value_name = "BACKEND", required = true, value_parser = backend)]
        backends: Vec<HostPort>,

        #[command(flatten)]
        flags: Flags,
    },
}

#[derive(Args, Debug)]
struct Flags {
    /// Listen here
    #[arg(long, value_name = "ADDR")]
    listen: HostPort,

    /// Be broken in this way, see below [default: none]
    #[arg(long, value_name = "DEFECT")]
    defect: Option<Defect>,

    /// Taken since the harness gives it; nothing is served there
    #[arg(long, value_name = "ADDR")]
    admin: Option<HostPort>,

    /// Announce the socket with one JSON line on this open descriptor
    #[arg(long, value_name = "FD")]
    ready_fd: Option<InheritedFd>,
}

fn backend(text: &str) -> Result<HostPort, String> {
    let addr = text.split(',').next().unwrap_or(text);
    addr.parse().map_err(|error| format!("{error}"))
}

fn main() -> ExitCode {
    let (unit, backends, flags) = match service::cli::parse::<BrokenProxy>(std::env::args_os()) {
        Ok(BrokenProxy { mode }) => match mode {
            Mode::Foo { forward, flags } => (Unit::Line, vec![forward], flags),
            Mode::Tcp { backends, flags } => (Unit::Chunk, backends, flags),
        },
        Err(code) => return code,
    };
    match Defect::chosen(flags.defect) {
        Ok(defect) => service::cli::exit(serve(unit, &backends, defect, &flags), 1),
        Err(error) => service::cli::exit(Err(error), service::cli::USAGE),
    }
}

fn serve(unit: Unit, backends: &[HostPort], defect: Defect, flags: &Flags) -> io::Result<ExitCode> {
    service::limits::raise_descriptors();
    let relay = Arc::new(Relay::new(unit, backends, defect)?);
    let (listener, at) = service::addr::listen(&flags.listen)?;
    let listener = TcpListener::from(listener);
    listener.set_nonblocking(false)?;
    Ready::new("test-broken-proxy", [("listen", at.to_string())]).announce(flags.ready_fd)?;
    let open = Arc::new(AtomicUsize::new(0));
    loop {
        let Ok((client, _)) = listener.accept() else {
            thread::sleep(ACCEPT_PAUSE);
            continue;
        };
        if open.load(Ordering::Relaxed) >= MOST_CONNECTIONS {
            continue;
        }
        open.fetch_add(1, Ordering::Relaxed);
        let (relay, still_open) = (Arc::clone(&relay), Arc::clone(&open));
        let started = thread::Builder::new().spawn(move || {
            // A connection that cannot be served is closed, and that is all.
            let _ = relay.serve(client);
            still_open.fetch_sub(1, Ordering::Relaxed);
        });
        if started.is_err() {
            open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
