//! The event loop of a sink.

use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use eventloop::{Events, Fill, Interest, Poller, net};
use slab::Slab;

use crate::datagrams::Datagrams;
use crate::outages::Outages;
use crate::solo::{self, Asked, Request};
use crate::statsd::commands::Facts;
use crate::statsd::entrance::Entrance;
use crate::statsd::lines::{self, Lines};
use crate::statsd::manager::{Desk, Manager, Next};
use crate::statsd::server::{Config, Counts};
use crate::statsd::sockets::Sockets;

const DATAGRAMS: u64 = u64::MAX;
const LINES: u64 = u64::MAX - 1;
const MANAGEMENT: u64 = u64::MAX - 2;
const WAKER: u64 = u64::MAX - 3;

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
    asked: Asked<Counts>,
    poller: Poller,
    datagrams: Datagrams,
    lines: Entrance,
    management: Entrance,
    clients: Slab<Client>,
    room: Vec<u8>,
    counts: Counts,
    healthy: bool,
    started: Instant,
    /// When a connection last brought something.
    heard: Instant,
    outages: Outages,
    /// Whether the ports are open, and when that is to change.
    is_open: bool,
    change: Option<Instant>,
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

impl solo::Worker for Worker {
    type Counts = Counts;

    /// Fails if the poller or the socket for datagrams did, which nothing can be done about.
    fn run(mut self) -> io::Result<Counts> {
        let mut events = Events::new();
        loop {
            self.poller.wait(&mut events, self.timeout())?;
            for (token, readiness) in events.iter() {
                match token {
                    WAKER => {
                        self.asked.waker.drain();
                        if self.answer_requests()? {
                            return Ok(self.counts);
                        }
                    }
                    DATAGRAMS => self.read()?,
                    LINES | MANAGEMENT => self.accept(token)?,
                    token => self.advance(client_key(token), readiness.readable())?,
                }
            }
            self.ring_alarms()?;
        }
    }
}

impl Worker {
    pub(super) fn new(sockets: Sockets, config: Config, asked: Asked<Counts>) -> io::Result<Self> {
        let poller = Poller::new()?;
        poller.add(&*asked.waker, WAKER, Interest::Read)?;
        let started = Instant::now();
        let defects = &config.defects;
        let outages = Outages::new(defects.flap, config.outages, started);
        let rate = defects.slow_reader;
        let mut counts = Counts::default();
        counts.upstream.name.clone_from(&config.name);
        let room = sockets.receive_buffer_bytes;
        counts.statsd.receive_buffer_bytes = room as u64;
        Ok(Self {
            asked,
            datagrams: Datagrams::new(sockets.datagrams, room, DATAGRAMS, rate, &poller)?,
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
            accept_again: None,
            config,
        })
    }

    fn timeout(&self) -> Option<Duration> {
        let own = [self.change, self.datagrams.due(), self.accept_again];
        let clients = self.clients.iter().filter_map(|(_, client)| client.due());
        let next = own.into_iter().flatten().chain(clients).min();
        next.map(|due| due.saturating_duration_since(Instant::now()))
    }

    /// Does what is due.
    fn ring_alarms(&mut self) -> io::Result<()> {
        let now = Instant::now();
        let is_due = |due: &mut Instant| *due <= now;
        self.datagrams.resume(now, &self.poller)?;
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
        while let Ok(request) = self.asked.requests.try_recv() {
            match request {
                Request::Counts(to) => {
                    self.catch_up()?;
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

    fn read(&mut self) -> io::Result<()> {
        let counts = &mut self.counts;
        let pauses = self
            .datagrams
            .read(&self.poller, &mut |_, batch| counts.take(batch))?;
        counts.upstream.hits.slow_reader += u64::from(pauses);
        Ok(())
    }

    /// Counts what waits at this moment, unless reading is slow, and what was dropped.
    fn catch_up(&mut self) -> io::Result<()> {
        let counts = &mut self.counts;
        self.datagrams
            .catch_up(&mut |_, batch| counts.take(batch))?;
        counts.statsd.kernel_drops = self.datagrams.drops();
        Ok(())
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
            quiet: self.heard.max(self.datagrams.heard()).elapsed(),
            datagrams: self.counts.statsd.datagrams,
            lines: self.counts.tally.lines,
            malformed: self.counts.tally.malformed,
            kernel_drops: self.datagrams.drops(),
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
        self.is_open = true;
        self.datagrams.reopen(&self.poller)
    }

    /// Closes all ports and connections, after reading what is waiting in them: a line
    /// that the kernel has taken in our name is accounted for.
    fn shut(&mut self, how: End) -> io::Result<()> {
        let counts = &mut self.counts;
        self.datagrams
            .shut(&self.poller, &mut |_, batch| counts.take(batch))?;
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
        self.catch_up()
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
