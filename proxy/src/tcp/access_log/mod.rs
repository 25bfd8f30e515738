//! The access log: one line of JSON for each connection, written by a thread of its own.
//!
//! A worker hands over what it knows when a connection is over and goes on at once: if
//! the disk cannot keep up, lines are dropped and counted, and nobody waits.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvError, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use self::entry::Entry;
use rustix::fs::OFlags;
use rustix::io::Errno;

pub(super) mod entry;

/// Connections that may wait to be written: what ends in a second on a busy machine.
const WAITING: usize = 16 * 1024;

/// How long the writer lets lines gather after it has written some. It is not asleep on
/// the channel meanwhile, so that handing a line over costs a worker no system call.
const GATHER: Duration = Duration::from_millis(20);

/// Lines go out in pieces of at most about this size.
const BATCH_BYTES: usize = 256 * 1024;

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
                        entry.write_line(&mut batch);
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

#[cfg(test)]
mod tests {
    use super::entry::tests::example;
    use super::*;

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
        log.write(example());
        log.flush(patience);
        std::fs::rename(&path, &old).unwrap();
        log.write(example());
        log.reopen();
        log.write(example());
        log.write(example());
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
