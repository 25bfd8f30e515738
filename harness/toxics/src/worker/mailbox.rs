//! Orders to a worker from other threads.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

use eventloop::Waker;
use tokio::sync::oneshot;

use crate::link::Link;

/// An order.
#[derive(Debug)]
pub enum Order {
    /// Accept the clients of a link, or serve its datagrams.
    Listen {
        /// The link.
        link: Arc<Link>,
        /// Its listening or bound socket.
        socket: OwnedFd,
        /// Where it is bound.
        at: SocketAddr,
        /// Where datagrams go; a TCP link looks it up for each connection.
        upstream: Vec<SocketAddr>,
    },
    /// Serve a client that another worker accepted.
    Serve {
        /// Its link.
        link: Arc<Link>,
        /// How often the link had been closed when it was accepted.
        closings: u64,
        /// Its number.
        connection: u64,
        /// Its socket.
        client: OwnedFd,
    },
    /// Where a connection may connect to.
    Resolved {
        /// Its key.
        key: usize,
        /// Its serial number.
        serial: u64,
        /// The addresses, best first; none if it could not be resolved.
        to: Vec<SocketAddr>,
    },
    /// Take the toxics of a link over.
    TakeChain {
        /// The link's number.
        link: u64,
        /// Told when it is done.
        done: oneshot::Sender<()>,
    },
    /// Stop listening for a link, and close its connections.
    Close {
        /// The link's number.
        link: u64,
        /// Told when it is done.
        done: oneshot::Sender<()>,
    },
    /// Write out the log of decisions.
    Flush {
        /// Told when it is done.
        done: oneshot::Sender<()>,
    },
    /// End.
    Stop,
}

/// Orders that wait for a worker.
#[derive(Debug)]
pub struct Mailbox {
    orders: Mutex<Vec<Order>>,
    waker: Waker,
}

impl Mailbox {
    /// An empty one.
    ///
    /// # Errors
    /// What the system said.
    pub fn new() -> std::io::Result<Self> {
        Ok(Self {
            orders: Mutex::default(),
            waker: Waker::new()?,
        })
    }

    /// Gives an order.
    pub fn send(&self, order: Order) {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        orders.push(order);
        drop(orders);
        self.waker.wake();
    }

    /// Takes all orders.
    pub(super) fn take(&self) -> Vec<Order> {
        self.waker.drain();
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *orders)
    }

    /// What to wait on.
    pub(super) fn waker(&self) -> &Waker {
        &self.waker
    }
}
