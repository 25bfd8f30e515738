//! Starting the thread, asking it for its counts, stopping it.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::thread::JoinHandle;

use eventloop::Waker;

use crate::defect::Defects;
use crate::record::UpstreamRecord;
use crate::server::or_die;
use crate::statsd::record::StatsdRecord;
use crate::statsd::sockets::Sockets;
use crate::statsd::tally::Tally;
use crate::statsd::worker::Worker;

/// What a sink is like.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// What it is called.
    pub name: Option<String>,
    /// What is wrong with it: of the defects, those that the
    /// [catalogue](crate::defect::catalogue) has for `statsd`.
    pub defects: Defects,
    /// How often the ports close, if that is planted; `None` is again and again.
    pub outages: Option<u64>,
}

/// A running sink.
#[derive(Debug)]
pub struct Server {
    requests: Sender<Request>,
    waker: Arc<Waker>,
    thread: JoinHandle<Counts>,
}

/// What the thread is asked for.
#[derive(Debug)]
pub(super) enum Request {
    /// Its counts, once it has read what is waiting.
    Counts(Sender<Counts>),
    /// Its end.
    Stop,
}

/// What the thread has counted.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    pub(super) upstream: UpstreamRecord,
    pub(super) statsd: StatsdRecord,
    pub(super) tally: Tally,
}

impl Counts {
    /// As a record. Done by who asked: the thread has datagrams to read.
    fn told(mut self) -> UpstreamRecord {
        self.tally.tell(&mut self.statsd);
        self.upstream.bytes_in = self.statsd.bytes + self.statsd.tcp_bytes;
        self.upstream.statsd = Some(self.statsd);
        self.upstream
    }
}

impl Server {
    /// Serves on these sockets.
    ///
    /// # Errors
    /// That a poller or a thread could not be made.
    pub fn start(sockets: Sockets, config: Config) -> io::Result<Self> {
        let waker = Arc::new(Waker::new()?);
        let (requests, incoming) = mpsc::channel();
        let worker = Worker::new(sockets, config, incoming, Arc::clone(&waker))?;
        let thread = std::thread::Builder::new()
            .name("statsd".to_owned())
            .spawn(move || or_die(|| worker.run()))?;
        Ok(Self {
            requests,
            waker,
            thread,
        })
    }

    /// The counts, with all that waits in the sockets at this moment.
    #[must_use]
    pub fn record(&self) -> UpstreamRecord {
        let (sender, counts) = mpsc::channel();
        self.ask(Request::Counts(sender));
        let counts = counts.recv();
        counts.expect("a thread that fails ends the process").told()
    }

    /// Closes the ports, reads what is waiting, and ends the thread.
    #[must_use]
    pub fn stop(self) -> UpstreamRecord {
        self.ask(Request::Stop);
        let counts = self.thread.join();
        counts.expect("a thread that fails ends the process").told()
    }

    fn ask(&self, request: Request) {
        let sent = self.requests.send(request);
        sent.expect("a thread that fails ends the process");
        self.waker.wake();
    }
}
