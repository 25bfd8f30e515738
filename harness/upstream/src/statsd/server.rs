//! Starting the thread, asking it for its counts, stopping it.

use std::io;

use eventloop::datagram::Receiver;

use crate::defect::Defects;
use crate::record::UpstreamRecord;
use crate::solo::Solo;
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
pub struct Server(Solo<Counts>);

/// What the thread has counted.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    pub(super) upstream: UpstreamRecord,
    pub(super) statsd: StatsdRecord,
    pub(super) tally: Tally,
}

impl Counts {
    /// Counts datagrams.
    pub(super) fn take(&mut self, batch: &Receiver) {
        let Self { statsd, tally, .. } = self;
        for datagram in batch.datagrams() {
            statsd.datagrams += 1;
            statsd.empty_datagrams += u64::from(datagram.bytes.is_empty());
            statsd.bytes += datagram.bytes.len() as u64;
            tally.take_all(datagram.bytes);
        }
    }

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
        Solo::start("statsd", |asked| Worker::new(sockets, config, asked)).map(Self)
    }

    /// The counts, with all that waits in the sockets at this moment.
    #[must_use]
    pub fn record(&self) -> UpstreamRecord {
        self.0.counts().told()
    }

    /// Closes the ports, reads what is waiting, and ends the thread.
    #[must_use]
    pub fn stop(self) -> UpstreamRecord {
        self.0.stop().told()
    }
}
