//! One TCP connection through a link: two sockets, a lane each way.
//!
//! A FIN passes as a FIN, a reset as a reset, in order behind the data before it. What a
//! socket does not take stays here, bounded, and then the other is not read.

use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;
use eventloop::{Interest, Readiness, net};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown, sockopt};

use super::scene::{SCRATCH_BYTES, Scene};
use super::timers::Alarm;
use super::tunnel::Tunnel;
use crate::item::{Item, Segment};
use crate::lane::{Lane, ResetNow};
use crate::link::Link;
use crate::toxic::Direction;

/// Turns that one connection has before others have theirs.
const TURNS: usize = 8;

/// A read that is one of a transfer.
const BIG_READ_BYTES: usize = SCRATCH_BYTES / 4;

/// Big reads in a row that make a transfer.
const BIG_READS: u8 = 8;

/// How long a connection that a toxic closed waits for the ends of both parties, so that a
/// FIN and not a reset follows the last bytes.
const LINGER_NS: u64 = 1_000_000_000;

/// What is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gone {
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
struct End {
    fd: OwnedFd,
    readable: bool,
    writable: bool,
    /// It has sent its end, or is gone: a short read does not mean that nothing is left.
    ended: bool,
    /// It has reset the connection, whatever reads still say.
    broken: bool,
}

impl End {
    fn new(fd: OwnedFd) -> Self {
        Self {
            fd,
            readable: false,
            writable: false,
            ended: false,
            broken: false,
        }
    }
}

/// One direction.
#[derive(Debug)]
struct Side {
    lane: Lane,
    tunnel: Option<Tunnel>,
    big_reads: u8,
    /// The sender's end or reset was read.
    heard_all: bool,
    /// The end was passed on.
    finished: bool,
    held: usize,
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
    ends: [Option<End>; 2],
    /// From the client, and from the server.
    sides: [Side; 2],
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

    /// Gives back what it held. To be called when it is over.
    pub(super) fn forget(&self, scene: &Scene) {
        for side in &self.sides {
            scene.remember(side.held, 0);
        }
        self.link.ended.fetch_add(1, Relaxed);
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

    fn relay(&mut self, scene: &mut Scene) -> Result<Fate, Gone> {
        for _ in 0..TURNS {
            let mut moved = self.pass(0, scene)?;
            moved |= self.pass(1, scene)?;
            if self.sides.iter().all(|side| side.finished) {
                return Ok(Fate::Over);
            }
            if !moved {
                self.look_for_late_resets()?;
                return Ok(Fate::Waits);
            }
        }
        Ok(Fate::Hurries)
    }

    /// A reset that comes after the end of a direction is not found by reading.
    fn look_for_late_resets(&mut self) -> Result<(), Gone> {
        for (end, side) in self.ends.iter_mut().zip(&self.sides) {
            if let Some(end) = end
                && std::mem::take(&mut end.ended)
                && side.heard_all
                && !matches!(sockopt::socket_error(&end.fd), Ok(Ok(())))
            {
                return Err(Gone::Reset);
            }
        }
        Ok(())
    }

    /// Moves one direction on; tells whether anything moved.
    fn pass(&mut self, from: usize, scene: &mut Scene) -> Result<bool, Gone> {
        let mut moved = self.write(from, scene)?;
        if self.sides[from].lane.is_clean() {
            moved |= self.pass_by(from, scene)?;
        } else {
            moved |= self.read(from, scene);
            let side = &mut self.sides[from];
            side.lane.advance(&mut scene.moment())?;
            moved |= self.write(from, scene)?;
        }
        Ok(moved)
    }

    /// Bytes that no toxic looks at.
    fn pass_by(&mut self, from: usize, scene: &mut Scene) -> Result<bool, Gone> {
        let side = &mut self.sides[from];
        let is_blocked = side.tunnel.as_ref().is_some_and(|tunnel| !tunnel.is_empty());
        let [client, server] = &mut self.ends;
        let (Some(source), Some(sink)) = (match from {
            0 => (client.as_mut(), server.as_mut()),
            _ => (server.as_mut(), client.as_mut()),
        }) else {
            return Ok(false);
        };
        if !source.readable || side.heard_all || is_blocked || !sink.writable {
            return Ok(false);
        }
        let direction = Direction::BOTH[from];
        let traffic = &self.link.traffic[scene.worker];
        if side.big_reads >= BIG_READS
            && let Some(tunnel) = &mut side.tunnel
        {
            match tunnel.fill(&source.fd) {
                Ok(None) => source.readable = false,
                Ok(Some(0)) => self.hear_end(from, scene),
                Ok(Some(n)) => {
                    traffic.received(direction, n);
                    side.lane.passed_by(n);
                    return self.write(from, scene);
                }
                Err(_) => self.hear_reset(from, scene),
            }
            return Ok(self.sides[from].heard_all);
        }
        match recv(&source.fd, &mut scene.scratch[..], RecvFlags::empty()) {
            Ok((_, 0)) => self.hear_end(from, scene),
            Ok((_, n)) => {
                traffic.received(direction, n);
                side.lane.passed_by(n);
                if n < SCRATCH_BYTES && !source.ended {
                    source.readable = false;
                }
                if n >= BIG_READ_BYTES {
                    side.big_reads = side.big_reads.saturating_add(1);
                    if side.big_reads >= BIG_READS && side.tunnel.is_none() {
                        side.tunnel = Tunnel::open();
                        // Without one, ask again after as many.
                        side.big_reads *= u8::from(side.tunnel.is_some());
                    }
                } else {
                    side.big_reads = 0;
                }
                let sent = match send(&sink.fd, &scene.scratch[..n], SendFlags::NOSIGNAL) {
                    Ok(sent) => sent,
                    Err(Errno::AGAIN | Errno::INTR) => 0,
                    Err(_) => {
                        self.lose(from)?;
                        return Ok(true);
                    }
                };
                traffic.sent(direction, sent);
                if sent < n {
                    sink.writable = false;
                    let bytes = Bytes::copy_from_slice(&scene.scratch[sent..n]);
                    side.lane.out().push(Item::Data(Segment {
                        bytes,
                        at_ns: scene.now_ns,
                        offset: 0,
                    }));
                }
            }
            Err(Errno::AGAIN) => source.readable = false,
            Err(Errno::INTR) => {}
            Err(_) => self.hear_reset(from, scene),
        }
        Ok(true)
    }

    /// Reads into the lane what it takes; tells whether there was anything.
    fn read(&mut self, from: usize, scene: &mut Scene) -> bool {
        let side = &mut self.sides[from];
        let Some(source) = &mut self.ends[from] else {
            return false;
        };
        if !source.readable || side.heard_all || !side.lane.has_room(scene.is_poor()) {
            return false;
        }
        match recv(&source.fd, &mut scene.scratch[..], RecvFlags::empty()) {
            Ok((_, 0)) => self.hear_end(from, scene),
            Ok((_, n)) => {
                let traffic = &self.link.traffic[scene.worker];
                traffic.received(Direction::BOTH[from], n);
                if n < SCRATCH_BYTES && !source.ended {
                    source.readable = false;
                }
                let item = Item::Data(Segment {
                    bytes: Bytes::copy_from_slice(&scene.scratch[..n]),
                    at_ns: scene.now_ns,
                    offset: side.lane.next_offset(n),
                });
                side.lane.feed(item, &mut scene.moment());
            }
            Err(Errno::AGAIN) => {
                source.readable = false;
                return false;
            }
            Err(Errno::INTR) => {}
            Err(_) => self.hear_reset(from, scene),
        }
        true
    }

    fn hear_end(&mut self, from: usize, scene: &mut Scene) {
        let was_reset = self.ends[from].as_ref().is_some_and(|end| end.broken);
        if was_reset {
            return self.hear_reset(from, scene);
        }
        let side = &mut self.sides[from];
        side.heard_all = true;
        side.lane.feed(Item::End, &mut scene.moment());
    }

    fn hear_reset(&mut self, from: usize, scene: &mut Scene) {
        let side = &mut self.sides[from];
        side.heard_all = true;
        side.lane.feed(Item::Reset, &mut scene.moment());
    }

    /// The receiver of a direction is gone: what was for it is lost, and what it still
    /// said is passed on, with its reset.
    fn lose(&mut self, from: usize) -> Result<(), Gone> {
        if self.sides[1 - from].heard_all {
            return Err(Gone::Reset);
        }
        if let Some(sink) = &mut self.ends[1 - from] {
            sink.broken = true;
            sink.readable = true;
            sink.ended = true;
        }
        Ok(())
    }

    /// Writes what waits; tells whether anything moved.
    fn write(&mut self, from: usize, scene: &mut Scene) -> Result<bool, Gone> {
        let mut moved = false;
        let direction = Direction::BOTH[from];
        let traffic = &self.link.traffic[scene.worker];
        loop {
            let side = &mut self.sides[from];
            let Some(sink) = &mut self.ends[1 - from] else {
                return Ok(moved);
            };
            if let Some(tunnel) = &mut side.tunnel
                && !tunnel.is_empty()
            {
                if !sink.writable && !sink.broken {
                    return Ok(moved);
                }
                match tunnel.empty(&sink.fd) {
                    Ok(Some(n)) => traffic.sent(direction, n),
                    Ok(None) => sink.writable = false,
                    Err(_) => {
                        side.tunnel = None;
                        self.lose(from)?;
                    }
                }
                moved = true;
                continue;
            }
            let sent = match side.lane.out().front() {
                None => return Ok(moved),
                Some(Item::Close) => return Err(Gone::Closed),
                Some(Item::Reset) => return Err(Gone::Reset),
                Some(Item::End) => {
                    side.lane.out().pop();
                    side.finished = true;
                    // Whoever is gone need not be told.
                    let _ = shutdown(&sink.fd, Shutdown::Write);
                    return Ok(true);
                }
                Some(Item::Data(segment)) if sink.broken => segment.bytes.len(),
                Some(Item::Data(_)) if !sink.writable => return Ok(moved),
                Some(Item::Data(segment)) => {
                    match send(&sink.fd, &segment.bytes, SendFlags::NOSIGNAL) {
                        Ok(sent) => {
                            traffic.sent(direction, sent);
                            sent
                        }
                        Err(Errno::INTR) => continue,
                        Err(Errno::AGAIN) => {
                            sink.writable = false;
                            return Ok(moved);
                        }
                        Err(_) => {
                            self.lose(from)?;
                            continue;
                        }
                    }
                }
            };
            side.lane.out().split(sent);
            moved = true;
        }
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
