//! What a toxic has done: counted always, told decision by decision on demand.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use service::clock::mono_ns;

use crate::decision::Draws;
use crate::item::Medium;
use crate::record::{Touched, ToxicCounts};
use crate::toxic::Direction;

/// Connections that are named one by one for each toxic. A record stays readable; how
/// many there were is counted beyond that.
const NAMED_CONNECTIONS: usize = 1_000;

/// Decisions are written at so many bytes, or when a worker has nothing else to do.
const LOG_BATCH_BYTES: usize = 64 * 1024;

/// Counts of a toxic, over all workers.
#[derive(Debug, Default)]
pub struct Counters {
    hits: AtomicU64,
    bytes: AtomicU64,
    connections: AtomicU64,
    first_ns: AtomicU64,
    last_ns: AtomicU64,
    named: Mutex<Vec<Touched>>,
}

impl Counters {
    /// Takes a decision into account that touched so many bytes.
    pub fn count(&self, now_ns: u64, bytes: u64) {
        if self.hits.fetch_add(1, Relaxed) == 0 {
            self.first_ns.store(now_ns, Relaxed);
        }
        self.bytes.fetch_add(bytes, Relaxed);
        self.last_ns.store(now_ns, Relaxed);
    }

    /// Takes more bytes into account that a decision is about.
    pub fn more(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Relaxed);
    }

    /// Takes the first decision about a connection into account.
    pub fn count_connection(&self, now_ns: u64, connection: u64) {
        self.connections.fetch_add(1, Relaxed);
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        if named.len() < NAMED_CONNECTIONS {
            named.push(Touched {
                connection,
                at_ns: now_ns,
            });
        }
    }

    /// What was counted.
    #[must_use]
    pub fn read(&self) -> ToxicCounts {
        let named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        ToxicCounts {
            hits: self.hits.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            connections: self.connections.load(Relaxed),
            first_ns: self.first_ns.load(Relaxed),
            last_ns: self.last_ns.load(Relaxed),
            touched: named.clone(),
        }
    }
}

/// The log of all decisions of one worker. All workers append to the same file, each
/// whole lines at a time.
#[derive(Debug)]
pub struct DecisionLog {
    file: Arc<File>,
    lines: Vec<u8>,
    broken: bool,
}

impl DecisionLog {
    /// Creates the file.
    ///
    /// # Errors
    /// Names the file and what the system said.
    pub fn create(path: &Path) -> io::Result<Arc<File>> {
        let mut options = std::fs::OpenOptions::new();
        options.append(true).create(true);
        let told =
            |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        let file = options.open(path).map_err(told)?;
        file.set_len(0).map_err(told)?;
        Ok(Arc::new(file))
    }

    /// A log of one worker.
    #[must_use]
    pub fn new(file: Arc<File>) -> Self {
        Self {
            file,
            lines: Vec::new(),
            broken: false,
        }
    }

    /// Writes out what has gathered. A full disk ends the log, not the link.
    pub fn flush(&mut self) {
        if !self.lines.is_empty()
            && !self.broken
            && let Err(error) = (&*self.file).write_all(&self.lines)
        {
            tracing::error!("the log of decisions ends here: {error}");
            self.broken = true;
        }
        self.lines.clear();
    }

    fn add(&mut self, scope: &Scope<'_>, offset: u64, what: &str, value: u64) {
        // Numbers are padded so that sorting the lines sorts by connection and offset.
        let Scope {
            link,
            toxic,
            connection,
            direction,
            ..
        } = scope;
        let line = writeln!(
            self.lines,
            "{link} {connection:08} {direction} {toxic} {offset:012} {what} {value}"
        );
        line.expect("a vector takes everything");
        if self.lines.len() >= LOG_BATCH_BYTES {
            self.flush();
        }
    }
}

/// Whose decisions are being made.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// The link.
    pub link: &'a str,
    /// The toxic.
    pub toxic: &'a str,
    /// The number of the connection on the link.
    pub connection: u64,
    /// The direction.
    pub direction: Direction,
    /// Where decisions are counted.
    pub counters: &'a Counters,
}

/// What a stage is told with everything that it is asked.
pub struct Context<'a> {
    /// Now.
    pub now_ns: u64,
    /// What it is on.
    pub medium: Medium,
    /// Its source of decisions.
    pub draws: Draws,
    scope: Scope<'a>,
    touched: &'a mut bool,
    log: Option<&'a mut DecisionLog>,
}

impl<'a> Context<'a> {
    /// A context for one call of a stage. `touched` remembers whether the connection has
    /// been counted.
    pub fn new(
        now_ns: u64,
        medium: Medium,
        draws: Draws,
        scope: Scope<'a>,
        touched: &'a mut bool,
        log: Option<&'a mut DecisionLog>,
    ) -> Self {
        Self {
            now_ns,
            medium,
            draws,
            scope,
            touched,
            log,
        }
    }

    /// Counts and tells a decision that changes what happens to `bytes` at `offset`.
    pub fn hit(&mut self, offset: u64, bytes: usize, what: &str, value: u64) {
        self.touch(bytes);
        self.tell(offset, what, value);
    }

    /// Counts and tells what the clock decides: it is about the connection, and where its
    /// bytes were then is chance.
    pub fn hit_by_clock(&mut self, what: &str) {
        self.hit(0, 0, what, 0);
    }

    /// Counts more bytes that a decision is about that was counted before.
    pub fn more(&self, bytes: usize) {
        self.scope.counters.more(bytes as u64);
    }

    /// Tells a decision that is counted elsewhere.
    pub fn tell(&mut self, offset: u64, what: &str, value: u64) {
        if let Some(log) = &mut self.log {
            log.add(&self.scope, offset, what, value);
        }
    }

    /// Counts that something was changed about which there was nothing to decide: how
    /// often depends on how the bytes were received, so it is not told.
    pub fn touch(&mut self, bytes: usize) {
        self.scope.counters.count(self.now_ns, bytes as u64);
        if !*self.touched {
            *self.touched = true;
            let connection = self.scope.connection;
            self.scope
                .counters
                .count_connection(self.now_ns, connection);
        }
    }
}

/// The clock of all evidence.
#[must_use]
pub fn now_ns() -> u64 {
    mono_ns()
}
