//! The socket for datagrams, read by the batch, or slowly.

use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use eventloop::datagram::{self, LONGEST, Receiver};
use eventloop::{Interest, Poller};

use crate::statsd::server::Counts;
use crate::statsd::sockets;

/// Datagrams taken with one system call.
const BATCH: usize = 64;

/// What a datagram that waits takes of the receive buffer, however short it is: less than
/// any kernel needs to keep it.
const LEAST_BYTES: u64 = 512;

/// Batches taken before connections get their turn.
const BATCHES_PER_TURN: usize = 16;

/// The socket, what it is read into, and when it is read.
pub(super) struct Datagrams {
    fd: OwnedFd,
    token: u64,
    receiver: Receiver,
    /// Bytes per second, if reading is to be slow.
    rate: Option<u64>,
    is_watched: bool,
    /// When reading goes on that is slow.
    again: Option<Instant>,
    heard: Instant,
}

impl Datagrams {
    pub(super) fn new(
        fd: OwnedFd,
        token: u64,
        rate: Option<u64>,
        poller: &Poller,
    ) -> io::Result<Self> {
        // A slow reader takes one at a time, or it would be fast and then pause.
        let batch = if rate.is_some() { 1 } else { BATCH };
        let mut datagrams = Self {
            fd,
            token,
            // Gathering would be faster still, but the kernel counts what was gathered and
            // then dropped as one.
            receiver: Receiver::new(batch, LONGEST),
            rate,
            is_watched: false,
            again: None,
            heard: Instant::now(),
        };
        datagrams.watch(true, poller)?;
        Ok(datagrams)
    }

    /// Counts what waits, but not for ever.
    pub(super) fn read(&mut self, poller: &Poller, counts: &mut Counts) -> io::Result<()> {
        for _ in 0..BATCHES_PER_TURN {
            let bytes = self.read_batch(counts)?;
            if let (Some(rate), Some(bytes)) = (self.rate, bytes) {
                let pause = Duration::from_secs_f64(bytes as f64 / rate as f64);
                self.again = Instant::now().checked_add(pause);
                counts.upstream.hits.slow_reader += 1;
                return self.watch(false, poller);
            }
            if bytes.is_none() || !self.receiver.is_full() {
                break;
            }
        }
        Ok(())
    }

    /// When it is to be resumed.
    pub(super) fn due(&self) -> Option<Instant> {
        self.again
    }

    /// Goes on reading, if that is due.
    pub(super) fn resume(&mut self, now: Instant, poller: &Poller) -> io::Result<()> {
        match self.again.take_if(|due| *due <= now) {
            Some(_) => self.watch(true, poller),
            None => Ok(()),
        }
    }

    /// When the last one came.
    pub(super) fn heard(&self) -> Instant {
        self.heard
    }

    /// How many the kernel has dropped. It counts in 32 bits, and drops as many in no run.
    pub(super) fn drops(&self) -> Option<u64> {
        datagram::receive_drops(&self.fd).ok().map(u64::from)
    }

    /// Counts what waits at this moment, unless reading is slow, and what was dropped.
    pub(super) fn catch_up(&mut self, counts: &mut Counts) -> io::Result<()> {
        if self.rate.is_none() {
            let waiting = counts.statsd.receive_buffer_bytes / LEAST_BYTES;
            self.read_until(counts.statsd.datagrams.saturating_add(waiting), counts)?;
        }
        counts.statsd.kernel_drops = self.drops();
        Ok(())
    }

    /// Lets none in any more, and counts all that wait.
    pub(super) fn shut(&mut self, poller: &Poller, counts: &mut Counts) -> io::Result<()> {
        sockets::shut(&self.fd)?;
        self.watch(false, poller)?;
        self.again = None;
        self.read_until(u64::MAX, counts)
    }

    /// Lets them in again.
    pub(super) fn reopen(&mut self, poller: &Poller) -> io::Result<()> {
        sockets::reopen(&self.fd)?;
        self.watch(true, poller)
    }

    fn watch(&mut self, watch: bool, poller: &Poller) -> io::Result<()> {
        match (std::mem::replace(&mut self.is_watched, watch), watch) {
            (false, true) => poller.add(&self.fd, self.token, Interest::Read),
            (true, false) => poller.remove(&self.fd),
            _ => Ok(()),
        }
    }

    /// Reads until nothing waits, or so many have come in all.
    fn read_until(&mut self, datagrams: u64, counts: &mut Counts) -> io::Result<()> {
        while counts.statsd.datagrams < datagrams && self.read_batch(counts)?.is_some() {}
        Ok(())
    }

    /// Counts what waits, up to a batch, and tells how many bytes that was.
    fn read_batch(&mut self, counts: &mut Counts) -> io::Result<Option<u64>> {
        if self.receiver.receive(&self.fd)? == 0 {
            return Ok(None);
        }
        let Counts { statsd, tally, .. } = counts;
        let mut bytes = 0;
        for datagram in self.receiver.datagrams() {
            statsd.datagrams += 1;
            statsd.empty_datagrams += u64::from(datagram.bytes.is_empty());
            bytes += datagram.bytes.len() as u64;
            tally.take_all(datagram.bytes);
        }
        statsd.bytes += bytes;
        self.heard = Instant::now();
        Ok(Some(bytes))
    }
}
