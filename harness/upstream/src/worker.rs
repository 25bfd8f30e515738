//! One event loop: accepts from the shared listener and serves what it accepted.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use eventloop::{Events, Interest, Poller, Waker, net};
use rustix::net::sockopt;
use slab::Slab;

use crate::connection::Connection;
use crate::door::{Accepted, Door};
use crate::planted::Planted;
use crate::process::Process;
use crate::record::UpstreamRecord;
use crate::socket::{Socket, Spare};
use crate::talk::{Context, Talk};
use crate::turn::{Lent, State};

const LISTENER: u64 = u64::MAX;
const WAKER: u64 = u64::MAX - 1;

/// Connections accepted before the ones that are open get their turn, and before the
/// other workers find any: taking all at once would leave them without.
const ACCEPTS_PER_TURN: usize = 8;

/// How long nothing is accepted when descriptors or memory ran out, or when the port
/// cannot be opened again. Trying again at once would spin, since the waiting connection
/// keeps the listener readable.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The receive buffer of a client that is read from slowly. The kernel would take
/// megabytes from it on its own.
const SLOW_RECEIVE_BYTES: usize = 16 * 1024;

/// The stack of a thread that does nothing: what is leaked are threads, not addresses.
const LEAKED_STACK_BYTES: usize = 16 * 1024;

/// An event loop and its connections.
pub(crate) struct Worker {
    process: Arc<Process>,
    door: Arc<Door>,
    /// None while the port is closed.
    listener: Option<Arc<OwnedFd>>,
    waker: Arc<Waker>,
    published: Arc<Mutex<UpstreamRecord>>,
    poller: Poller,
    connections: Slab<Connection>,
    spare: Spare,
    counts: UpstreamRecord,
    /// Which connection is to go on when without an event. One that is closed meanwhile
    /// leaves its entry behind; whoever has its place then gets a turn for nothing.
    alarms: BinaryHeap<Reverse<(Instant, usize)>>,
    /// When accepting goes on that had to pause.
    accept_again: Option<Instant>,
    /// When the port is to be opened or closed.
    door_changes: Option<Instant>,
    /// Answers on their way to the wrong client.
    astray: Vec<Vec<u8>>,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Orderly,
    Broken,
    Cut,
}

impl Worker {
    pub(crate) fn new(
        process: Arc<Process>,
        door: Arc<Door>,
        waker: Arc<Waker>,
        published: Arc<Mutex<UpstreamRecord>>,
    ) -> io::Result<Self> {
        let poller = Poller::new()?;
        poller.add(&*waker, WAKER, Interest::Edge)?;
        let listener = door.open()?;
        poller.add(&*listener, LISTENER, Interest::Read)?;
        let (_, door_changes) = door.phase();
        Ok(Self {
            process,
            door,
            listener: Some(listener),
            waker,
            published,
            poller,
            connections: Slab::new(),
            spare: Spare::default(),
            counts: UpstreamRecord::default(),
            alarms: BinaryHeap::new(),
            accept_again: None,
            door_changes,
            astray: Vec::new(),
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
            self.ring_alarms()?;
            self.resume_accepting()?;
            self.mind_the_door()?;
        }
        self.counts.connections_closed += std::mem::take(&mut self.counts.connections_open);
        self.publish();
        process.flush_log();
        Ok(())
    }

    fn publish(&self) {
        let mut published = self
            .published
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        published.clone_from(&self.counts);
    }

    fn timeout(&self) -> Option<Duration> {
        let alarm = self.alarms.peek().map(|Reverse((due, _))| *due);
        let others = [self.accept_again, self.door_changes];
        let next = alarm.into_iter().chain(others.into_iter().flatten()).min();
        next.map(|due| due.saturating_duration_since(Instant::now()))
    }

    fn accept(&mut self) -> io::Result<()> {
        let Some(listener) = self.listener.clone() else {
            return Ok(());
        };
        let limited = self.process.config.defects.stop_accepting.is_some();
        for _ in 0..ACCEPTS_PER_TURN {
            match self.door.accept(&listener, limited) {
                Ok(Accepted::Connection(fd)) => self.welcome(fd)?,
                Ok(Accepted::None) => break,
                Ok(Accepted::Never { first }) => {
                    self.counts.hits.stop_accepting += u64::from(first);
                    self.poller.remove(&*listener)?;
                    break;
                }
                // The port was closed by another worker, and will be here.
                Err(_) if !self.door.phase().0 => break,
                Err(error) => {
                    tracing::warn!("cannot accept for {ACCEPT_PAUSE:?}: {error}");
                    self.poller.remove(&*listener)?;
                    self.accept_again = Some(Instant::now() + ACCEPT_PAUSE);
                    break;
                }
            }
        }
        Ok(())
    }

    fn resume_accepting(&mut self) -> io::Result<()> {
        let is_due = self.accept_again.take_if(|due| *due <= Instant::now());
        if let (Some(_), Some(listener)) = (is_due, &self.listener) {
            self.poller.add(&**listener, LISTENER, Interest::Read)?;
        }
        Ok(())
    }

    /// Closes or opens the port when that is planted and due.
    fn mind_the_door(&mut self) -> io::Result<()> {
        if self.door_changes.is_none_or(|due| due > Instant::now()) {
            return Ok(());
        }
        let (is_open, changes) = self.door.phase();
        self.door_changes = changes;
        if !is_open {
            self.counts.hits.flap += u64::from(self.door.close());
            if let Some(listener) = self.listener.take() {
                // Not watched if accepting pauses.
                let _ = self.poller.remove(&*listener);
                self.accept_again = None;
            }
            for key in 0..self.connections.capacity() {
                self.end(key, End::Cut);
            }
        } else if self.listener.is_none() {
            match self.door.open() {
                Ok(listener) => {
                    self.poller.add(&*listener, LISTENER, Interest::Read)?;
                    self.listener = Some(listener);
                }
                Err(error) => {
                    tracing::warn!("cannot listen for {ACCEPT_PAUSE:?}: {error}");
                    self.door_changes = Some(Instant::now() + ACCEPT_PAUSE);
                }
            }
        }
        Ok(())
    }

    fn welcome(&mut self, fd: OwnedFd) -> io::Result<()> {
        self.counts.connections_total += 1;
        let process = &self.process;
        let config = &process.config;
        let defects = &config.defects;
        let number = process.count_connection();
        if defects.leak_descriptors {
            // A second descriptor of a socket that no client has an interest in. When
            // there are none left, accepting fails too.
            std::mem::forget(self.waker.as_fd().try_clone_to_owned());
            self.counts.hits.leak_descriptors += 1;
        }
        if defects.leak_threads {
            let leaked = std::thread::Builder::new().stack_size(LEAKED_STACK_BYTES);
            let leaked = leaked.spawn(|| {
                loop {
                    std::thread::park();
                }
            });
            self.counts.hits.leak_threads += u64::from(leaked.is_ok());
        }
        if defects.accept_then_close {
            self.counts.hits.accept_then_close += 1;
            self.counts.connections_closed += 1;
            return Ok(());
        }
        if defects.slow_reader.is_some() {
            let _ = sockopt::set_socket_recv_buffer_size(&fd, SLOW_RECEIVE_BYTES);
        }
        let peer = rustix::net::getpeername(&fd).ok().flatten();
        let peer = peer.and_then(|addr| addr.try_into().ok());
        let planted = Planted::new(defects, number);
        let talk = Talk::new(config.mode, peer);
        let mut connection = Connection::new(Socket::new(fd), talk, planted);
        if config.proxy_protocol {
            connection.expect_preface();
        }
        if defects.accept_then_silence {
            self.counts.hits.accept_then_silence += 1;
            connection.fall_silent();
        }
        let entry = self.connections.vacant_entry();
        let token = entry.key() as u64;
        self.poller
            .add(connection.socket(), token, connection.interest())?;
        entry.insert(connection);
        self.counts.connections_open += 1;
        Ok(())
    }

    fn advance(&mut self, key: usize, readable: bool) -> io::Result<()> {
        let has_neighbours = self.connections.len() > 1;
        let Some(connection) = self.connections.get_mut(key) else {
            return Ok(());
        };
        let mut context = Context {
            process: &self.process,
            counts: &mut self.counts,
        };
        let mut lent = Lent {
            spare: &mut self.spare,
            astray: has_neighbours.then_some(&mut self.astray),
        };
        match connection.advance(readable, &mut context, &mut lent) {
            Ok(State::Waits) => {}
            Ok(State::Watch(interest)) => {
                self.poller
                    .modify(connection.socket(), key as u64, interest)?;
            }
            Ok(State::Over) => self.end(key, End::Orderly),
            Ok(State::Cut) => self.end(key, End::Cut),
            // Its client knows why.
            Err(_) => self.end(key, End::Broken),
            Ok(State::Hang) => {
                self.publish();
                self.process.hang();
            }
        }
        self.set_alarm(key);
        if self.astray.is_empty() {
            return Ok(());
        }
        self.deliver_astray(key)
    }

    /// Closes a connection, if there is one.
    fn end(&mut self, key: usize, how: End) {
        let Some(connection) = self.connections.try_remove(key) else {
            return;
        };
        self.counts.connections_open -= 1;
        match how {
            End::Orderly => self.counts.connections_closed += 1,
            End::Broken => self.counts.connections_reset += 1,
            End::Cut => {
                self.counts.connections_cut += 1;
                // What fails here is a connection that is gone already.
                let _ = net::reset_on_close(connection.socket());
            }
        }
        // Whoever sees the end of the connection finds it in the counts.
        self.publish();
        drop(connection);
    }

    fn set_alarm(&mut self, key: usize) {
        let Some(connection) = self.connections.get_mut(key) else {
            return;
        };
        if let Some(due) = connection.next_alarm()
            && connection.alarm.is_none_or(|set| due < set)
        {
            connection.alarm = Some(due);
            self.alarms.push(Reverse((due, key)));
        }
    }

    fn ring_alarms(&mut self) -> io::Result<()> {
        if self.alarms.is_empty() {
            return Ok(());
        }
        let now = Instant::now();
        while let Some(&Reverse((due, key))) = self.alarms.peek()
            && due <= now
        {
            self.alarms.pop();
            if let Some(connection) = self.connections.get_mut(key) {
                connection.alarm = None;
                connection.release(now);
                self.advance(key, true)?;
            }
        }
        Ok(())
    }

    /// Gives each answer that went astray to the next connection that takes it; one that
    /// nobody takes is lost.
    fn deliver_astray(&mut self, from: usize) -> io::Result<()> {
        for answer in std::mem::take(&mut self.astray) {
            let keys = self.connections.iter().map(|(key, _)| key);
            let (mut before, mut after): (Vec<_>, Vec<_>) =
                keys.filter(|key| *key != from).partition(|key| *key < from);
            after.append(&mut before);
            for key in after {
                if self.connections[key].take_stray(&answer) {
                    self.advance(key, false)?;
                    break;
                }
            }
        }
        Ok(())
    }
}

fn connection_key(token: u64) -> usize {
    usize::try_from(token).expect("the token of a connection is its key")
}
