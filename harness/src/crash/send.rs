//! Sending: `fuzzclient` in a thread of its own.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use bundle::{Session, Transport};
use fuzzclient::generate::{Corpus, Protocol, Recipe, Strategy};
use fuzzclient::plan::{Content, Keep};
use fuzzclient::recording::{self, Memory};
use fuzzclient::{Attack, Barrage, FuzzRecord, Interrupt, Plan};

use super::life::{Note, Sink};

/// Bytes of each connection at most: whatever a server keeps of one, it has kept by then.
const SESSION_BYTES: u64 = 256 * 1024;

/// Longest that one turn or one replay may take: all are bounded by something else.
const LONGEST: Duration = Duration::from_secs(600);

/// Connections that end nothing are given up after this when they are replayed, so that one
/// that a server leaves open costs little.
const REPLAY_PATIENCE: Duration = Duration::from_millis(300);

/// How long a target that cuts connections short is left alone.
const PAUSE: Duration = Duration::from_millis(1);

/// What is made in one strategy's turn.
#[derive(Clone, Debug)]
pub struct Turn {
    /// Whose messages are the model.
    pub protocol: Protocol,
    /// How they travel.
    pub transport: Transport,
    /// What is made of them.
    pub strategy: Strategy,
    /// Of this seed.
    pub seed: u64,
    /// Inputs that come first.
    pub corpus: Option<Arc<Corpus>>,
    /// The number of its first connection.
    pub first_connection: u64,
    /// Connections at the same time.
    pub connections: u64,
    /// Bytes at most.
    pub bytes: u64,
    /// How long.
    pub duration: Duration,
    /// Bytes or datagrams per second at most.
    pub rate: Option<f64>,
    /// How long a connection may do nothing.
    pub hang_after: Duration,
}

/// Something that is being sent.
#[derive(Debug)]
pub struct Sending {
    interrupt: Arc<Interrupt>,
    thread: Option<JoinHandle<io::Result<FuzzRecord>>>,
    kept: Memory,
}

impl Turn {
    /// Begins to send.
    ///
    /// # Errors
    /// That there are no descriptors or threads to be had.
    pub fn begin(&self, at: SocketAddr, sink: Sink) -> io::Result<Sending> {
        let content = Content::Made(Recipe {
            protocol: self.protocol,
            strategy: self.strategy,
            seed: self.seed,
            corpus: self.corpus.clone(),
        });
        let plan = Plan {
            seed: self.seed,
            connections: self.connections,
            first_connection: self.first_connection,
            bytes: Some(self.bytes),
            duration: self.duration,
            rate: self.rate,
            hang_after: self.hang_after,
            pause: PAUSE,
            ..plan(at, content)
        };
        Sending::begin(plan, self.transport, sink)
    }
}

/// Begins to send a session again.
///
/// # Errors
/// That there are no descriptors or threads to be had.
pub fn replay(session: &Session, at: SocketAddr, sink: Sink) -> io::Result<Sending> {
    let recorded = recording::read(&session.to_recording()).map_err(io::Error::other)?;
    let plan = Plan {
        hang_after: REPLAY_PATIENCE,
        ..plan(at, Content::Replay(Arc::new(recorded)))
    };
    Sending::begin(plan, session.transport, sink)
}

fn plan(at: SocketAddr, content: Content) -> Plan {
    Plan {
        targets: vec![at],
        content,
        seed: 0,
        connections: 1,
        first_connection: 0,
        bytes: None,
        session_bytes: SESSION_BYTES,
        duration: LONGEST,
        rate: None,
        follow: true,
        probe: None,
        hang_after: REPLAY_PATIENCE,
        recording: None,
        keep: None,
        pause: Duration::ZERO,
        // Whoever sends looks for himself.
        last_look: false,
        config: BTreeMap::new(),
    }
}

impl Sending {
    fn begin(mut plan: Plan, transport: Transport, sink: Sink) -> io::Result<Self> {
        let kept = Memory::default();
        plan.recording = Some(Keep::Memory(kept.clone()));
        let begin = |run: Box<dyn FnOnce() -> io::Result<FuzzRecord> + Send>| {
            std::thread::Builder::new()
                .name("send".to_owned())
                .spawn(move || {
                    let outcome = run();
                    let _ = sink.send(Note::Sent);
                    outcome
                })
        };
        let (interrupt, thread) = match transport {
            Transport::Tcp => {
                let attack = Attack::new(plan)?;
                (
                    Arc::clone(&attack.interrupt),
                    begin(Box::new(move || attack.run()))?,
                )
            }
            Transport::Udp => {
                let barrage = Barrage::new(plan)?;
                (
                    Arc::clone(&barrage.interrupt),
                    begin(Box::new(move || barrage.run()))?,
                )
            }
        };
        let thread = Some(thread);
        Ok(Self {
            interrupt,
            thread,
            kept,
        })
    }

    /// Ends it, if it has not ended; what was sent, and what was seen of it.
    ///
    /// # Errors
    /// That it could not be sent, for a reason of our own.
    pub fn end(mut self) -> io::Result<(Vec<u8>, FuzzRecord)> {
        self.interrupt.now();
        let thread = self.thread.take().expect("it is taken here only");
        let record = thread
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("it panicked")))?;
        Ok((self.kept.take(), record))
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.interrupt.now();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
