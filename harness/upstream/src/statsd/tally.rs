//! Counting lines: what a sink knows when it has read something.

use crate::statsd::keys::Keys;
use crate::statsd::line::{self, Line, Numbered};
use crate::statsd::record::{KeyRecord, SenderRecord, StatsdRecord};
use crate::statsd::seen::Seen;

/// Senders that are told apart. A harness has a few load clients; each may cost a bitmap
/// of 512 MiB at worst. The lines of any more are foreign.
const MOST_SENDERS: usize = 16;

/// What was counted of the lines, and of those with a number which came.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    /// Non-empty lines, whatever was in them.
    pub(super) lines: u64,
    pub(super) empty_lines: u64,
    pub(super) malformed: u64,
    pub(super) foreign: u64,
    senders: Vec<Sender>,
    keys: Keys,
}

#[derive(Clone, Debug)]
struct Sender {
    name: Box<[u8]>,
    lines: u64,
    seen: Seen,
    /// The numbers of the keys that there was no room for among those that are told.
    untold: Seen,
}

impl Tally {
    /// Counts the lines of a datagram. Its last line needs no end.
    pub(super) fn take_all(&mut self, bytes: &[u8]) {
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', bytes) {
            self.take(&bytes[start..end]);
            start = end + 1;
        }
        if start < bytes.len() {
            self.take(&bytes[start..]);
        }
    }

    /// Counts a line, which is given without its end.
    pub(super) fn take(&mut self, line: &[u8]) {
        if line.is_empty() {
            self.empty_lines += 1;
            return;
        }
        self.lines += 1;
        match Line::of(line) {
            Line::Numbered(line) => {
                if !self.account(line) {
                    self.foreign += 1;
                }
            }
            Line::Foreign => self.foreign += 1,
            Line::Malformed => self.malformed += 1,
        }
    }

    /// Accounts for a numbered line, unless there is no place for its sender.
    fn account(&mut self, line: Numbered<'_>) -> bool {
        let sender = if let Some(key) = self.keys.find(line) {
            key.lines += 1;
            key.last = line.number;
            key.sender
        } else {
            let Some(sender) = self.sender(line.sender) else {
                return false;
            };
            if !self.keys.add(line, sender) {
                self.senders[sender].untold.insert(line.key_number);
            }
            sender
        };
        let sender = &mut self.senders[sender];
        sender.lines += 1;
        sender.seen.insert(line.number);
        true
    }

    /// The place of a sender, which it gets if it has none and there is one left.
    fn sender(&mut self, name: &[u8]) -> Option<usize> {
        let known = self.senders.iter().position(|known| *known.name == *name);
        if known.is_none() && self.senders.len() < MOST_SENDERS && line::is_sender(name) {
            self.senders.push(Sender {
                name: name.into(),
                lines: 0,
                seen: Seen::default(),
                untold: Seen::default(),
            });
            return Some(self.senders.len() - 1);
        }
        known
    }

    /// What a record tells of it, in place of what it told before. Deflates the bitmaps,
    /// which is work.
    pub(super) fn tell(&self, record: &mut StatsdRecord) {
        record.lines = self.lines;
        record.empty_lines = self.empty_lines;
        record.malformed = self.malformed;
        record.foreign = self.foreign;
        let senders = self.senders.iter().map(Sender::tell);
        record.senders = senders.collect();
        let keys = self.keys.told().iter().map(|key| {
            let told = KeyRecord {
                lines: key.lines,
                first_seq: key.first,
                last_seq: key.last,
            };
            (text(&key.name), told)
        });
        record.keys = keys.collect();
        let untold: u64 = self
            .senders
            .iter()
            .map(|sender| sender.untold.count())
            .sum();
        record.keys_total = self.keys.told().len() as u64 + untold;
        record.keys_complete = untold == 0;
    }
}

impl Sender {
    fn tell(&self) -> (String, SenderRecord) {
        let distinct = self.seen.count();
        let told = SenderRecord {
            lines: self.lines,
            distinct,
            duplicates: self.lines - distinct,
            highest: self.seen.highest().unwrap_or_default(),
            seen: self.seen.encode(),
        };
        (text(&self.name), told)
    }
}

/// Names are plain ASCII by what is accepted as one.
fn text(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statsd::keys::MOST_TOLD;

    fn record(tally: &Tally) -> StatsdRecord {
        let mut record = StatsdRecord::default();
        tally.tell(&mut record);
        record
    }

    #[test]
    fn every_line_is_of_one_kind() {
        let mut tally = Tally::default();
        tally.take_all(b"a.k1:0|c\na.k2:1|ms\n\na.k1:1|c\nb.k1:9|c\npage.views:1|c\nno line\n\n");
        tally.take_all(b"a.k1:3|c");
        tally.take_all(b"");
        let record = record(&tally);
        assert_eq!((record.lines, record.empty_lines), (7, 2));
        assert_eq!((record.foreign, record.malformed), (1, 1));
        let a = &record.senders["a"];
        assert_eq!((a.lines, a.distinct, a.duplicates, a.highest), (4, 3, 1, 3));
        assert!(Seen::decode(&a.seen).unwrap().iter().eq([0, 1, 3]));
        let key = KeyRecord {
            lines: 3,
            first_seq: 0,
            last_seq: 3,
        };
        assert_eq!(record.keys["a.k1"], key);
        assert_eq!((record.keys_total, record.keys_complete), (3, true));
        let numbered: u64 = record.senders.values().map(|sender| sender.lines).sum();
        assert_eq!(record.lines, numbered + record.foreign + record.malformed);
    }

    #[test]
    fn keys_beyond_the_limit_are_counted_and_not_told() {
        let mut tally = Tally::default();
        for number in 0..2 * MOST_TOLD + 20 {
            let key = number % (MOST_TOLD + 10);
            tally.take(format!("a.k{key:06}:{number}|c").as_bytes());
        }
        let record = record(&tally);
        assert_eq!(
            (record.keys.len(), record.keys_complete),
            (MOST_TOLD, false)
        );
        assert_eq!(record.keys_total, MOST_TOLD as u64 + 10);
        assert!(record.keys.values().all(|key| key.lines == 2));
        assert_eq!(record.senders["a"].distinct, 2 * MOST_TOLD as u64 + 20);
    }

    #[test]
    fn lines_of_one_sender_too_many_and_of_odd_names_are_foreign() {
        let mut tally = Tally::default();
        for n in 0..=MOST_SENDERS {
            tally.take_all(format!("load{n}.k1:5|c").as_bytes());
        }
        tally.take_all("\u{e9}.k1:5|c".as_bytes());
        let record = record(&tally);
        assert_eq!((record.senders.len(), record.foreign), (MOST_SENDERS, 2));
        assert_eq!(record.keys_total, MOST_SENDERS as u64);
    }
}
