//! The files of the shards: which are there, and what is known of one that is not.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// What the batch script itself says.
pub const JOB_LOG: &str = "job.log";

/// How much of a log's end is read: a few lines.
const TAIL_BYTES: u64 = 4096;

/// How many of a log's last lines are told.
const LAST_LINES: usize = 3;

/// Shards without a file that are told of one by one; of more, only how many they are.
const MOST_TOLD: usize = 10;

/// The directory where so many shards leave their records.
#[derive(Clone, Debug)]
pub struct Records {
    /// Where they leave their files.
    pub directory: PathBuf,
    /// How many there are.
    pub count: u64,
}

impl Records {
    /// Where a shard's stdout and stderr go.
    #[must_use]
    pub fn log(&self, index: u64) -> PathBuf {
        let width = self.width();
        self.directory.join(format!("shard-{index:0width$}.log"))
    }

    /// Digits of a shard's number in names, so that they sort.
    #[must_use]
    pub fn width(&self) -> usize {
        self.count.to_string().len()
    }

    /// The shards that have left no record: by one look at the directory, which may be on a
    /// server that others need as well.
    #[must_use]
    pub fn missing(&self) -> Vec<u64> {
        let entries = std::fs::read_dir(&self.directory).into_iter().flatten();
        let left: BTreeSet<u64> = entries
            .flatten()
            .filter_map(|entry| shards::name::parse(&entry.path()))
            .filter(|(_, count)| *count == self.count)
            .map(|(index, _)| index)
            .collect();
        (0..self.count)
            .filter(|index| !left.contains(index))
            .collect()
    }

    /// What is to be said of the shards that have left no record: a line for each, with
    /// its last words.
    #[must_use]
    pub fn told(&self, missing: &[u64]) -> Vec<String> {
        let mut lines: Vec<String> = missing
            .iter()
            .take(MOST_TOLD)
            .map(|index| {
                let log = self.log(*index);
                let count = self.count;
                match last_words(&log) {
                    Some(words) => format!("shard {index} of {count} left no record: {words}"),
                    None => format!("shard {index} of {count} left no record, and no word"),
                }
            })
            .collect();
        if missing.len() > MOST_TOLD {
            lines.push(format!("and {} more", missing.len() - MOST_TOLD));
        }
        lines
    }
}

/// A record of some shard that is there already, if there is one: by its name, whatever
/// it holds and however many its others were.
///
/// # Errors
/// That the directory cannot be read.
pub fn left_before(directory: &Path) -> io::Result<Option<PathBuf>> {
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if shards::name::parse(&path).is_some() {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// The last lines of a log, on one line; none if it is empty or cannot be read.
#[must_use]
pub fn last_words(log: &Path) -> Option<String> {
    let text = tail(log).ok()?;
    // A progress line that is drawn in place ends with a carriage return.
    let lines: Vec<&str> = text
        .split(['\n', '\r'])
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let from = lines.len().saturating_sub(LAST_LINES);
    (!lines.is_empty()).then(|| lines[from..].join(" | "))
}

fn tail(log: &Path) -> io::Result<String> {
    let mut file = File::open(log)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Has a network file system look at a directory afresh: a client may keep what it knows
/// of it for a minute, but not when it changes it itself.
pub fn look_afresh(directory: &Path) {
    // That it cannot be done is no harm where nothing is kept.
    let _ = tempfile::Builder::new()
        .prefix(".look-")
        .tempfile_in(directory);
}

#[cfg(test)]
mod tests {
    use loadgen::record::Shard;

    use super::*;

    #[test]
    fn a_shard_without_a_record_is_told_of_with_its_last_words() {
        let directory = tempfile::tempdir().unwrap();
        let records = Records {
            directory: directory.path().to_owned(),
            count: 12,
        };
        assert_eq!(left_before(directory.path()).unwrap(), None);
        for index in [0, 1, 2, 4, 5, 6, 7, 8, 9, 10] {
            let name = Shard::file_name(index, 12);
            std::fs::write(directory.path().join(name), "{}").unwrap();
        }
        assert!(left_before(directory.path()).unwrap().is_some());
        // Of another load.
        std::fs::write(directory.path().join("shard-3-of-4.json"), "{}").unwrap();
        std::fs::write(
            directory.path().join("shard-03.log"),
            "one\ntwo\nthree\n\nfour\n",
        )
        .unwrap();
        let missing = records.missing();
        assert_eq!(missing, [3, 11]);
        assert_eq!(
            records.told(&missing),
            [
                "shard 3 of 12 left no record: two | three | four",
                "shard 11 of 12 left no record, and no word"
            ]
        );
    }

    #[test]
    fn of_many_only_some_are_told() {
        let records = Records {
            directory: "/nonexistent".into(),
            count: 1000,
        };
        let lines = records.told(&records.missing());
        assert_eq!(lines.len(), MOST_TOLD + 1);
        assert_eq!(lines[MOST_TOLD], "and 990 more");
    }

    #[test]
    fn only_the_end_of_a_long_log_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        std::fs::write(&log, format!("{}\nlast", "x".repeat(100_000))).unwrap();
        let words = last_words(&log).unwrap();
        assert!(words.ends_with("x | last") && words.len() < 5000);
        std::fs::write(&log, "").unwrap();
        assert_eq!(last_words(&log), None);
    }
}
