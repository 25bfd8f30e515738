//! Keeping every byte that was sent.
//!
//! A run of one connection is kept raw, so that `nc` can send it again. With more of
//! them each piece has a line before it that says whose it is and how long:
//! `connection 3 bytes 65536\n`, then 65,536 bytes, then the next such line.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Bytes gathered before they are written to the file.
const BUFFER_BYTES: usize = 1024 * 1024;

/// A file that takes what is sent.
#[derive(Debug)]
pub struct Recording {
    file: BufWriter<File>,
    raw: bool,
}

impl Recording {
    /// Creates the file, or empties it. `raw` leaves out the lines between the pieces.
    ///
    /// # Errors
    /// That it cannot be created, with its name.
    pub fn create(path: &Path, raw: bool) -> io::Result<Self> {
        let file = File::create(path).map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("cannot write {}: {error}", path.display()),
            )
        })?;
        Ok(Self {
            file: BufWriter::with_capacity(BUFFER_BYTES, file),
            raw,
        })
    }

    /// Keeps what a connection has sent.
    ///
    /// # Errors
    /// That the file cannot be written.
    pub fn keep(&mut self, connection: u64, bytes: &[u8]) -> io::Result<()> {
        if !self.raw {
            writeln!(self.file, "connection {connection} bytes {}", bytes.len())?;
        }
        self.file.write_all(bytes)
    }

    /// Writes out what is gathered.
    ///
    /// # Errors
    /// That the file cannot be written.
    pub fn finish(mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Splits a recording that is not raw into the bytes of each connection. `None` if it is
/// not such a recording.
#[must_use]
pub fn split(mut recording: &[u8]) -> Option<BTreeMap<u64, Vec<u8>>> {
    let mut connections: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    while !recording.is_empty() {
        let end = memchr::memchr(b'\n', recording)?;
        let head = std::str::from_utf8(&recording[..end]).ok()?;
        let (connection, len) = head.strip_prefix("connection ")?.split_once(" bytes ")?;
        let piece = recording.get(end + 1..)?.get(..len.parse().ok()?)?;
        connections
            .entry(connection.parse().ok()?)
            .or_default()
            .extend_from_slice(piece);
        recording = &recording[end + 1 + piece.len()..];
    }
    Some(connections)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn what_is_kept_is_split_again(
            pieces in proptest::collection::vec(
                (0_u64..4, proptest::collection::vec(any::<u8>(), 0..40)), 0..20),
        ) {
            let file = tempfile::NamedTempFile::new().unwrap();
            let mut recording = Recording::create(file.path(), false).unwrap();
            let mut expected: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
            for (connection, bytes) in &pieces {
                recording.keep(*connection, bytes).unwrap();
                expected.entry(*connection).or_default().extend_from_slice(bytes);
            }
            recording.finish().unwrap();
            prop_assert_eq!(split(&std::fs::read(file.path()).unwrap()), Some(expected));
        }
    }
}
