//! What a worker does for a link: listen, accept, take its toxics over, close it.

use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use eventloop::{Interest, net};
use slab::Slab;

use super::connection::{Connection, Fate};
use super::listener::Listener;
use super::mailbox::Order;
use super::sessions::Port;
use super::timers::Owner;
use super::work::{What, Work, token};
use crate::evidence::now_ns;
use crate::link::Link;

/// Connections accepted in one turn.
const ACCEPTS: usize = 64;

/// Pause after accepting failed, as when descriptors ran out.
const ACCEPT_BACKOFF_NS: u64 = 50_000_000;

impl Work {
    /// Begins to listen for a link.
    pub(super) fn listen(
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

    /// Accepts who waits at a listener.
    pub(super) fn accept(&mut self, key: usize) {
        for _ in 0..ACCEPTS {
            let Some(listener) = self.listeners.get_mut(key) else {
                return;
            };
            let Some(socket) = listener.accepting() else {
                listener.note_in_vain();
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

    /// Serves a client.
    pub(super) fn serve(&mut self, link: Arc<Link>, number: u64, client: OwnedFd) {
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

    /// Has everything of a link take its toxics of now over.
    pub(super) fn take_chain(&mut self, link: u64) {
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

    /// Closes everything of a link.
    pub(super) fn close(&mut self, link: u64) {
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
}

fn keys<T>(slab: &Slab<T>, wanted: impl Fn(&T) -> bool) -> Vec<usize> {
    let all = slab.iter();
    all.filter(|(_, value)| wanted(value))
        .map(|(key, _)| key)
        .collect()
}
