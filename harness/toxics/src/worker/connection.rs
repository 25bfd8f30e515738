//! One TCP connection through a link: two sockets, a lane each way.
//!
//! A FIN passes as a FIN, a reset as a reset, in order behind the data before it. What a
//! socket does not take stays here, bounded, and then the other is not read.

use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use eventloop::{Interest, Readiness, net};
use rustix::io::Errno;
use rustix::net::{RecvFlags, Shutdown, recv, shutdown, sockopt};

use super::scene::Scene;
use super::timers::Alarm;
use super::tunnel::Tunnel;
use crate::item::Item;
use crate::lane::{Lane, ResetNow};
use crate::link::Link;
use crate::toxic::Direction;

/// How long a connection that a toxic closed waits for the ends of both parties, so that a
/// FIN and not a reset follows the last bytes.
const LINGER_NS: u64 = 1_000_000_000;

/// What is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gone {
    /// A toxic closed it.
    Closed,
    /// It is to be reset.
    Reset,
}

impl From<ResetNow> for Gone {
    fn from(_: ResetNow) -> Self {
        Self::Reset
    }
}

/// Whether a connection is still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It waits for its sockets or its time.
    Waits,
    /// It has more to do right now.
    Hurries,
    /// It is over.
    Over,
}

/// One party's socket.
#[derive(Debug)]
pub(super) struct End {
    pub(super) fd: OwnedFd,
    pub(super) readable: bool,
    pub(super) writable: bool,
    /// It has sent its end, or is gone: a short read does not mean that nothing is left.
    pub(super) ended: bool,
    /// It has reset the connection, whatever reads still say.
    pub(super) broken: bool,
}

impl End {
    fn new(fd: OwnedFd) -> Self {
        forgo_pacing(&fd);
        Self {
            fd,
            readable: false,
            writable: false,
            ended: false,
            broken: false,
        }
    }
}

/// Takes the plainest congestion control for a socket of the loopback interface, where
/// nothing is congested. One that paces by what it measures, as BBR does, measures how late
/// processes are woken, and was seen to move half as much.
fn forgo_pacing(fd: &OwnedFd) {
    if net::local_addr(fd.as_fd()).is_ok_and(|local| local.ip().is_loopback()) {
        // With another one it works as well.
        let _ = sockopt::set_tcp_congestion(fd, "reno");
    }
}

/// One direction.
#[derive(Debug)]
pub(super) struct Side {
    pub(super) lane: Lane,
    pub(super) tunnel: Option<Tunnel>,
    pub(super) big_reads: u8,
    /// The sender's end or reset was read.
    pub(super) heard_all: bool,
    /// The end was passed on.
    pub(super) finished: bool,
    pub(super) held: usize,
}

#[derive(Debug)]
enum State {
    /// The upstream's address is being looked up.
    Resolving,
    /// Connecting, with other addresses to try.
    Connecting(Vec<SocketAddr>),
    Open,
    /// Closed by us, until this time.
    Lingering(u64),
    /// Its sockets are closed.
    Over,
}

/// One TCP connection through a link.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) link: Arc<Link>,
    pub(super) serial: u64,
    pub(super) alarm: Alarm,
    number: u64,
    state: State,
    /// The client, and the server once it is known.
    pub(super) ends: [Option<End>; 2],
    /// From the client, and from the server.
    pub(super) sides: [Side; 2],
}

impl Connection {
    /// A connection whose client has been accepted.
    pub(super) fn new(
        link: Arc<Link>,
        serial: u64,
        number: u64,
        client: OwnedFd,
        scene: &mut Scene,
    ) -> Self {
        let chain = link.chain();
        let mut moment = scene.moment();
        let sides = Direction::BOTH.map(|direction| Side {
            lane: Lane::new(&link, number, direction, &chain, &mut moment),
            tunnel: None,
            big_reads: 0,
            heard_all: false,
            finished: false,
            held: 0,
        });
        Self {
            link,
            serial,
            alarm: Alarm::default(),
            number,
            state: State::Resolving,
            ends: [Some(End::new(client)), None],
            sides,
        }
    }

    /// The client's socket, to be watched.
    pub(super) fn client(&self) -> Option<impl AsFd> {
        self.ends[0].as_ref().map(|end| end.fd.as_fd())
    }

    /// When to give it a turn, if nothing happens before.
    pub(super) fn due_ns(&self) -> Option<u64> {
        if let State::Over = self.state {
            return None;
        }
        if let State::Lingering(until_ns) = self.state {
            return Some(until_ns);
        }
        let dues = self.sides.iter().filter_map(|side| side.lane.due_ns());
        dues.min()
    }

    /// Takes note of what a socket is ready for. `end` is 0 for the client.
    pub(super) fn note(&mut self, end: usize, readiness: Readiness) {
        if let Some(end) = &mut self.ends[end] {
            end.readable |= readiness.readable();
            end.writable |= readiness.writable();
            end.ended |= readiness.ended();
        }
    }

    /// Takes the toxics of now over.
    pub(super) fn take_chain(&mut self, scene: &mut Scene) {
        let chain = self.link.chain();
        for side in &mut self.sides {
            side.lane.set_chain(&chain, &mut scene.moment());
        }
    }

    /// Begins to connect to the first of these addresses; tells whether it could.
    pub(super) fn connect(&mut self, mut to: Vec<SocketAddr>, token: u64, scene: &Scene) -> Fate {
        while !to.is_empty() {
            let addr = to.remove(0);
            let begun = net::start_connect(addr).and_then(|fd| {
                scene.poller.add(&fd, token, Interest::Edge)?;
                Ok(fd)
            });
            match begun {
                Ok(fd) => {
                    self.ends[1] = Some(End::new(fd));
                    self.state = State::Connecting(to);
                    return Fate::Waits;
                }
                Err(error) => self.tell_of_failure(addr, &error),
            }
        }
        self.link.failed.fetch_add(1, Relaxed);
        self.reset();
        Fate::Over
    }

    fn tell_of_failure(&self, addr: SocketAddr, error: &std::io::Error) {
        tracing::debug!("{} {}: {addr}: {error}", self.link.name, self.number);
    }

    /// Has its turn. `token` is that of its upstream socket.
    pub(super) fn turn(&mut self, token: u64, scene: &mut Scene) -> Fate {
        if let State::Connecting(_) = self.state
            && let Some(fate) = self.settle(token, scene)
        {
            return fate;
        }
        let outcome = match self.state {
            State::Open => self.relay(scene),
            State::Lingering(until_ns) => return self.linger(until_ns, scene),
            State::Over => return Fate::Waits,
            State::Resolving | State::Connecting(_) => self.wait(scene),
        };
        for side in &mut self.sides {
            let held = side.lane.held();
            scene.remember(side.held, held);
            side.held = held;
        }
        match outcome {
            Ok(fate) => fate,
            Err(Gone::Reset) => {
                self.reset();
                Fate::Over
            }
            Err(Gone::Closed) => {
                self.close(scene.now_ns);
                Fate::Hurries
            }
        }
    }

    /// Closes its sockets and gives back what it held; tells whether that is new.
    pub(super) fn end(&mut self, scene: &Scene) -> bool {
        if matches!(self.state, State::Over) {
            return false;
        }
        self.state = State::Over;
        self.ends = [None, None];
        for side in &mut self.sides {
            scene.remember(std::mem::take(&mut side.held), 0);
        }
        self.link.ended.fetch_add(1, Relaxed);
        true
    }

    /// Learns how connecting ended, if it has. Nothing: go on.
    fn settle(&mut self, token: u64, scene: &Scene) -> Option<Fate> {
        let server = self.ends[1].as_mut()?;
        if !server.writable {
            return None;
        }
        match net::connect_result(&server.fd) {
            Ok(()) => {
                self.state = State::Open;
                None
            }
            Err(error) => {
                tracing::debug!("{} {}: {error}", self.link.name, self.number);
                let rest = match &mut self.state {
                    State::Connecting(rest) => std::mem::take(rest),
                    _ => Vec::new(),
                };
                self.ends[1] = None;
                Some(self.connect(rest, token, scene))
            }
        }
    }

    /// Toxics that go by the clock do so before the upstream is there, too.
    fn wait(&mut self, scene: &mut Scene) -> Result<Fate, Gone> {
        for side in &mut self.sides {
            side.lane.advance(&mut scene.moment())?;
            if matches!(side.lane.out().front(), Some(Item::Close)) {
                return Err(Gone::Closed);
            }
        }
        Ok(Fate::Waits)
    }

    /// Ends both directions in order.
    fn close(&mut self, now_ns: u64) {
        for end in self.ends.iter().flatten() {
            // Whoever is gone need not be told.
            let _ = shutdown(&end.fd, Shutdown::Write);
        }
        self.state = State::Lingering(now_ns + LINGER_NS);
    }

    /// Drops what comes until both have ended.
    fn linger(&mut self, until_ns: u64, scene: &mut Scene) -> Fate {
        for slot in &mut self.ends {
            while let Some(end) = slot
                && end.readable
            {
                match recv(&end.fd, &mut scene.scratch[..], RecvFlags::empty()) {
                    Ok((_, 1..)) | Err(Errno::INTR) => {}
                    Err(Errno::AGAIN) => end.readable = false,
                    Ok((_, 0)) | Err(_) => *slot = None,
                }
            }
        }
        if scene.now_ns >= until_ns || self.ends.iter().all(Option::is_none) {
            Fate::Over
        } else {
            Fate::Waits
        }
    }

    /// Has both parties get a reset.
    fn reset(&mut self) {
        for end in self.ends.iter().flatten() {
            // Whoever is gone need not be told.
            let _ = net::reset_on_close(&end.fd);
        }
    }
}
