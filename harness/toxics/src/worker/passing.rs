//! How bytes pass from one socket to the other, through the lane or by it.

use bytes::Bytes;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown, sockopt};

use super::connection::{Connection, End, Fate, Gone, Side};
use super::scene::{LINGERS, SCRATCH_BYTES, Scene};
use super::tunnel::Tunnel;
use crate::item::{Item, Segment};
use crate::toxic::Direction;

/// Turns that one connection has before others have theirs.
const TURNS: usize = 8;

/// A read that is one of a transfer.
const BIG_READ_BYTES: usize = SCRATCH_BYTES / 4;

/// Big reads in a row that make a transfer.
const BIG_READS: u8 = 8;

impl Connection {
    /// Moves both directions as far as they go, within a bound.
    pub(super) fn relay(&mut self, scene: &mut Scene) -> Result<Fate, Gone> {
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
        let is_blocked = side
            .tunnel
            .as_ref()
            .is_some_and(|tunnel| !tunnel.is_empty());
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
                    scene.lingers = LINGERS;
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
                        lose(&self.sides, &mut self.ends, from)?;
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
                        lose(&self.sides, &mut self.ends, from)?;
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
                            lose(&self.sides, &mut self.ends, from)?;
                            continue;
                        }
                    }
                }
            };
            side.lane.out().split(sent);
            moved = true;
        }
    }
}

/// The receiver of a direction is gone: what was for it is lost, and what it still said is
/// passed on, with its reset.
fn lose(sides: &[Side; 2], ends: &mut [Option<End>; 2], from: usize) -> Result<(), Gone> {
    if sides[1 - from].heard_all {
        return Err(Gone::Reset);
    }
    if let Some(sink) = &mut ends[1 - from] {
        sink.broken = true;
        sink.readable = true;
        sink.ended = true;
    }
    Ok(())
}
