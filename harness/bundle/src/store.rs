//! A directory of bundles.

use std::path::{Path, PathBuf};

use crate::files::{Bundle, ReadError};
use crate::verdict::Verdict;

/// The bundles of a directory, in the order of their names, with what is wrong with those
/// that cannot be read. A directory that is not there holds none.
#[must_use]
pub fn bundles(directory: &Path) -> Vec<(PathBuf, Result<Bundle, ReadError>)> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut places: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|place| place.is_dir() && !is_hidden(place))
        .collect();
    places.sort();
    let read = places.into_iter().map(|place| {
        let bundle = Bundle::read(&place);
        (place, bundle)
    });
    read.collect()
}

/// The bundle of the same cause, if there is one: the same key, or the same smallest input
/// that does the same to the same target.
#[must_use]
pub fn same(directory: &Path, verdict: &Verdict) -> Option<PathBuf> {
    let all = bundles(directory).into_iter();
    let known = all.filter_map(|(place, bundle)| Some((place, bundle.ok()?.verdict)));
    let digest = |verdict: &Verdict| {
        let smaller = verdict.minimized.as_ref()?;
        Some((
            verdict.finding.who,
            verdict.finding.what.clone(),
            smaller.digest.clone(),
        ))
    };
    let is_same = |other: &Verdict| {
        other.key == verdict.key
            || digest(other).is_some_and(|other| Some(other) == digest(verdict))
    };
    known
        .into_iter()
        .find(|(_, other)| is_same(other))
        .map(|(place, _)| place)
}

/// One that is being written, or was when its writer died.
fn is_hidden(place: &Path) -> bool {
    let name = place.file_name().unwrap_or_default();
    name.as_encoded_bytes().starts_with(b".")
}
