//! An echo whose answers are made by a test.

use std::net::{SocketAddr, UdpSocket};
use std::thread::JoinHandle;

/// Says that nothing follows.
const END: &[u8] = b"end";

/// A datagram and where it came from or goes to.
pub(crate) type Datagram = (SocketAddr, Vec<u8>);

/// An echo.
pub(crate) struct Echo {
    pub(crate) at: SocketAddr,
    thread: JoinHandle<Vec<Datagram>>,
}

/// Starts one. `answers` gets all that has come so far, and gives what is sent for the last
/// of them.
pub(crate) fn echo(mut answers: impl FnMut(&[Datagram]) -> Vec<Datagram> + Send + 'static) -> Echo {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    eventloop::datagram::set_receive_buffer(&socket, 64 << 20).expect("room");
    let at = socket.local_addr().expect("an address");
    let thread = std::thread::spawn(move || {
        let mut all = Vec::new();
        let mut buffer = vec![0; 65_536];
        loop {
            let (len, from) = socket.recv_from(&mut buffer).expect("a datagram");
            if &buffer[..len] == END {
                return all;
            }
            all.push((from, buffer[..len].to_vec()));
            for (to, bytes) in answers(&all) {
                socket.send_to(&bytes, to).expect("room for an answer");
            }
        }
    });
    Echo { at, thread }
}

/// One that does as it should.
pub(crate) fn sound() -> Echo {
    echo(|all| vec![last(all)])
}

/// The one that came last.
pub(crate) fn last(all: &[Datagram]) -> Datagram {
    all[all.len() - 1].clone()
}

impl Echo {
    /// All that came before this call.
    pub(crate) fn end(self) -> Vec<Datagram> {
        let last = UdpSocket::bind("127.0.0.1:0").expect("a port");
        last.send_to(END, self.at).expect("room for one more");
        self.thread.join().expect("no panic")
    }
}
