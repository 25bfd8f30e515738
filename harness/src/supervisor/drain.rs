//! Emptying a child's pipe, so that it never waits for us, and keeping its last words.

use std::fs::File;
use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

/// The end of the output that is kept: room for a stack trace.
pub const TAIL_BYTES: usize = 64 * 1024;

/// The same of what may end in a record with bitmaps of all numbers that came: those of a
/// hundred million lines fit.
pub const RECORD_BYTES: usize = 64 << 20;

/// Lines of the tail that are reported: a panic with its backtrace has dozens, and says
/// first what it is.
const TAIL_LINES: usize = 100;

/// Bytes of such a line that are reported.
const LINE_BYTES: usize = 400;

/// How a server reports a line that it cannot decode.
const DECODE_ERROR: &[u8] = b"Decode error";

/// What has come out of a pipe.
#[derive(Debug)]
pub struct Output {
    /// Lines.
    pub lines: u64,
    /// Lines that report an undecodable line.
    pub decode_errors: u64,
    tail: Vec<u8>,
    /// Bytes of the tail at most.
    keep: usize,
}

impl Default for Output {
    fn default() -> Self {
        Self {
            lines: 0,
            decode_errors: 0,
            tail: Vec::new(),
            keep: TAIL_BYTES,
        }
    }
}

impl Output {
    fn take(&mut self, chunk: &[u8]) {
        self.lines += memchr::memchr_iter(b'\n', chunk).count() as u64;
        // A report may lie across the border of two chunks.
        let overlap = self.tail.len().min(DECODE_ERROR.len() - 1);
        let border = self.tail.len() - overlap;
        let head = &chunk[..chunk.len().min(DECODE_ERROR.len() - 1)];
        let across = [&self.tail[border..], head].concat();
        let finder = memchr::memmem::Finder::new(DECODE_ERROR);
        self.decode_errors += finder
            .find_iter(&across)
            .filter(|at| at + DECODE_ERROR.len() > overlap && *at < overlap)
            .count() as u64;
        self.decode_errors += finder.find_iter(chunk).count() as u64;
        let keep = &chunk[chunk.len().saturating_sub(self.keep)..];
        let room = self.keep - keep.len();
        let excess = self.tail.len().saturating_sub(room);
        self.tail.drain(..excess);
        self.tail.extend_from_slice(keep);
    }

    /// The end of it, as it is.
    #[must_use]
    pub fn tail(&self) -> &[u8] {
        &self.tail
    }

    /// The last lines, each cut to a length that a report can show.
    #[must_use]
    pub fn last_lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self
            .tail
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .rev()
            .take(TAIL_LINES)
            .map(|line| String::from_utf8_lossy(&line[..line.len().min(LINE_BYTES)]).into_owned())
            .collect();
        lines.reverse();
        lines
    }

    /// The last line that is a JSON object, as statistics are.
    #[must_use]
    pub fn last_object(&self) -> Option<serde_json::Value> {
        let mut lines = self.tail.split(|byte| *byte == b'\n').rev();
        lines.find_map(|line| {
            serde_json::from_slice(line)
                .ok()
                .filter(serde_json::Value::is_object)
        })
    }
}

/// A pipe that is being emptied.
#[derive(Debug)]
pub struct Drain {
    output: Arc<Mutex<Output>>,
    ended: Option<oneshot::Receiver<()>>,
}

impl Drain {
    /// Empties `pipe` on a thread of its own until it ends, and keeps so many of its last
    /// bytes. A thread, since a blocking
    /// read of a large piece keeps up with a flood of log lines at the least cost.
    #[must_use]
    pub fn start(mut pipe: File, keep: usize) -> Self {
        let output = Arc::new(Mutex::new(Output {
            keep,
            ..Output::default()
        }));
        let (done, ended) = oneshot::channel();
        let sink = Arc::clone(&output);
        std::thread::spawn(move || {
            let mut buffer = vec![0; 64 * 1024];
            loop {
                match pipe.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(len) => sink
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .take(&buffer[..len]),
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    Err(_) => break,
                }
            }
            let _ = done.send(());
        });
        Self {
            output,
            ended: Some(ended),
        }
    }

    /// What comes out of the pipe from now on belongs to another process that holds it;
    /// nobody waits for its end on behalf of this one any more.
    #[must_use]
    pub fn hand_on(&mut self) -> Self {
        Self {
            output: Arc::clone(&self.output),
            ended: self.ended.take(),
        }
    }

    /// Waits for the pipe's end, but not for ever: a process that left its group may
    /// still hold it.
    pub async fn end(&mut self) {
        if let Some(ended) = self.ended.take() {
            let _ = tokio::time::timeout(std::time::Duration::from_secs(1), ended).await;
        }
    }

    /// What has come so far.
    pub fn output<T>(&self, look: impl FnOnce(&Output) -> T) -> T {
        look(&self.output.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_wherever_the_chunks_end() {
        let text = b"a: Decode error: x\nb\nc: Decode error: y\nDecode error\n";
        for size in 1..=text.len() {
            let mut output = Output::default();
            for chunk in text.chunks(size) {
                output.take(chunk);
            }
            assert_eq!(
                (output.lines, output.decode_errors),
                (4, 3),
                "chunks of {size}"
            );
            assert_eq!(
                output.last_lines().last().map(String::as_str),
                Some("Decode error")
            );
        }
    }

    #[test]
    fn the_tail_is_bounded() {
        let mut output = Output::default();
        for number in 0..20_000 {
            output.take(format!("line {number}\n").as_bytes());
        }
        output.take(&vec![b'x'; 3 * TAIL_BYTES]);
        output.take(b"\n{\"a\":1}\nend\n");
        assert!(output.tail.len() <= TAIL_BYTES);
        assert_eq!(output.last_lines().last().map(String::as_str), Some("end"));
        assert!(
            output
                .last_lines()
                .iter()
                .all(|line| line.len() <= LINE_BYTES)
        );
        assert_eq!(output.last_object(), Some(serde_json::json!({"a": 1})));
    }
}
