//! Writing a recording: to one file, or to a directory with a file for each connection.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::file_stem;
use crate::generate::Ending;

/// Bytes gathered before they are written to the file.
const BUFFER_BYTES: usize = 1024 * 1024;

/// What is kept in memory, for whoever reads it there. A clone is the same memory.
#[derive(Clone, Debug, Default)]
pub struct Memory(Arc<Mutex<Vec<u8>>>);

impl Memory {
    /// Takes what was kept out of it.
    #[must_use]
    pub fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where what is sent is kept.
#[derive(Debug)]
pub struct Recording {
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// One file, as it comes.
    File { file: BufWriter<File>, raw: bool },
    /// Memory, as it comes.
    Memory(Memory),
    /// One file, with the last connections only: written at the end.
    Last { path: PathBuf, last: Last<Vec<u8>> },
    /// A file for each connection.
    Directory {
        path: PathBuf,
        /// Closed when the connection is over: there may be more of them than descriptors.
        last: Last<Option<BufWriter<File>>>,
    },
}

/// What there is of the last connections, by their numbers.
#[derive(Debug)]
struct Last<T> {
    kept: BTreeMap<u64, T>,
    /// Those that are over, the oldest first.
    over: VecDeque<u64>,
    at_most: usize,
}

impl<T> Last<T> {
    fn new(at_most: Option<usize>) -> Self {
        let (kept, over) = (BTreeMap::new(), VecDeque::new());
        Self {
            kept,
            over,
            at_most: at_most.unwrap_or(usize::MAX),
        }
    }

    /// A connection is over; what falls out because of that.
    fn end(&mut self, connection: u64) -> Option<(u64, T)> {
        self.over.push_back(connection);
        if self.over.len() <= self.at_most {
            return None;
        }
        let oldest = self.over.pop_front()?;
        Some((oldest, self.kept.remove(&oldest)?))
    }
}

impl Recording {
    /// Creates the file, or empties it; or, if `path` is a directory or ends with a slash,
    /// creates that, with a file for each connection. `raw` leaves out the lines between the
    /// pieces. `last` keeps only so many of the connections that have ended, and those that
    /// have not.
    ///
    /// # Errors
    /// That it cannot be created, with its name.
    pub fn create(path: &Path, raw: bool, last: Option<usize>) -> io::Result<Self> {
        let named = |error| named(path, error);
        let is_directory = path.as_os_str().as_encoded_bytes().ends_with(b"/") || path.is_dir();
        let place = if is_directory {
            std::fs::create_dir_all(path).map_err(named)?;
            Place::Directory {
                path: path.to_owned(),
                last: Last::new(last),
            }
        } else {
            // Now, so that a wrong path costs nothing.
            let file = File::create(path).map_err(named)?;
            match last {
                Some(_) if !raw => Place::Last {
                    path: path.to_owned(),
                    last: Last::new(last),
                },
                _ => Place::File {
                    file: BufWriter::with_capacity(BUFFER_BYTES, file),
                    raw,
                },
            }
        };
        Ok(Self { place })
    }

    /// Keeps everything in memory, as in a file that is not raw.
    #[must_use]
    pub fn in_memory(memory: Memory) -> Self {
        Self {
            place: Place::Memory(memory),
        }
    }

    /// Keeps what a connection has sent.
    ///
    /// # Errors
    /// That the file cannot be written.
    pub fn keep(&mut self, connection: u64, bytes: &[u8]) -> io::Result<()> {
        match &mut self.place {
            Place::File { file, raw: true } => file.write_all(bytes),
            Place::File { file, raw: false } => piece(file, connection, bytes),
            Place::Memory(memory) => piece(&mut *memory.lock(), connection, bytes),
            Place::Last { last, .. } => {
                piece(last.kept.entry(connection).or_default(), connection, bytes)
            }
            Place::Directory { path, last } => {
                let file = match last.kept.entry(connection) {
                    Entry::Occupied(open) => open.into_mut(),
                    Entry::Vacant(place) => {
                        let name = path.join(format!("{}.bin", file_stem(connection)));
                        let file = File::create(&name).map_err(|error| named(&name, error))?;
                        place.insert(Some(BufWriter::new(file)))
                    }
                };
                file.as_mut().map_or(Ok(()), |file| file.write_all(bytes))
            }
        }
    }

    /// Keeps how we ended a connection.
    ///
    /// # Errors
    /// That the file cannot be written.
    pub fn end(&mut self, connection: u64, ending: Ending) -> io::Result<()> {
        if matches!(&self.place, Place::Last { .. } | Place::Directory { .. }) {
            // One that sent nothing was there as well.
            self.keep(connection, b"")?;
        }
        let line = format!("connection {connection} ends {}\n", ending.name());
        match &mut self.place {
            Place::File { raw: true, .. } => Ok(()),
            Place::File { file, raw: false } => file.write_all(line.as_bytes()),
            Place::Memory(memory) => memory.lock().write_all(line.as_bytes()),
            Place::Last { last, .. } => {
                last.kept
                    .entry(connection)
                    .or_default()
                    .extend_from_slice(line.as_bytes());
                last.end(connection);
                Ok(())
            }
            Place::Directory { path, last } => {
                let stem = path.join(file_stem(connection));
                if let Some(mut file) = last.kept.get_mut(&connection).and_then(Option::take) {
                    file.flush()?;
                }
                let name = |ending: Ending, stem: &Path| match ending {
                    Ending::HalfClose => stem.with_extension("bin"),
                    other => stem.with_extension(format!("{}.bin", other.name())),
                };
                if ending != Ending::HalfClose {
                    std::fs::rename(stem.with_extension("bin"), name(ending, &stem))?;
                }
                if let Some((oldest, _)) = last.end(connection) {
                    let stem = path.join(file_stem(oldest));
                    for ending in Ending::ALL {
                        let _ = std::fs::remove_file(name(ending, &stem));
                    }
                }
                Ok(())
            }
        }
    }

    /// Writes out what is gathered.
    ///
    /// # Errors
    /// That the file cannot be written.
    pub fn finish(self) -> io::Result<()> {
        match self.place {
            Place::File { mut file, .. } => file.flush(),
            Place::Memory(_) => Ok(()),
            Place::Last { path, last } => {
                let all: Vec<u8> = last.kept.into_values().flatten().collect();
                std::fs::write(&path, all).map_err(|error| named(&path, error))
            }
            Place::Directory { last, .. } => last
                .kept
                .into_values()
                .flatten()
                .try_for_each(|mut file| file.flush()),
        }
    }
}

fn piece(to: &mut impl Write, connection: u64, bytes: &[u8]) -> io::Result<()> {
    writeln!(to, "connection {connection} bytes {}", bytes.len())?;
    to.write_all(bytes)
}

fn named(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(
        error.kind(),
        format!("cannot write {}: {error}", path.display()),
    )
}
