//! One connection of a worker.

use crate::dialect::Dialect;
use crate::link::Link;
use crate::tracker::Tracker;

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Closed as planned; opened again when there is a request for it.
    Idle,
    /// Being opened since this moment.
    Connecting(u64),
    /// Connected, and agreeing on TLS since this moment.
    ShakingHands(u64),
    /// Open.
    Open,
    /// Closed or never opened, and not yet to be tried again.
    Resting,
}

/// A connection and the requests open on it.
#[derive(Debug)]
pub(crate) struct Connection<D: Dialect> {
    /// Its number in the run; another one after each reconnect.
    pub(crate) id: u32,
    /// What it is doing.
    pub(crate) state: State,
    /// Its socket, unless it is idle or resting.
    pub(crate) link: Option<Link>,
    /// Its open requests.
    pub(crate) tracker: Tracker,
    /// What is remembered of its replies from one read to the next.
    pub(crate) cutting: D::Cutting,
    /// Whether a byte has come.
    pub(crate) heard: bool,
    /// Whether our side has ended, so that nothing can be written any more.
    pub(crate) half_closed: bool,
    /// Whether the worker has it in its list of connections with places.
    pub(crate) listed: bool,
    /// Whether the worker has it in its list of connections with something to write.
    pub(crate) dirty: bool,
    /// Failed attempts to open it since it was last open.
    pub(crate) failures: u32,
}

impl<D: Dialect> Connection<D> {
    /// A connection that is not open yet.
    #[must_use]
    pub(crate) fn new(pipeline: usize) -> Self {
        Self {
            id: 0,
            state: State::Resting,
            link: None,
            tracker: Tracker::new(pipeline),
            cutting: D::Cutting::default(),
            heard: false,
            half_closed: false,
            listed: false,
            dirty: false,
            failures: 0,
        }
    }

    /// How many more requests it takes. `quota` is the number that it may have in its
    /// life, 0 for no limit; with a quota, requests also wake an idle connection.
    #[inline]
    #[must_use]
    pub(crate) fn places(&self, pipeline: usize, quota: u64) -> usize {
        let takes = match self.state {
            State::Open => !self.half_closed,
            State::Idle | State::Connecting(_) | State::ShakingHands(_) => quota > 0,
            State::Resting => false,
        };
        if !takes {
            return 0;
        }
        let room = pipeline.saturating_sub(self.tracker.open());
        if quota == 0 {
            return room;
        }
        let left = quota.saturating_sub(self.tracker.given());
        room.min(usize::try_from(left).unwrap_or(usize::MAX))
    }

    /// Adds a request that is due at `due` to what will be written.
    #[inline]
    pub(crate) fn push(&mut self, due: u64, dialect: &D) {
        let seq = self.tracker.push(due);
        if let Some(link) = &mut self.link {
            dialect.write(self.id, seq, link.outbound());
        }
    }

    /// Forgets the socket, and all that belonged to it. Its requests must be settled.
    pub(crate) fn disconnect(&mut self, state: State) {
        self.link = None;
        self.state = state;
        self.tracker.restart();
        self.cutting = D::Cutting::default();
        self.heard = false;
        self.half_closed = false;
    }
}
