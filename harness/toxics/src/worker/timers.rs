//! What is due when.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Whose time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Owner {
    /// A listener that may try again, by its key.
    Listener(usize),
    /// A connection, by its key.
    Connection(usize),
    /// A session of a UDP client, by its key.
    Session(usize),
}

/// Times, each for a serial number, so that one that outlives its owner wakes no other.
#[derive(Debug, Default)]
pub(super) struct Timers(BinaryHeap<Reverse<(u64, Owner, u64)>>);

impl Timers {
    /// Adds a time. Owners keep the earliest that they have asked for, and ask only for
    /// earlier ones.
    pub(super) fn add(&mut self, due_ns: u64, owner: Owner, serial: u64) {
        self.0.push(Reverse((due_ns, owner, serial)));
    }

    /// The first time.
    pub(super) fn next_ns(&self) -> Option<u64> {
        self.0.peek().map(|Reverse((due_ns, ..))| *due_ns)
    }

    /// Takes the first whose time has come, with its serial number.
    pub(super) fn pop(&mut self, now_ns: u64) -> Option<(Owner, u64)> {
        self.next_ns().filter(|due_ns| *due_ns <= now_ns)?;
        let Reverse((_, owner, serial)) = self.0.pop()?;
        Some((owner, serial))
    }
}

/// The earliest time that an owner has asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Alarm(Option<u64>);

impl Alarm {
    /// Asks for a time, unless an earlier one is asked for.
    pub(super) fn set(
        &mut self,
        due_ns: Option<u64>,
        timers: &mut Timers,
        owner: Owner,
        serial: u64,
    ) {
        let Some(due_ns) = due_ns else { return };
        if self.0.is_none_or(|set| due_ns < set) {
            self.0 = Some(due_ns);
            timers.add(due_ns, owner, serial);
        }
    }

    /// Says that the time has come.
    pub(super) fn rang(&mut self) {
        self.0 = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_come_in_order() {
        let mut timers = Timers::default();
        let mut alarm = Alarm::default();
        alarm.set(Some(30), &mut timers, Owner::Connection(1), 7);
        alarm.set(Some(40), &mut timers, Owner::Connection(1), 7);
        alarm.set(Some(10), &mut timers, Owner::Connection(1), 7);
        assert_eq!(timers.next_ns(), Some(10));
        assert_eq!(timers.pop(9), None);
        assert_eq!(timers.pop(35), Some((Owner::Connection(1), 7)));
        assert_eq!(timers.pop(35), Some((Owner::Connection(1), 7)));
        assert_eq!(timers.pop(35), None);
    }
}
