//! One thread's loop.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::num::NonZeroU64;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Instant;

use eventloop::{Events, Interest, Poller, Waker};

use crate::Planted;
use crate::pair::{Pair, Side};

/// The token of the waker; those of connections count up from 0.
const WAKER: u64 = u64::MAX;

/// Relays its share of the connections.
#[derive(Debug)]
pub(crate) struct Worker {
    planted: Arc<Planted>,
    accepted: Receiver<OwnedFd>,
    waker: Arc<Waker>,
    poller: Poller,
    pairs: HashMap<u64, Pair>,
    next: u64,
    /// When which pair may let a chunk go. All wait equally long, so the order is that in
    /// which they came.
    releases: VecDeque<(Instant, u64)>,
}

impl Worker {
    pub(crate) fn new(
        planted: Arc<Planted>,
        accepted: Receiver<OwnedFd>,
        waker: Arc<Waker>,
    ) -> io::Result<Self> {
        let poller = Poller::new()?;
        poller.add(&*waker, WAKER, Interest::Read)?;
        Ok(Self {
            planted,
            accepted,
            waker,
            poller,
            pairs: HashMap::new(),
            next: 0,
            releases: VecDeque::new(),
        })
    }

    /// Relays for ever.
    pub(crate) fn run(&mut self) -> io::Result<()> {
        // With the default slack of 50 µs every delay would be that much longer.
        let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
        let mut events = Events::new();
        loop {
            let first = self.releases.front();
            let wait = first.map(|(at, _)| at.saturating_duration_since(Instant::now()));
            self.poller.wait(&mut events, wait)?;
            self.turn(&events);
        }
    }

    fn turn(&mut self, events: &Events) {
        self.release();
        for (token, readiness) in events.iter() {
            if token == WAKER {
                self.waker.drain();
                self.take_accepted();
                continue;
            }
            let (token, side) = match token & 1 {
                0 => (token >> 1, Side::Client),
                _ => (token >> 1, Side::Server),
            };
            let planted = &self.planted;
            let mut holds = false;
            Self::with(&mut self.pairs, &self.poller, token, |pair| {
                holds = pair.ready(side, readiness, planted)?;
                Ok(())
            });
            if holds {
                let at = Instant::now() + self.planted.delay;
                self.releases.push_back((at, token));
            }
        }
    }

    /// Lets go what has been held back for long enough.
    fn release(&mut self) {
        if self.releases.is_empty() {
            return;
        }
        let now = Instant::now();
        while let Some((at, token)) = self.releases.front().copied()
            && at <= now
        {
            self.releases.pop_front();
            Self::with(&mut self.pairs, &self.poller, token, Pair::release);
        }
    }

    fn take_accepted(&mut self) {
        while let Ok(client) = self.accepted.try_recv() {
            let token = self.next;
            self.next += 1;
            // A client whose server cannot be had is closed.
            if let Ok(pair) = Pair::open(client, &self.planted, &self.poller, token) {
                self.pairs.insert(token, pair);
            }
        }
    }

    /// Does something with a pair, which is gone if that fails or was the last of it.
    fn with(
        pairs: &mut HashMap<u64, Pair>,
        poller: &Poller,
        token: u64,
        act: impl FnOnce(&mut Pair) -> io::Result<()>,
    ) {
        let Some(pair) = pairs.get_mut(&token) else {
            return;
        };
        let done = act(pair).and_then(|()| pair.watch(poller));
        if done.is_err() || pair.is_over() {
            pairs.remove(&token);
        }
    }
}
