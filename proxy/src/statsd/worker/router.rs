//! From a line to the node that it belongs to.

use std::collections::HashMap;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Duration;

use balance::hashring::HashRing;
use eventloop::Interest;
use eventloop::datagram::Sender;
use protocol::statsd;

use super::counters::WorkerCounters;
use super::outbox::{Kind, Outbox};
use crate::live::{Live, Reader};
use crate::statsd::settings::{Node, OnMalformed, Settings, WhenDown};

/// What UDP over IPv4 can hold.
const LONGEST_LINE: usize = 65_507;

/// Datagrams that one system call sends.
const SEND_BATCH: usize = 64;

/// What is taken at once of lines that were kept: a node that has just come back must not
/// lose them for want of room.
const RELEASE_BYTES: usize = 64 * 1024;

/// Such a share of all that is kept is taken at once if that is more.
const RELEASE_SHARE: usize = 64;

/// Between two such portions.
pub(super) const RELEASE_PAUSE: Duration = Duration::from_millis(2);

/// Where lines go, and what waits for each node.
pub(super) struct Router {
    settings: Reader<Settings>,
    /// One for each node of the settings, in their order; none for a node whose socket
    /// could not be opened.
    outboxes: Vec<Option<Outbox>>,
    sender: Sender,
    pub(super) counters: Arc<WorkerCounters>,
    /// Sockets were opened or closed since this was last asked.
    sockets_changed: bool,
}

impl Router {
    pub(super) fn new(live: Arc<Live<Settings>>, counters: Arc<WorkerCounters>) -> Self {
        let mut router = Self {
            settings: Reader::new(live),
            outboxes: Vec::new(),
            sender: Sender::new(SEND_BATCH),
            counters,
            sockets_changed: true,
        };
        router.outboxes = router.open_all(Vec::new());
        router
    }

    /// How long a line may wait for company.
    pub(super) fn flush_after(&self) -> Duration {
        if self.settings.policy.mtu == 0 {
            Duration::ZERO
        } else {
            self.settings.policy.flush
        }
    }

    /// Takes each line of a datagram, or of what a connection brought.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        for line in statsd::lines(bytes) {
            self.line(line);
        }
    }

    /// Takes a line that came in.
    pub(super) fn line(&mut self, line: &[u8]) {
        let counters = &self.counters;
        counters.lines_received.add(1);
        if !statsd::is_well_formed(line) {
            counters.malformed.add(1);
            if self.settings.policy.on_malformed == OnMalformed::Drop {
                return counters.dropped_malformed.add(1);
            }
        }
        self.place(line);
    }

    /// Counts lines that came over TCP and were dropped before they had come whole.
    pub(super) fn cut(&self, lines: u64) {
        self.counters.tcp_lines.add(lines);
        self.counters.lines_received.add(lines);
        self.counters.dropped_too_long.add(lines);
    }

    /// Puts a line where it belongs.
    fn place(&mut self, line: &[u8]) {
        if line.len() > LONGEST_LINE {
            return self.counters.dropped_too_long.add(1);
        }
        let settings = &self.settings;
        let hash = HashRing::hash_key(statsd::key(line));
        let index = |ring: &HashRing| ring.node_of_hash(hash).map(usize::from);
        let (owner, policy) = (index(&settings.whole), settings.policy);
        let owner_is_up = owner.is_some_and(|owner| settings.up[owner]);
        let to = match policy.remap {
            _ if owner_is_up && settings.live.len() == settings.whole.len() => owner,
            WhenDown::Remap => index(&settings.live),
            WhenDown::Hold | WhenDown::Drop => owner,
            WhenDown::Mirror => {
                let to = index(&settings.live);
                let copy = |owner: &usize| !owner_is_up && settings.nodes[*owner].is_found();
                if let Some(owner) = owner.filter(copy).filter(|_| to.is_some()) {
                    self.push(owner, line, Kind::Copy);
                }
                to
            }
        };
        let Some(to) = to else {
            return self.counters.dropped_no_node.add(1);
        };
        let holding = self.outboxes[to].as_ref().is_some_and(Outbox::holds);
        match policy.remap {
            // A value must not overtake an older one that was kept.
            WhenDown::Hold if holding || !self.settings.up[to] => self.hold(to, line),
            WhenDown::Drop if !self.settings.up[to] => self.counters.dropped_node_down.add(1),
            _ => self.push(to, line, Kind::Line),
        }
    }

    fn push(&mut self, to: usize, line: &[u8], kind: Kind) {
        let (policy, counters) = (self.settings.policy, &self.counters);
        let Some(outbox) = &mut self.outboxes[to] else {
            return counters.dropped_send_error.add((kind == Kind::Line).into());
        };
        if outbox.waiting() >= policy.queue_bytes {
            if !outbox.blocked {
                outbox.send(&mut self.sender, counters);
            }
            if outbox.waiting() >= policy.queue_bytes {
                return counters.dropped_queue_full.add((kind == Kind::Line).into());
            }
        }
        outbox.push(line, kind, policy.mtu);
    }

    fn hold(&mut self, to: usize, line: &[u8]) {
        let most = self.settings.policy.hold_bytes;
        let outbox = self.outboxes[to].as_mut();
        if !outbox.is_some_and(|outbox| outbox.hold(line, most)) {
            self.counters.dropped_hold_full.add(1);
        }
    }

    /// Sends datagrams that are full; `all`: those that are being filled as well. Calls
    /// `refused` with each node whose host sent something back.
    pub(super) fn send(&mut self, all: bool, mut refused: impl FnMut(&Arc<Node>)) {
        for outbox in self.outboxes.iter_mut().flatten() {
            if all {
                outbox.seal();
            }
            if outbox.is_ready() && !outbox.blocked {
                outbox.send(&mut self.sender, &self.counters);
            }
            if outbox.was_refused() {
                refused(&outbox.node);
            }
        }
    }

    /// Whether datagrams are ready that could not be sent, although their sockets have room:
    /// they are to be tried again soon.
    pub(super) fn is_stuck(&self) -> bool {
        let mut outboxes = self.outboxes.iter().flatten();
        outboxes.any(|outbox| outbox.is_ready() && !outbox.blocked)
    }

    /// Whether lines wait for company.
    pub(super) fn is_filling(&self) -> bool {
        self.outboxes.iter().flatten().any(Outbox::is_filling)
    }

    /// Lines that have come in and neither left nor been dropped.
    pub(super) fn pending(&self) -> u64 {
        self.outboxes.iter().flatten().map(Outbox::pending).sum()
    }

    /// Whether a socket has no room.
    pub(super) fn is_blocked(&self) -> bool {
        self.outboxes.iter().flatten().any(|outbox| outbox.blocked)
    }

    /// Tries sockets that had no room once more.
    pub(super) fn unblock(&mut self) {
        for outbox in self.outboxes.iter_mut().flatten() {
            outbox.blocked = false;
        }
    }

    /// Names the sockets that are to be watched in another way than before, by the number
    /// of their node.
    pub(super) fn watch(
        &mut self,
        mut each: impl FnMut(usize, BorrowedFd<'_>, Interest) -> io::Result<()>,
    ) -> io::Result<()> {
        let all = std::mem::take(&mut self.sockets_changed);
        for (nth, outbox) in self.outboxes.iter_mut().enumerate() {
            let Some(outbox) = outbox else { continue };
            if all || outbox.watched_for_room != outbox.blocked {
                outbox.watched_for_room = outbox.blocked;
                let interest = if outbox.blocked {
                    Interest::Both
                } else {
                    Interest::Read
                };
                each(nth, outbox.fd(), interest)?;
            }
        }
        Ok(())
    }

    /// Something came from a node: a datagram sent back, an answer, or room.
    pub(super) fn heard(&mut self, nth: usize) {
        if let Some(outbox) = self.outboxes.get_mut(nth).and_then(Option::as_mut) {
            outbox.take_returned(&self.counters);
            outbox.discard_answers();
            outbox.send(&mut self.sender, &self.counters);
        }
    }

    /// Takes up new settings: lines that wait for a node that has gone down, or is gone, are
    /// placed again.
    pub(super) fn refresh(&mut self) {
        let before = self.settings.current();
        if !self.settings.refresh() {
            return;
        }
        let (nodes, up) = (&self.settings.nodes, &self.settings.up);
        let number = |list: &[Arc<Node>], node: &Arc<Node>| {
            list.iter().position(|other| Arc::ptr_eq(other, node))
        };
        let policy = self.settings.policy;
        let mut homeless = Homeless::default();
        let mut kept = Vec::new();
        for mut outbox in std::mem::take(&mut self.outboxes).into_iter().flatten() {
            let nth = number(nodes, &outbox.node);
            let number_before = number(&before.nodes, &outbox.node);
            let was_up = number_before.is_some_and(|nth| before.up[nth]);
            let is_up = nth.is_some_and(|nth| up[nth]);
            if nth.is_some() && policy.remap == WhenDown::Hold {
                if was_up && !is_up {
                    let dropped = outbox.hold_waiting(policy.hold_bytes);
                    self.counters.dropped_hold_full.add(dropped);
                }
            } else {
                // Copies for a node that stays down go on waiting.
                if nth.is_none() || (was_up && !is_up) {
                    outbox.take_waiting(|line| homeless.push(line));
                }
                if !is_up {
                    outbox.take_held(usize::MAX, |_, line| homeless.push(line));
                }
            }
            match nth {
                Some(_) => kept.push(outbox),
                None => _ = outbox.take_returned(&self.counters),
            }
        }
        self.outboxes = self.open_all(kept);
        self.counters.rerouted.add(homeless.lines);
        // They come all at once: what is full leaves in between.
        for portion in homeless.portions() {
            statsd::lines(portion).for_each(|line| self.place(line));
            for outbox in self.outboxes.iter_mut().flatten() {
                outbox.send(&mut self.sender, &self.counters);
            }
        }
    }

    /// Tries again to have a socket for each node that has none. Says whether there is still
    /// one without.
    pub(super) fn open_missing(&mut self) -> bool {
        if self.outboxes.iter().any(Option::is_none) {
            let kept = std::mem::take(&mut self.outboxes);
            self.outboxes = self.open_all(kept.into_iter().flatten().collect());
        }
        let mut both = self.settings.nodes.iter().zip(&self.outboxes);
        both.any(|(node, outbox)| outbox.is_none() && node.is_found())
    }

    /// Takes what has come back before it is too late.
    pub(super) fn take_returned(&mut self) {
        for outbox in self.outboxes.iter_mut().flatten() {
            outbox.take_returned(&self.counters);
        }
    }

    /// An outbox for each node of the settings: its own if it has one.
    fn open_all(&mut self, kept: Vec<Outbox>) -> Vec<Option<Outbox>> {
        // All of them have another number now, maybe.
        self.sockets_changed = true;
        let key = |node: &Arc<Node>| Arc::as_ptr(node);
        let mut kept: HashMap<_, _> = kept.into_iter().map(|one| (key(&one.node), one)).collect();
        let nodes = self.settings.nodes.iter();
        nodes
            .map(|node| kept.remove(&key(node)).or_else(|| open(node)))
            .collect()
    }

    /// Gives nodes that are back a portion of what was kept for them. Says whether more is
    /// to follow.
    pub(super) fn release(&mut self) -> bool {
        let mtu = self.settings.policy.mtu;
        let mut more = false;
        for (nth, outbox) in self.outboxes.iter_mut().enumerate() {
            let Some(outbox) = outbox.as_mut().filter(|outbox| outbox.holds()) else {
                continue;
            };
            if self.settings.up[nth] && !outbox.is_ready() {
                // More if much is kept: what comes meanwhile must not come faster.
                let portion = RELEASE_BYTES.max(outbox.held_bytes() / RELEASE_SHARE);
                outbox.take_held(portion, |outbox, line| {
                    outbox.push(line, Kind::Line, mtu);
                });
            }
            more |= self.settings.up[nth] && outbox.holds();
        }
        more
    }

    /// Drops whatever is left: the proxy ends.
    pub(super) fn drop_rest(&mut self) {
        for outbox in self.outboxes.iter_mut().flatten() {
            self.counters.dropped_queue_full.add(outbox.drop_waiting());
            let mut held = 0;
            outbox.take_held(usize::MAX, |_, _| held += 1);
            self.counters.dropped_node_down.add(held);
        }
    }
}

/// Lines that have lost their place.
#[derive(Default)]
struct Homeless {
    bytes: Vec<u8>,
    lines: u64,
}

impl Homeless {
    fn push(&mut self, line: &[u8]) {
        self.bytes.extend_from_slice(line);
        self.bytes.push(b'\n');
        self.lines += 1;
    }

    /// All of them, a few at a time.
    fn portions(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.bytes.as_slice();
        std::iter::from_fn(move || {
            let most = rest.len().min(RELEASE_BYTES);
            let end = memchr::memchr(b'\n', &rest[most.saturating_sub(1)..])?;
            let portion;
            (portion, rest) = rest.split_at(most.saturating_sub(1) + end + 1);
            Some(portion)
        })
    }
}

fn open(node: &Arc<Node>) -> Option<Outbox> {
    let opened = Outbox::open(Arc::clone(node));
    if let Err(error) = &opened {
        let name = &node.name;
        tracing::warn!("no socket for node {name}, whose lines are dropped: {error}");
    }
    opened.ok()
}

#[cfg(test)]
#[path = "router_tests.rs"]
mod tests;
