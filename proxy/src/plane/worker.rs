//! The loop of one worker: completions to sessions, deadlines, orders from the control
//! plane. How connections come to it is in [`super::accepting`].

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use slab::Slab;

use super::control::WorkerShare;
use super::driver::{Completion, Driver};
use super::mailbox::Letter;
use super::protocol::{End, Protocol};
use super::session::{Context, Phase, Session, Stage};

/// How often a reset looks whether the last bytes before it are acknowledged; the kernel
/// has no event for that.
const RESET_POLL_MS: u64 = 5;

/// How often those who wait for room look for it. What a session of the same worker
/// leaves, they see at once; this is for room that another worker made.
const QUEUE_POLL_MS: u64 = 2;

/// A worker and all its connections.
pub(super) struct Worker<D, P: Protocol> {
    pub(super) cx: Context<D, P>,
    pub(super) sessions: Slab<Session<P::Conn>>,
    /// Sessions that wait for room, in the order in which they came.
    queued: Vec<u32>,
    next_queue_ms: u64,
    /// Sessions that wait for their last bytes to be acknowledged: looked at often.
    resetting: Vec<u32>,
    next_reset_ms: u64,
    next_sweep_ms: u64,
    pub(super) listener: Option<Arc<OwnedFd>>,
    /// It is another process's from now on, once the last accept has been taken back.
    pub(super) leaving: Option<Arc<OwnedFd>>,
    pub(super) accept_resumes_ms: Option<u64>,
    /// The other workers, and whose turn it is to be compared with.
    pub(super) peers: Vec<Arc<WorkerShare>>,
    pub(super) next_peer: usize,
}

impl<D: Driver, P: Protocol> Worker<D, P> {
    pub(super) fn new(
        driver: D,
        protocol: P,
        shares: &[Arc<WorkerShare>],
        number: usize,
        listener: Arc<OwnedFd>,
    ) -> Self {
        let mut peers = shares.to_vec();
        let share = peers.remove(number);
        Self {
            cx: Context::new(driver, protocol, share, now_ms()),
            sessions: Slab::new(),
            queued: Vec::new(),
            next_queue_ms: 0,
            resetting: Vec::new(),
            next_reset_ms: 0,
            next_sweep_ms: 0,
            listener: Some(listener),
            leaving: None,
            accept_resumes_ms: None,
            peers,
            next_peer: number,
        }
    }

    /// Runs until it is ordered to stop, or has drained.
    pub(super) fn run(mut self) -> io::Result<()> {
        self.cx.driver.accept();
        let mut done = Vec::new();
        loop {
            let timeout = self.timeout();
            self.cx.eager = false;
            self.cx.driver.wait(timeout, &mut done)?;
            self.cx.now_ms = now_ms();
            self.cx.alone = done.len() == 1;
            let mut woken = false;
            for completion in done.drain(..) {
                woken |= matches!(completion, Completion::Woken);
                self.handle(completion);
            }
            self.keep_time();
            if woken && self.read_mail() {
                return Ok(());
            }
            // An accept that was taken back may have brought a connection before that.
            let accepting = self.cx.driver.is_accepting();
            if !accepting && let Some(listener) = self.leaving.take() {
                self.take_backlog(&listener);
            }
            let drained = self.listener.is_none() && !accepting && self.sessions.is_empty();
            if drained && self.cx.share.mailbox.close_if_empty() {
                // The last closes are still to be handed over.
                self.cx.driver.wait(Some(Duration::ZERO), &mut done)?;
                return Ok(());
            }
        }
    }

    fn timeout(&self) -> Option<Duration> {
        if self.cx.eager {
            return Some(Duration::ZERO);
        }
        let sweep = (!self.sessions.is_empty()).then_some(self.next_sweep_ms);
        let reset = (!self.resetting.is_empty()).then_some(self.next_reset_ms);
        let queue = (!self.queued.is_empty()).then_some(self.next_queue_ms);
        let next = [sweep, reset, queue, self.accept_resumes_ms]
            .into_iter()
            .flatten()
            .min()?;
        Some(Duration::from_millis(
            next.saturating_sub(self.cx.now_ms) + 1,
        ))
    }

    fn handle(&mut self, completion: Completion) {
        let (index, side) = match &completion {
            Completion::Woken => return,
            Completion::Accepted(_) => (None, None),
            Completion::Connected(session, _) => (Some(*session), None),
            Completion::Received(owner, _)
            | Completion::Sent(owner, ..)
            | Completion::Polled(owner, _) => (Some(owner.session), Some(owner.side)),
        };
        let Some(index) = index else {
            if let Completion::Accepted(outcome) = completion {
                self.accepted(outcome);
            }
            return;
        };
        let Some(session) = self.sessions.get_mut(index as usize) else {
            return;
        };
        let phase = session.phase;
        match (completion, side) {
            (Completion::Connected(_, outcome), _) => session.connected(&mut self.cx, outcome),
            (Completion::Received(_, outcome), Some(side)) => {
                session.received(&mut self.cx, side, outcome);
            }
            (Completion::Sent(_, outcome), Some(side)) => {
                session.sent(&mut self.cx, side, outcome);
            }
            (Completion::Polled(_, what), Some(side)) => {
                session.ready(&mut self.cx, side, what);
            }
            _ => {}
        }
        if session.phase != phase {
            self.phase_changed(index);
        }
    }

    /// Removes a session that is over, remembers one that waits.
    pub(super) fn phase_changed(&mut self, index: u32) {
        match self.sessions[index as usize].phase {
            Phase::Over => {
                let session = self.sessions.remove(index as usize);
                self.over(session);
                // There may be room now for somebody who waits for it.
                self.next_queue_ms = 0;
                // First, so that who sees a connection counted as closed finds its place free.
                self.cx.share.open.fetch_sub(1, Ordering::Relaxed);
                self.cx.share.counters.closed.add(1);
                self.cx.share.load.fetch_sub(1, Ordering::Relaxed);
            }
            Phase::Resetting { .. } => self.resetting.push(index),
            Phase::Opening(Stage::Queued) => self.queued.push(index),
            Phase::Opening(_) | Phase::Open | Phase::Closing => {}
        }
    }

    fn over(&mut self, session: Session<P::Conn>) {
        let end = session.end.unwrap_or(End::Stopped);
        self.cx.protocol.over(session.conn, end, self.cx.now_ms);
    }

    /// Asks for those who wait whether there is room for them now.
    fn retry_queued(&mut self) {
        self.next_queue_ms = self.cx.now_ms + QUEUE_POLL_MS;
        for index in std::mem::take(&mut self.queued) {
            let Some(session) = self.sessions.get_mut(index as usize) else {
                continue;
            };
            if session.phase == Phase::Opening(Stage::Queued) {
                session.advance(&mut self.cx);
                self.phase_changed(index);
            }
        }
    }

    /// Looks after what no completion will: deadlines, resets, a paused accept. A message
    /// costs no timer; a session only writes down when it was last active, and all of
    /// them are looked at a few times per timeout.
    fn keep_time(&mut self) {
        let now_ms = self.cx.now_ms;
        if now_ms >= self.next_reset_ms && !self.resetting.is_empty() {
            self.next_reset_ms = now_ms + RESET_POLL_MS;
            for index in std::mem::take(&mut self.resetting) {
                let Some(session) = self.sessions.get_mut(index as usize) else {
                    continue;
                };
                if matches!(session.phase, Phase::Resetting { .. }) {
                    session.after_the_end(&mut self.cx);
                    self.phase_changed(index);
                }
            }
        }
        if now_ms >= self.next_sweep_ms && !self.sessions.is_empty() {
            let limits = self.cx.protocol.limits();
            self.next_sweep_ms = now_ms + limits.sweep_ms();
            let mut overdue = Vec::new();
            for (index, session) in &mut self.sessions {
                self.cx.protocol.tick(&mut session.conn);
                if session.deadline_ms(&limits).is_some_and(|at| at <= now_ms) {
                    overdue.push(index);
                }
            }
            for index in overdue {
                let phase = self.sessions[index].phase;
                self.sessions[index].overdue(&mut self.cx);
                if self.sessions[index].phase != phase {
                    self.phase_changed(index as u32);
                }
            }
        }
        if now_ms >= self.next_queue_ms && !self.queued.is_empty() {
            self.retry_queued();
        }
        if self.accept_resumes_ms.is_some_and(|at| at <= now_ms) {
            self.accept_resumes_ms = None;
            self.cx.share.paused.store(false, Ordering::Relaxed);
            self.accept();
        }
    }

    /// Does what the letters say. Says whether to stop at once.
    fn read_mail(&mut self) -> bool {
        for letter in self.cx.share.mailbox.take() {
            match letter {
                Letter::Client(client) => self.admit(client),
                Letter::Drain(backlog) => self.drain(backlog),
                Letter::Stop => {
                    for session in self.sessions.drain().collect::<Vec<_>>() {
                        self.over(session);
                    }
                    return true;
                }
            }
        }
        false
    }
}

/// Milliseconds of the coarse monotonic clock: good enough for deadlines, and cheap.
fn now_ms() -> u64 {
    let now = clock_gettime(ClockId::MonotonicCoarse);
    now.tv_sec.cast_unsigned() * 1_000 + now.tv_nsec.cast_unsigned() / 1_000_000
}
