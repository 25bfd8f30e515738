//! Inputs that somebody has kept: regressions, samples of real traffic.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::recording;

/// Files of a corpus at most. Each takes a connection before anything new is tried.
const MOST_FILES: usize = 4096;

/// Bytes of a corpus at most: it is kept in memory, and every connection may use all.
const MOST_BYTES: u64 = 64 * 1024 * 1024;

/// Bytes of a message at most: mutations of longer ones would send little else.
const MOST_MESSAGE_BYTES: usize = 64 * 1024;

/// Inputs, in the order of their file names, and the messages that they are made of.
#[derive(Debug, Default)]
pub struct Corpus {
    inputs: Vec<Arc<[u8]>>,
    /// Where each message is: the input's index and the part of it.
    messages: Vec<(usize, std::ops::Range<usize>)>,
}

/// Why a corpus cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CorpusError {
    /// The directory or a file in it cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// There is nothing in it.
    #[error("{} holds no file", .0.display())]
    Empty(PathBuf),
    /// There is too much in it.
    #[error("{} holds more than {MOST_FILES} files or {} MiB", .0.display(), MOST_BYTES >> 20)]
    TooLarge(PathBuf),
    /// A file begins as a recording and does not go on as one.
    #[error("{}: {error}", path.display())]
    Recording {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        error: recording::RecordingError,
    },
}

impl Corpus {
    /// Reads the files of a directory. Hidden ones and directories are left alone; a
    /// recording of several connections is as many inputs.
    ///
    /// # Errors
    /// That it cannot be read, or holds nothing or too much.
    pub fn read(directory: &Path) -> Result<Self, CorpusError> {
        let failed = |path: &Path, error| CorpusError::Read {
            path: path.to_owned(),
            error,
        };
        let entries = std::fs::read_dir(directory).map_err(|error| failed(directory, error))?;
        let mut paths = Vec::new();
        let mut total = 0;
        for entry in entries {
            let path = entry.map_err(|error| failed(directory, error))?.path();
            let metadata = std::fs::metadata(&path).map_err(|error| failed(&path, error))?;
            let hidden = path
                .file_name()
                .is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
            if metadata.is_file() && !hidden {
                total += metadata.len();
                paths.push(path);
            }
            if total > MOST_BYTES || paths.len() > MOST_FILES {
                return Err(CorpusError::TooLarge(directory.to_owned()));
            }
        }
        if paths.is_empty() {
            return Err(CorpusError::Empty(directory.to_owned()));
        }
        paths.sort();
        let mut inputs = Vec::new();
        for path in paths {
            let bytes = std::fs::read(&path).map_err(|error| failed(&path, error))?;
            let connections = recording::read(&bytes).map_err(|error| CorpusError::Recording {
                path: path.clone(),
                error,
            })?;
            inputs.extend(connections.into_iter().map(|connection| connection.bytes()));
        }
        Ok(Self::new(inputs))
    }

    /// A corpus of these inputs.
    #[must_use]
    pub fn new(inputs: Vec<Arc<[u8]>>) -> Self {
        let mut messages = Vec::new();
        for (index, input) in inputs.iter().enumerate() {
            let mut start = 0;
            for line in input.split_inclusive(|&byte| byte == b'\n') {
                let end = start + line.len();
                if line.len() <= MOST_MESSAGE_BYTES {
                    messages.push((index, start..end));
                }
                start = end;
            }
            // Not every protocol has lines.
            if input.len() <= MOST_MESSAGE_BYTES && memchr::memchr_iter(b'\n', input).count() > 1 {
                messages.push((index, 0..input.len()));
            }
        }
        Self { inputs, messages }
    }

    /// How many inputs there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.inputs.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.inputs.is_empty()
    }

    /// The input that a connection sends as it is: the first connections send one each.
    pub(super) fn input(&self, connection: u64) -> Option<Arc<[u8]>> {
        self.inputs.get(usize::try_from(connection).ok()?).cloned()
    }

    pub(super) fn messages(&self) -> &[(usize, std::ops::Range<usize>)] {
        &self.messages
    }

    /// A message: a line, or an input that has several.
    pub(super) fn message(&self, index: usize) -> &[u8] {
        let (input, range) = &self.messages[index];
        &self.inputs[*input][range.clone()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_in_order_and_recordings_split() {
        let dir = tempfile::tempdir().unwrap();
        let write =
            |name: &str, bytes: &[u8]| std::fs::write(dir.path().join(name), bytes).unwrap();
        write("b.bin", b"REQ 1 x\nbad\n");
        write("a.bin", b"\0\xff");
        write(".hidden", b"no");
        write(
            "c.rec",
            b"connection 7 bytes 2\nhiconnection 9 bytes 1\n!connection 7 bytes 1\n?",
        );
        let corpus = Corpus::read(dir.path()).unwrap();
        let inputs: Vec<&[u8]> = corpus.inputs.iter().map(|input| &input[..]).collect();
        assert_eq!(
            inputs,
            [b"\0\xff" as &[u8], b"REQ 1 x\nbad\n", b"hi?", b"!"]
        );
        let messages: Vec<&[u8]> = (0..corpus.messages.len())
            .map(|i| corpus.message(i))
            .collect();
        let expected: [&[u8]; 6] = [
            b"\0\xff",
            b"REQ 1 x\n",
            b"bad\n",
            b"REQ 1 x\nbad\n",
            b"hi?",
            b"!",
        ];
        assert_eq!(messages, expected);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let said = |path: &Path| Corpus::read(path).unwrap_err().to_string();
        assert!(said(dir.path()).contains("no file"));
        assert!(said(&dir.path().join("none")).contains("none: "));
        std::fs::write(dir.path().join("cut"), b"connection 1 bytes 9\nabc").unwrap();
        assert!(said(dir.path()).contains("cut"), "{}", said(dir.path()));
    }
}
