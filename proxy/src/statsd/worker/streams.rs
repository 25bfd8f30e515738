//! Lines that come over TCP.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use eventloop::{Interest, Poller, net};
use protocol::statsd::Reassembler;
use rustix::io::Errno;
use slab::Slab;

use super::counters::WorkerCounters;
use super::router::Router;
use super::turn::{LISTENER, STREAMS};

/// Connections that a worker has open at most.
const MOST: usize = 4_096;

/// Pause before the next accept when descriptors have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Connections that are accepted in one turn.
const PER_TURN: usize = 16;

/// What one read takes.
const READ_BYTES: usize = 64 * 1024;

/// The TCP connections of a worker.
pub(super) struct Streams {
    listener: Option<Arc<OwnedFd>>,
    /// Descriptors ran out: accepting goes on then.
    resumes_at: Option<Instant>,
    open: Slab<Stream>,
    room: Vec<u8>,
}

struct Stream {
    fd: OwnedFd,
    reassembler: Reassembler,
}

impl Streams {
    pub(super) fn new(listener: Option<Arc<OwnedFd>>, poller: &Poller) -> io::Result<Self> {
        if let Some(listener) = &listener {
            poller.add(listener, LISTENER, Interest::Read)?;
        }
        Ok(Self {
            listener,
            resumes_at: None,
            open: Slab::new(),
            room: Vec::new(),
        })
    }

    /// Accepts connections that wait.
    pub(super) fn accept(&mut self, poller: &Poller, counters: &WorkerCounters) {
        let Some(listener) = &self.listener else {
            return;
        };
        for _ in 0..PER_TURN {
            match net::accept(listener) {
                Ok(None) => return,
                Ok(Some(fd)) => {
                    counters.tcp_accepted.add(1);
                    let entry = self.open.vacant_entry();
                    let token = STREAMS + entry.key() as u64;
                    if entry.key() >= MOST || poller.add(&fd, token, Interest::Read).is_err() {
                        counters.tcp_refused.add(1);
                        counters.tcp_closed.add(1);
                        continue;
                    }
                    entry.insert(Stream::new(fd));
                }
                Err(_) => {
                    // Most likely descriptors have run out. The listener would report it
                    // again and again. If it cannot be left alone, it is asked again soon.
                    let _ = poller.remove(listener);
                    self.resumes_at = Some(Instant::now() + ACCEPT_PAUSE);
                    return;
                }
            }
        }
    }

    /// When accepting goes on, if it has paused.
    pub(super) fn resumes_at(&self) -> Option<Instant> {
        self.resumes_at
    }

    /// Goes on accepting when it is time.
    pub(super) fn resume(&mut self, poller: &Poller) {
        if let (Some(at), Some(listener)) = (self.resumes_at, &self.listener)
            && at <= Instant::now()
        {
            let added = poller.add(listener, LISTENER, Interest::Read);
            let is_there =
                matches!(&added, Err(error) if Errno::from_io_error(error) == Some(Errno::EXIST));
            self.resumes_at = (added.is_err() && !is_there).then(|| Instant::now() + ACCEPT_PAUSE);
        }
    }

    /// Reads some of what a connection has brought.
    pub(super) fn read(&mut self, token: u64, router: &mut Router) {
        let index = (token - STREAMS) as usize;
        let Some(stream) = self.open.get_mut(index) else {
            return;
        };
        self.room.resize(READ_BYTES, 0);
        if stream.read(&mut self.room, router) == Read::Over {
            self.open.remove(index);
            router.counters.tcp_closed.add(1);
        }
    }

    /// Reads what every connection has brought, those that wait to be accepted included,
    /// and closes them. Half a line at the end is no line: the rest of it was to follow.
    pub(super) fn finish(&mut self, router: &mut Router, until: Instant) {
        self.room.resize(READ_BYTES, 0);
        let mut finish = |mut stream: Stream| {
            while stream.read(&mut self.room, router) == Read::Some && Instant::now() < until {
                router.send(false, |_| {});
            }
            router.counters.tcp_closed.add(1);
        };
        self.open.drain().for_each(&mut finish);
        while let Some(listener) = &self.listener
            && let Ok(Some(fd)) = net::accept(listener)
            && Instant::now() < until
        {
            finish(Stream::new(fd));
        }
    }
}

/// What a read came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Read {
    /// There may be more.
    Some,
    /// There was nothing.
    Nothing,
    /// The connection is over.
    Over,
}

impl Stream {
    fn new(fd: OwnedFd) -> Self {
        let reassembler = Reassembler::default();
        Self { fd, reassembler }
    }

    /// Reads once.
    fn read(&mut self, room: &mut [u8], router: &mut Router) -> Read {
        match rustix::io::read(self.fd.as_fd(), &mut *room) {
            Ok(0) => {
                self.end(router);
                Read::Over
            }
            Ok(len) => {
                router.counters.bytes_received.add(len as u64);
                let cut_before = self.reassembler.too_long();
                self.reassembler.push(&room[..len], |line| {
                    router.counters.tcp_lines.add(1);
                    router.line(line);
                });
                router.cut(self.reassembler.too_long() - cut_before);
                Read::Some
            }
            Err(Errno::INTR) => Read::Some,
            Err(Errno::AGAIN) => Read::Nothing,
            // What has come whole before a reset has been taken.
            Err(_) => Read::Over,
        }
    }

    /// The peer has ended its side: what it said last is a line as well.
    fn end(&mut self, router: &mut Router) {
        let cut_before = self.reassembler.too_long();
        self.reassembler.finish(|line| {
            router.counters.tcp_lines.add(1);
            router.line(line);
        });
        router.cut(self.reassembler.too_long() - cut_before);
    }
}
