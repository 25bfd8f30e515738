//! Starting the workers, reading their counts, stopping them.

use std::io;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use eventloop::Waker;

use crate::defect::Defects;
use crate::door::Door;
use crate::mode::Mode;
use crate::process::Process;
use crate::record::UpstreamRecord;
use crate::worker::Worker;

/// The exit code of a process that panicked.
const PANICKED: i32 = 101;

/// What a server is like.
#[derive(Clone, Debug)]
pub struct Config {
    /// What it does with the bytes of a connection.
    pub mode: Mode,
    /// What it is called.
    pub name: Option<String>,
    /// Whether each connection must begin with a PROXY header.
    pub proxy_protocol: bool,
    /// Worker threads.
    pub threads: usize,
    /// Where the choice of wrong replies starts, and the seed of what is sent: see
    /// [`pattern`](crate::pattern).
    pub seed: u64,
    /// What is wrong with it.
    pub defects: Defects,
    /// Whether decode errors are logged.
    pub log_decode_errors: bool,
}

impl Default for Config {
    /// A sound Foo server with one thread.
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            name: None,
            proxy_protocol: false,
            threads: 1,
            seed: 1,
            defects: Defects::default(),
            log_decode_errors: true,
        }
    }
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    process: Arc<Process>,
    workers: Vec<Handle>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Handle {
    waker: Arc<Waker>,
    published: Arc<Mutex<UpstreamRecord>>,
}

impl Server {
    /// Serves on `listener`, which must be non-blocking. Planted defects that end or
    /// hang the process do so to the caller's.
    ///
    /// # Errors
    /// That a poller or a thread could not be made.
    pub fn start(listener: OwnedFd, config: Config) -> io::Result<Self> {
        let door = Arc::new(Door::new(listener, &config.defects)?);
        let threads = config.threads.max(1);
        let process = Arc::new(Process::new(config));
        let mut server = Self {
            process,
            workers: Vec::new(),
            threads: Vec::new(),
        };
        for number in 0..threads {
            let started = server.start_worker(number, &door);
            if let Err(error) = started {
                let _ = server.stop();
                return Err(error);
            }
        }
        Ok(server)
    }

    fn start_worker(&mut self, number: usize, door: &Arc<Door>) -> io::Result<()> {
        let waker = Arc::new(Waker::new()?);
        let published = Arc::new(Mutex::default());
        let worker = Worker::new(
            Arc::clone(&self.process),
            Arc::clone(door),
            Arc::clone(&waker),
            Arc::clone(&published),
        )?;
        let thread = std::thread::Builder::new()
            .name(format!("worker-{number}"))
            .spawn(move || or_die(|| worker.run()))?;
        self.workers.push(Handle { waker, published });
        self.threads.push(thread);
        Ok(())
    }

    /// Whether the planted hang has come.
    #[must_use]
    pub fn is_hung(&self) -> bool {
        self.process.is_hung()
    }

    /// The counts of all workers.
    #[must_use]
    pub fn record(&self) -> UpstreamRecord {
        let mut sum = UpstreamRecord {
            name: self.process.config.name.clone(),
            proxy_sources: self.process.sources(),
            ..UpstreamRecord::default()
        };
        if let Some(freeze) = self.process.config.defects.freeze {
            sum.hits.freeze = freeze.begun(self.process.age());
        }
        for worker in &self.workers {
            let published = worker.published.lock();
            sum.add(&published.unwrap_or_else(PoisonError::into_inner));
        }
        sum
    }

    /// Closes all connections and ends the workers.
    #[must_use]
    pub fn stop(mut self) -> UpstreamRecord {
        self.process.stop();
        for worker in &self.workers {
            worker.waker.wake();
        }
        for thread in self.threads.drain(..) {
            // A worker that panicked has ended the process.
            let _ = thread.join();
        }
        self.record()
    }
}

/// A worker that fails takes the process with it: a server that goes on with half of
/// its threads would be a defect that nobody planted.
pub(crate) fn or_die<T>(run: impl FnOnce() -> io::Result<T>) -> T {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(done)) => done,
        Ok(Err(error)) => {
            tracing::error!("a worker failed: {error}");
            std::process::exit(1);
        }
        Err(_) => std::process::exit(PANICKED),
    }
}
