//! Agreeing on a start through the directory that all shards write to, for engines whose
//! tasks begin at different moments.
//!
//! Each shard leaves a file that says that it is here; when all are, number 0 writes the
//! moment, which the others wait to read.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::engine::Place;
use crate::plan::nanos;
use crate::start::unix_ns;
use crate::stop::StopFlag;

/// How long the others are waited for: an engine that has not started all tasks by then has
/// no room for them.
pub(super) const LONGEST: Duration = Duration::from_secs(600);

/// From one look at the directory to the next: it may be on a server that all ask.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Missing shards that are told by number.
const TOLD: usize = 5;

/// Waits in `directory`, no longer than `longest`, until all shards are there, and tells the
/// moment that they agree on, `ahead` of that, in nanoseconds of the Unix epoch. None if it
/// was asked to stop before.
///
/// # Errors
/// That somebody is missing, that another run met there, or what the system said.
pub(super) fn meet(
    place: &Place,
    directory: &Path,
    ahead: Duration,
    longest: Duration,
    stop: &StopFlag,
) -> io::Result<Option<u64>> {
    let moment = directory.join(format!("start-of-{}", place.count));
    if moment.exists() {
        return Err(taken(&moment));
    }
    let _here = Here::leave(directory.join(here(place.index, place.count)))?;
    let began = Instant::now();
    loop {
        if stop.is_set() {
            return Ok(None);
        }
        if let Some(start) = read(&moment)? {
            return Ok(Some(start));
        }
        if place.index == 0 && missing(place.count, directory)?.is_empty() {
            write(&moment, unix_ns().saturating_add(nanos(ahead)))?;
        } else if began.elapsed() >= longest {
            return Err(alone(
                &missing(place.count, directory)?,
                place.count,
                longest,
            ));
        } else {
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

/// The file that says that a shard is here.
fn here(index: u64, count: u64) -> String {
    let width = count.to_string().len();
    format!("shard-{index:0width$}-of-{count}.here")
}

/// Such a file, for as long as its shard waits.
struct Here(PathBuf);

impl Here {
    fn leave(path: PathBuf) -> io::Result<Self> {
        match File::create_new(&path) {
            Ok(_) => Ok(Self(path)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(taken(&path)),
            Err(error) => Err(error),
        }
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        // Whoever finds it later is told to take it away.
        let _ = fs::remove_file(&self.0);
    }
}

/// The numbers of the shards that are not here.
fn missing(count: u64, directory: &Path) -> io::Result<Vec<u64>> {
    let mut names = std::collections::HashSet::new();
    for entry in fs::read_dir(directory)? {
        names.insert(entry?.file_name());
    }
    let absent = |index: &u64| !names.contains(std::ffi::OsStr::new(&here(*index, count)));
    Ok((0..count).filter(absent).collect())
}

fn read(moment: &Path) -> io::Result<Option<u64>> {
    match fs::read_to_string(moment) {
        Ok(text) => match text.trim().parse() {
            Ok(start) => Ok(Some(start)),
            Err(_) => Err(io::Error::other(format!(
                "{} says no moment",
                moment.display()
            ))),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes the moment so that nobody reads half of it.
fn write(moment: &Path, start: u64) -> io::Result<()> {
    let draft = moment.with_extension("draft");
    fs::write(&draft, format!("{start}\n"))?;
    fs::rename(&draft, moment)
}

fn taken(path: &Path) -> io::Error {
    io::Error::other(format!(
        "{} exists, so that another run met there: give another directory, or take it away",
        path.display()
    ))
}

fn alone(missing: &[u64], count: u64, waited: Duration) -> io::Error {
    let told: Vec<String> = missing.iter().take(TOLD).map(u64::to_string).collect();
    let more = match missing.len().saturating_sub(TOLD) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    io::Error::other(format!(
        "after {} s {} of {count} shards are here: there is no shard {}{more}",
        waited.as_secs(),
        count - missing.len() as u64,
        told.join(", "),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(index: u64, count: u64) -> Place {
        Place {
            index,
            count,
            told_by: String::new(),
        }
    }

    const LONG: Duration = Duration::from_secs(60);
    const AHEAD: Duration = Duration::from_secs(5);

    #[test]
    fn all_agree_on_one_moment_that_is_ahead() {
        let dir = tempfile::tempdir().expect("a directory");
        let before = unix_ns();
        let threads: Vec<_> = (0..12)
            .map(|index| {
                let path = dir.path().to_owned();
                std::thread::spawn(move || {
                    meet(&place(index, 12), &path, AHEAD, LONG, &StopFlag::default())
                })
            })
            .collect();
        let moments: std::collections::BTreeSet<_> = threads
            .into_iter()
            .map(|one| one.join().expect("no panic").expect("a meeting"))
            .collect();
        assert_eq!(moments.len(), 1, "{moments:?}");
        let moment = moments.into_iter().flatten().next().expect("a moment");
        assert!(moment >= before + 5_000_000_000, "{moment}");
        let left: Vec<_> = fs::read_dir(dir.path()).expect("it is there").collect();
        assert_eq!(left.len(), 1, "only the moment stays: {left:?}");
        let again = meet(&place(0, 12), dir.path(), AHEAD, LONG, &StopFlag::default());
        let again = again.expect_err("another run met there").to_string();
        assert!(again.contains("start-of-12 exists"), "{again}");
    }

    #[test]
    fn who_is_missing_is_told_and_nothing_is_left() {
        let dir = tempfile::tempdir().expect("a directory");
        let _second = Here::leave(dir.path().join(here(1, 9))).expect("room");
        let none = Duration::ZERO;
        let error = meet(&place(0, 9), dir.path(), AHEAD, none, &StopFlag::default());
        let error = error.expect_err("seven are missing").to_string();
        let expected =
            "after 0 s 2 of 9 shards are here: there is no shard 2, 3, 4, 5, 6 and 2 more";
        assert_eq!(error, expected);
        let twice = meet(&place(1, 9), dir.path(), AHEAD, none, &StopFlag::default());
        let twice = twice.expect_err("it is there").to_string();
        assert!(twice.contains("shard-1-of-9.here exists"), "{twice}");
        assert_eq!(fs::read_dir(dir.path()).expect("it is there").count(), 1);
    }

    #[test]
    fn who_is_asked_to_stop_leaves() {
        let dir = tempfile::tempdir().expect("a directory");
        let stop = StopFlag::default();
        stop.set();
        let met = meet(&place(1, 2), dir.path(), AHEAD, LONG, &stop);
        assert_eq!(met.expect("nothing is wrong"), None);
        assert_eq!(fs::read_dir(dir.path()).expect("it is there").count(), 0);
    }
}
