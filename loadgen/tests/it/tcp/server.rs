//! An echo for tests, whose every message a test can spoil.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use loadgen::echoes::Integrity;
use loadgen::pacer::Pacer;
use loadgen::payload::Lengths;
use loadgen::plan::{Mode, Plan, Wire};
use loadgen::schedule::Arrivals;
use loadgen::stride::Stride;
use loadgen::transport::Transport;

/// Bytes of each message.
pub(crate) const BYTES: usize = 64;

/// What becomes of a connection when a message has been answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    GoOn,
    Close,
    Reset,
}

/// What connection number `.0` (from 0) sends for its message number `.1` (from 1).
pub(crate) type Spoil = dyn Fn(usize, u64, Vec<u8>) -> (Vec<u8>, Then) + Send + Sync;

/// Starts an echo that lives as long as the test process.
pub(crate) fn echo(
    spoil: impl Fn(usize, u64, Vec<u8>) -> (Vec<u8>, Then) + Send + Sync + 'static,
) -> SocketAddr {
    let spoil: Arc<Spoil> = Arc::new(spoil);
    serve(move |number, stream| answer(stream, number, &*spoil))
}

/// An echo that is right.
pub(crate) fn right_echo() -> SocketAddr {
    echo(|_, _, message| (message, Then::GoOn))
}

/// A server that does this with each connection, on a thread of its own.
pub(crate) fn serve(
    with: impl Fn(usize, TcpStream) -> Option<()> + Send + Sync + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = listener.local_addr().expect("an address");
    let with = Arc::new(with);
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().flatten().enumerate() {
            let with = with.clone();
            std::thread::spawn(move || with(number, stream));
        }
    });
    at
}

fn answer(mut stream: TcpStream, number: usize, spoil: &Spoil) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut message = [0; BYTES];
    for n in 1.. {
        stream.read_exact(&mut message).ok()?;
        let (bytes, then) = spoil(number, n, message.to_vec());
        stream.write_all(&bytes).ok()?;
        match then {
            Then::GoOn => {}
            Then::Close => {
                // Closed with something unread, it would be reset.
                stream.shutdown(Shutdown::Write).ok()?;
                return std::io::copy(&mut stream, &mut std::io::sink())
                    .ok()
                    .map(drop);
            }
            Then::Reset => return eventloop::net::reset_on_close(&stream).ok(),
        }
    }
    None
}

/// An open loop of 400 messages over one connection.
pub(crate) fn plan(target: SocketAddr) -> Plan {
    Plan {
        part: Stride::ALL,
        start_unix_ns: None,
        targets: vec![target],
        mode: Mode::Open {
            rate: 4_000.0,
            arrivals: Arrivals::Uniform,
        },
        connections: 1,
        pipeline: 16,
        threads: 1,
        seed: 11,
        payload: Lengths {
            min: BYTES,
            max: BYTES,
        },
        wire: Wire::Echo(Integrity::Full),
        transport: Transport::default(),
        warmup: Duration::ZERO,
        duration: None,
        requests: Some(400),
        interval: Duration::from_millis(50),
        drain: Duration::from_secs(5),
        connect_timeout: Duration::from_secs(5),
        requests_per_connection: 0,
        max_backlog: 1_000_000,
        pacer: Pacer::Sleep,
    }
}

/// The same with a new connection for each message.
pub(crate) fn churn(target: SocketAddr) -> Plan {
    Plan {
        connections: 64,
        requests_per_connection: 1,
        transport: Transport {
            one_try: true,
            ..Transport::default()
        },
        ..plan(target)
    }
}
