//! A bundle on disk: written whole or not at all, checked when it is read.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use fuzzclient::recording::RecordingError;
use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::minimize::Minimized;
use crate::origin::{self, Origin};
use crate::repro;
use crate::session::Session;
use crate::verdict::{self, Content, Seen, Smaller, Verdict};

const ORIGIN: &str = "session.json";
const SESSION: &str = "session.bin";
const INPUT: &str = "input.bin";
const SMALLEST: &str = "input.min.bin";
const LAST_WORDS: &str = "stderr.log";
const SCRIPT: &str = "repro.sh";
const VERDICT: &str = "verdict.json";

/// A finding and all that it takes to see it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// What was found.
    pub verdict: Verdict,
    /// How the bytes came about, and what they were sent to.
    pub origin: Origin,
    /// The last connections.
    pub session: Session,
    /// A smaller session that does the same.
    pub smaller: Option<Session>,
    /// What the target wrote last.
    pub last_words: Vec<u8>,
}

/// Why a bundle was not written. The finding is none the less true.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}: {error}", path.display())]
pub struct WriteError {
    /// Which file or directory.
    pub path: PathBuf,
    /// Why.
    pub error: io::Error,
}

/// What is wrong with a bundle.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A file is missing or cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    Missing {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file is not the one that was written.
    #[error("{}: {what}: the bundle was cut or edited", path.display())]
    Changed {
        /// Which.
        path: PathBuf,
        /// How that shows.
        what: String,
    },
    /// A file is not what its name says.
    #[error("{}: {error}", path.display())]
    Json {
        /// Which.
        path: PathBuf,
        /// What is wrong, and where.
        error: serde_json::Error,
    },
    /// The recording is not one.
    #[error("{}: {error}", path.display())]
    Recording {
        /// Which.
        path: PathBuf,
        /// What is wrong, and where.
        error: RecordingError,
    },
    /// Another version of this program wrote it.
    #[error("{}: schema version {found}; this program reads version {read}", path.display())]
    Version {
        /// Which.
        path: PathBuf,
        /// Its version.
        found: u64,
        /// Ours.
        read: u32,
    },
}

impl Bundle {
    /// The smallest session that does it.
    #[must_use]
    pub fn smallest(&self) -> &Session {
        self.smaller.as_ref().unwrap_or(&self.session)
    }

    /// Puts in how often it failed when it was sent again.
    pub fn repeated(&mut self, failed: u32, tried: u32) {
        self.verdict.repeats = Some(Seen { failed, tried });
    }

    /// Puts in what minimising made of it.
    pub fn minimized(&mut self, minimized: Minimized) {
        let Minimized {
            session,
            tries,
            is_minimal,
        } = minimized;
        self.verdict.minimized = Some(Smaller {
            size: session.size(),
            connections: session.connections.iter().map(|one| one.number).collect(),
            is_minimal,
            tries,
            digest: format!("{:032x}", session.digest()),
        });
        self.smaller = Some(session);
    }

    /// Writes it into a directory of bundles, under the name that its key gives it, and tells
    /// where that is. If a bundle is there already, it stays as it is.
    ///
    /// # Errors
    /// That it cannot be written; then nothing is left of it.
    pub fn write(&self, bundles: &Path) -> Result<PathBuf, WriteError> {
        let place = bundles.join(self.verdict.key.to_string());
        if place.join(VERDICT).is_file() {
            return Ok(place);
        }
        self.put(&place)?;
        Ok(place)
    }

    /// Writes it in the place of the bundle that is there.
    ///
    /// # Errors
    /// That it cannot be written; then the old one is still there.
    pub fn rewrite(&self, place: &Path) -> Result<(), WriteError> {
        self.put(place)
    }

    /// All at once: beside its place first, then by one rename.
    fn put(&self, place: &Path) -> Result<(), WriteError> {
        let name = place.file_name().unwrap_or_default().to_string_lossy();
        let new = place.with_file_name(format!(".{name}.{}", std::process::id()));
        let outcome = self.write_files(&new).and_then(|()| {
            let failed = |error: io::Error| WriteError {
                path: place.to_owned(),
                error,
            };
            match renameat_with(CWD, &new, CWD, place, RenameFlags::EXCHANGE) {
                Ok(()) => Ok(()),
                // There is nothing to exchange it with.
                Err(_) if !place.exists() => fs::rename(&new, place).map_err(failed),
                Err(error) => Err(failed(error.into())),
            }
        });
        // What is left there is the old one, or the beginning of the new one.
        let _ = fs::remove_dir_all(&new);
        outcome
    }

    fn write_files(&self, directory: &Path) -> Result<(), WriteError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            |error| WriteError { path, error }
        };
        let _ = fs::remove_dir_all(directory);
        fs::create_dir_all(directory).map_err(failed(directory))?;
        let files = self.contents();
        let mut verdict = self.verdict.clone();
        verdict.files = files
            .iter()
            .map(|(name, bytes)| ((*name).to_owned(), Content::of(bytes)))
            .collect();
        verdict.seal = verdict.expected_seal();
        // Last, so that there is no verdict without what it judges.
        let all = files.into_iter().chain([(VERDICT, json(&verdict))]);
        for (name, bytes) in all {
            let path = directory.join(name);
            let write = || {
                let mut file = File::create(&path)?;
                file.write_all(&bytes)?;
                if name == SCRIPT {
                    file.set_permissions(fs::Permissions::from_mode(0o755))?;
                }
                file.sync_all()
            };
            write().map_err(failed(&path))?;
        }
        Ok(())
    }

    fn contents(&self) -> BTreeMap<&'static str, Vec<u8>> {
        let killer = self
            .session
            .connections
            .iter()
            .find(|one| one.number == self.verdict.killer);
        let mut origin = self.origin.clone();
        origin.connections = Origin::opened(&self.session);
        let (smallest, file) = match &self.smaller {
            Some(smaller) => (smaller.to_input(), SMALLEST),
            None => (self.session.to_input(), SESSION),
        };
        let script = repro::script(&self.verdict, &self.origin, self.smallest(), file);
        let mut files = BTreeMap::from([
            (ORIGIN, json(&origin)),
            (SESSION, self.session.to_input()),
            (
                INPUT,
                killer.map(|one| one.bytes.to_vec()).unwrap_or_default(),
            ),
            (LAST_WORDS, self.last_words.clone()),
            (SCRIPT, script.into_bytes()),
        ]);
        if self.smaller.is_some() {
            files.insert(SMALLEST, smallest);
        }
        files
    }

    /// Reads a bundle. Files that it does not know are left alone.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(place: &Path) -> Result<Self, ReadError> {
        let verdict: Verdict = parsed(place, VERDICT, verdict::SCHEMA_VERSION)?;
        if verdict.seal != verdict.expected_seal() {
            let what = "the seal does not fit".to_owned();
            return Err(ReadError::Changed {
                path: place.join(VERDICT),
                what,
            });
        }
        let mut files = BTreeMap::new();
        for (name, expected) in &verdict.files {
            // A name with a slash would lead elsewhere.
            let path = place.join(name.replace('/', "_"));
            let bytes = read(&path)?;
            check(&path, &bytes, expected)?;
            files.insert(name.as_str(), bytes);
        }
        let mut file = |name: &str| {
            let what = "the verdict does not list it".to_owned();
            files.remove(name).ok_or_else(|| ReadError::Changed {
                path: place.join(name),
                what,
            })
        };
        file(ORIGIN)?;
        let origin: Origin = parsed(place, ORIGIN, origin::SCHEMA_VERSION)?;
        let recorded = |name: &str, bytes: &[u8]| {
            Session::recorded(bytes, origin.transport).map_err(|error| ReadError::Recording {
                path: place.join(name),
                error,
            })
        };
        let opened = origin.connections.iter().map(|opened| opened.connection);
        let session = numbered(recorded(SESSION, &file(SESSION)?)?, opened);
        let smaller = match &verdict.minimized {
            Some(smaller) => {
                let session = recorded(SMALLEST, &file(SMALLEST)?)?;
                Some(numbered(session, smaller.connections.iter().copied()))
            }
            None => None,
        };
        let last_words = file(LAST_WORDS)?;
        Ok(Self {
            verdict,
            origin,
            session,
            smaller,
            last_words,
        })
    }
}

/// With these numbers: what is kept raw has lost its own.
fn numbered(mut session: Session, numbers: impl Iterator<Item = u64>) -> Session {
    for (connection, number) in session.connections.iter_mut().zip(numbers) {
        connection.number = number;
    }
    session
}

/// Reads a file that is JSON of this version.
fn parsed<T: serde::de::DeserializeOwned>(
    place: &Path,
    name: &str,
    version: u32,
) -> Result<T, ReadError> {
    let path = place.join(name);
    let bytes = read(&path)?;
    let wrong = |error| ReadError::Json {
        path: path.clone(),
        error,
    };
    // The version first: of another one nothing else can be expected to fit.
    let value: serde_json::Value = serde_json::from_slice(&bytes).map_err(wrong)?;
    match value
        .get("schema_version")
        .and_then(serde_json::Value::as_u64)
    {
        Some(found) if found != u64::from(version) => Err(ReadError::Version {
            path,
            found,
            read: version,
        }),
        _ => serde_json::from_slice(&bytes).map_err(wrong),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, ReadError> {
    fs::read(path).map_err(|error| ReadError::Missing {
        path: path.to_owned(),
        error,
    })
}

fn check(path: &Path, bytes: &[u8], expected: &Content) -> Result<(), ReadError> {
    let found = Content::of(bytes);
    let what = if found.bytes != expected.bytes {
        format!("it has {} bytes and had {}", found.bytes, expected.bytes)
    } else if found != *expected {
        "it holds other bytes".to_owned()
    } else {
        return Ok(());
    };
    Err(ReadError::Changed {
        path: path.to_owned(),
        what,
    })
}

fn json(value: &impl serde::Serialize) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(value).expect("plain data is always JSON");
    bytes.push(b'\n');
    bytes
}
