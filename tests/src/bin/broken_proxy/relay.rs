//! A client's connection and the one to the server that belongs to it: a thread for each
//! direction.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use service::addr::HostPort;

use crate::clients::{Client, Clients};
use crate::defect::{Defect, Wrong};

/// Longest piece of a stream that is looked at as one: the longest line of Foo.
const MOST_BYTES: usize = 64 * 1024;

/// Memory that is leaked in all, so that no defect brings down the machine it is looked
/// for on; descriptors have a limit of their own.
const MOST_LEAKED_BYTES: u64 = 1 << 30;

/// How long a client whose end was swallowed is kept: longer than anybody waits, and not so
/// long that they pile up.
const SWALLOWED_FOR: Duration = Duration::from_secs(30);

/// What one reply is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// A line.
    Line,
    /// What comes at once.
    Chunk,
}

/// Relays every connection, and is broken.
#[derive(Debug)]
pub(crate) struct Relay {
    unit: Unit,
    backends: Vec<SocketAddr>,
    defect: Defect,
    connections: AtomicU64,
    replies: AtomicU64,
    leaked: Mutex<Vec<Vec<u8>>>,
    clients: Clients,
    /// Every reply passes here; who hangs never leaves.
    gate: Mutex<()>,
}

impl Relay {
    /// A relay to these servers.
    ///
    /// # Errors
    /// That a name cannot be looked up.
    pub(crate) fn new(unit: Unit, backends: &[HostPort], defect: Defect) -> io::Result<Self> {
        let mut found = Vec::new();
        for backend in backends {
            found.extend(backend.connect_candidates()?);
        }
        Ok(Self {
            unit,
            backends: found,
            defect,
            connections: AtomicU64::new(0),
            replies: AtomicU64::new(0),
            leaked: Mutex::default(),
            clients: Clients::default(),
            gate: Mutex::default(),
        })
    }

    /// Serves a client to its end.
    pub(crate) fn serve(self: &Arc<Self>, client: TcpStream) -> io::Result<()> {
        let number = self.connections.fetch_add(1, Ordering::Relaxed);
        if let Defect::LeaksPerConnection(bytes) = self.defect {
            self.leak(bytes);
        }
        let server = self.connect(number)?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let to_client = self.clients.enter(number, client.try_clone()?);
        let requests = Pair {
            relay: Arc::clone(self),
            client: client.try_clone()?,
            server: server.try_clone()?,
            number,
            has_ended: Arc::default(),
        };
        let replies = Pair {
            relay: Arc::clone(self),
            client,
            server,
            number,
            has_ended: Arc::clone(&requests.has_ended),
        };
        let upward = thread::Builder::new().spawn(move || {
            requests.ends(Pair::relay_requests);
        })?;
        replies.ends(|pair| pair.relay_replies(&to_client));
        self.clients.leave(number);
        // It ends with the connection, which is over or being given up.
        let _ = upward.join();
        Ok(())
    }

    /// Connects to the next server, or to the first after it that can be had.
    fn connect(&self, number: u64) -> io::Result<TcpStream> {
        let first = usize::try_from(number).unwrap_or(0) % self.backends.len();
        let (before, from_first) = self.backends.split_at(first);
        let mut outcome = Err(io::ErrorKind::NotFound.into());
        for backend in from_first.iter().chain(before) {
            outcome = TcpStream::connect(backend);
            if outcome.is_ok() {
                break;
            }
        }
        outcome
    }

    fn leak(&self, bytes: u64) {
        // Not one that a client has an interest in. When there are none left, accepting
        // fails too.
        std::mem::forget(File::open("/dev/null"));
        let mut leaked = self.leaked.lock().expect("nobody panics with it");
        if bytes > 0 && (leaked.len() as u64 + 1).saturating_mul(bytes) <= MOST_LEAKED_BYTES {
            let bytes = usize::try_from(bytes).unwrap_or(0);
            // Written to, so that it is really there.
            leaked.push(vec![0xA5; bytes]);
        }
    }
}

/// Both connections, as one direction has them.
struct Pair {
    relay: Arc<Relay>,
    client: TcpStream,
    server: TcpStream,
    number: u64,
    /// The client has ended its side.
    has_ended: Arc<AtomicBool>,
}

impl Pair {
    /// Relays one direction; where that fails both connections end.
    fn ends(&self, relay: impl FnOnce(&Self) -> io::Result<()>) {
        if relay(self).is_err() {
            let _ = self.client.shutdown(Shutdown::Both);
            let _ = self.server.shutdown(Shutdown::Both);
        }
    }

    fn relay_requests(&self) -> io::Result<()> {
        let mut buffer = vec![0; MOST_BYTES];
        let mut line_bytes = 0_u64;
        loop {
            let len = (&self.client).read(&mut buffer)?;
            if len == 0 {
                break;
            }
            if let Defect::DiesOnLine(deadly) = self.relay.defect {
                line_bytes = die_on_line(&buffer[..len], line_bytes, deadly);
            }
            (&self.server).write_all(&buffer[..len])?;
        }
        self.has_ended.store(true, Ordering::Release);
        if self.relay.defect == Defect::SwallowsHalfClose {
            thread::sleep(SWALLOWED_FOR);
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.server.shutdown(Shutdown::Write)
    }

    fn relay_replies(&self, to_client: &Client) -> io::Result<()> {
        let mut server = BufReader::with_capacity(MOST_BYTES, &self.server);
        let (mut reply, mut held) = (Vec::new(), Vec::new());
        loop {
            reply.clear();
            match (self.relay.unit, self.relay.defect) {
                (Unit::Line, Defect::Replies(..)) => {
                    let mut line = (&mut server).take(MOST_BYTES as u64);
                    line.read_until(b'\n', &mut reply)?;
                }
                _ => {
                    reply.extend_from_slice(server.fill_buf()?);
                    server.consume(reply.len());
                }
            }
            if reply.is_empty() {
                break;
            }
            self.pass_gate();
            match self.due() {
                None => {
                    reply.append(&mut held);
                    to_client.send(&reply)?;
                }
                Some(wrong) => self.send_wrong(wrong, &mut reply, &mut held, to_client)?,
            }
        }
        to_client.send(&held)?;
        self.client.shutdown(Shutdown::Write)
    }

    fn pass_gate(&self) {
        if self.relay.defect != Defect::HangsOnHalfClose {
            return;
        }
        let _in_the_gate = self.relay.gate.lock().expect("nobody panics with it");
        while self.has_ended.load(Ordering::Acquire) {
            thread::park();
        }
    }

    /// What is to become of the next reply, if anything but itself.
    fn due(&self) -> Option<Wrong> {
        let Defect::Replies(wrong, every) = self.relay.defect else {
            return None;
        };
        let number = 1 + self.relay.replies.fetch_add(1, Ordering::Relaxed);
        number.is_multiple_of(every).then_some(wrong)
    }

    fn send_wrong(
        &self,
        wrong: Wrong,
        reply: &mut Vec<u8>,
        held: &mut Vec<u8>,
        to_client: &Client,
    ) -> io::Result<()> {
        match wrong {
            Wrong::Corrupted => {
                let last = reply.len().saturating_sub(2);
                reply[last] = if reply[last] == b'0' { b'1' } else { b'0' };
                to_client.send(reply)
            }
            Wrong::Dropped => Ok(()),
            Wrong::Duplicated => to_client.send(&reply.repeat(2)),
            Wrong::Swapped => {
                held.append(reply);
                Ok(())
            }
            Wrong::Misrouted => match self.relay.clients.neighbour(self.number) {
                // It may have gone meanwhile.
                Some(other) => {
                    let _ = other.send(reply);
                    Ok(())
                }
                None => to_client.send(reply),
            },
        }
    }
}

/// Dies if a line ends that had as many bytes as are deadly before its newline; otherwise
/// tells how many bytes the line has that is not over.
fn die_on_line(bytes: &[u8], before: u64, deadly: u64) -> u64 {
    let mut line_bytes = before;
    for part in bytes.split_inclusive(|byte| *byte == b'\n') {
        line_bytes += part.len() as u64;
        if part.ends_with(b"\n") {
            if line_bytes - 1 == deadly {
                std::process::abort();
            }
            line_bytes = 0;
        }
    }
    line_bytes
}
