//! The listening socket of a TCP link, and what can be wrong with it.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use eventloop::{Interest, Poller, net};
use rustix::net::{bind, listen, sockopt};

use super::knocks::{self, Knocks};
use crate::evidence::now_ns;
use crate::link::{ActiveToxic, Link, listener_fault};
use crate::toxic::ListenerFault;

/// The listening socket of a link.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) link: Arc<Link>,
    pub(super) serial: u64,
    socket: OwnedFd,
    at: SocketAddr,
    token: u64,
    /// How it is watched.
    interest: Option<Interest>,
    fault: Option<(Arc<ActiveToxic>, ListenerFault)>,
    /// Who is refused, where that can be known.
    knocks: Option<Knocks>,
    /// Connections that are known to wait.
    waiting: u32,
}

impl Listener {
    /// A listening socket, not yet watched.
    pub(super) fn new(
        link: Arc<Link>,
        serial: u64,
        socket: OwnedFd,
        at: SocketAddr,
        token: u64,
    ) -> Self {
        Self {
            link,
            serial,
            socket,
            at,
            token,
            interest: None,
            fault: None,
            knocks: None,
            waiting: 0,
        }
    }

    /// The socket to accept from, unless a toxic has it that nobody does.
    pub(super) fn accepting(&self) -> Option<&OwnedFd> {
        self.fault.is_none().then_some(&self.socket)
    }

    /// Takes note of those who wait though nobody will accept them, and of those who were
    /// refused.
    pub(super) fn note_in_vain(&mut self) {
        let Some((toxic, fault)) = &self.fault else {
            return;
        };
        let more = match (fault, &self.knocks) {
            (ListenerFault::Refuses, Some(knocks)) => knocks.take(),
            (ListenerFault::Refuses, None) => 0,
            (ListenerFault::NeverAccepts, _) => {
                let waiting = knocks::waiting(&self.socket).unwrap_or(self.waiting + 1);
                let before = std::mem::replace(&mut self.waiting, waiting);
                waiting.saturating_sub(before).into()
            }
        };
        let now_ns = now_ns();
        (0..more).for_each(|_| toxic.counters.count(now_ns, 0));
    }

    /// Takes the toxics of now over.
    ///
    /// # Errors
    /// That it cannot listen again.
    pub(super) fn take_chain(&mut self, poller: &Poller) -> io::Result<()> {
        let chain = self.link.chain();
        let fault = listener_fault(&chain).map(|(active, fault)| (Arc::clone(active), fault));
        let refuses = |fault: &Option<(Arc<ActiveToxic>, ListenerFault)>| {
            matches!(fault, Some((_, ListenerFault::Refuses)))
        };
        let (refused, will_refuse) = (refuses(&self.fault), refuses(&fault));
        self.note_in_vain();
        self.waiting = 0;
        if will_refuse && !refused {
            self.watch_knocks(poller);
            self.stop_listening(poller)?;
            if let (Some((toxic, _)), None) = (&fault, &self.knocks) {
                // What can be counted is that the port is closed.
                toxic.counters.count(now_ns(), 0);
            }
        } else if refused && !will_refuse {
            self.knocks = None;
            listen(&self.socket, net::BACKLOG)?;
        }
        self.fault = fault;
        self.watch(poller)
    }

    /// Watches it as the fault of now wants, or not at all for a while.
    ///
    /// # Errors
    /// What `epoll_ctl` said.
    pub(super) fn watch(&mut self, poller: &Poller) -> io::Result<()> {
        let wanted = match self.fault {
            None => Some(Interest::Read),
            Some((_, ListenerFault::NeverAccepts)) => Some(Interest::Edge),
            Some((_, ListenerFault::Refuses)) => None,
        };
        if wanted != self.interest {
            self.unwatch(poller)?;
            if let Some(interest) = wanted {
                poller.add(&self.socket, self.token, interest)?;
            }
            self.interest = wanted;
        }
        Ok(())
    }

    /// Stops watching it.
    ///
    /// # Errors
    /// What `epoll_ctl` said.
    pub(super) fn unwatch(&mut self, poller: &Poller) -> io::Result<()> {
        if self.interest.take().is_some() {
            poller.remove(&self.socket)?;
        }
        Ok(())
    }

    /// Watches who is refused, if this process may.
    fn watch_knocks(&mut self, poller: &Poller) {
        let watched = Knocks::open(self.at).and_then(|knocks| {
            for socket in knocks.sockets() {
                poller.add(socket, self.token, Interest::Read)?;
            }
            Ok(knocks)
        });
        if let Err(error) = &watched {
            let link = &self.link.name;
            tracing::info!("{link}: who is refused is not counted one by one: {error}");
        }
        self.knocks = watched.ok();
    }

    /// Closes the socket, and keeps its port by one that does not listen.
    fn stop_listening(&mut self, poller: &Poller) -> io::Result<()> {
        self.unwatch(poller)?;
        let keeper = net::open(self.at)?;
        sockopt::set_socket_reuseaddr(&keeper, true)?;
        sockopt::set_tcp_nodelay(&keeper, true)?;
        if self.at.is_ipv6() {
            sockopt::set_ipv6_v6only(keeper.as_fd(), !self.at.ip().is_unspecified())?;
        }
        drop(std::mem::replace(&mut self.socket, keeper));
        Ok(bind(&self.socket, &self.at)?)
    }
}
