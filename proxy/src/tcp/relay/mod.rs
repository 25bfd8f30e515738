//! What `proxy tcp` does with each connection: finds out whose it is, chooses a backend,
//! tries another when that fails, and then stays out of the way of its bytes.
//!
//! [`conn`] is what is remembered of one connection, [`preface`] what must come first
//! from a client, [`dial`] the choice of a backend, [`counters`] what is counted, [`entry`]
//! the line in the access log.

mod conn;
mod counters;
mod dial;
mod entry;
mod preface;

use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use balance::Picker;
use rustix::io::Errno;

pub(super) use conn::Preface;
pub(super) use counters::{RelayCounters, RelayTotals};

use self::conn::Conn;
use super::settings::Settings;
use crate::live::{Live, Reader};
use crate::plane::{End, Filtered, Limits, Next, Output, Passed, Protocol, Side};

/// The balancer in one worker.
pub(super) struct Relay {
    settings: Reader<Settings>,
    picker: Picker,
    counters: Arc<RelayCounters>,
    /// Whose turn it is among the local addresses to connect from.
    next_source: usize,
}

impl Relay {
    /// The balancer in a worker that has these counters. `seed` is for its choices.
    pub(super) fn new(live: Arc<Live<Settings>>, counters: Arc<RelayCounters>, seed: u64) -> Self {
        Self {
            settings: Reader::new(live),
            picker: Picker::new(seed),
            counters,
            next_source: seed as usize,
        }
    }
}

impl Protocol for Relay {
    type Conn = Conn;

    fn limits(&mut self) -> Limits {
        self.settings.refresh();
        self.settings.limits
    }

    fn connection(&mut self, client: BorrowedFd<'_>, now_ms: u64) -> Conn {
        self.settings.refresh();
        Conn::new(self.settings.current(), client, now_ms)
    }

    fn refused(&mut self, client: BorrowedFd<'_>, now_ms: u64) {
        self.settings.refresh();
        if let Some(log) = &self.settings.access_log {
            let conn = Conn::new(self.settings.current(), client, now_ms);
            log.write(entry::entry(&conn, End::TooMany, now_ms));
        }
    }

    fn next(&mut self, conn: &mut Conn, now_ms: u64) -> Next {
        if conn.preface == Preface::Done {
            self.choose(conn, now_ms)
        } else {
            Next::Read
        }
    }

    fn prepare(
        &mut self,
        conn: &mut Conn,
        upstream: BorrowedFd<'_>,
        to: SocketAddr,
    ) -> Result<(), Errno> {
        self.prepare_socket(conn, upstream, to)
    }

    fn dialled(
        &mut self,
        conn: &mut Conn,
        outcome: Result<BorrowedFd<'_>, Errno>,
        first: &mut Vec<u8>,
        now_ms: u64,
    ) {
        match outcome {
            Ok(_) => self.connected(conn, first, now_ms),
            Err(errno) => self.dial_failed(conn, errno, now_ms),
        }
    }

    fn client_data(
        &mut self,
        conn: &mut Conn,
        data: &mut [u8],
        fresh: usize,
        output: &mut Output,
    ) -> Filtered {
        conn.traffic.client += (data.len() - fresh) as u64;
        if conn.is_plain() {
            conn.note_question();
            return Filtered::all(data.len());
        }
        self.read_preface(conn, data, output)
    }

    fn client_end(&mut self, conn: &mut Conn, _output: &mut Output) -> bool {
        if conn.tls.as_ref().is_some_and(|tls| !tls.peer_closed()) {
            self.counters.tls_truncated.add(1);
        }
        false
    }

    fn has_ended(&self, conn: &Conn) -> bool {
        conn.tls.as_ref().is_some_and(|tls| tls.peer_closed())
    }

    fn upstream_data(&mut self, conn: &mut Conn, data: &[u8], output: &mut Vec<u8>) -> Passed {
        conn.traffic.backend += data.len() as u64;
        conn.note_answer();
        let Some(tls) = &mut conn.tls else {
            return Passed::Unchanged;
        };
        // A session that cannot encrypt has failed: the client side will say so.
        if tls.send(data, output).is_err() {
            self.counters.tls_failed.add(1);
        }
        Passed::Rewritten
    }

    fn upstream_end(&mut self, conn: &mut Conn, output: &mut Vec<u8>) {
        if let Some(tls) = &mut conn.tls {
            tls.close_notify(output);
        }
    }

    fn is_full(&self, _conn: &Conn) -> bool {
        false
    }

    fn is_opaque(&self, conn: &Conn) -> bool {
        conn.is_plain()
    }

    fn moved(&mut self, conn: &mut Conn, from: Side, bytes: usize) {
        match from {
            Side::Client => conn.traffic.client += bytes as u64,
            Side::Upstream => {
                conn.traffic.backend += bytes as u64;
                conn.note_answer();
            }
        }
        // A read of bulk is worth a locked instruction.
        conn.account();
    }

    fn tick(&mut self, conn: &mut Conn) {
        conn.account();
    }

    fn over(&mut self, mut conn: Conn, end: End, now_ms: u64) {
        conn.account();
        conn.judge_backend(end, now_ms);
        if let Some(log) = &conn.settings.access_log {
            log.write(entry::entry(&conn, end, now_ms));
        }
    }
}
