//! Counting lines: what a sink knows when it has read something.

use std::collections::BTreeMap;

use crate::statsd::keys::{Found, Keys};
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
        let sender = match self.keys.find(line.key) {
            Found::Told(key) => {
                key.lines += 1;
                key.last = line.number;
                Some(key.sender)
            }
            Found::Counted => self.sender(line.sender),
            Found::New(at) => {
                let sender = self.sender(line.sender);
                if let Some(sender) = sender {
                    self.keys.add(at, line.key, sender, line.number);
                }
                sender
            }
        };
        let Some(sender) = sender else { return false };
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
        record.keys = keys.collect::<BTreeMap<_, _>>();
        record.keys_total = self.keys.len() as u64;
        record.keys_complete = self.keys.len() == self.keys.told().len();
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
