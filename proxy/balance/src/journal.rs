//! The changes of a backend's status: the last ones, and those not yet told.

use std::collections::VecDeque;

use crate::status::Status;

/// How many transitions are kept: a backend that flaps once a minute shows its last hour,
/// and a thousand backends' histories stay within a few megabytes.
pub const HISTORY: usize = 64;

/// One change of a backend's [`Status`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The how many-th of this backend it is, from 1: a gap means that some were dropped.
    pub number: u64,
    /// When, on the caller's clock.
    pub at_ms: u64,
    /// What it was.
    pub from: Status,
    /// What it became.
    pub to: Status,
    /// Why, as a fragment for a log line.
    pub why: String,
}

/// The last [`HISTORY`] transitions of a backend.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    last: VecDeque<Transition>,
    written: u64,
    told: u64,
}

impl Journal {
    /// Writes one down. The clock of one worker may be a moment behind another's; the
    /// journal never runs backwards.
    pub(crate) fn write(&mut self, at_ms: u64, from: Status, to: Status, why: &str) {
        let at_ms = self.last.back().map_or(at_ms, |last| at_ms.max(last.at_ms));
        if self.last.len() == HISTORY {
            self.last.pop_front();
        }
        self.written += 1;
        self.last.push_back(Transition {
            number: self.written,
            at_ms,
            from,
            to,
            why: why.to_owned(),
        });
    }

    /// How many were ever written.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// Those that are kept, oldest first.
    pub(crate) fn history(&self) -> Vec<Transition> {
        self.last.iter().cloned().collect()
    }

    /// Those that were not taken before, oldest first.
    pub(crate) fn take(&mut self) -> Vec<Transition> {
        let told = std::mem::replace(&mut self.told, self.written);
        self.last
            .iter()
            .filter(|one| one.number > told)
            .cloned()
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_told_once_and_the_last_ones_are_kept() {
        let mut journal = Journal::default();
        assert_eq!(journal.take(), []);
        for at_ms in 0..100 {
            journal.write(at_ms, Status::Up, Status::Down, "because");
        }
        let numbers: Vec<_> = journal.take().iter().map(|one| one.number).collect();
        assert_eq!(numbers, (37..=100).collect::<Vec<_>>());
        assert_eq!(journal.take(), []);
        journal.write(5, Status::Down, Status::Up, "again");
        let told = journal.take();
        assert_eq!((told.len(), told[0].number, told[0].at_ms), (1, 101, 99));
        assert_eq!(journal.history().len(), HISTORY);
    }
}
