//! Sinks that keep all they receive.

use std::io::Read as _;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::thread::JoinHandle;

/// Says that nothing follows.
const END: &[u8] = b"end";

/// A UDP sink.
pub(crate) struct Datagrams {
    pub(crate) at: SocketAddr,
    thread: JoinHandle<Vec<Vec<u8>>>,
}

/// Starts one that has room for all that a test sends.
pub(crate) fn datagrams() -> Datagrams {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    eventloop::datagram::set_receive_buffer(&socket, 64 << 20).expect("room");
    let at = socket.local_addr().expect("an address");
    let thread = std::thread::spawn(move || {
        let mut all = Vec::new();
        let mut buffer = vec![0; 65_536];
        loop {
            let len = socket.recv(&mut buffer).expect("a datagram");
            if &buffer[..len] == END {
                return all;
            }
            all.push(buffer[..len].to_vec());
        }
    });
    Datagrams { at, thread }
}

impl Datagrams {
    /// All that came before this call.
    pub(crate) fn end(self) -> Vec<Vec<u8>> {
        let last = UdpSocket::bind("127.0.0.1:0").expect("a port");
        last.send_to(END, self.at).expect("room for one more");
        self.thread.join().expect("no panic")
    }
}

/// Starts a TCP sink that takes so many connections, one after the other, and gives what
/// came over each.
pub(crate) fn streams(connections: usize) -> (SocketAddr, JoinHandle<Vec<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = listener.local_addr().expect("an address");
    let thread = std::thread::spawn(move || {
        let readers: Vec<_> = (0..connections)
            .map(|_| {
                let (mut stream, _) = listener.accept().expect("a connection");
                std::thread::spawn(move || {
                    let mut all = Vec::new();
                    let _ = stream.read_to_end(&mut all);
                    all
                })
            })
            .collect();
        let joined = readers.into_iter().map(JoinHandle::join);
        joined.map(|all| all.expect("no panic")).collect()
    });
    (at, thread)
}

/// The lines of a datagram, each with what is before its number and what is after.
pub(crate) fn lines(datagram: &[u8]) -> Vec<(String, u64, String)> {
    let text = std::str::from_utf8(datagram).expect("lines are text");
    text.split('\n')
        .map(|line| {
            let (key, rest) = line.split_once(':').expect(line);
            let (number, rest) = rest.split_once('|').expect(line);
            (key.to_owned(), number.parse().expect(line), rest.to_owned())
        })
        .collect()
}

/// The numbers of all lines of these datagrams.
pub(crate) fn numbers(datagrams: &[Vec<u8>]) -> Vec<u64> {
    let all = datagrams.iter().flat_map(|datagram| lines(datagram));
    all.map(|(_, number, _)| number).collect()
}
