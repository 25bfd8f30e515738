//! One worker's event loop: who has a turn when.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use eventloop::{Events, Interest, Poller};
use slab::Slab;
use tokio::runtime::Handle;

use super::connection::{Connection, Fate};
use super::listener::Listener;
use super::mailbox::{Mailbox, Order};
use super::scene::{SCRATCH_BYTES, Scene};
use super::sessions::{Arrival, DATAGRAMS, Port, Session};
use super::timers::{Owner, Timers};
use crate::evidence::{DecisionLog, now_ns};

/// What an event is about: the lowest bits of its token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
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

pub(super) fn token(what: What, key: usize) -> u64 {
    (key as u64) << 3 | what as u64
}

fn untoken(token: u64) -> (What, usize) {
    let what = usize::try_from(token & 7).expect("three bits");
    let key = usize::try_from(token >> 3).expect("it was one");
    (WHATS[what], key)
}

/// One worker.
pub(super) struct Work {
    pub(super) scene: Scene,
    pub(super) mailboxes: Vec<Arc<Mailbox>>,
    pub(super) runtime: Handle,
    pub(super) timers: Timers,
    pub(super) serial: u64,
    pub(super) listeners: Slab<Listener>,
    pub(super) connections: Slab<Connection>,
    pub(super) ports: Slab<Port>,
    pub(super) sessions: Slab<Session>,
    /// Connections that have more to do right now.
    pub(super) hurried: Vec<usize>,
    /// Connections and sessions that are over, whose keys may still be in this batch of
    /// events.
    pub(super) over: Vec<usize>,
    pub(super) stopping: bool,
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

    pub(super) fn set_session_alarm(&mut self, key: usize) {
        if let Some(session) = self.sessions.get_mut(key) {
            let (due_ns, serial) = (session.due_ns(self.scene.now_ns), session.serial);
            let owner = Owner::Session(key);
            session
                .alarm
                .set(Some(due_ns), &mut self.timers, owner, serial);
        }
    }

    /// Lets a connection do what it can.
    pub(super) fn turn(&mut self, key: usize) {
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
    pub(super) fn end(&mut self, key: usize) {
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

    pub(super) fn next_serial(&mut self) -> u64 {
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
