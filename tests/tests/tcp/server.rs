//! A backend that says who it is and echoes, can be killed and started again.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use tests::{Peer, Program, eventually};

use crate::started::connect;

/// An echo server whose first bytes on each connection are its name.
pub(crate) struct Server {
    name: &'static str,
    addr: String,
    running: Option<Running>,
}

struct Running {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Server {
    /// Starts one on a free port. Names have one length.
    pub(crate) fn start(name: &'static str) -> Self {
        Self::start_at(name, "127.0.0.1:0")
    }

    /// Starts one at an address.
    pub(crate) fn start_at(name: &'static str, addr: &str) -> Self {
        assert_eq!(name.len(), 1, "names have one letter");
        let mut server = Self {
            name,
            addr: addr.to_owned(),
            running: None,
        };
        server.restart();
        server
    }

    pub(crate) fn addr(&self) -> &str {
        &self.addr
    }

    /// Starts it again where it was.
    pub(crate) fn restart(&mut self) {
        assert!(self.running.is_none(), "it runs");
        let listener = TcpListener::bind(&self.addr).expect("the address is free");
        self.addr = listener.local_addr().expect("bound").to_string();
        let stop = Arc::new(AtomicBool::new(false));
        let (name, stopped) = (self.name, Arc::clone(&stop));
        let thread = thread::spawn(move || serve(&listener, name, &stopped));
        self.running = Some(Running { stop, thread });
    }

    /// Closes its listener and all its connections.
    pub(crate) fn kill(&mut self) {
        let running = self.running.take().expect("it runs");
        running.stop.store(true, Ordering::SeqCst);
        // It looks when somebody comes.
        let _ = TcpStream::connect(&self.addr);
        running.thread.join().expect("it does not panic");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.running.is_some() {
            self.kill();
        }
    }
}

fn serve(listener: &TcpListener, name: &'static str, stop: &AtomicBool) {
    let open: Arc<Mutex<Vec<TcpStream>>> = Arc::default();
    for stream in listener.incoming().flatten() {
        if stop.load(Ordering::SeqCst) {
            break;
        }
        open.lock()
            .expect("nobody panics")
            .push(stream.try_clone().expect("a descriptor"));
        thread::spawn(move || echo(stream, name));
    }
    for stream in open.lock().expect("nobody panics").iter() {
        // It may be over.
        let _ = stream.shutdown(Shutdown::Both);
    }
}

fn echo(mut stream: TcpStream, name: &str) {
    let mut buffer = [0; 4096];
    let mut next = name.len();
    buffer[..next].copy_from_slice(name.as_bytes());
    // The other side may go away at any time.
    while stream.write_all(&buffer[..next]).is_ok() {
        match stream.read(&mut buffer) {
            Ok(n @ 1..) => next = n,
            _ => break,
        }
    }
    let _ = stream.shutdown(Shutdown::Write);
}

/// A connection through a balancer, and the name of who answers.
pub(crate) fn reach(proxy: &Program) -> (Peer, String) {
    let mut peer = connect(proxy);
    let name = peer.read_some();
    (peer, String::from_utf8(name).expect("a name"))
}

/// Waits until somebody else answers.
pub(crate) fn reach_until(proxy: &Program, name: &str) {
    eventually(&format!("{name} to answer"), || {
        (reach(proxy).1 == name).then_some(())
    });
}

/// A byte there and back.
pub(crate) fn echoes(peer: &mut Peer) {
    peer.send("x");
    peer.expect("x");
}
