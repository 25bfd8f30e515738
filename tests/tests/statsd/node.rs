//! A statsd server that the test plays: it takes lines, and says how it is.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tests::eventually;

/// How long its threads wait for anything before they look whether to end.
const TURN: Duration = Duration::from_millis(5);

/// What its admin port does when it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Says {
    Up,
    Down,
    /// It takes the question and says nothing.
    Nothing,
    /// It closes the connection as soon as there is one.
    Closes,
}

/// The server. It has an address of its own, so that nobody takes its ports while it does
/// not listen.
pub(crate) struct Node {
    ip: Ipv4Addr,
    port: u16,
    admin_port: u16,
    says: Arc<Mutex<Says>>,
    datagrams: Arc<Mutex<Vec<Vec<u8>>>>,
    lines: Option<Task>,
    admin: Option<Task>,
}

/// A thread that ends when it is dropped.
struct Task {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Task {
    fn start(mut turn: impl FnMut() + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Acquire) {
                turn();
            }
        });
        Self {
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        let _ = self.thread.take().expect("it ends once").join();
    }
}

impl Node {
    /// Takes lines, and says that it is up.
    pub(crate) fn start() -> Self {
        Self::at(own_ip())
    }

    /// The same at this address.
    pub(crate) fn at(ip: Ipv4Addr) -> Self {
        let mut node = Self {
            ip,
            port: 0,
            admin_port: 0,
            says: Arc::new(Mutex::new(Says::Up)),
            datagrams: Arc::default(),
            lines: None,
            admin: None,
        };
        node.open();
        node.open_admin();
        node
    }

    /// Listens for lines, on the same port as before.
    pub(crate) fn open(&mut self) {
        let at = SocketAddrV4::new(self.ip, self.port);
        let socket = UdpSocket::bind(at).expect("its own address");
        self.port = socket.local_addr().expect("bound").port();
        socket.set_read_timeout(Some(TURN)).expect("a socket");
        let datagrams = Arc::clone(&self.datagrams);
        let mut buffer = vec![0; 65_536];
        self.lines = Some(Task::start(move || {
            if let Ok(len) = socket.recv(&mut buffer) {
                let datagram = buffer[..len].to_vec();
                datagrams.lock().expect("nobody panics").push(datagram);
            }
        }));
    }

    /// Whoever sends it a line is told that nobody listens.
    pub(crate) fn close(&mut self) {
        self.lines = None;
    }

    /// Answers questions, on the same port as before.
    pub(crate) fn open_admin(&mut self) {
        let at = SocketAddrV4::new(self.ip, self.admin_port);
        let listener = TcpListener::bind(at).expect("its own address");
        self.admin_port = listener.local_addr().expect("bound").port();
        listener.set_nonblocking(true).expect("a socket");
        let says = Arc::clone(&self.says);
        let mut kept = Vec::new();
        self.admin = Some(Task::start(move || match listener.accept() {
            Ok((stream, _)) => {
                let says = *says.lock().expect("nobody panics");
                kept.extend(answer(stream, says));
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                thread::sleep(TURN);
            }
        }));
    }

    /// Its admin port refuses connections.
    pub(crate) fn close_admin(&mut self) {
        self.admin = None;
    }

    /// Its admin port does this from now on.
    pub(crate) fn say(&self, says: Says) {
        *self.says.lock().expect("nobody panics") = says;
    }

    /// It is gone.
    pub(crate) fn kill(&mut self) {
        self.close();
        self.close_admin();
    }

    /// It is back.
    pub(crate) fn restart(&mut self) {
        self.open();
        self.open_admin();
    }

    /// Its name on the ring.
    pub(crate) fn name(&self) -> String {
        format!("{}:{}", self.ip, self.port)
    }

    /// As `--node` takes it.
    pub(crate) fn with_admin(&self) -> String {
        format!("{}:{}", self.name(), self.admin_port)
    }

    /// As a configuration has it.
    pub(crate) fn json(&self) -> String {
        let Self {
            ip,
            port,
            admin_port,
            ..
        } = self;
        format!("{{\"host\": \"{ip}\", \"port\": {port}, \"adminport\": {admin_port}}}")
    }

    pub(crate) fn ip(&self) -> Ipv4Addr {
        self.ip
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Datagrams that it got.
    pub(crate) fn datagrams(&self) -> Vec<Vec<u8>> {
        self.datagrams.lock().expect("nobody panics").clone()
    }

    /// Lines that it got, in order.
    pub(crate) fn lines(&self) -> Vec<String> {
        let lines = |datagram: &Vec<u8>| {
            let lines = datagram.split(|byte| *byte == b'\n');
            let lines = lines.map(|line| String::from_utf8_lossy(line).into_owned());
            lines.collect::<Vec<_>>()
        };
        self.datagrams().iter().flat_map(lines).collect()
    }

    /// Waits until it has got so many lines.
    pub(crate) fn lines_when(&self, count: usize) -> Vec<String> {
        eventually(&format!("{count} lines at {}", self.name()), || {
            Some(self.lines()).filter(|lines| lines.len() >= count)
        })
    }
}

/// Plays the admin port once. A connection that is to stay open is given back.
fn answer(mut stream: TcpStream, says: Says) -> Option<TcpStream> {
    stream.set_nonblocking(false).expect("a socket");
    stream
        .set_read_timeout(Some(Duration::from_secs(1)))
        .expect("a socket");
    let mut question = [0; 64];
    match says {
        Says::Closes => return None,
        Says::Nothing => return Some(stream),
        Says::Up | Says::Down => {}
    }
    // Who asks may hang up at any time.
    let len = stream.read(&mut question).unwrap_or(0);
    if &question[..len] == b"health\r\n" {
        let text: &[u8] = match says {
            Says::Up => b"health: up\n",
            _ => b"health: down\n",
        };
        let _ = stream.write_all(text);
    }
    None
}

/// A loopback address that nothing else listens on, in this process or another.
pub(crate) fn own_ip() -> Ipv4Addr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let nth = NEXT.fetch_add(1, Ordering::Relaxed);
    Ipv4Addr::new(127, 64 + high % 128, low.max(1), nth)
}
