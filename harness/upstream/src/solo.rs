//! A server of one thread, which is asked for what it counted.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;

use eventloop::Waker;

use crate::server::or_die;

/// The thread, as others see it.
#[derive(Debug)]
pub(crate) struct Solo<C> {
    requests: Sender<Request<C>>,
    waker: Arc<Waker>,
    thread: JoinHandle<C>,
}

/// What the thread is asked for.
#[derive(Debug)]
pub(crate) enum Request<C> {
    /// Its counts, once it has read what is waiting.
    Counts(Sender<C>),
    /// Its end.
    Stop,
}

/// The thread's side: where requests come in, and what tells of them.
#[derive(Debug)]
pub(crate) struct Asked<C> {
    pub(crate) requests: Receiver<Request<C>>,
    pub(crate) waker: Arc<Waker>,
}

/// What runs on the thread.
pub(crate) trait Worker: Send + 'static {
    /// What it counts.
    type Counts: Send + 'static;

    /// Works until it is told to stop.
    ///
    /// # Errors
    /// That it cannot go on, which ends the process.
    fn run(self) -> io::Result<Self::Counts>;
}

impl<C: Send + 'static> Solo<C> {
    /// Starts the thread with the worker that `hire` makes.
    ///
    /// # Errors
    /// That a poller or a thread could not be made.
    pub(crate) fn start<W: Worker<Counts = C>>(
        name: &str,
        hire: impl FnOnce(Asked<C>) -> io::Result<W>,
    ) -> io::Result<Self> {
        let waker = Arc::new(Waker::new()?);
        let (sender, requests) = mpsc::channel();
        let worker = hire(Asked {
            requests,
            waker: Arc::clone(&waker),
        })?;
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || or_die(|| worker.run()))?;
        Ok(Self {
            requests: sender,
            waker,
            thread,
        })
    }

    /// The counts, with all that waits in the sockets at this moment.
    pub(crate) fn counts(&self) -> C {
        let (sender, counts) = mpsc::channel();
        self.ask(Request::Counts(sender));
        counts.recv().expect("a thread that fails ends the process")
    }

    /// Has it read what is waiting, and ends the thread.
    pub(crate) fn stop(self) -> C {
        self.ask(Request::Stop);
        let counts = self.thread.join();
        counts.expect("a thread that fails ends the process")
    }

    fn ask(&self, request: Request<C>) {
        let sent = self.requests.send(request);
        sent.expect("a thread that fails ends the process");
        self.waker.wake();
    }
}
