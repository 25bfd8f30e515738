//! A relay of datagrams with a planted defect, to see whether the harness finds it:
//! `test-datagram-relay --listen ADDR --forward ADDR [--drop-every N] [--double-every N]
//! [--die-after N]`. Without any of these it relays as it should.
//!
//! A session and a thread for each client, and no end of either: it lives as long as a test.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::num::NonZeroU64;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use clap::Parser;

/// Longest datagram.
const LONGEST: usize = 65_535;

/// Relay datagrams, with a planted defect
#[derive(Clone, Debug, Parser)]
#[command(
    name = "test-datagram-relay",
    after_help = "Example:\n  \
        harness run udp-echo --proxy 'cmd:test-datagram-relay --listen {listen} --forward {forward} --drop-every 100'"
)]
struct Args {
    /// Take datagrams here
    #[arg(long, value_name = "ADDR")]
    listen: SocketAddr,

    /// Relay them to this
    #[arg(long, value_name = "ADDR")]
    forward: SocketAddr,

    /// Lose every so manieth answer, counted over all clients
    #[arg(long, value_name = "N")]
    drop_every: Option<NonZeroU64>,

    /// Send every so manieth answer twice
    #[arg(long, value_name = "N")]
    double_every: Option<NonZeroU64>,

    /// Die (SIGABRT) when so many answers have come
    #[arg(long, value_name = "N")]
    die_after: Option<NonZeroU64>,
}

fn main() -> ExitCode {
    match relay(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("test-datagram-relay: {error}");
            ExitCode::FAILURE
        }
    }
}

fn relay(args: &Args) -> io::Result<()> {
    let front = Arc::new(UdpSocket::bind(args.listen)?);
    let answers = Arc::new(AtomicU64::new(0));
    let mut sessions: HashMap<SocketAddr, Arc<UdpSocket>> = HashMap::new();
    let mut buffer = vec![0; LONGEST];
    loop {
        let (len, client) = front.recv_from(&mut buffer)?;
        let back = match sessions.get(&client) {
            Some(back) => Arc::clone(back),
            None => {
                let back = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?);
                back.connect(args.forward)?;
                let (args, from) = (args.clone(), Arc::clone(&back));
                let (front, answers) = (Arc::clone(&front), Arc::clone(&answers));
                thread::spawn(move || send_back(&args, &from, &front, client, &answers));
                sessions.insert(client, Arc::clone(&back));
                back
            }
        };
        // Whether the server is there is heard of here, and is no affair of ours.
        let _ = back.send(&buffer[..len]);
    }
}

/// Sends answers back to a client, wrongly where that is planted.
fn send_back(
    args: &Args,
    from: &UdpSocket,
    front: &UdpSocket,
    client: SocketAddr,
    answers: &AtomicU64,
) {
    let mut buffer = vec![0; LONGEST];
    loop {
        let Ok(len) = from.recv(&mut buffer) else {
            continue;
        };
        let number = answers.fetch_add(1, Ordering::Relaxed) + 1;
        let is_nth = |every: Option<NonZeroU64>| {
            every.is_some_and(|every| number.is_multiple_of(every.get()))
        };
        if is_nth(args.die_after) {
            std::process::abort();
        }
        if is_nth(args.drop_every) {
            continue;
        }
        let times = if is_nth(args.double_every) { 2 } else { 1 };
        for _ in 0..times {
            let _ = front.send_to(&buffer[..len], client);
        }
    }
}
