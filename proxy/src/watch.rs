//! Noticing that a file has changed.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// What tells one state of a file from another; `None` while it is not there.
type Stamp = Option<(u64, u64, u64, i64, i64)>;

/// Files and how they looked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stamps(Vec<(PathBuf, Stamp)>);

impl Stamps {
    /// These files as they are now.
    pub(crate) fn of(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        let mut stamps = Self::default();
        stamps.add(paths);
        stamps
    }

    /// More files, as they are now.
    pub(crate) fn add(&mut self, paths: impl IntoIterator<Item = PathBuf>) {
        for path in paths {
            let stamp = stamp(&path);
            self.0.push((path, stamp));
        }
    }

    /// The same files as they are now.
    fn again(&self) -> Self {
        Self::of(self.0.iter().map(|(path, _)| path.clone()))
    }
}

fn stamp(path: &std::path::Path) -> Stamp {
    let file = fs::metadata(path).ok()?;
    let (inode, size) = (file.ino(), file.size());
    Some((file.dev(), inode, size, file.mtime(), file.mtime_nsec()))
}

/// Looks at files from time to time.
#[derive(Debug)]
pub(crate) struct Watch {
    /// As they were when they were last read.
    read: Stamps,
    /// As they were when they were last looked at.
    seen: Stamps,
}

impl Watch {
    /// Starts with files that were read so.
    pub(crate) fn new(read: Stamps) -> Self {
        let seen = read.clone();
        Self { read, seen }
    }

    /// The same files as they are now, to begin anew with.
    pub(crate) fn look(&self) -> Stamps {
        self.read.again()
    }

    /// Looks. Says once whether they differ from what was read, when they have stayed the
    /// same since the last look: a file that is being written is left to be finished.
    pub(crate) fn has_changed(&mut self) -> bool {
        let now = self.read.again();
        let settled = now == self.seen;
        self.seen = now;
        let changed = settled && self.seen != self.read;
        if changed {
            self.read = self.seen.clone();
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_told_once_and_when_it_is_finished() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        fs::write(&path, "1").unwrap();
        let mut watch = Watch::new(Stamps::of([path.clone()]));
        assert!(!watch.has_changed());
        fs::write(&path, "12").unwrap();
        assert!(!watch.has_changed());
        fs::write(&path, "123").unwrap();
        assert!(!watch.has_changed());
        assert!(watch.has_changed());
        assert!(!watch.has_changed());
        fs::remove_file(&path).unwrap();
        assert!(!watch.has_changed());
        assert!(watch.has_changed());
        let other = directory.path().join("b");
        fs::write(&other, "123").unwrap();
        fs::rename(&other, &path).unwrap();
        assert!(!watch.has_changed());
        assert!(watch.has_changed());
    }
}
