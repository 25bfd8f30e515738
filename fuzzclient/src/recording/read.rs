//! Reading a recording.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::generate::Ending;

/// What a recording begins with.
const HEAD: &[u8] = b"connection ";

/// A connection of a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Its number.
    pub number: u64,
    /// What was sent, as it was handed over.
    pub pieces: Vec<Arc<[u8]>>,
    /// How we ended it, if we did.
    pub ending: Option<Ending>,
}

impl Recorded {
    /// All that was sent.
    #[must_use]
    pub fn bytes(&self) -> Arc<[u8]> {
        match &self.pieces[..] {
            [one] => Arc::clone(one),
            pieces => pieces.concat().into(),
        }
    }
}

/// Why a recording cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordingError {
    /// It ends within a piece or a line.
    #[error("the recording is cut at byte {at}: {missing} more bytes were promised")]
    Cut {
        /// Where it ends.
        at: usize,
        /// How many bytes are missing.
        missing: usize,
    },
    /// A line between two pieces is none.
    #[error(
        "no line \"connection N bytes LENGTH\" or \"connection N ends HOW\" at byte {at} of the recording"
    )]
    Line {
        /// Where it should be.
        at: usize,
    },
}

/// Reads a recording: its connections in the order of their first piece. What does not
/// begin as a recording is one connection, number 0.
///
/// # Errors
/// That it begins as a recording and does not go on as one.
pub fn read(bytes: &[u8]) -> Result<Vec<Recorded>, RecordingError> {
    let begins_as_one = match line(bytes, 0) {
        Ok((line, _)) => !matches!(line, Line::None),
        Err(_) => false,
    };
    if !begins_as_one {
        return Ok(vec![Recorded {
            number: 0,
            pieces: vec![bytes.into()],
            ending: None,
        }]);
    }
    let mut connections: Vec<Recorded> = Vec::new();
    let mut places: BTreeMap<u64, usize> = BTreeMap::new();
    let mut at = 0;
    while at < bytes.len() {
        let (line, after) = line(bytes, at)?;
        let number = match line {
            Line::Piece(number, _) | Line::End(number, _) => number,
            Line::None => return Err(RecordingError::Line { at }),
        };
        let place = *places.entry(number).or_insert_with(|| {
            connections.push(Recorded {
                number,
                pieces: Vec::new(),
                ending: None,
            });
            connections.len() - 1
        });
        let connection = &mut connections[place];
        at = after;
        match line {
            Line::Piece(_, len) => {
                let piece = bytes.get(at..).and_then(|rest| rest.get(..len));
                let missing = len.saturating_sub(bytes.len() - at);
                let piece = piece.ok_or(RecordingError::Cut {
                    at: bytes.len(),
                    missing,
                })?;
                connection.pieces.push(piece.into());
                at += len;
            }
            Line::End(_, ending) => connection.ending = Some(ending),
            Line::None => {}
        }
    }
    Ok(connections)
}

enum Line {
    Piece(u64, usize),
    End(u64, Ending),
    None,
}

/// The line at a place, and where what follows it begins.
fn line(bytes: &[u8], at: usize) -> Result<(Line, usize), RecordingError> {
    let rest = &bytes[at..];
    let Some(end) = memchr::memchr(b'\n', &rest[..rest.len().min(100)]) else {
        return if rest.len() < 100 && (HEAD.starts_with(rest) || rest.starts_with(HEAD)) {
            Err(RecordingError::Cut {
                at: bytes.len(),
                missing: 1,
            })
        } else {
            Err(RecordingError::Line { at })
        };
    };
    Ok((parse(&rest[..end]).unwrap_or(Line::None), at + end + 1))
}

fn parse(line: &[u8]) -> Option<Line> {
    let line = std::str::from_utf8(line.strip_prefix(HEAD)?).ok()?;
    let (number, rest) = line.split_once(' ')?;
    let number = number.parse().ok()?;
    let (what, how) = rest.split_once(' ')?;
    match what {
        "bytes" => Some(Line::Piece(number, how.parse().ok()?)),
        "ends" => Some(Line::End(number, Ending::named(how)?)),
        _ => None,
    }
}

/// Appends a connection to a recording.
pub fn append(recording: &mut Vec<u8>, connection: &Recorded) {
    let number = connection.number;
    for piece in &connection.pieces {
        let line = format!("connection {number} bytes {}\n", piece.len());
        recording.extend_from_slice(line.as_bytes());
        recording.extend_from_slice(piece);
    }
    if let Some(ending) = connection.ending {
        let line = format!("connection {number} ends {}\n", ending.name());
        recording.extend_from_slice(line.as_bytes());
    }
}

/// Splits a recording that is not raw into the bytes of each connection. `None` if it is
/// not such a recording.
#[must_use]
pub fn split(recording: &[u8]) -> Option<BTreeMap<u64, Vec<u8>>> {
    if !recording.is_empty() && !recording.starts_with(HEAD) {
        return None;
    }
    if recording.is_empty() {
        return Some(BTreeMap::new());
    }
    let connections = read(recording).ok()?;
    Some(
        connections
            .into_iter()
            .map(|one| (one.number, one.bytes().to_vec()))
            .collect(),
    )
}

/// Reads a directory of recordings: files whose names begin with the connection's number,
/// in the order of these.
///
/// # Errors
/// That it cannot be read, with its name, or that it holds no such file.
pub fn read_directory(path: &Path) -> io::Result<Vec<Recorded>> {
    let named = |path: &Path, error: io::Error| {
        io::Error::new(
            error.kind(),
            format!("cannot read {}: {error}", path.display()),
        )
    };
    let mut connections = Vec::new();
    for entry in std::fs::read_dir(path).map_err(|error| named(path, error))? {
        let file = entry?.path();
        let name = file
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let Some((number, rest)) = name.split_once('.') else {
            continue;
        };
        let (Ok(number), Some(ending)) = (number.parse(), ending_of(rest)) else {
            continue;
        };
        let bytes = std::fs::read(&file).map_err(|error| named(&file, error))?;
        connections.push(Recorded {
            number,
            pieces: vec![bytes.into()],
            ending: Some(ending),
        });
    }
    if connections.is_empty() {
        let error = io::Error::other("it holds no file NUMBER.bin");
        return Err(named(path, error));
    }
    connections.sort_by_key(|connection| connection.number);
    Ok(connections)
}

fn ending_of(extension: &str) -> Option<Ending> {
    match extension.strip_suffix("bin")? {
        "" => Some(Ending::HalfClose),
        ending => Ending::named(ending.strip_suffix('.')?),
    }
}
