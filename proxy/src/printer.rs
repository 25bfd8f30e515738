//! Printing statistics without ever waiting for whoever reads them.

use std::io::Write;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

/// Lines that may wait for a slow reader; more are dropped, and said so.
const WAITING: usize = 16;

/// A thread that prints lines to stdout. A pipe that nobody reads holds up this thread
/// and nothing else.
#[derive(Debug)]
pub(crate) struct Printer {
    lines: SyncSender<String>,
    ended: Receiver<()>,
}

impl Printer {
    pub(crate) fn start() -> std::io::Result<Self> {
        let (lines, waiting) = sync_channel::<String>(WAITING);
        let (end, ended) = sync_channel(1);
        thread::Builder::new()
            .name("printer".to_owned())
            .spawn(move || {
                for line in waiting {
                    let mut stdout = std::io::stdout().lock();
                    if let Err(error) = writeln!(stdout, "{line}").and_then(|()| stdout.flush()) {
                        tracing::warn!("cannot print statistics: {error}");
                    }
                }
                // Nobody may be waiting for it.
                let _ = end.send(());
            })?;
        Ok(Self { lines, ended })
    }

    /// Prints a line, if the reader keeps up.
    pub(crate) fn print(&self, line: String) {
        if self.lines.try_send(line).is_err() {
            tracing::warn!("nobody reads the statistics on stdout: a line was dropped");
        }
    }

    /// Waits for the last lines to be read, but not for long.
    pub(crate) fn finish(self, patience: Duration) {
        drop(self.lines);
        if self.ended.recv_timeout(patience).is_err() {
            tracing::warn!("nobody reads the statistics on stdout: the last lines are lost");
        }
    }
}
