//! Where events go: into `events.jsonl` as they happen, to the progress display, and
//! into memory until the run file is made from them.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use report::event::{Event, Stamped};
use service::clock::mono_ns;

use crate::progress::Progress;

/// Takes the events of a run.
#[derive(Debug)]
pub struct Recorder {
    directory: PathBuf,
    file: File,
    events: Vec<Stamped>,
    progress: Progress,
    failed: Option<io::Error>,
}

impl Recorder {
    /// Opens the record of a run in `directory`, which is made if need be.
    ///
    /// # Errors
    /// Names the path and what the system said.
    pub fn open(directory: &Path, progress: Progress) -> io::Result<Self> {
        let named = |path: &Path, error: io::Error| {
            io::Error::new(
                error.kind(),
                format!("cannot write {}: {error}", path.display()),
            )
        };
        fs::create_dir_all(directory).map_err(|error| named(directory, error))?;
        let path = directory.join("events.jsonl");
        let file = File::create(&path).map_err(|error| named(&path, error))?;
        Ok(Self {
            directory: directory.to_owned(),
            file,
            events: Vec::new(),
            progress,
            failed: None,
        })
    }

    /// Where the run's files lie.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Takes an event that happens now.
    pub fn take(&mut self, event: Event) {
        self.take_at(mono_ns(), event);
    }

    /// Takes an event that happened then.
    pub fn take_at(&mut self, mono_ns: u64, event: Event) {
        let stamped = Stamped { mono_ns, event };
        self.progress.show(&stamped);
        // One write for each event, unbuffered: what has been seen survives any death.
        let written = serde_json::to_vec(&stamped)
            .map_err(io::Error::from)
            .and_then(|mut line| {
                line.push(b'\n');
                self.file.write_all(&line)
            });
        if let Err(error) = written {
            self.failed.get_or_insert(error);
        }
        self.events.push(stamped);
    }

    /// The events so far.
    #[must_use]
    pub fn events(&self) -> &[Stamped] {
        &self.events
    }

    /// The first error in writing `events.jsonl`, if there was one.
    pub fn failure(&mut self) -> Option<io::Error> {
        self.failed.take()
    }

    /// Ends the progress display.
    pub fn finish_progress(&mut self) {
        self.progress.finish();
    }
}
