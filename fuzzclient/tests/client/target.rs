//! What garbage is sent to.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// How long anything may take before a test fails.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// A server that takes everything, answers each line with `ok`, and tells what it got.
pub(crate) struct Sink {
    pub(crate) addr: SocketAddr,
    received: Receiver<Vec<u8>>,
}

impl Sink {
    /// Reads this many bytes at once.
    pub(crate) fn reading(step: usize) -> Self {
        let (addr, listener) = listen();
        let (sender, received) = channel();
        std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                let sender = sender.clone();
                std::thread::spawn(move || {
                    let _ = sender.send(take_all(stream, step));
                });
            }
        });
        Self { addr, received }
    }

    /// What the connections have sent, in the order in which they ended; the look whether
    /// the target is still there sends nothing and is left out.
    pub(crate) fn received(&self, connections: usize) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        while all.len() < connections {
            let bytes = self.received.recv_timeout(DEADLINE).unwrap();
            if !bytes.is_empty() {
                all.push(bytes);
            }
        }
        all
    }
}

fn take_all(mut stream: TcpStream, step: usize) -> Vec<u8> {
    let mut all = Vec::new();
    let mut piece = vec![0; step];
    loop {
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => return all,
            Ok(n) => {
                all.extend_from_slice(&piece[..n]);
                let lines = piece[..n].iter().filter(|&&b| b == b'\n').count();
                let _ = stream.write_all(&b"ok\n".repeat(lines));
            }
        }
    }
}

/// A listener on a free port.
pub(crate) fn listen() -> (SocketAddr, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    (listener.local_addr().unwrap(), listener)
}

/// A port at which nobody listens: below those that the kernel gives out, so that no other
/// test is given it meanwhile.
pub(crate) fn nobody() -> SocketAddr {
    ([127, 0, 0, 1], 1).into()
}

/// A target that treats each connection so, and is gone after `lives` of them.
pub(crate) fn mortal(lives: usize, treat: impl Fn(&mut TcpStream) + Send + 'static) -> SocketAddr {
    let (addr, listener) = listen();
    std::thread::spawn(move || {
        for _ in 1..lives {
            treat(&mut listener.accept().unwrap().0);
        }
        let (mut last, _) = listener.accept().unwrap();
        treat(&mut last);
        // As when a process dies: first the listener, then what was open.
        drop(listener);
        drop(last);
    });
    addr
}

/// Ends our side of a connection and reads on.
pub(crate) fn half_close(stream: &mut TcpStream) {
    stream.shutdown(Shutdown::Write).unwrap();
    let _ = std::io::copy(stream, &mut std::io::sink());
}
