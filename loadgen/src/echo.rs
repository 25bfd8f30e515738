//! A server in this process: what the load client measures its own floor against.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use eventloop::datagram::{self, Receiver, Sender};
use eventloop::{Events, Fill, Interest, Poller, Stream, Waker};
use protocol::foo::{Answer, Message};

use crate::datagrams::MOST;
use crate::plan::Wire;

/// A server thread that answers every request of a protocol rightly, and ends when it is dropped.
pub(crate) struct Echo {
    pub(crate) at: SocketAddr,
    stop: Arc<AtomicBool>,
    waker: Arc<Waker>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Echo {
    pub(crate) fn start(wire: Wire) -> io::Result<Self> {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = match wire {
            Wire::Foo(_) | Wire::Echo(_) => eventloop::net::listen(any)?,
            Wire::Datagrams(_) => datagram::bind(any, false)?,
        };
        let at = eventloop::net::local_addr(listener.as_fd())?;
        let stop = Arc::new(AtomicBool::new(false));
        let waker = Arc::new(Waker::new()?);
        let poller = Poller::new()?;
        poller.add(&listener, LISTENER, Interest::Read)?;
        poller.add(&*waker, WAKER, Interest::Edge)?;
        let stopped = stop.clone();
        let thread = std::thread::Builder::new()
            .name("echo".to_owned())
            .spawn(move || {
                // An echo that fails makes the floor fail, and that is all there is to say.
                let _ = match wire {
                    Wire::Foo(_) => serve(&listener, &poller, &stopped, answer_foo),
                    Wire::Echo(_) => serve(&listener, &poller, &stopped, answer_alike),
                    Wire::Datagrams(_) => send_back(&listener, &poller, &stopped),
                };
            })?;
        Ok(Self {
            at,
            stop,
            waker,
            thread: Some(thread),
        })
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.waker.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

const LISTENER: u64 = u64::MAX;
const WAKER: u64 = u64::MAX - 1;

fn serve(
    listener: impl AsFd,
    poller: &Poller,
    stop: &AtomicBool,
    answer: fn(&mut Stream),
) -> io::Result<()> {
    let mut events = Events::new();
    let mut streams: Vec<Option<Stream>> = Vec::new();
    while !stop.load(Ordering::Acquire) {
        poller.wait(&mut events, None)?;
        for (token, _) in events.iter() {
            match token {
                // Told to stop, or only that it could be told: the loop looks.
                WAKER => {}
                LISTENER => {
                    while let Some(fd) = eventloop::net::accept(&listener)? {
                        poller.add(&fd, streams.len() as u64, Interest::Edge)?;
                        streams.push(Some(Stream::new(fd)));
                    }
                }
                at => {
                    let slot = &mut streams[at as usize];
                    if slot
                        .as_mut()
                        .is_some_and(|stream| !answer_all(stream, answer))
                    {
                        *slot = None;
                    }
                }
            }
        }
    }
    Ok(())
}

/// Answers what is there. `false` when the connection is over.
fn answer_all(stream: &mut Stream, answer: fn(&mut Stream)) -> bool {
    loop {
        match stream.fill() {
            Ok(Fill::Data(_)) => {
                answer(stream);
                if stream.flush().is_err() {
                    return false;
                }
            }
            Ok(Fill::Blocked) => return stream.flush().is_ok(),
            Ok(Fill::End) | Err(_) => return false,
        }
    }
}

/// Sends every datagram back.
fn send_back(socket: impl AsFd, poller: &Poller, stop: &AtomicBool) -> io::Result<()> {
    let mut events = Events::new();
    let mut receiver = Receiver::new(MOST, datagram::LONGEST);
    let mut sender = Sender::new(MOST);
    while !stop.load(Ordering::Acquire) {
        poller.wait(&mut events, None)?;
        while receiver.receive(&socket)? > 0 {
            let datagrams = receiver.datagrams();
            let back = datagrams.filter_map(|one| Some((one.bytes, one.from?)));
            sender.send_to(&socket, back)?;
        }
    }
    Ok(())
}

fn answer_foo(stream: &mut Stream) {
    let (inbound, out) = stream.split();
    let mut at = 0;
    while let Some((message, len)) = Message::next(&inbound[at..]) {
        if let Ok(request) = message {
            Answer::to(request.seq, request.data).encode(out);
        }
        at += len;
    }
    stream.consume(at);
}

fn answer_alike(stream: &mut Stream) {
    let (inbound, out) = stream.split();
    let bytes = inbound.len();
    out.extend_from_slice(inbound);
    stream.consume(bytes);
}
