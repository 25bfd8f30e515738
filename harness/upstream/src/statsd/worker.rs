//! The event loop of a sink.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::Receiver as Requests;
use std::time::{Duration, Instant};

use eventloop::datagram::{self, LONGEST, Receiver};
use eventloop::{Events, Fill, Interest, Poller, Waker, net};
use slab::Slab;

use crate::statsd::commands::Facts;
use crate::statsd::entrance::Entrance;
use crate::statsd::lines::{self, Lines};
use crate::statsd::manager::{Desk, Manager, Next};
use crate::statsd::outages::Outages;
use crate::statsd::server::{Config, Counts, Request};
use crate::statsd::sockets::{self, Sockets};

const DATAGRAMS: u64 = u64::MAX;
const LINES: u64 = u64::MAX - 1;
const MANAGEMENT: u64 = u64::MAX - 2;
const WAKER: u64 = u64::MAX - 3;

/// Datagrams taken with one system call.
const BATCH: usize = 64;

/// Batches taken before connections get their turn.
const BATCHES_PER_TURN: usize = 16;

/// Connections accepted before those that are open get their turn.
const ACCEPTS_PER_TURN: usize = 8;

/// How long nothing is accepted when descriptors or memory ran out, or when a port cannot
/// be opened again.
const PAUSE: Duration = Duration::from_millis(50);

/// What is read at the end of a connection that goes on sending: more than its receive
/// buffer can hold.
const MOST_LEFT_OVER: usize = 64 << 20;

/// One thread that reads everything.
pub(super) struct Worker {
    config: Config,
    requests: Requests<Request>,
    waker: Arc<Waker>,
    poller: Poller,
    datagrams: OwnedFd,
    is_watched: bool,
    receiver: Receiver,
    lines: Entrance,
    management: Entrance,
    clients: Slab<Client>,
    room: Vec<u8>,
    counts: Counts,
    healthy: bool,
    started: Instant,
    heard: Instant,
    outages: Outages,
    /// Whether the ports are open, and when that is to change.
    is_open: bool,
    change: Option<Instant>,
    /// When reading goes on that is slow.
    read_again: Option<Instant>,
    /// When accepting goes on that had to pause.
    accept_again: Option<Instant>,
}

/// Who is at the other end.
enum Client {
    Lines(Lines),
    Manager(Manager),
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Orderly,
    Broken,
    Cut,
}

impl Worker {
    pub(super) fn new(
        sockets: Sockets,
        config: Config,
        requests: Requests<Request>,
        waker: Arc<Waker>,
    ) -> io::Result<Self> {
        let poller = Poller::new()?;
        poller.add(&*waker, WAKER, Interest::Read)?;
        poller.add(&sockets.datagrams, DATAGRAMS, Interest::Read)?;
        let started = Instant::now();
        let defects = &config.defects;
        let outages = Outages::new(defects.flap, config.outages, started);
        // A slow reader takes one at a time, or it would be fast and then pause.
        let batch = if defects.slow_reader.is_some() { 1 } else { BATCH };
        let mut counts = Counts::default();
        counts.upstream.name.clone_from(&config.name);
        counts.statsd.receive_buffer_bytes = sockets.receive_buffer_bytes as u64;
        Ok(Self {
            requests,
            waker,
            datagrams: sockets.datagrams,
            is_watched: true,
            // Gathering would be faster still, but the kernel counts what was gathered and
            // then dropped as one.
            receiver: Receiver::new(batch, LONGEST),
            lines: Entrance::new(sockets.lines, LINES, &poller)?,
            management: Entrance::new(sockets.management, MANAGEMENT, &poller)?,
            poller,
            clients: Slab::new(),
            room: vec![0; lines::READ_BYTES],
            counts,
            healthy: !config.defects.health_down,
            started,
            heard: started,
            is_open: true,
            change: outages.phase(started).1,
            outages,
            read_again: None,
            accept_again: None,
            config,
        })
    }

    /// Serves until it is told to stop, and tells what it counted.
    ///
    /// # Errors
    /// That the poller or the socket for datagrams failed, which nothing can be done about.
    pub(super) fn run(mut self) -> io::Result<Counts> {
        let mut events = Events::new();
        loop {
            self.poller.wait(&mut events, self.timeout())?;
            for (token, readiness) in events.iter() {
                match token {
                    WAKER => {
                        self.waker.drain();
                        if self.answer_requests()? {
                            return Ok(self.counts);
                        }
                    }
                    DATAGRAMS => self.read_datagrams()?,
                    LINES | MANAGEMENT => self.accept(token)?,
                    token => self.advance(client_key(token), readiness.readable())?,
                }
            }
            self.ring_alarms()?;
        }
    }

    fn timeout(&self) -> Option<Duration> {
        let own = [self.change, self.read_again, self.accept_again];
        let clients = self.clients.iter().filter_map(|(_, client)| client.due());
        let next = own.into_iter().flatten().chain(clients).min();
        next.map(|due| due.saturating_duration_since(Instant::now()))
    }

    /// Does what is due.
    fn ring_alarms(&mut self) -> io::Result<()> {
        let now = Instant::now();
        let is_due = |due: &mut Instant| *due <= now;
        if self.read_again.take_if(is_due).is_some() && self.is_open {
            self.watch(true)?;
        }
        if self.accept_again.take_if(is_due).is_some() && self.is_open {
            self.lines.open(&self.poller)?;
            self.management.open(&self.poller)?;
        }
        if self.change.take_if(is_due).is_some() {
            self.change_phase(now)?;
        }
        let has_due = |(key, client): (usize, &Client)| client.due()?.le(&now).then_some(key);
        let due: Vec<_> = self.clients.iter().filter_map(has_due).collect();
        due.into_iter().try_for_each(|key| self.advance(key, false))
    }

    /// Tells whether one of them was to stop.
    fn answer_requests(&mut self) -> io::Result<bool> {
        while let Ok(request) = self.requests.try_recv() {
            match request {
                Request::Counts(to) => {
                    if self.config.defects.slow_reader.is_none() {
                        let waiting = self.counts.statsd.receive_buffer_bytes;
                        self.read_left_over(waiting)?;
                    }
                    self.note_drops();
                    // Who asked may be gone.
                    let _ = to.send(self.counts.clone());
                }
                Request::Stop => {
                    self.finish()?;
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    fn watch(&mut self, watch: bool) -> io::Result<()> {
        match (std::mem::replace(&mut self.is_watched, watch), watch) {
            (false, true) => self.poller.add(&self.datagrams, DATAGRAMS, Interest::Read),
            (true, false) => self.poller.remove(&self.datagrams),
            _ => Ok(()),
        }
    }

    fn read_datagrams(&mut self) -> io::Result<()> {
        for _ in 0..BATCHES_PER_TURN {
            let bytes = self.read_batch()?;
            if let (Some(rate), Some(bytes)) = (self.config.defects.slow_reader, bytes) {
                let pause = Duration::from_secs_f64(bytes as f64 / rate as f64);
                self.read_again = Instant::now().checked_add(pause);
                self.counts.upstream.hits.slow_reader += 1;
                return self.watch(false);
            }
            if bytes.is_none() || !self.receiver.is_full() {
                break;
            }
        }
        Ok(())
    }

    /// Reads what waits, up to a batch, and tells how many bytes that was.
    fn read_batch(&mut self) -> io::Result<Option<u64>> {
        let count = self.receiver.receive(&self.datagrams)?;
        if count == 0 {
            return Ok(None);
        }
        let mut bytes = 0;
        let Counts { statsd, tally, .. } = &mut self.counts;
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

    /// Reads until nothing waits, or at least so many bytes.
    fn read_left_over(&mut self, most: u64) -> io::Result<()> {
        let until = self.counts.statsd.bytes.saturating_add(most);
        while self.counts.statsd.bytes < until && self.read_batch()?.is_some() {}
        Ok(())
    }

    fn note_drops(&mut self) {
        // They are counted in 32 bits by the kernel, and in no run as many.
        let drops = datagram::receive_drops(&self.datagrams).ok();
        self.counts.statsd.kernel_drops = drops.map(u64::from);
    }

    fn accept(&mut self, token: u64) -> io::Result<()> {
        for _ in 0..ACCEPTS_PER_TURN {
            let entrance = if token == LINES {
                &mut self.lines
            } else {
                &mut self.management
            };
            match entrance.accept() {
                Ok(Some(fd)) => self.welcome(fd, token)?,
                Ok(None) => break,
                Err(error) => {
                    tracing::warn!("cannot accept for {PAUSE:?}: {error}");
                    entrance.pause(&self.poller)?;
                    self.accept_again = Some(Instant::now() + PAUSE);
                    break;
                }
            }
        }
        Ok(())
    }

    fn welcome(&mut self, fd: OwnedFd, token: u64) -> io::Result<()> {
        let Counts {
            upstream, statsd, ..
        } = &mut self.counts;
        upstream.connections_total += 1;
        if token == MANAGEMENT {
            statsd.management_connections += 1;
            if self.config.defects.accept_then_close {
                upstream.hits.accept_then_close += 1;
                upstream.connections_closed += 1;
                return Ok(());
            }
        }
        let client = if token == LINES {
            Client::Lines(Lines::new(fd))
        } else {
            Client::Manager(Manager::new(fd))
        };
        let entry = self.clients.vacant_entry();
        client.watch(&self.poller, entry.key())?;
        entry.insert(client);
        upstream.connections_open += 1;
        Ok(())
    }

    fn advance(&mut self, key: usize, readable: bool) -> io::Result<()> {
        let facts = self.facts();
        let Some(client) = self.clients.get_mut(key) else {
            return Ok(());
        };
        let Counts {
            upstream,
            statsd,
            tally,
        } = &mut self.counts;
        match client {
            Client::Lines(lines) => match lines.read(&mut self.room, tally, statsd) {
                Ok(Fill::End) => self.end(key, End::Orderly),
                Ok(Fill::Data(_)) => self.heard = Instant::now(),
                Ok(Fill::Blocked) => {}
                Err(_) => self.end(key, End::Broken),
            },
            Client::Manager(manager) => {
                let mut desk = Desk {
                    now: Instant::now(),
                    facts,
                    healthy: &mut self.healthy,
                    silent: self.config.defects.silent_health,
                    health_checks: &mut statsd.health_checks,
                    hits: &mut upstream.hits,
                    health_down: self.config.defects.health_down,
                };
                match manager.advance(readable, &mut desk) {
                    Ok(Next::Watch(interest)) => {
                        self.poller.modify(&*manager, key as u64, interest)?;
                    }
                    Ok(Next::Over) => self.end(key, End::Orderly),
                    Err(_) => self.end(key, End::Broken),
                }
            }
        }
        Ok(())
    }

    fn facts(&self) -> Facts {
        Facts {
            uptime: self.started.elapsed(),
            quiet: self.heard.elapsed(),
            datagrams: self.counts.statsd.datagrams,
            lines: self.counts.tally.lines,
            malformed: self.counts.tally.malformed,
            kernel_drops: datagram::receive_drops(&self.datagrams).ok().map(u64::from),
        }
    }

    /// Closes a connection.
    fn end(&mut self, key: usize, how: End) {
        let Some(client) = self.clients.try_remove(key) else {
            return;
        };
        let counts = &mut self.counts.upstream;
        counts.connections_open -= 1;
        match how {
            End::Orderly => counts.connections_closed += 1,
            End::Broken => counts.connections_reset += 1,
            End::Cut => {
                counts.connections_cut += 1;
                // What fails here is a connection that is gone already.
                let _ = match &client {
                    Client::Lines(lines) => net::reset_on_close(lines),
                    Client::Manager(manager) => net::reset_on_close(manager),
                };
            }
        }
    }

    /// Opens or closes all ports, as is planted.
    fn change_phase(&mut self, now: Instant) -> io::Result<()> {
        let (open, change) = self.outages.phase(now);
        self.change = change;
        if open == self.is_open {
            return Ok(());
        }
        if !open {
            self.is_open = false;
            self.counts.upstream.hits.flap += 1;
            return self.shut(End::Cut);
        }
        let opened = self.lines.open(&self.poller);
        let opened = opened.and_then(|()| self.management.open(&self.poller));
        if let Err(error) = opened {
            tracing::warn!("cannot listen for {PAUSE:?}: {error}");
            self.change = Some(now + PAUSE);
            return Ok(());
        }
        sockets::reopen(&self.datagrams)?;
        self.is_open = true;
        self.watch(true)
    }

    /// Closes all ports and connections, after reading what is waiting in them: a line
    /// that the kernel has taken in our name is accounted for.
    fn shut(&mut self, how: End) -> io::Result<()> {
        sockets::shut(&self.datagrams)?;
        self.watch(false)?;
        self.read_again = None;
        self.read_left_over(u64::MAX)?;
        while let Ok(Some(fd)) = self.lines.accept() {
            self.welcome(fd, LINES)?;
        }
        self.lines.close(&self.poller)?;
        self.management.close(&self.poller)?;
        for key in 0..self.clients.capacity() {
            self.read_rest_of(key);
            self.end(key, how);
        }
        Ok(())
    }

    fn read_rest_of(&mut self, key: usize) {
        let Some(Client::Lines(lines)) = self.clients.get_mut(key) else {
            return;
        };
        let Counts { statsd, tally, .. } = &mut self.counts;
        let mut left = MOST_LEFT_OVER;
        while left > 0
            && let Ok(Fill::Data(n)) = lines.read(&mut self.room, tally, statsd)
        {
            left = left.saturating_sub(n);
        }
    }

    fn finish(&mut self) -> io::Result<()> {
        if self.is_open {
            self.shut(End::Orderly)?;
        }
        self.note_drops();
        Ok(())
    }
}

impl Client {
    fn watch(&self, poller: &Poller, key: usize) -> io::Result<()> {
        match self {
            Self::Lines(lines) => poller.add(lines, key as u64, Interest::Read),
            Self::Manager(manager) => poller.add(manager, key as u64, Interest::Read),
        }
    }

    fn due(&self) -> Option<Instant> {
        match self {
            Self::Lines(_) => None,
            Self::Manager(manager) => manager.due(),
        }
    }
}

fn client_key(token: u64) -> usize {
    usize::try_from(token).expect("the token of a connection is its key")
}
