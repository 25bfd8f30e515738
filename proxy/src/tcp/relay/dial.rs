//! The choice of a backend, and of another when it cannot be connected to.

use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use balance::NoBackend;
use protocol::proxy_header::{self, Addresses};
use rustix::io::Errno;
use service::clock::mono_ns;

use super::Relay;
use super::conn::{Conn, Trouble};
use crate::plane::Next;

impl Relay {
    /// Picks a backend that was not tried yet, or a place in the queue.
    pub(super) fn choose(&mut self, conn: &mut Conn, now_ms: u64) -> Next {
        if conn.attempts > conn.settings.retries {
            return self.nowhere(conn, Trouble::DialsFailed);
        }
        if conn.ticket.is_none() && conn.attempts == 0 && conn.pool.waiting() > 0 {
            // Those who wait for room came first.
            conn.ticket = conn.pool.queue();
            if conn.ticket.is_some() {
                return Next::Queue;
            }
        }
        self.settings.refresh();
        if !self.settings.is_at(&conn.settings) {
            // It may have waited for long: what is in force now knows where it goes. A
            // place in the queue is one of that pool alone.
            let pool = self.settings.pool_for(conn.sni.as_deref());
            if pool.name() != conn.pool.name() {
                conn.ticket = None;
            }
            conn.pool = pool;
        }
        let source = conn.source().map(|addr| addr.ip());
        match conn
            .pool
            .pick(&mut self.picker, now_ms, source, &conn.tried)
        {
            Ok(lease) => {
                let addr = lease.addr();
                conn.ticket = None;
                conn.lease = Some(lease);
                conn.moments.dial_ns = mono_ns();
                if conn.attempts == 0 {
                    conn.moments.first_dial_ns = conn.moments.dial_ns;
                } else {
                    self.counters.retries.add(1);
                }
                conn.attempts += 1;
                Next::Dial(addr)
            }
            Err(NoBackend::AllFull) => {
                if conn.ticket.is_none() {
                    conn.ticket = conn.pool.queue();
                }
                if conn.ticket.is_some() {
                    Next::Queue
                } else {
                    self.nowhere(conn, Trouble::NoBackend(NoBackend::AllFull))
                }
            }
            Err(NoBackend::NoneLeft) => self.nowhere(conn, Trouble::DialsFailed),
            Err(why) => self.nowhere(conn, Trouble::NoBackend(why)),
        }
    }

    fn nowhere(&mut self, conn: &mut Conn, trouble: Trouble) -> Next {
        let counters = &self.counters;
        // What happened first says more: out of ports everywhere looks like failed dials.
        let trouble = *conn.trouble.get_or_insert(trouble);
        match trouble {
            Trouble::NoBackend(NoBackend::AllFull) => &counters.all_full,
            Trouble::NoBackend(_) => &counters.all_down,
            Trouble::Resources => &counters.out_of_resources,
            _ => &counters.dials_failed,
        }
        .add(1);
        Next::Refuse
    }

    /// Sets a socket up that is about to be connected.
    pub(super) fn prepare_socket(
        &mut self,
        conn: &Conn,
        upstream: BorrowedFd<'_>,
        to: SocketAddr,
    ) -> Result<(), Errno> {
        let settings = &conn.settings;
        crate::tcp::keepalive::apply(upstream, settings.keepalive, settings.user_timeout)?;
        let sources = &settings.sources;
        let of_family = |ip: &&std::net::IpAddr| ip.is_ipv4() == to.is_ipv4();
        let usable = sources.iter().filter(of_family).count();
        if usable > 0 {
            self.next_source = self.next_source.wrapping_add(1);
            let source = sources.iter().filter(of_family);
            if let Some(source) = source.copied().nth(self.next_source % usable) {
                eventloop::net::bind_source(upstream, source)?;
            }
        }
        Ok(())
    }

    /// The backend has accepted: writes what it must hear before the client's bytes.
    pub(super) fn connected(&mut self, conn: &mut Conn, first: &mut Vec<u8>, now_ms: u64) {
        conn.moments.connected_ns = mono_ns();
        conn.trouble = None;
        self.counters.connected.add(1);
        if let Some(lease) = &conn.lease {
            let took_ns = conn.moments.connected_ns - conn.moments.dial_ns;
            lease.dial_succeeded(now_ms, took_ns / 1_000);
        }
        if let Some(version) = conn.settings.send_proxy {
            let addresses = match (conn.told, conn.peer, conn.local) {
                (Some((source, destination)), ..) => Addresses::tcp(source, destination),
                (None, Some(peer), Some(local)) => Addresses::tcp(peer, local),
                _ => Addresses::Unknown,
            };
            proxy_header::encode(version.into(), &addresses, first);
        }
    }

    /// The backend has not: it is not tried again for this connection.
    pub(super) fn dial_failed(&mut self, conn: &mut Conn, errno: Errno, now_ms: u64) {
        let Some(lease) = conn.lease.take() else {
            return;
        };
        conn.tried.push(lease.addr());
        conn.failed = Some(Arc::clone(lease.backend()));
        let took_us = (mono_ns() - conn.moments.dial_ns) / 1_000;
        match errno {
            // Our own trouble says nothing about the backend.
            Errno::ADDRNOTAVAIL | Errno::ADDRINUSE => {
                conn.trouble.get_or_insert(Trouble::Resources);
                self.counters.ports_exhausted.add(1);
            }
            Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM => {
                conn.trouble.get_or_insert(Trouble::Resources);
                self.counters.out_of_resources.add(1);
            }
            Errno::TIMEDOUT => lease.dial_timed_out(now_ms, took_us),
            errno => lease.dial_failed(now_ms, why(errno)),
        }
        tracing::debug!("cannot connect to {}: {errno}", lease.addr());
    }
}

fn why(errno: Errno) -> &'static str {
    match errno {
        Errno::CONNREFUSED => "connection refused",
        Errno::CONNRESET => "connection reset",
        Errno::HOSTUNREACH => "host unreachable",
        Errno::NETUNREACH => "network unreachable",
        _ => "cannot connect",
    }
}
