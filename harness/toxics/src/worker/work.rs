//! One worker's event loop: who has a turn when.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use eventloop::{Events, Interest, Poller, net};
use slab::Slab;
use tokio::runtime::Handle;

use super::connection::{Connection, Fate};
use super::listener::Listener;
use super::mailbox::{Mailbox, Order};
use super::scene::{SCRATCH_BYTES, Scene};
use super::sessions::{Arrival, DATAGRAMS, Port, Session};
use super::timers::{Owner, Timers};
use crate::evidence::{DecisionLog, now_ns};
use crate::link::Link;

/// Connections accepted in one turn.
const ACCEPTS: usize = 64;

/// Pause after accepting failed, as when descriptors ran out.
const ACCEPT_BACKOFF_NS: u64 = 50_000_000;

/// What an event is about: the lowest bits of its token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Mail,
    Listener,
    Client,
    Server,
    Port,
    Session,
}

const WHATS: [What; 6] = [
    What::Mail,
    What::Listener,
    What::Client,
    What::Server,
    What::Port,
    What::Session,
];

fn token(what: What, key: usize) -> u64 {
    (key as u64) << 3 | what as u64
}

fn untoken(token: u64) -> (What, usize) {
    let what = usize::try_from(token & 7).expect("three bits");
    let key = usize::try_from(token >> 3).expect("it was one");
    (WHATS[what], key)
}

/// One worker.
pub(super) struct Work {
    scene: Scene,
    mailboxes: Vec<Arc<Mailbox>>,
    runtime: Handle,
    timers: Timers,
    serial: u64,
    listeners: Slab<Listener>,
    connections: Slab<Connection>,
    ports: Slab<Port>,
    sessions: Slab<Session>,
    /// Connections that have more to do right now.
    hurried: Vec<usize>,
    /// Connections and sessions that are over, whose keys may still be in this batch of
    /// events.
    over: Vec<usize>,
    stopping: bool,
}

impl Work {
    pub(super) fn new(
        index: usize,
        mailboxes: Vec<Arc<Mailbox>>,
        log: Option<DecisionLog>,
        memory: Arc<AtomicUsize>,
        runtime: Handle,
    ) -> io::Result<Self> {
        let poller = Poller::new()?;
        poller.add(
            mailboxes[index].waker(),
            token(What::Mail, 0),
            Interest::Read,
        )?;
        Ok(Self {
            scene: Scene {
                poller,
                scratch: vec![0; SCRATCH_BYTES],
                log,
                now_ns: now_ns(),
                memory,
                worker: index,
                lingers: 0,
            },
            mailboxes,
            runtime,
            timers: Timers::default(),
            serial: 0,
            listeners: Slab::new(),
            connections: Slab::new(),
            ports: Slab::new(),
            sessions: Slab::new(),
            hurried: Vec::new(),
            over: Vec::new(),
            stopping: false,
        })
    }

    pub(super) fn run(&mut self) {
        let mut events = Events::new();
        while !self.stopping {
            let timeout = self.timeout();
            if timeout != Some(Duration::ZERO)
                && let Some(log) = &mut self.scene.log
            {
                log.flush();
            }
            if let Err(error) = self.scene.poller.wait(&mut events, timeout) {
                tracing::error!("cannot wait for sockets: {error}");
                return;
            }
            self.scene.now_ns = now_ns();
            if events.is_empty() && self.hurried.is_empty() && self.scene.lingers > 0 {
                self.scene.lingers -= 1;
                rustix::thread::sched_yield();
            }
            for (token, readiness) in events.iter() {
                let (what, key) = untoken(token);
                match what {
                    What::Mail => self.read_mail(),
                    What::Listener => self.accept(key),
                    What::Client | What::Server => {
                        if let Some(connection) = self.connections.get_mut(key) {
                            connection.note(usize::from(what == What::Server), readiness);
                            self.turn(key);
                        }
                    }
                    What::Port => self.receive(key),
                    What::Session => {
                        if let Some(session) = self.sessions.get_mut(key) {
                            session.take_from_upstream(&mut self.scene);
                            self.set_session_alarm(key);
                        }
                    }
                }
            }
            for key in std::mem::take(&mut self.hurried) {
                self.turn(key);
            }
            self.ring();
            self.bury();
        }
        if let Some(log) = &mut self.scene.log {
            log.flush();
        }
    }

    fn timeout(&self) -> Option<Duration> {
        if !self.hurried.is_empty() || self.scene.lingers > 0 {
            return Some(Duration::ZERO);
        }
        let next_ns = self.timers.next_ns()?;
        Some(Duration::from_nanos(next_ns.saturating_sub(now_ns())))
    }

    /// Gives a turn to all whose time has come.
    fn ring(&mut self) {
        self.scene.now_ns = now_ns();
        // All of them first: whoever is due again at once must not keep others waiting.
        let now_ns = self.scene.now_ns;
        let due: Vec<_> = std::iter::from_fn(|| self.timers.pop(now_ns)).collect();
        for (owner, serial) in due {
            match owner {
                Owner::Listener(key) => {
                    if let Some(listener) = self.listeners.get_mut(key)
                        && listener.serial == serial
                        && let Err(error) = listener.watch(&self.scene.poller)
                    {
                        tracing::error!("{}: {error}", listener.link.name);
                    }
                }
                Owner::Connection(key) => {
                    if let Some(connection) = self.connections.get_mut(key)
                        && connection.serial == serial
                    {
                        connection.alarm.rang();
                        self.turn(key);
                    }
                }
                Owner::Session(key) => self.ring_session(key, serial),
            }
        }
    }

    fn ring_session(&mut self, key: usize, serial: u64) {
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        if session.serial != serial {
            return;
        }
        session.alarm.rang();
        session.advance(&mut self.scene);
        if session.is_idle(self.scene.now_ns) {
            let (link, client) = (session.link.id, session.client);
            session.forget(&self.scene);
            self.sessions.remove(key);
            for (_, port) in &mut self.ports {
                if port.link.id == link {
                    port.sessions.remove(&client);
                }
            }
        } else {
            self.set_session_alarm(key);
        }
    }

    fn set_session_alarm(&mut self, key: usize) {
        if let Some(session) = self.sessions.get_mut(key) {
            let (due_ns, serial) = (session.due_ns(self.scene.now_ns), session.serial);
            let owner = Owner::Session(key);
            session
                .alarm
                .set(Some(due_ns), &mut self.timers, owner, serial);
        }
    }

    /// Lets a connection do what it can.
    fn turn(&mut self, key: usize) {
        let Some(connection) = self.connections.get_mut(key) else {
            return;
        };
        self.scene.now_ns = now_ns();
        match connection.turn(token(What::Server, key), &mut self.scene) {
            Fate::Over => {
                self.end(key);
                return;
            }
            Fate::Hurries => self.hurried.push(key),
            Fate::Waits => {}
        }
        if let Some(connection) = self.connections.get_mut(key) {
            let (due_ns, serial) = (connection.due_ns(), connection.serial);
            let owner = Owner::Connection(key);
            connection
                .alarm
                .set(due_ns, &mut self.timers, owner, serial);
        }
    }

    /// Ends a connection; its key is free after this batch of events.
    fn end(&mut self, key: usize) {
        if let Some(connection) = self.connections.get_mut(key)
            && connection.end(&self.scene)
        {
            self.over.push(key);
        }
    }

    fn bury(&mut self) {
        for key in self.over.drain(..) {
            self.connections.remove(key);
        }
        self.hurried.retain(|key| self.connections.contains(*key));
    }

    fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    fn read_mail(&mut self) {
        for order in self.mailboxes[self.scene.worker].take() {
            match order {
                Order::Listen {
                    link,
                    socket,
                    at,
                    upstream,
                } => self.listen(link, socket, at, upstream),
                Order::Serve {
                    link,
                    closings,
                    connection,
                    client,
                } => {
                    // It may have been closed since.
                    if link.closings.load(Relaxed) == closings {
                        self.serve(link, connection, client);
                    }
                }
                Order::Resolved { key, serial, to } => {
                    if let Some(connection) = self.connections.get_mut(key)
                        && connection.serial == serial
                    {
                        let token = token(What::Server, key);
                        if connection.connect(to, token, &self.scene) == Fate::Over {
                            self.end(key);
                        }
                    }
                }
                Order::TakeChain { link, done } => {
                    self.take_chain(link);
                    let _ = done.send(());
                }
                Order::Close { link, done } => {
                    self.close(link);
                    let _ = done.send(());
                }
                Order::Flush { done } => {
                    if let Some(log) = &mut self.scene.log {
                        log.flush();
                    }
                    let _ = done.send(());
                }
                Order::Stop => self.stopping = true,
            }
        }
    }

    fn listen(
        &mut self,
        link: Arc<Link>,
        socket: OwnedFd,
        at: SocketAddr,
        upstream: Vec<SocketAddr>,
    ) {
        let outcome = match link.medium {
            crate::item::Medium::Stream => {
                let serial = self.next_serial();
                let entry = self.listeners.vacant_entry();
                let token = token(What::Listener, entry.key());
                let listener = Listener::new(link, serial, socket, at, token);
                entry.insert(listener).take_chain(&self.scene.poller)
            }
            crate::item::Medium::Datagram => {
                let entry = self.ports.vacant_entry();
                let token = token(What::Port, entry.key());
                let watched = self.scene.poller.add(&socket, token, Interest::Read);
                entry.insert(Port::new(link, socket, upstream));
                watched
            }
        };
        if let Err(error) = outcome {
            tracing::error!("cannot watch {at}: {error}");
        }
    }

    fn accept(&mut self, key: usize) {
        for _ in 0..ACCEPTS {
            let Some(listener) = self.listeners.get_mut(key) else {
                return;
            };
            let Some(socket) = listener.accepting() else {
                listener.note_waiting();
                return;
            };
            match net::accept(socket.as_fd()) {
                Ok(None) => return,
                Ok(Some(client)) => {
                    let link = Arc::clone(&listener.link);
                    self.assign(link, client);
                }
                Err(error) => {
                    tracing::warn!("{} cannot accept: {error}", listener.link.name);
                    let _ = listener.unwatch(&self.scene.poller);
                    let due_ns = self.scene.now_ns + ACCEPT_BACKOFF_NS;
                    self.timers
                        .add(due_ns, Owner::Listener(key), listener.serial);
                    return;
                }
            }
        }
    }

    /// Numbers a connection and gives it to a worker, in turn.
    fn assign(&mut self, link: Arc<Link>, client: OwnedFd) {
        let connection = link.accepted.fetch_add(1, Relaxed);
        let worker = usize::try_from(connection % self.mailboxes.len() as u64);
        let worker = worker.expect("below their count");
        if worker == self.scene.worker {
            self.serve(link, connection, client);
        } else {
            let closings = link.closings.load(Relaxed);
            self.mailboxes[worker].send(Order::Serve {
                link,
                closings,
                connection,
                client,
            });
        }
    }

    fn serve(&mut self, link: Arc<Link>, number: u64, client: OwnedFd) {
        let serial = self.next_serial();
        let upstream = link.upstream();
        let connection = Connection::new(link, serial, number, client, &mut self.scene);
        let key = self.connections.insert(connection);
        let connection = &mut self.connections[key];
        let watched = connection.client().map(|fd| {
            self.scene
                .poller
                .add(fd, token(What::Client, key), Interest::Edge)
        });
        if let Some(Err(error)) = watched {
            tracing::warn!("cannot watch a client: {error}");
            self.end(key);
            return;
        }
        if let Ok(ip) = upstream.host().parse() {
            let to = vec![SocketAddr::new(ip, upstream.port())];
            if connection.connect(to, token(What::Server, key), &self.scene) == Fate::Over {
                self.end(key);
                return;
            }
        } else {
            let mailbox = Arc::clone(&self.mailboxes[self.scene.worker]);
            self.runtime.spawn_blocking(move || {
                let to = upstream.connect_candidates().unwrap_or_default();
                mailbox.send(Order::Resolved { key, serial, to });
            });
        }
        // Toxics that go by the clock begin to count.
        self.turn(key);
    }

    fn take_chain(&mut self, link: u64) {
        for (_, listener) in &mut self.listeners {
            if listener.link.id == link
                && let Err(error) = listener.take_chain(&self.scene.poller)
            {
                tracing::error!("{}: {error}", listener.link.name);
            }
        }
        self.scene.now_ns = now_ns();
        for key in keys(&self.connections, |connection| connection.link.id == link) {
            self.connections[key].take_chain(&mut self.scene);
            self.turn(key);
        }
        for key in keys(&self.sessions, |session| session.link.id == link) {
            self.sessions[key].take_chain(&mut self.scene);
            self.set_session_alarm(key);
        }
    }

    fn close(&mut self, link: u64) {
        self.listeners
            .retain(|_, listener| listener.link.id != link);
        self.ports.retain(|_, port| port.link.id != link);
        for key in keys(&self.connections, |connection| connection.link.id == link) {
            self.end(key);
        }
        for key in keys(&self.sessions, |session| session.link.id == link) {
            self.sessions.remove(key).forget(&self.scene);
        }
    }

    fn receive(&mut self, key: usize) {
        for _ in 0..DATAGRAMS {
            let Some(port) = self.ports.get_mut(key) else {
                return;
            };
            let Arrival::Datagram(len, client) = port.receive(&mut self.scene) else {
                return;
            };
            let session = match port.sessions.get(&client) {
                Some(session) => *session,
                None => {
                    self.serial += 1;
                    let entry = self.sessions.vacant_entry();
                    let at = entry.key();
                    let token = token(What::Session, at);
                    let Some(session) = port.open(client, self.serial, token, &mut self.scene)
                    else {
                        port.link.overflowed.fetch_add(1, Relaxed);
                        continue;
                    };
                    entry.insert(session);
                    port.sessions.insert(client, at);
                    at
                }
            };
            self.sessions[session].take_from_client(len, &mut self.scene);
            self.set_session_alarm(session);
        }
    }
}

fn keys<T>(slab: &Slab<T>, wanted: impl Fn(&T) -> bool) -> Vec<usize> {
    let all = slab.iter();
    all.filter(|(_, value)| wanted(value))
        .map(|(key, _)| key)
        .collect()
}
