//! The access log: one line of JSON for each connection, written by a thread of its own.
//!
//! A worker hands over what it knows when a connection is over and goes on at once: if
//! the disk cannot keep up, lines are dropped and counted, and nobody waits.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvError, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use rustix::fs::OFlags;
use rustix::io::Errno;
use serde::{Serialize, Serializer};

use super::clock::rfc3339;

/// Connections that may wait to be written: what ends in a second on a busy machine.
const WAITING: usize = 16 * 1024;

/// How long the writer lets lines gather after it has written some. It is not asleep on
/// the channel meanwhile, so that handing a line over costs a worker no system call.
const GATHER: Duration = Duration::from_millis(20);

/// Lines go out in pieces of at most about this size.
const BATCH_BYTES: usize = 256 * 1024;

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    /// Both sides ended in good order, the client first.
    ClientEnd,
    /// Both sides ended in good order, the backend first.
    BackendEnd,
    /// The client reset the connection, or is gone.
    ClientReset,
    /// The backend reset the connection, or is gone.
    BackendReset,
    /// Nothing moved for too long.
    IdleTimeout,
    /// One side had ended and nothing came from the other for too long.
    HalfClosedTimeout,
    /// No backend could be connected to.
    DialFailed,
    /// Every backend is down, or there is none.
    NoBackend,
    /// Every backend is full, and so is the queue.
    QueueFull,
    /// Every backend stayed full for too long.
    QueueTimeout,
    /// The PROXY header or the TLS hello could not be read.
    PrefaceInvalid,
    /// The PROXY header, the TLS hello or the handshake took too long.
    PrefaceTimeout,
    /// The TLS handshake failed.
    TlsFailed,
    /// Descriptors, memory or local ports ran out.
    Resources,
    /// The proxy ended while the connection was open.
    Stopped,
}

/// What is known of a connection that is over.
#[derive(Debug, Serialize)]
pub(super) struct Entry {
    /// When it was over; the writer fills it in if it is zero.
    #[serde(rename = "time", serialize_with = "as_rfc3339")]
    pub(super) unix_ms: u64,
    /// Who connected: the other end of the socket.
    pub(super) client: SocketAddr,
    /// Who the PROXY header says that it is.
    pub(super) proxied_for: Option<SocketAddr>,
    /// The pool that was chosen.
    pub(super) pool: Option<Box<str>>,
    /// The backend that was connected to, or tried last.
    pub(super) backend: Option<Box<str>>,
    /// The name that the client asked for in its TLS hello.
    pub(super) sni: Option<String>,
    /// The version of TLS, if it was terminated here.
    pub(super) tls: Option<&'static str>,
    /// Bytes received from the client.
    pub(super) client_bytes: u64,
    /// Bytes received from the backend.
    pub(super) backend_bytes: u64,
    /// From the first dial to the connection, in microseconds.
    #[serde(rename = "connect_ms", serialize_with = "us_as_ms")]
    pub(super) connect_us: Option<u64>,
    /// From the connection to the backend's first byte, in microseconds.
    #[serde(rename = "first_byte_ms", serialize_with = "us_as_ms")]
    pub(super) first_byte_us: Option<u64>,
    /// From the accept to the end.
    pub(super) duration_ms: u64,
    /// Dials, the failed ones included.
    pub(super) attempts: u32,
    /// How it ended.
    pub(super) end: Outcome,
}

/// What the log has done.
#[derive(Debug, Default)]
pub(super) struct LogCounters {
    /// Lines written.
    pub(super) written: AtomicU64,
    /// Lines dropped because the writer could not keep up.
    pub(super) dropped: AtomicU64,
    /// Lines lost because the file could not be opened or written.
    pub(super) failed: AtomicU64,
}

enum Message {
    Entry(Box<Entry>),
    Reopen,
    Flush(SyncSender<()>),
}

/// A log that is open. Clones write to the same one; the writer ends with the last.
#[derive(Clone)]
pub(super) struct AccessLog {
    messages: SyncSender<Message>,
    counters: Arc<LogCounters>,
    path: PathBuf,
}

impl std::fmt::Debug for AccessLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("AccessLog").field(&self.path).finish()
    }
}

impl AccessLog {
    /// Opens the log at `path`, `-` being stdout, and starts its writer.
    ///
    /// # Errors
    /// Names the file and what the system said.
    pub(super) fn open(path: &Path, counters: Arc<LogCounters>) -> io::Result<Self> {
        let mut sink = Sink::new(path.to_owned(), Arc::clone(&counters));
        sink.reopen().map_err(|error| {
            let text = format!("cannot open the access log {}: {error}", path.display());
            io::Error::new(error.kind(), text)
        })?;
        let (messages, waiting) = sync_channel(WAITING);
        thread::Builder::new()
            .name("access-log".to_owned())
            .spawn(move || sink.run(&waiting))?;
        let path = path.to_owned();
        Ok(Self {
            messages,
            counters,
            path,
        })
    }

    /// Where it writes.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Hands a connection over to be written. Never waits.
    pub(super) fn write(&self, entry: Box<Entry>) {
        if let Err(TrySendError::Full(_)) = self.messages.try_send(Message::Entry(entry)) {
            self.counters.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Opens the file anew, so that it can be rotated.
    pub(super) fn reopen(&self) {
        // A writer that has no room for this has been told so before, or is stuck.
        if self.messages.try_send(Message::Reopen).is_err() {
            tracing::warn!("the access log is too far behind to be reopened");
        }
    }

    /// Waits until what was handed over is written, but not for long.
    pub(super) fn flush(&self, patience: Duration) {
        let (done, is_done) = sync_channel(1);
        let asked = self.messages.try_send(Message::Flush(done));
        if asked.is_err() || is_done.recv_timeout(patience).is_err() {
            tracing::warn!("the access log is too far behind: its last lines are lost");
        }
    }
}

/// The writer's side.
struct Sink {
    path: PathBuf,
    /// `None` while it cannot be opened.
    file: Option<Box<dyn Write + Send>>,
    counters: Arc<LogCounters>,
    /// It has been said that writing fails.
    complained: bool,
}

impl Sink {
    fn new(path: PathBuf, counters: Arc<LogCounters>) -> Self {
        Self {
            path,
            file: None,
            counters,
            complained: false,
        }
    }

    fn reopen(&mut self) -> io::Result<()> {
        self.file = Some(if self.path == Path::new("-") {
            Box::new(io::stdout())
        } else {
            Box::new(open_file(&self.path)?)
        });
        Ok(())
    }

    fn run(mut self, waiting: &Receiver<Message>) {
        let mut batch = Vec::new();
        while let Ok(first) = waiting.recv() {
            let mut lines = 0;
            let mut next: Result<Message, RecvError> = Ok(first);
            while let Ok(message) = next {
                match message {
                    Message::Entry(entry) => {
                        write_line(*entry, &mut batch);
                        lines += 1;
                        if batch.len() >= BATCH_BYTES {
                            self.put(&mut batch, std::mem::take(&mut lines));
                        }
                    }
                    Message::Reopen => {
                        self.put(&mut batch, std::mem::take(&mut lines));
                        if let Err(error) = self.reopen() {
                            self.complain(&error);
                        }
                    }
                    Message::Flush(done) => {
                        self.put(&mut batch, std::mem::take(&mut lines));
                        // Whoever asked may have lost patience.
                        let _ = done.send(());
                    }
                }
                next = waiting.try_recv().map_err(|_| RecvError);
            }
            self.put(&mut batch, lines);
            thread::sleep(GATHER);
        }
    }

    /// Writes whole lines with one call, so that two processes can share a file.
    fn put(&mut self, batch: &mut Vec<u8>, lines: u64) {
        if batch.is_empty() {
            return;
        }
        if self.file.is_none() {
            // It may be there again; if not, it has been said.
            let _ = self.reopen();
        }
        let outcome = match &mut self.file {
            Some(file) => file.write_all(batch).and_then(|()| file.flush()),
            None => Err(io::Error::from(io::ErrorKind::NotFound)),
        };
        batch.clear();
        match outcome {
            Ok(()) => {
                self.complained = false;
                self.counters.written.fetch_add(lines, Ordering::Relaxed);
            }
            Err(error) => {
                self.counters.failed.fetch_add(lines, Ordering::Relaxed);
                self.complain(&error);
            }
        }
    }

    fn complain(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.complained, true) {
            let path = self.path.display();
            tracing::warn!("cannot write the access log {path}: {error}");
        }
    }
}

fn open_file(path: &Path) -> io::Result<File> {
    // Opening a pipe waits for somebody to read from it, unless told not to.
    let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).expect("flags are small");
    let mut options = OpenOptions::new();
    options.append(true).create(true).custom_flags(nonblocking);
    let file = options
        .open(path)
        .map_err(|error| match Errno::from_io_error(&error) {
            Some(Errno::NXIO) => io::Error::new(error.kind(), "nobody reads from this pipe"),
            _ => error,
        })?;
    // Writing may wait: it is the writer's own thread.
    rustix::io::ioctl_fionbio(&file, false)?;
    Ok(file)
}

fn write_line(mut entry: Entry, out: &mut Vec<u8>) {
    if entry.unix_ms == 0 {
        entry.unix_ms = service::clock::unix_ms();
    }
    let start = out.len();
    match serde_json::to_writer(&mut *out, &entry) {
        Ok(()) => out.push(b'\n'),
        // Memory cannot fail and every value has a text, so this does not happen.
        Err(_) => out.truncate(start),
    }
}

#[expect(
    clippy::ref_option,
    reason = "serde passes a reference to the field as it is"
)]
fn us_as_ms<S: Serializer>(us: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
    match us {
        Some(us) => serializer.serialize_f64(*us as f64 / 1_000.0),
        None => serializer.serialize_none(),
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference to the field as it is"
)]
fn as_rfc3339<S: Serializer>(unix_ms: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&rfc3339(*unix_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Box<Entry> {
        Box::new(Entry {
            unix_ms: 951_782_399_007,
            client: "127.0.0.1:5".parse().unwrap(),
            proxied_for: None,
            pool: Some("default".into()),
            backend: Some("localhost:1".into()),
            sni: Some("a.example\n\"".to_owned()),
            tls: None,
            client_bytes: 3,
            backend_bytes: 4,
            connect_us: Some(1_500),
            first_byte_us: None,
            duration_ms: 7,
            attempts: 1,
            end: Outcome::ClientEnd,
        })
    }

    #[test]
    fn a_line_is_one_line_of_json() {
        let mut out = Vec::new();
        write_line(*entry(), &mut out);
        let expected = "{\"time\":\"2000-02-28T23:59:59.007Z\",\"client\":\"127.0.0.1:5\",\
            \"proxied_for\":null,\"pool\":\"default\",\"backend\":\"localhost:1\",\
            \"sni\":\"a.example\\n\\\"\",\"tls\":null,\"client_bytes\":3,\"backend_bytes\":4,\
            \"connect_ms\":1.5,\"first_byte_ms\":null,\"duration_ms\":7,\"attempts\":1,\
            \"end\":\"client_end\"}\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn a_pipe_that_nobody_reads_is_refused_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU);
        rustix::fs::mknodat(rustix::fs::CWD, &path, kind, mode, 0).unwrap();
        let counters = Arc::new(LogCounters::default());
        let error = AccessLog::open(&path, counters).unwrap_err().to_string();
        assert!(error.contains("nobody reads from this pipe"), "{error}");
    }

    #[test]
    fn a_rotated_file_is_left_and_a_new_one_is_begun() {
        let directory = tempfile::tempdir().unwrap();
        let (path, old) = (directory.path().join("log"), directory.path().join("old"));
        let counters = Arc::new(LogCounters::default());
        let log = AccessLog::open(&path, Arc::clone(&counters)).unwrap();
        let patience = Duration::from_secs(20);
        log.write(entry());
        log.flush(patience);
        std::fs::rename(&path, &old).unwrap();
        log.write(entry());
        log.reopen();
        log.write(entry());
        log.write(entry());
        log.flush(patience);
        let lines = |path| std::fs::read_to_string(path).unwrap().lines().count();
        assert_eq!((lines(&old), lines(&path)), (2, 2));
        assert_eq!(counters.written.load(Ordering::Relaxed), 4);
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_named() {
        let path = Path::new("/nonexistent/log");
        let error = AccessLog::open(path, Arc::default())
            .unwrap_err()
            .to_string();
        assert!(error.contains("/nonexistent/log"), "{error}");
    }
}
