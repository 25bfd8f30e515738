//! One event loop: accepts from the shared listener and serves what it accepted.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use eventloop::{Events, Interest, Poller, Stream, Waker, net};
use slab::Slab;

use crate::connection::{Connection, State};
use crate::lines::{Context, Lines};
use crate::process::Process;
use crate::record::UpstreamRecord;

const LISTENER: u64 = u64::MAX;
const WAKER: u64 = u64::MAX - 1;

/// Connections accepted before the ones that are open get their turn, and before the
/// other workers find any: taking all at once would leave them without.
const ACCEPTS_PER_TURN: usize = 8;

/// How long nothing is accepted when descriptors or memory ran out. Trying again at
/// once would spin, since the waiting connection keeps the listener readable.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// An event loop and its connections.
pub(crate) struct Worker {
    process: Arc<Process>,
    listener: Arc<OwnedFd>,
    waker: Arc<Waker>,
    published: Arc<Mutex<UpstreamRecord>>,
    poller: Poller,
    connections: Slab<Connection>,
    counts: UpstreamRecord,
    /// Which connection has answers that may leave when; `slow` delays all by the same
    /// time, so that the order of arrival is the order of departure.
    delayed: VecDeque<(Instant, usize)>,
    accept_again: Option<Instant>,
}

impl Worker {
    pub(crate) fn new(
        process: Arc<Process>,
        listener: Arc<OwnedFd>,
        waker: Arc<Waker>,
        published: Arc<Mutex<UpstreamRecord>>,
    ) -> io::Result<Self> {
        let poller = Poller::new()?;
        poller.add(&*waker, WAKER, Interest::Edge)?;
        poller.add(&*listener, LISTENER, Interest::Read)?;
        Ok(Self {
            process,
            listener,
            waker,
            published,
            poller,
            connections: Slab::new(),
            counts: UpstreamRecord::default(),
            delayed: VecDeque::new(),
            accept_again: None,
        })
    }

    /// Serves until the process is told to stop.
    ///
    /// # Errors
    /// That the poller failed, which nothing can be done about.
    pub(crate) fn run(mut self) -> io::Result<()> {
        let process = Arc::clone(&self.process);
        let mut events = Events::new();
        while !process.is_stopping() {
            self.publish();
            process.flush_log();
            self.poller.wait(&mut events, self.timeout())?;
            process.stand_still();
            for (token, readiness) in events.iter() {
                match token {
                    WAKER => self.waker.drain(),
                    LISTENER => self.accept()?,
                    token => self.advance(connection_key(token), readiness.readable())?,
                }
                process.stand_still();
            }
            self.release_delayed()?;
            self.resume_accepting()?;
        }
        self.counts.connections_open = 0;
        self.publish();
        process.flush_log();
        Ok(())
    }

    fn publish(&self) {
        *self
            .published
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = self.counts.clone();
    }

    fn timeout(&self) -> Option<Duration> {
        let delayed = self.delayed.front().map(|(due, _)| *due);
        let next = delayed.into_iter().chain(self.accept_again).min();
        next.map(|due| due.saturating_duration_since(Instant::now()))
    }

    fn accept(&mut self) -> io::Result<()> {
        for _ in 0..ACCEPTS_PER_TURN {
            match net::accept(&*self.listener) {
                Ok(Some(fd)) => self.welcome(fd)?,
                Ok(None) => break,
                Err(error) => {
                    tracing::warn!("cannot accept for {ACCEPT_PAUSE:?}: {error}");
                    self.poller.remove(&*self.listener)?;
                    self.accept_again = Some(Instant::now() + ACCEPT_PAUSE);
                    break;
                }
            }
        }
        Ok(())
    }

    fn resume_accepting(&mut self) -> io::Result<()> {
        if self
            .accept_again
            .take_if(|due| *due <= Instant::now())
            .is_some()
        {
            self.poller.add(&*self.listener, LISTENER, Interest::Read)?;
        }
        Ok(())
    }

    fn welcome(&mut self, fd: OwnedFd) -> io::Result<()> {
        self.counts.connections_total += 1;
        let defects = &self.process.config.defects;
        if defects.leak_descriptors {
            // A second descriptor of a socket that no client has an interest in. When
            // there are none left, accepting fails too.
            std::mem::forget(self.listener.try_clone());
        }
        if defects.accept_then_close {
            return Ok(());
        }
        let peer = rustix::net::getpeername(&fd).ok().flatten();
        let peer = peer.and_then(|addr| addr.try_into().ok());
        let entry = self.connections.vacant_entry();
        self.poller
            .add(fd.as_fd(), entry.key() as u64, Connection::FIRST_INTEREST)?;
        entry.insert(Connection::new(Stream::new(fd), Lines::new(peer)));
        self.counts.connections_open += 1;
        Ok(())
    }

    fn advance(&mut self, key: usize, readable: bool) -> io::Result<()> {
        let Some(connection) = self.connections.get_mut(key) else {
            return Ok(());
        };
        let due_before = connection.last_due();
        let mut context = Context {
            process: &self.process,
            counts: &mut self.counts,
        };
        // A broken connection is over as well; its client knows why.
        let state = connection
            .advance(readable, &mut context)
            .unwrap_or(State::Over);
        if let Some(due) = connection.last_due().filter(|due| due_before != Some(*due)) {
            self.delayed.push_back((due, key));
        }
        match state {
            State::Waits => {}
            State::Watch(interest) => {
                self.poller
                    .modify(connection.stream(), key as u64, interest)?;
            }
            State::Over => {
                self.counts.connections_open -= 1;
                // Whoever sees the end of the connection finds it in the counts.
                self.publish();
                self.connections.remove(key);
            }
            State::Hang => {
                self.publish();
                self.process.hang();
            }
        }
        Ok(())
    }

    fn release_delayed(&mut self) -> io::Result<()> {
        if self.delayed.is_empty() {
            return Ok(());
        }
        let now = Instant::now();
        while self.delayed.front().is_some_and(|(due, _)| *due <= now) {
            let Some((_, key)) = self.delayed.pop_front() else {
                break;
            };
            if let Some(connection) = self.connections.get_mut(key) {
                connection.release(now);
                self.advance(key, false)?;
            }
        }
        Ok(())
    }
}

fn connection_key(token: u64) -> usize {
    usize::try_from(token).expect("the token of a connection is its key")
}
