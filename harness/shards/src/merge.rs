//! From the files of shards to the record of the whole.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use loadgen::record::{LoadRecord, Shard};

use crate::part::Part;
use crate::refusal::{Refusal, Refusals, Why};
use crate::sums::{Reader, Sums};
use crate::{name, together, whole};

/// The files of shards in these directories, by their names.
///
/// # Errors
/// Names the directory that cannot be read, or in which there is none.
pub fn find(directories: &[PathBuf]) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for directory in directories {
        let before = files.len();
        let named = |error: io::Error| {
            let shown = directory.display();
            io::Error::new(error.kind(), format!("cannot read {shown}: {error}"))
        };
        for entry in fs::read_dir(directory).map_err(named)? {
            let path = entry.map_err(named)?.path();
            if name::parse(&path).is_some() {
                files.push(path);
            }
        }
        if files.len() == before {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                format!(
                    "{} holds no records of shards: expected files such as {}",
                    directory.display(),
                    Shard::file_name(0, 4)
                ),
            ));
        }
    }
    files.sort_by_key(|path| (name::parse(path), path.clone()));
    Ok(files)
}

/// Adds up the records of shards, exactly: the sum of them is what one client would have
/// recorded that had done all of it.
///
/// # Errors
/// All that is wrong with any of them; nothing is merged then.
pub fn merge(files: &[PathBuf]) -> Result<LoadRecord, Refusals> {
    let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let threads = threads.min(files.len()).max(1);
    let (sums, next) = (Sums::default(), AtomicUsize::new(0));
    let read = || {
        let mut reader = Reader::default();
        let mut taken = Vec::new();
        while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            let part = Part::take(file, &sums, &mut reader);
            taken.push(part.map_err(|why| unreadable(file, why)));
        }
        taken
    };
    let taken: Vec<Result<Part, Refusal>> = std::thread::scope(|scope| {
        let tasks: Vec<_> = (0..threads).map(|_| scope.spawn(read)).collect();
        let tasks = tasks.into_iter();
        tasks
            .flat_map(|task| task.join().expect("reading a file does not panic"))
            .collect()
    });
    let (mut parts, mut found) = (Vec::new(), Vec::new());
    for one in taken {
        match one {
            Ok(part) => parts.push(part),
            Err(refusal) => found.push(refusal),
        }
    }
    // What is there and cannot be read is not missing as well.
    let unread: BTreeSet<(u64, u64)> = found
        .iter()
        .filter_map(|refusal| name::parse(&refusal.file))
        .collect();
    parts.sort_by(|one, other| (one.shard.index, &one.file).cmp(&(other.shard.index, &other.file)));
    for part in &mut parts {
        let own = std::mem::take(&mut part.refused);
        found.extend(own.into_iter().map(|why| part.refusal(why)));
    }
    found.extend(together::refusals(&parts));
    found.retain(|refusal| {
        let which = name::parse(&refusal.file);
        !(refusal.is_missing() && which.is_some_and(|which| unread.contains(&which)))
    });
    found.sort_by(|one, other| (one.shard, &one.file).cmp(&(other.shard, &other.file)));
    if parts.is_empty() || !found.is_empty() {
        return Err(Refusals(found));
    }
    let finished = sums.finish(parts[0].began_mono_ns, threads);
    whole::record(parts, finished).map_err(|refusal| Refusals(vec![refusal]))
}

fn unreadable(file: &Path, why: Why) -> Refusal {
    Refusal {
        shard: name::parse(file).map(|(index, _)| index),
        file: file.to_owned(),
        why,
    }
}
