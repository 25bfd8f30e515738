//! The other end of a connection, with deadlines.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::{DEADLINE, eventually};

/// How long nothing is taken before a sender asks whether the other side has stopped.
const PATIENCE: Duration = Duration::from_millis(300);

/// A listening socket whose accepts have a deadline.
#[derive(Debug)]
pub struct Listener(TcpListener);

impl Listener {
    /// Listens on a free port of the loopback interface.
    #[must_use]
    pub fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("a socket");
        Self(listener)
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> String {
        self.0.local_addr().expect("bound").to_string()
    }

    /// The next connection.
    #[must_use]
    pub fn accept(&self) -> Peer {
        eventually("a connection", || self.try_accept())
    }

    /// A connection that is there already.
    #[must_use]
    pub fn try_accept(&self) -> Option<Peer> {
        match self.0.accept() {
            Ok((stream, _)) => Some(Peer::new(stream)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => panic!("accept: {error}"),
        }
    }
}

/// How a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By FIN.
    Orderly,
    /// By RST.
    Reset,
}

/// One end of a connection.
#[derive(Debug)]
pub struct Peer(TcpStream);

impl Peer {
    /// Takes a connected stream.
    #[must_use]
    pub fn new(stream: TcpStream) -> Self {
        stream.set_nonblocking(false).expect("a socket");
        stream.set_read_timeout(Some(DEADLINE)).expect("a socket");
        stream.set_write_timeout(Some(DEADLINE)).expect("a socket");
        stream.set_nodelay(true).expect("a socket");
        Self(stream)
    }

    /// Connects.
    #[must_use]
    pub fn connect(addr: &str) -> Self {
        Self::try_connect(addr).unwrap_or_else(|| panic!("{addr} resets connections"))
    }

    /// Connects, unless the port's owner is so quick to reset the connection that it is
    /// over before it is known to be open.
    #[must_use]
    pub fn try_connect(addr: &str) -> Option<Self> {
        let addr: SocketAddr = addr.parse().expect("an address");
        match TcpStream::connect_timeout(&addr, DEADLINE) {
            Ok(stream) => Some(Self::new(stream)),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => None,
            Err(error) => panic!("connect to {addr}: {error}"),
        }
    }

    /// Connects to a port whose owner resets the connection, at once or a little later.
    pub fn expect_refused(addr: &str) {
        if let Some(mut peer) = Self::try_connect(addr) {
            peer.expect_end(End::Reset);
        }
    }

    /// Sends all of it.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).expect("the peer takes it");
    }

    /// Sends all of it, unless the other side has reset the connection.
    #[must_use]
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.0.write_all(bytes.as_ref()).is_ok()
    }

    /// Sends the same again and again until the other side takes no more for a while, and
    /// `is_stopped` confirms that it has stopped: it may only be slow. Returns how much it
    /// took.
    pub fn send_until_blocked(
        &mut self,
        bytes: &[u8],
        mut is_stopped: impl FnMut() -> bool,
    ) -> usize {
        self.0.set_write_timeout(Some(PATIENCE)).expect("a socket");
        let started = Instant::now();
        let mut taken = 0;
        loop {
            match self.0.write(&bytes[taken % bytes.len()..]) {
                Ok(n) => taken += n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if is_stopped() {
                        return taken;
                    }
                }
                Err(error) => panic!("send: {error}"),
            }
            let waited = started.elapsed();
            assert!(
                waited < DEADLINE,
                "not blocked after {taken} bytes in {waited:?}"
            );
        }
    }

    /// Ends the sending side.
    pub fn finish(&self) {
        self.0.shutdown(Shutdown::Write).expect("connected");
    }

    /// Ends the connection with a reset.
    pub fn reset(self) {
        rustix::net::sockopt::set_socket_linger(&self.0, Some(Duration::ZERO)).expect("a socket");
    }

    /// Receives exactly this text.
    pub fn expect(&mut self, text: impl AsRef<[u8]>) {
        let text = text.as_ref();
        let mut got = vec![0; text.len()];
        let mut len = 0;
        while len < got.len() {
            match self.0.read(&mut got[len..]) {
                Ok(n @ 1..) => len += n,
                other => panic!(
                    "{other:?} after {:?}",
                    got[..len].escape_ascii().to_string()
                ),
            }
        }
        assert_eq!(
            got.escape_ascii().to_string(),
            text.escape_ascii().to_string()
        );
    }

    /// Receives whatever comes next; nothing if that is the end.
    #[must_use]
    pub fn read_some(&mut self) -> Vec<u8> {
        let mut buffer = vec![0; 64 * 1024];
        let len = self.0.read(&mut buffer).unwrap_or(0);
        buffer.truncate(len);
        buffer
    }

    /// Whether the other side has not ended or reset the connection so far.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.0.set_nonblocking(true).expect("a socket");
        let peeked = self.0.peek(&mut [0]);
        self.0.set_nonblocking(false).expect("a socket");
        peeked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    /// The socket itself.
    #[must_use]
    pub fn as_stream(&self) -> &TcpStream {
        &self.0
    }

    /// Receives up to the end of the stream.
    #[must_use]
    pub fn rest(&mut self) -> (Vec<u8>, End) {
        let mut bytes = Vec::new();
        let end = match self.0.read_to_end(&mut bytes) {
            Ok(_) => End::Orderly,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => End::Reset,
            Err(error) => panic!("{error} after {} bytes", bytes.len()),
        };
        (bytes, end)
    }

    /// Expects nothing more than this end.
    pub fn expect_end(&mut self, end: End) {
        assert_eq!(self.rest(), (Vec::new(), end));
    }
}
