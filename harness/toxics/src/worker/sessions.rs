//! A UDP link: a socket for its clients, and for each client a session with a socket to
//! the upstream and a lane each way.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;
use eventloop::Interest;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, connect, recv, recvfrom, send,
    sendto, socket_with,
};

use super::scene::Scene;
use super::timers::Alarm;
use crate::item::{Item, Segment};
use crate::lane::{Lane, ResetNow};
use crate::link::Link;
use crate::toxic::Direction;

/// Datagrams taken in one turn.
pub(super) const DATAGRAMS: usize = 64;

/// Clients that a link serves at a time. More are turned away and counted.
const MOST_SESSIONS: usize = 4_096;

/// How long a silent client is remembered.
const IDLE_NS: u64 = 60_000_000_000;

/// The socket of a UDP link.
#[derive(Debug)]
pub(super) struct Port {
    pub(super) link: Arc<Link>,
    pub(super) socket: Arc<OwnedFd>,
    upstream: Vec<SocketAddr>,
    /// The sessions by client.
    pub(super) sessions: HashMap<SocketAddr, usize>,
}

/// How often a session that is not forgotten in time is looked at again.
const RECHECK_NS: u64 = 1_000_000_000;

/// What one receive brought.
pub(super) enum Arrival {
    /// A datagram, its length and its sender.
    Datagram(usize, SocketAddr),
    /// Nothing now.
    Nothing,
}

impl Port {
    pub(super) fn new(link: Arc<Link>, socket: OwnedFd, upstream: Vec<SocketAddr>) -> Self {
        Self {
            link,
            socket: Arc::new(socket),
            upstream,
            sessions: HashMap::new(),
        }
    }

    /// Receives one datagram.
    pub(super) fn receive(&self, scene: &mut Scene) -> Arrival {
        loop {
            match recvfrom(&self.socket, &mut scene.scratch[..], RecvFlags::empty()) {
                Ok((_, n, Some(from))) => {
                    if let Ok(from) = SocketAddr::try_from(from) {
                        return Arrival::Datagram(n, from);
                    }
                }
                // A client's port was unreachable: its answer is lost, and it will not ask.
                Ok((_, _, None)) | Err(Errno::INTR | Errno::CONNREFUSED) => {}
                Err(_) => return Arrival::Nothing,
            }
        }
    }

    /// Opens a session for a client; none if there are too many, or no descriptor.
    pub(super) fn open(
        &self,
        client: SocketAddr,
        serial: u64,
        token: u64,
        scene: &mut Scene,
    ) -> Option<Session> {
        if self.sessions.len() >= MOST_SESSIONS {
            return None;
        }
        let (number, link) = (self.link.accepted.fetch_add(1, Relaxed), &self.link);
        let socket = self.upstream.iter().find_map(|to| open_socket(*to));
        let watched = socket.filter(|fd| scene.poller.add(fd, token, Interest::Read).is_ok());
        let Some(socket) = watched else {
            link.failed.fetch_add(1, Relaxed);
            link.ended.fetch_add(1, Relaxed);
            return None;
        };
        let chain = link.chain();
        let mut moment = scene.moment();
        let lanes = Direction::BOTH
            .map(|direction| Lane::new(link, number, direction, &chain, &mut moment));
        Some(Session {
            link: Arc::clone(link),
            serial,
            alarm: Alarm::default(),
            client,
            port: Arc::clone(&self.socket),
            socket,
            lanes,
            is_closed: false,
            last_ns: scene.now_ns,
            held: 0,
        })
    }
}

fn open_socket(to: SocketAddr) -> Option<OwnedFd> {
    let family = if to.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let fd = socket_with(family, SocketType::DGRAM, flags, None).ok()?;
    connect(&fd, &to).ok()?;
    Some(fd)
}

/// What a client and the upstream say to each other.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) link: Arc<Link>,
    pub(super) serial: u64,
    pub(super) alarm: Alarm,
    pub(super) client: SocketAddr,
    port: Arc<OwnedFd>,
    socket: OwnedFd,
    lanes: [Lane; 2],
    /// A toxic closed it: nothing passes until the client has been silent for long.
    is_closed: bool,
    last_ns: u64,
    held: usize,
}

impl Session {
    /// When to give it a turn, if nothing happens before.
    pub(super) fn due_ns(&self, now_ns: u64) -> u64 {
        let dues = self.lanes.iter().filter_map(Lane::due_ns);
        // Whoever is silent and still held back is looked at now and then.
        let idle_ns = (self.last_ns + IDLE_NS).max(now_ns + RECHECK_NS);
        dues.min().map_or(idle_ns, |due_ns| due_ns.min(idle_ns))
    }

    /// Whether it may be forgotten.
    pub(super) fn is_idle(&self, now_ns: u64) -> bool {
        now_ns >= self.last_ns + IDLE_NS && self.held == 0
    }

    /// Takes the toxics of now over.
    pub(super) fn take_chain(&mut self, scene: &mut Scene) {
        let chain = self.link.chain();
        for lane in &mut self.lanes {
            lane.set_chain(&chain, &mut scene.moment());
        }
        self.advance(scene);
    }

    /// Takes a datagram of the client, which lies in the scratch space.
    pub(super) fn take_from_client(&mut self, len: usize, scene: &mut Scene) {
        self.take(Direction::Upstream, len, scene);
    }

    /// Takes what the upstream has sent.
    pub(super) fn take_from_upstream(&mut self, scene: &mut Scene) {
        for _ in 0..DATAGRAMS {
            match recv(&self.socket, &mut scene.scratch[..], RecvFlags::empty()) {
                Ok((_, n)) => self.take(Direction::Downstream, n, scene),
                // Nobody listens there: datagrams are lost silently, as they are.
                Err(Errno::CONNREFUSED | Errno::INTR) => {}
                Err(_) => return,
            }
        }
    }

    fn take(&mut self, direction: Direction, len: usize, scene: &mut Scene) {
        self.last_ns = scene.now_ns;
        let i = direction.index();
        self.link.traffic[scene.worker].received(direction, len);
        if self.is_closed {
            return;
        }
        let number = self.lanes[i].next_offset(len);
        if self.lanes[i].is_clean() {
            self.send(direction, &scene.scratch[..len], scene.worker);
            return;
        }
        if !self.lanes[i].has_room(scene.is_poor()) {
            self.link.overflowed.fetch_add(1, Relaxed);
            return;
        }
        let item = Item::Data(Segment {
            bytes: Bytes::copy_from_slice(&scene.scratch[..len]),
            at_ns: scene.now_ns,
            offset: number,
        });
        self.lanes[i].feed(item, &mut scene.moment());
        self.advance(scene);
    }

    /// Sends what is due.
    pub(super) fn advance(&mut self, scene: &mut Scene) {
        for direction in Direction::BOTH {
            let i = direction.index();
            loop {
                if let Err(ResetNow) = self.lanes[i].advance(&mut scene.moment()) {
                    self.is_closed = true;
                }
                if self.lanes[i].out().is_empty() {
                    break;
                }
                while let Some(item) = self.lanes[i].out().pop() {
                    match item {
                        Item::Data(_) if self.is_closed => {}
                        Item::Data(segment) => self.send(direction, &segment.bytes, scene.worker),
                        Item::End | Item::Close | Item::Reset => self.is_closed = true,
                    }
                }
            }
        }
        let held = self.lanes.iter().map(Lane::held).sum();
        scene.remember(self.held, held);
        self.held = held;
    }

    fn send(&self, direction: Direction, bytes: &[u8], worker: usize) {
        let flags = SendFlags::NOSIGNAL;
        let sent = match direction {
            Direction::Upstream => match send(&self.socket, bytes, flags) {
                // What is reported is the fate of one before; this one was not sent.
                Err(Errno::CONNREFUSED) => send(&self.socket, bytes, flags),
                other => other,
            },
            Direction::Downstream => sendto(&*self.port, bytes, flags, &self.client),
        };
        match sent {
            Ok(n) => self.link.traffic[worker].sent(direction, n),
            Err(Errno::CONNREFUSED) => {}
            Err(_) => {
                self.link.overflowed.fetch_add(1, Relaxed);
            }
        }
    }

    /// Gives back what it held. To be called when it is forgotten.
    pub(super) fn forget(&self, scene: &Scene) {
        scene.remember(self.held, 0);
        self.link.ended.fetch_add(1, Relaxed);
    }
}
