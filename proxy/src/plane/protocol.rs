//! What a mode of the proxy does with connections and with the bytes that pass.

use std::net::SocketAddr;
use std::os::fd::BorrowedFd;

use rustix::io::Errno;

use super::control::Limits;
use super::driver::Side;

/// What became of bytes from the client. They were worked on in place: the first
/// `forward` bytes go to the upstream, the following ones up to `end` are held until
/// more arrives, what is behind them is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Filtered {
    pub(crate) forward: usize,
    pub(crate) end: usize,
    /// Reset the connection, once the bytes to forward have left.
    pub(crate) reset: bool,
}

impl Filtered {
    /// All of them go on.
    pub(crate) fn all(len: usize) -> Self {
        Self {
            forward: len,
            end: len,
            reset: false,
        }
    }
}

/// What became of bytes from the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passed {
    /// They go to the client as they are.
    Unchanged,
    /// What goes to the client was written to the output instead.
    Rewritten,
}

/// Bytes of a mode's own, on top of what it passes. Empty between calls.
#[derive(Debug, Default)]
pub(crate) struct Output {
    /// For the client, behind what was passed to it before.
    pub(crate) to_client: Vec<u8>,
    /// For the upstream, behind what was forwarded. Only a mode that holds nothing back
    /// writes here.
    pub(crate) to_upstream: Vec<u8>,
}

/// What a connection without an upstream does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Read more from the client: it is not known yet where it goes.
    Read,
    /// Connect to this address.
    Dial(SocketAddr),
    /// Wait until there is room somewhere, and ask again.
    Queue,
    /// There is nowhere to go.
    Refuse,
}

/// How a connection ended: the first thing that went its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Both sides ended theirs, this one first.
    Finished(Side),
    /// This side was reset or broke.
    Reset(Side),
    /// Nothing moved for the idle timeout.
    Idle,
    /// One side had ended, and nothing moved on the other for the half-closed timeout.
    HalfClosed,
    /// The client took too long with what must come first.
    SlowPreface,
    /// The client went away before there was an upstream.
    GaveUp,
    /// Nobody could be connected to.
    Refused,
    /// It waited too long for room.
    QueueTimeout,
    /// The mode did not like what came.
    ByMode,
    /// As many connections were open as may be.
    TooMany,
    /// It was open when the proxy ended.
    Stopped,
}

/// What a mode of the proxy does with connections and their bytes. Sans-IO: it sees
/// slices and changes its own state. One value of it belongs to each worker, one `Conn`
/// to each connection.
pub(crate) trait Protocol {
    /// What is remembered of a connection.
    type Conn;

    /// How long things may take.
    fn limits(&mut self) -> Limits;

    /// A client has connected.
    fn connection(&mut self, client: BorrowedFd<'_>, now_ms: u64) -> Self::Conn;

    /// A client is reset at once: as many connections are open as may be.
    fn refused(&mut self, _client: BorrowedFd<'_>, _now_ms: u64) {}

    /// Says where the connection goes. Asked when it begins, after bytes from the client
    /// while the answer is [`Next::Read`], after a failed dial, and again and again while
    /// it waits.
    fn next(&mut self, conn: &mut Self::Conn, now_ms: u64) -> Next;

    /// Prepares a socket that is about to be connected.
    ///
    /// # Errors
    /// What kept it from being used: the dial has failed.
    fn prepare(
        &mut self,
        _conn: &mut Self::Conn,
        _upstream: BorrowedFd<'_>,
        _to: SocketAddr,
    ) -> Result<(), Errno> {
        Ok(())
    }

    /// A dial has ended. What is written to `first` is sent to the upstream before
    /// anything else.
    fn dialled(
        &mut self,
        _conn: &mut Self::Conn,
        _outcome: Result<BorrowedFd<'_>, Errno>,
        _first: &mut Vec<u8>,
        _now_ms: u64,
    ) {
    }

    /// Judges bytes from the client. `data[..fresh]` is what was held at the last call;
    /// the rest is new.
    fn client_data(
        &mut self,
        conn: &mut Self::Conn,
        data: &mut [u8],
        fresh: usize,
        output: &mut Output,
    ) -> Filtered;

    /// The client has ended its side. What is held is dropped. Says whether the
    /// connection is to be reset.
    fn client_end(&mut self, conn: &mut Self::Conn, output: &mut Output) -> bool;

    /// Whether the client ended its side within the bytes themselves, as TLS does.
    fn has_ended(&self, _conn: &Self::Conn) -> bool {
        false
    }

    /// Looks at bytes from the upstream; if something of the proxy's own goes between
    /// them, everything is written to `output`.
    fn upstream_data(&mut self, conn: &mut Self::Conn, data: &[u8], output: &mut Vec<u8>)
    -> Passed;

    /// The upstream has ended its side. What is written to `output` is the last that the
    /// client gets.
    fn upstream_end(&mut self, conn: &mut Self::Conn, output: &mut Vec<u8>);

    /// Whether so much is pending that nothing more may be read from the client.
    fn is_full(&self, conn: &Self::Conn) -> bool;

    /// Whether nobody needs to look at the bytes from now on: they may move within the
    /// kernel.
    fn is_opaque(&self, _conn: &Self::Conn) -> bool {
        false
    }

    /// Bytes moved within the kernel.
    fn moved(&mut self, _conn: &mut Self::Conn, _from: Side, _bytes: usize) {}

    /// Called a few times per timeout with every connection: what is counted apart from
    /// the shared counters can be added to them.
    fn tick(&mut self, _conn: &mut Self::Conn) {}

    /// The connection is over; both sockets are closed.
    fn over(&mut self, _conn: Self::Conn, _end: End, _now_ms: u64) {}
}
