//! How a worker comes by its connections: it accepts them, serves them or has another
//! worker serve them, refuses what is too many, and stops when the proxy drains.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::io::Errno;
use rustix::net::SocketFlags;

use super::control::Backlog;
use super::driver::Driver;
use super::mailbox::Letter;
use super::protocol::Protocol;
use super::session::Session;
use super::worker::Worker;

/// Pause before the next accept when descriptors have run out: long enough not to spin,
/// short enough that a client does not notice much.
const ACCEPT_PAUSE_MS: u64 = 50;

/// What a worker may have more than another before it hands connections over: a share of
/// theirs and a few. Handing over costs a wake-up, so small differences stay.
const FAIR_SHARE: usize = 4;
const FAIR_FEW: usize = 8;

impl<D: Driver, P: Protocol> Worker<D, P> {
    pub(super) fn accepted(&mut self, outcome: Result<OwnedFd, Errno>) {
        match outcome {
            Ok(client) => {
                self.accept();
                self.admit_or_hand_over(client);
            }
            Err(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM | Errno::NOSPC) => {
                self.pause_accept();
            }
            Err(Errno::AGAIN) => {
                // Another process that accepts from the same socket has made it
                // non-blocking; the ring would not wait on it.
                if let (Some(listener), false) = (
                    &self.listener,
                    D::SOCKET_FLAGS.contains(SocketFlags::NONBLOCK),
                ) {
                    // If that fails, the next accept says so.
                    let _ = rustix::io::ioctl_fionbio(listener, false);
                }
                self.accept();
            }
            Err(_) => self.accept(),
        }
    }

    /// Accepts the next connection, unless accepting has paused or is over.
    pub(super) fn accept(&mut self) {
        if self.listener.is_some() && self.accept_resumes_ms.is_none() {
            self.cx.driver.accept();
        }
    }

    fn pause_accept(&mut self) {
        if self.accept_resumes_ms.is_none() {
            self.cx.share.counters.accept_paused.add(1);
            tracing::debug!("out of descriptors: accepting pauses for {ACCEPT_PAUSE_MS} ms");
        }
        self.cx.driver.pause_accept();
        self.cx.share.paused.store(true, Ordering::Relaxed);
        self.accept_resumes_ms = Some(self.cx.now_ms + ACCEPT_PAUSE_MS);
    }

    /// Serves a new client, or has a worker serve it that has clearly fewer of them: who
    /// accepts is chance, and one worker with most of the connections makes all of them
    /// wait while others sleep. Each time one other worker is compared with, in turn.
    fn admit_or_hand_over(&mut self, client: OwnedFd) {
        let Some(peer) = self.peers.get(self.next_peer % self.peers.len().max(1)) else {
            return self.admit(client);
        };
        self.next_peer = self.next_peer.wrapping_add(1);
        let theirs = peer.load.load(Ordering::Relaxed);
        let fair = theirs + theirs / FAIR_SHARE + FAIR_FEW;
        let paused = peer.paused.load(Ordering::Relaxed);
        if self.listener.is_none() || paused || self.sessions.len() <= fair {
            return self.admit(client);
        }
        // A worker that has ended sends the client back.
        if let Err(Letter::Client(client)) = peer.mailbox.send(Letter::Client(client)) {
            self.admit(client);
        }
    }

    pub(super) fn admit(&mut self, client: OwnedFd) {
        let share = Arc::clone(&self.cx.share);
        share.counters.accepted.add(1);
        let most = share.max_connections.load(Ordering::Relaxed);
        if share.open.fetch_add(1, Ordering::Relaxed) >= most {
            share.open.fetch_sub(1, Ordering::Relaxed);
            share.counters.refused.add(1);
            share.counters.closed.add(1);
            self.cx.protocol.refused(client.as_fd(), self.cx.now_ms);
            // The close that follows is a refusal either way.
            let _ = eventloop::net::reset_on_close(&client);
            return;
        }
        share.load.fetch_add(1, Ordering::Relaxed);
        let conn = self.cx.protocol.connection(client.as_fd(), self.cx.now_ms);
        let entry = self.sessions.vacant_entry();
        let index = u32::try_from(entry.key()).expect("descriptors are far fewer");
        let session = Session::new(index, client, conn, self.cx.now_ms);
        let failed_before = share.counters.failed_descriptors.get();
        entry.insert(session).start(&mut self.cx);
        self.phase_changed(index);
        if share.counters.failed_descriptors.get() > failed_before {
            // The next client would fare no better; the backlog keeps it for a while.
            self.pause_accept();
        }
    }

    /// Accepts no more, but takes the connections that the kernel has already accepted
    /// for us, if they are ours.
    pub(super) fn drain(&mut self, backlog: Backlog) {
        let Some(listener) = self.listener.take() else {
            return;
        };
        self.cx.driver.pause_accept();
        self.accept_resumes_ms = None;
        match backlog {
            Backlog::Take => self.take_backlog(&listener),
            Backlog::Leave => self.leaving = Some(listener),
        }
    }

    /// Serves what waits to be accepted now. Those who wait for connections are woken one
    /// by one: an accept that is taken back may have taken the wake-up for a connection
    /// with it that nobody else would hear of until the next one comes.
    pub(super) fn take_backlog(&mut self, listener: &OwnedFd) {
        // A socket blocks for all who share it: no other worker must change that meanwhile.
        static TURN: Mutex<()> = Mutex::new(());
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let blocks = rustix::fs::fcntl_getfl(listener)
            .is_ok_and(|flags| !flags.contains(rustix::fs::OFlags::NONBLOCK));
        if blocks && rustix::io::ioctl_fionbio(listener, true).is_err() {
            return;
        }
        for _ in 0..eventloop::net::BACKLOG {
            match rustix::net::accept_with(listener, D::SOCKET_FLAGS) {
                Ok(client) => self.admit(client),
                Err(Errno::INTR | Errno::CONNABORTED) => {}
                Err(_) => break,
            }
        }
        if blocks {
            // It could be set a moment ago.
            let _ = rustix::io::ioctl_fionbio(listener, false);
        }
    }
}
