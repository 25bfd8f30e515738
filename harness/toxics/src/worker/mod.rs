//! The workers: one thread and one event loop for each core, which move all bytes.
//!
//! In reading order: [`Order`] is what a worker is told, `connection` one TCP connection
//! and `passing` how its bytes pass, with a `tunnel` for bulk, `listener` where its clients
//! come from and `knocks` who comes in vain; `sessions` are the clients of a UDP link; `timers` is what is due when, and
//! `scene` what a worker lends to whoever has its turn.
//!
//! Own event loops and not a runtime's, because of its timers: those are a millisecond
//! coarse, and a latency of ours must be right to two.

mod connection;
mod knocks;
mod links;
mod listener;
mod mailbox;
mod passing;
mod scene;
mod sessions;
mod timers;
mod tunnel;
mod work;

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::thread::JoinHandle;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

pub use mailbox::{Mailbox, Order};

use crate::evidence::DecisionLog;
use work::Work;

/// All workers.
#[derive(Debug)]
pub struct Workers {
    mailboxes: Vec<Arc<Mailbox>>,
    threads: Vec<JoinHandle<()>>,
}

impl Workers {
    /// Starts so many threads. Names are looked up on `runtime`; decisions are logged to
    /// `log`, if there is one.
    ///
    /// # Errors
    /// What the system said.
    pub fn start(threads: usize, log: Option<Arc<File>>, runtime: &Handle) -> io::Result<Self> {
        let mailboxes: Vec<Arc<Mailbox>> = (0..threads)
            .map(|_| Mailbox::new().map(Arc::new))
            .collect::<io::Result<_>>()?;
        let memory = Arc::new(AtomicUsize::new(0));
        let start = |index: usize| {
            let log = log.clone().map(DecisionLog::new);
            let (all, memory) = (mailboxes.clone(), Arc::clone(&memory));
            let mut work = Work::new(index, all, log, memory, runtime.clone())?;
            std::thread::Builder::new()
                .name(format!("link-{index}"))
                .spawn(move || work.run())
        };
        let threads = (0..threads).map(start).collect::<io::Result<_>>()?;
        Ok(Self { mailboxes, threads })
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.mailboxes.len()
    }

    /// Orders something from one of them; equal numbers mean the same.
    pub fn order(&self, number: u64, order: Order) {
        let index = usize::try_from(number % self.mailboxes.len() as u64);
        self.mailboxes[index.expect("below their count")].send(order);
    }

    /// Orders something from all of them and waits until they have done it.
    pub async fn order_all(&self, order: impl Fn(oneshot::Sender<()>) -> Order) {
        let sent: Vec<_> = self
            .mailboxes
            .iter()
            .map(|mailbox| {
                let (done, told) = oneshot::channel();
                mailbox.send(order(done));
                told
            })
            .collect();
        for told in sent {
            // A worker that has ended has done what there was to do.
            let _ = told.await;
        }
    }

    /// Ends all of them; their connections end with them.
    pub fn stop(self) {
        for mailbox in &self.mailboxes {
            mailbox.send(Order::Stop);
        }
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a worker panicked");
            }
        }
    }
}
