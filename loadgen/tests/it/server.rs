//! A Foo server for tests, whose replies a test can spoil.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use loadgen::crew::{self, Observer};
use loadgen::histograms::Histogram;
use loadgen::judge::Verify;
use loadgen::outcome::Outcome;
use loadgen::pacer::Pacer;
use loadgen::payload::Lengths;
use loadgen::plan::{Mode, Plan, Wire};
use loadgen::record::Interval;
use loadgen::schedule::Arrivals;
use loadgen::stop::StopFlag;
use loadgen::stride::Stride;
use loadgen::transport::Transport;
use protocol::foo::{Answer, Message};

/// What a connection sends for its `n`-th request (from 1), whose right answer is given.
/// `None` ends the connection.
pub(crate) type Spoil = dyn Fn(u64, Vec<u8>, &mut Vec<Vec<u8>>) -> Option<Vec<u8>> + Send + Sync;

/// Is told of each request: its sequence number and its data.
pub(crate) type Hear = dyn Fn(i64, &[u8]) + Send + Sync;

/// Starts a server thread that lives as long as the test process.
pub(crate) fn serve(
    spoil: impl Fn(u64, Vec<u8>, &mut Vec<Vec<u8>>) -> Option<Vec<u8>> + Send + Sync + 'static,
) -> SocketAddr {
    listen(spoil, |_, _| {})
}

/// A server that answers rightly, and tells of each request.
pub(crate) fn serve_and_hear(hear: impl Fn(i64, &[u8]) + Send + Sync + 'static) -> SocketAddr {
    listen(|_, right, _| Some(right), hear)
}

fn listen(
    spoil: impl Fn(u64, Vec<u8>, &mut Vec<Vec<u8>>) -> Option<Vec<u8>> + Send + Sync + 'static,
    hear: impl Fn(i64, &[u8]) + Send + Sync + 'static,
) -> SocketAddr {
    let hear: Arc<Hear> = Arc::new(hear);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = listener.local_addr().expect("an address");
    let spoil: Arc<Spoil> = Arc::new(spoil);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (spoil, hear) = (spoil.clone(), hear.clone());
            std::thread::spawn(move || answer(stream, &*spoil, &*hear));
        }
    });
    at
}

/// A server that answers rightly.
pub(crate) fn serve_rightly() -> SocketAddr {
    serve(|_, right, _| Some(right))
}

fn answer(mut stream: TcpStream, spoil: &Spoil, hear: &Hear) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut inbound = Vec::new();
    let mut piece = [0; 65_536];
    let mut held = Vec::new();
    let mut n = 0;
    loop {
        let bytes = stream.read(&mut piece).ok().filter(|bytes| *bytes > 0)?;
        inbound.extend_from_slice(&piece[..bytes]);
        let mut at = 0;
        let mut out = Vec::new();
        while let Some((message, len)) = Message::next(&inbound[at..]) {
            at += len;
            let request = message.expect("a request that can be decoded");
            hear(request.seq, request.data);
            let mut right = Vec::new();
            Answer::to(request.seq, request.data).encode(&mut right);
            n += 1;
            match spoil(n, right, &mut held) {
                Some(line) => out.extend(line),
                None => {
                    stream.write_all(&out).ok()?;
                    return None;
                }
            }
        }
        inbound.drain(..at);
        stream.write_all(&out).ok()?;
    }
}

/// An open loop of 1,000 requests over one connection.
pub(crate) fn plan(target: SocketAddr) -> Plan {
    Plan {
        part: Stride::ALL,
        start_unix_ns: None,
        targets: vec![target],
        mode: Mode::Open {
            rate: 5_000.0,
            arrivals: Arrivals::Uniform,
        },
        connections: 1,
        pipeline: 16,
        threads: 1,
        seed: 11,
        payload: Lengths::default(),
        wire: Wire::Foo(Verify::Digest),
        transport: Transport::default(),
        warmup: Duration::ZERO,
        duration: None,
        requests: Some(1_000),
        interval: Duration::from_millis(50),
        drain: Duration::from_secs(5),
        connect_timeout: Duration::from_secs(5),
        requests_per_connection: 0,
        max_backlog: 1_000_000,
        pacer: Pacer::Sleep,
    }
}

/// Runs a plan that must have an outcome.
pub(crate) fn run(plan: &Plan) -> (Outcome, Seen) {
    let mut seen = Seen::default();
    let outcome = crew::run(plan, &StopFlag::default(), &mut seen).expect("an outcome");
    let tally = &outcome.measured;
    assert_eq!(
        tally.sent,
        tally.answered() + tally.failed_total() + tally.unanswered,
        "{tally:?}"
    );
    assert_eq!(
        outcome.response.len(),
        tally.answered(),
        "each right answer is timed once"
    );
    assert_eq!(outcome.service.len(), tally.answered());
    (outcome, seen)
}

/// What an observer was told.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) opened: Option<usize>,
    pub(crate) measuring: Option<u64>,
    pub(crate) slices: Vec<(Interval, u64)>,
}

impl Observer for Seen {
    fn opened(&mut self, open: usize, _failed: u64) {
        self.opened = Some(open);
    }

    fn measuring(&mut self, mono_ns: u64) {
        self.measuring = Some(mono_ns);
    }

    fn slice(&mut self, interval: &Interval, response: &Histogram) {
        self.slices.push((interval.clone(), response.len()));
    }
}
