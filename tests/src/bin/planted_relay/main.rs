//! A relay with a planted change of speed, or a loss, to see whether a comparison finds it:
//! `test-planted-relay --listen ADDR --forward ADDR [--delay 200us] [--burn 15]
//! [--drop-every N] [--die-after N]`. Without any of these it is the one to compare with.
//!
//! One thread accepts, one for each core relays.

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use clap::Parser;
use eventloop::{Events, Interest, Poller, Waker, net};
use service::units::parse_duration;

mod burn;
mod pair;
mod worker;

/// Relay TCP as it comes, with a planted change
#[derive(Clone, Debug, Parser)]
#[command(
    name = "test-planted-relay",
    after_help = "Example:\n  \
        harness compare --baseline 'cmd:test-planted-relay --listen {listen} --forward {forward}' \\\n    \
        --candidate 'cmd:test-planted-relay --listen {listen} --forward {forward} --delay 200us'"
)]
struct Args {
    /// Listen here
    #[arg(long, value_name = "ADDR")]
    listen: SocketAddr,

    /// Relay to this
    #[arg(long, value_name = "ADDR")]
    forward: SocketAddr,

    /// Hold each chunk of replies back for this long
    #[arg(long, value_name = "DURATION", default_value = "0", value_parser = parse_duration)]
    delay: Duration,

    /// Use this many per cent more CPU time
    #[arg(long, value_name = "PERCENT", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=1000))]
    burn: u32,

    /// Swallow every so manieth line of replies, counted over all connections
    #[arg(long, value_name = "N")]
    drop_every: Option<NonZeroU64>,

    /// Die (SIGABRT) when so many chunks of replies have come
    #[arg(long, value_name = "N")]
    die_after: Option<NonZeroU64>,
}

/// What is planted, for all threads.
#[derive(Debug)]
struct Planted {
    forward: SocketAddr,
    delay: Duration,
    drop_every: Option<NonZeroU64>,
    /// Lines of replies so far.
    lines: AtomicU64,
    die_after: Option<NonZeroU64>,
    /// Chunks of replies so far.
    chunks: AtomicU64,
}

fn main() -> ExitCode {
    match service::cli::parse::<Args>(std::env::args_os()) {
        Ok(args) => service::cli::exit(relay(args), 1),
        Err(code) => code,
    }
}

fn relay(args: Args) -> io::Result<ExitCode> {
    let listener = net::listen(args.listen)?;
    burn::start(args.burn);
    let planted = Arc::new(Planted {
        forward: args.forward,
        delay: args.delay,
        drop_every: args.drop_every,
        lines: AtomicU64::new(0),
        die_after: args.die_after,
        chunks: AtomicU64::new(0),
    });
    let count = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    let workers: Vec<_> = (0..count)
        .map(|_| start(Arc::clone(&planted)))
        .collect::<io::Result<_>>()?;
    let poller = Poller::new()?;
    poller.add(&listener, 0, Interest::Read)?;
    let mut events = Events::new();
    // In turn, so that each worker has as many connections in every run.
    let mut turns = workers.iter().cycle();
    loop {
        poller.wait(&mut events, None)?;
        while let Some(client) = net::accept(&listener)? {
            let Some((queue, waker)) = turns.next() else {
                continue;
            };
            if queue.send(client).is_err() {
                return Err(io::Error::other("a worker is gone"));
            }
            waker.wake();
        }
    }
}

/// Starts a worker; it takes connections from the queue when it is woken.
fn start(planted: Arc<Planted>) -> io::Result<(Sender<OwnedFd>, Arc<Waker>)> {
    let (queue, accepted) = channel();
    let waker = Arc::new(Waker::new()?);
    let mut worker = worker::Worker::new(planted, accepted, Arc::clone(&waker))?;
    std::thread::spawn(move || {
        if let Err(error) = worker.run() {
            eprintln!("test-planted-relay: {error}");
            std::process::exit(1);
        }
    });
    Ok((queue, waker))
}
