//! What all workers share: the log of decode errors and what counts over the process.

use std::cmp::Ordering;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use protocol::foo::Malformed;

use crate::fatal;
use crate::server::Config;

/// Log lines are written out at this many bytes, or when a worker has nothing else to
/// do: a system call for each of a hundred thousand lines would be most of the work.
const LOG_BATCH_BYTES: usize = 64 * 1024;

/// A bad field is logged up to this many bytes, so that one bad line costs one short
/// log line.
const LOGGED_FIELD_BYTES: usize = 64;

/// Sources of PROXY headers that are shown: enough to see whether they are the clients'
/// own, in a record that stays readable.
const NOTED_SOURCES: usize = 8;

/// The exit code of the planted exit.
const EXITED: i32 = 1;

/// Shared by all workers of a server.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) config: Config,
    started: Instant,
    log: Mutex<DecodeLog>,
    log_pending: AtomicBool,
    messages: AtomicU64,
    moved: AtomicU64,
    planned: AtomicU64,
    connections: AtomicU64,
    answers: AtomicU64,
    stopping: AtomicBool,
    hung: AtomicBool,
    leaked: Mutex<Vec<Vec<u8>>>,
    sources: Mutex<Vec<String>>,
}

#[derive(Debug, Default)]
struct DecodeLog {
    errors: u64,
    lines: Vec<u8>,
}

impl DecodeLog {
    fn write_out(&mut self) {
        // A closed stderr must not stop the server.
        let _ = std::io::stderr().lock().write_all(&self.lines);
        self.lines.clear();
    }
}

impl Process {
    pub(crate) fn new(config: Config) -> Self {
        Self {
            config,
            started: Instant::now(),
            log: Mutex::default(),
            log_pending: AtomicBool::new(false),
            messages: AtomicU64::new(0),
            moved: AtomicU64::new(0),
            planned: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            answers: AtomicU64::new(0),
            stopping: AtomicBool::new(false),
            hung: AtomicBool::new(false),
            leaked: Mutex::default(),
            sources: Mutex::default(),
        }
    }

    fn log(&self) -> MutexGuard<'_, DecodeLog> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Logs a line that could not be decoded, and crashes if this was the one to crash
    /// at. Lines are counted and written under one lock, so that exactly those that
    /// were counted are on stderr when the process dies.
    pub(crate) fn decode_error(&self, peer: Option<SocketAddr>, reason: Malformed, line: &[u8]) {
        let mut log = self.log();
        log.errors += 1;
        if self.config.log_decode_errors {
            write_reason(&mut log.lines, peer, reason, line);
            self.log_pending.store(true, Relaxed);
        }
        let fatal = self.config.defects.segfault_after_decode_errors == Some(log.errors);
        if fatal || log.lines.len() >= LOG_BATCH_BYTES {
            log.write_out();
        }
        if fatal {
            fatal::segfault();
        }
    }

    /// Logs a head that was refused, and crashes if this was the one to crash at.
    pub(crate) fn head_error(&self, why: &str, first_line: &[u8]) {
        let mut log = self.log();
        log.errors += 1;
        if self.config.log_decode_errors {
            let shown = &first_line[..first_line.len().min(LOGGED_FIELD_BYTES)];
            writeln!(
                log.lines,
                "Decode error: {why} \"{}\"",
                shown.escape_ascii()
            )
            .expect("a vector takes everything");
            self.log_pending.store(true, Relaxed);
        }
        if self.config.defects.segfault_after_decode_errors == Some(log.errors) {
            log.write_out();
            fatal::segfault();
        }
    }

    /// Writes out what is logged.
    pub(crate) fn flush_log(&self) {
        if self.log_pending.swap(false, Relaxed) {
            self.log().write_out();
        }
    }

    /// Dies if the line is one to die of.
    pub(crate) fn inspect_line(&self, line: &[u8]) {
        let defects = &self.config.defects;
        if let Some(bytes) = &defects.abort_on_line
            && memchr::memmem::find(line, bytes).is_some()
        {
            self.log().write_out();
            std::process::abort();
        }
        self.inspect_length(line.strip_suffix(b"\n").unwrap_or(line));
        if defects.panic_on_invalid_utf8
            && let Err(error) = std::str::from_utf8(line)
        {
            self.log().write_out();
            panic!("the line is not UTF-8: {error}");
        }
    }

    /// Dies if what is there of a line is too long to live with.
    pub(crate) fn inspect_length(&self, line: &[u8]) {
        let longest = self.config.defects.abort_on_long_line;
        if longest.is_some_and(|bytes| line.len() >= bytes) {
            self.log().write_out();
            std::process::abort();
        }
    }

    /// Counts a message, and compares its number with that of the last one before the
    /// process hangs: `Equal` is still answered, `Greater` is not. The other workers hang
    /// from that last one on as well.
    pub(crate) fn count_message(&self) -> Ordering {
        let Some(limit) = self.config.defects.hang_after else {
            return Ordering::Less;
        };
        let number = self.messages.fetch_add(1, Relaxed) + 1;
        if number >= limit {
            self.hung.store(true, Relaxed);
        }
        number.cmp(&limit)
    }

    /// The number of an answer among all of the process, from 1. Only counted when a
    /// defect asks for it.
    pub(crate) fn next_answer(&self) -> u64 {
        self.answers.fetch_add(1, Relaxed) + 1
    }

    /// Takes bytes into account that were read or written, and crashes if these were the
    /// ones to crash at.
    pub(crate) fn count_bytes(&self, bytes: usize) {
        if let Some(limit) = self.config.defects.segfault_after_bytes
            && self.moved.fetch_add(bytes as u64, Relaxed) + bytes as u64 >= limit
        {
            self.log().write_out();
            fatal::segfault();
        }
    }

    /// Numbers the next `len` bytes among all that the process is to send, from 0.
    pub(crate) fn plan_bytes(&self, len: usize) -> u64 {
        self.planned.fetch_add(len as u64, Relaxed)
    }

    /// The number of a connection, from 1; ends the process if this is the one to end at.
    pub(crate) fn count_connection(&self) -> u64 {
        let number = self.connections.fetch_add(1, Relaxed) + 1;
        if self.config.defects.exit_after.is_some_and(|n| number >= n) {
            self.log().write_out();
            tracing::error!("connection {number} was accepted: the planted exit");
            std::process::exit(EXITED);
        }
        number
    }

    /// Keeps the source of a PROXY header, if it is one of the first few.
    pub(crate) fn note_source(&self, source: SocketAddr) {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        if sources.len() < NOTED_SOURCES {
            sources.push(source.to_string());
        }
    }

    /// The sources that were kept.
    pub(crate) fn sources(&self) -> Vec<String> {
        let sources = self.sources.lock();
        sources.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How long the process has been running.
    pub(crate) fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// Keeps memory, written to so that it is really there, until the process ends.
    pub(crate) fn leak_memory(&self, bytes: u64) {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        self.leaked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(vec![0xA5; bytes]);
    }

    /// Never returns once the process hangs; waits while it is frozen.
    pub(crate) fn stand_still(&self) {
        if self.hung.load(Relaxed) {
            fatal::hang();
        }
        if let Some(freeze) = self.config.defects.freeze {
            while let Some(left) = freeze.remaining(self.started.elapsed()) {
                // So that it can be stopped in a freeze, which may be a long one.
                if self.is_stopping() {
                    return;
                }
                std::thread::sleep(left.min(Duration::from_millis(50)));
            }
        }
    }

    /// Stops the calling worker for ever; what it logged is written first.
    pub(crate) fn hang(&self) -> ! {
        self.flush_log();
        fatal::hang();
    }

    pub(crate) fn is_hung(&self) -> bool {
        self.hung.load(Relaxed)
    }

    pub(crate) fn stop(&self) {
        self.stopping.store(true, Relaxed);
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Relaxed)
    }
}

/// One line, worded as the original's. What came from outside is escaped, so that it
/// stays one line.
fn write_reason(out: &mut Vec<u8>, peer: Option<SocketAddr>, reason: Malformed, line: &[u8]) {
    match peer {
        // As the client calls itself, even if the listener takes both families.
        Some(peer) => write!(
            out,
            "{}",
            SocketAddr::new(peer.ip().to_canonical(), peer.port())
        ),
        None => write!(out, "peer unknown"),
    }
    .expect("a vector takes everything");
    let mut fields = line.trim_ascii_end().split(|&b| b == b' ');
    let field = match reason {
        Malformed::BadType => fields.next(),
        Malformed::BadSeq => fields.nth(1),
        _ => None,
    };
    let written = match field {
        Some(field) => {
            let shown = &field[..field.len().min(LOGGED_FIELD_BYTES)];
            let cut = if shown.len() < field.len() { "…" } else { "" };
            writeln!(
                out,
                ": Decode error: {reason} \"{}\"{cut}",
                shown.escape_ascii()
            )
        }
        None => writeln!(out, ": Decode error: {reason}"),
    };
    written.expect("a vector takes everything");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logged_line_is_one_line_whatever_it_holds() {
        let long = [b'x'; 300];
        let cases: [(&[u8], Malformed, &str); 4] = [
            (b"a b c d\n", Malformed::TooManyFields, "too many fields"),
            (
                b"\x1b[2J\"\xff\r\r 1\n",
                Malformed::BadType,
                r#"bad type "\x1b[2J\"\xff\r\r""#,
            ),
            (b"REQ 1\r1 a\n", Malformed::BadSeq, r#"bad seq "1\r1""#),
            (
                &long,
                Malformed::BadType,
                &format!("bad type \"{}\"…", "x".repeat(64)),
            ),
        ];
        for (line, reason, expected) in cases {
            let mut out = Vec::new();
            write_reason(&mut out, "[::1]:60246".parse().ok(), reason, line);
            let text = String::from_utf8(out).unwrap();
            assert_eq!(text, format!("[::1]:60246: Decode error: {expected}\n"));
        }
    }
}
