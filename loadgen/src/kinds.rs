//! What went wrong in a slice of time, by kind.

use std::collections::BTreeMap;

use crate::tally::{Books, Extra, Failure};

/// Failed requests and answers that belong to no open one, by kind. Taken at the ends of
/// slices only: a message costs nothing more for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Kinds {
    failed: [u64; Failure::ALL.len()],
    extra: [u64; Extra::ALL.len()],
}

impl Kinds {
    /// All until now, the warm-up's included.
    pub(crate) fn of(books: &Books) -> Self {
        let mut kinds = Self::default();
        for tally in [&books.warmup, &books.measured] {
            for (count, kind) in kinds.failed.iter_mut().zip(Failure::ALL) {
                *count += tally.failed(*kind);
            }
            for (count, kind) in kinds.extra.iter_mut().zip(Extra::ALL) {
                *count += tally.extra_of(*kind);
            }
        }
        kinds
    }

    /// Those since `before`.
    pub(crate) fn since(mut self, before: &Self) -> Self {
        for (count, before) in self.all_mut().zip(before.all()) {
            *count = count.saturating_sub(*before);
        }
        self
    }

    /// Adds another worker's.
    pub(crate) fn add(&mut self, other: &Self) {
        for (count, other) in self.all_mut().zip(other.all()) {
            *count += other;
        }
    }

    /// As the record has them: both under one name where a kind is in both; kinds that did
    /// not occur are absent.
    pub(crate) fn named(&self) -> BTreeMap<String, u64> {
        let failed = Failure::ALL.iter().map(|kind| kind.name());
        let names = failed.chain(Extra::ALL.iter().map(|kind| kind.name()));
        let mut named = BTreeMap::new();
        for (name, count) in names.zip(self.all()).filter(|(_, count)| **count > 0) {
            *named.entry(name.to_owned()).or_insert(0) += count;
        }
        named
    }

    fn all(&self) -> impl Iterator<Item = &u64> {
        self.failed.iter().chain(&self.extra)
    }

    fn all_mut(&mut self) -> impl Iterator<Item = &mut u64> {
        self.failed.iter_mut().chain(&mut self.extra)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_slice_has_its_own_failures() {
        let mut books = Books::default();
        books.warmup.fail(Failure::Reset);
        let before = Kinds::of(&books);
        assert_eq!(before.named(), [("reset".to_owned(), 1)].into());
        books.measured.fail(Failure::Misrouted);
        books.measured.extra(Extra::Misrouted);
        books.measured.extra(Extra::Duplicated);
        let mut slice = Kinds::of(&books).since(&before);
        let expected = [("duplicated".to_owned(), 1), ("misrouted".to_owned(), 2)];
        assert_eq!(slice.named(), expected.into());
        slice.add(&before);
        assert_eq!(slice, Kinds::of(&books));
    }
}
