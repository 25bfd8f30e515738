//! Judging lines as they arrive, in whatever pieces they arrive.
//!
//! A whole line in one piece takes the fast path: one comparison for the type, a loop
//! over the digits, one vectorised search for the end. Everything else goes through
//! `Line`, which remembers how far it came in a few words and never a byte of the
//! line itself. A property test holds the two to the same verdicts.

use super::{Grammar, Kind, Malformed};

/// Digits that cannot overflow an `i64`; more of them take the careful path.
const SAFE_DIGITS: usize = 18;

/// The fields before Data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The message's type.
    pub kind: Kind,
    /// The message's sequence number.
    pub seq: i64,
    /// Where Data starts, counted from the start of the line. Meaningful only if the
    /// line came in one piece; without Data it is the line's length.
    pub data_start: usize,
}

/// A line that is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scanned {
    /// Bytes of the given piece that belong to the line, the newline included.
    pub len: usize,
    /// What the line is.
    pub verdict: Result<Head, Malformed>,
}

/// Splits a stream into lines and judges each of them.
#[derive(Clone, Debug)]
pub struct Scanner {
    grammar: Grammar,
    max_line: usize,
    line: Line,
}

impl Scanner {
    /// A scanner at the start of a stream. Lines of more than `max_line` bytes without
    /// their newline are malformed.
    #[must_use]
    pub fn new(grammar: Grammar, max_line: usize) -> Self {
        Self {
            grammar,
            max_line,
            line: Line::default(),
        }
    }

    /// Takes `piece` up to the end of its first line, or all of it if there is no end:
    /// then it is remembered, and the next piece goes on from there.
    #[inline]
    pub fn scan(&mut self, piece: &[u8]) -> Option<Scanned> {
        if self.line.len == 0
            && let Some(scanned) = whole_line(piece, self.grammar, self.max_line)
        {
            return Some(scanned);
        }
        self.scan_piece(piece)
    }

    /// Whether the stream stands within a line.
    #[must_use]
    pub fn within_line(&self) -> bool {
        self.line.len > 0
    }

    /// Whether the line that the stream stands in is malformed whatever follows, so
    /// that nobody needs to keep its bytes.
    #[must_use]
    pub fn is_hopeless(&self) -> bool {
        self.line.broken.is_some()
    }

    /// Ends the stream. A line that was begun is malformed for it.
    pub fn finish(&mut self) -> Option<Malformed> {
        let begun = self.within_line();
        self.line = Line::default();
        begun.then_some(Malformed::Unterminated)
    }

    #[cold]
    fn scan_piece(&mut self, piece: &[u8]) -> Option<Scanned> {
        let mut at = 0;
        while at < piece.len() {
            if let Some(skip) = self.line.skippable(&piece[at..], self.grammar) {
                at += skip;
                self.line.take(skip, self.max_line);
                if at == piece.len() {
                    return None;
                }
            }
            let byte = piece[at];
            at += 1;
            if byte == b'\n' {
                let line = std::mem::take(&mut self.line);
                return Some(Scanned {
                    len: at,
                    verdict: line.end(self.grammar),
                });
            }
            self.line.push(byte, self.grammar);
            self.line.take(1, self.max_line);
        }
        None
    }
}

/// The common case: a well-formed line that is all there.
#[inline]
fn whole_line(piece: &[u8], grammar: Grammar, max_line: usize) -> Option<Scanned> {
    let (word, rest) = piece.split_first_chunk::<4>()?;
    let kind = match word {
        b"REQ " => Kind::Req,
        b"ACK " => Kind::Ack,
        b"NAK " => Kind::Nak,
        _ => return None,
    };
    let mut seq = 0_i64;
    let mut digits = 0;
    let after = loop {
        let byte = *rest.get(digits)?;
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break byte;
        }
        if digits == SAFE_DIGITS {
            return None;
        }
        seq = seq * 10 + i64::from(digit);
        digits += 1;
    };
    let data_start = match (digits, after) {
        (0, _) => return None,
        (_, b'\n') => 4 + digits,
        (_, b' ') => 4 + digits + 1,
        _ => return None,
    };
    let end = if after == b'\n' {
        data_start
    } else {
        let data = &piece[data_start..];
        let end = match grammar {
            Grammar::Strict => memchr::memchr2(b'\n', b' ', data)?,
            Grammar::Spec if matches!(data.first()?, b' ' | b'\t') => return None,
            Grammar::Spec => memchr::memchr(b'\n', data)?,
        };
        if data[end] == b' ' {
            return None;
        }
        data_start + end
    };
    (end <= max_line).then_some(Scanned {
        len: end + 1,
        verdict: Ok(Head {
            kind,
            seq,
            data_start,
        }),
    })
}

/// Which field the next byte belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Field {
    #[default]
    Type,
    Seq,
    /// Whitespace between Seq and Data; only under [`Grammar::Spec`].
    Gap,
    Data,
}

/// What is known of a line that is not complete.
#[derive(Clone, Debug, Default)]
struct Line {
    len: usize,
    field: Field,
    word: [u8; 3],
    word_len: usize,
    seq: Seq,
    data_start: usize,
    /// A `\r` was read that is only part of the line if no newline follows.
    return_pending: bool,
    /// Decided already, whatever the fields say.
    broken: Option<Malformed>,
}

impl Line {
    /// How many bytes at the start of `piece` can only be passed over, if the line is
    /// in a state where that is so.
    fn skippable(&self, piece: &[u8], grammar: Grammar) -> Option<usize> {
        let stop = match (self.field, grammar) {
            _ if self.broken.is_some() => memchr::memchr(b'\n', piece),
            (Field::Data, Grammar::Spec) => memchr::memchr(b'\n', piece),
            (Field::Data, Grammar::Strict) => memchr::memchr2(b'\n', b' ', piece),
            // Too long for a type already; only its end matters.
            (Field::Type, _) if self.word_len > 3 => memchr::memchr3(b'\n', b' ', b'\t', piece),
            _ => return None,
        };
        Some(stop.unwrap_or(piece.len()))
    }

    fn take(&mut self, bytes: usize, max_line: usize) {
        self.len = self.len.saturating_add(bytes);
        if self.len > max_line {
            self.broken = Some(Malformed::TooLong);
        }
    }

    fn push(&mut self, byte: u8, grammar: Grammar) {
        if std::mem::take(&mut self.return_pending) {
            self.push_to_field(b'\r', grammar);
        }
        if byte == b'\r' {
            self.return_pending = true;
        } else {
            self.push_to_field(byte, grammar);
        }
    }

    fn push_to_field(&mut self, byte: u8, grammar: Grammar) {
        let separator = byte == b' ' || (grammar == Grammar::Spec && byte == b'\t');
        match (self.field, separator) {
            (Field::Type, false) => {
                if let Some(slot) = self.word.get_mut(self.word_len) {
                    *slot = byte;
                }
                self.word_len = (self.word_len + 1).min(4);
            }
            (Field::Type, true) => self.field = Field::Seq,
            (Field::Seq, false) => self.seq.push(byte),
            (Field::Seq, true) => match grammar {
                Grammar::Strict => self.begin_data(self.len + 1),
                Grammar::Spec if self.seq.is_empty() => {}
                Grammar::Spec => self.field = Field::Gap,
            },
            (Field::Gap, false) => self.begin_data(self.len),
            (Field::Gap, true) | (Field::Data, false) => {}
            (Field::Data, true) => {
                if grammar == Grammar::Strict {
                    self.broken.get_or_insert(Malformed::TooManyFields);
                }
            }
        }
    }

    fn begin_data(&mut self, at: usize) {
        self.field = Field::Data;
        self.data_start = at;
    }

    fn end(self, grammar: Grammar) -> Result<Head, Malformed> {
        if let Some(reason) = self.broken {
            return Err(reason);
        }
        let missing_seq = match grammar {
            Grammar::Strict => self.field == Field::Type,
            Grammar::Spec => self.field == Field::Type || self.seq.is_empty(),
        };
        if missing_seq {
            return Err(Malformed::NotEnoughFields);
        }
        let kind = match (&self.word, self.word_len) {
            (b"REQ", 3) => Kind::Req,
            (b"ACK", 3) => Kind::Ack,
            (b"NAK", 3) => Kind::Nak,
            _ => return Err(Malformed::BadType),
        };
        let seq = self.seq.value().ok_or(Malformed::BadSeq)?;
        let data_start = if self.field == Field::Data {
            self.data_start
        } else {
            self.len
        };
        Ok(Head {
            kind,
            seq,
            data_start,
        })
    }
}

/// A signed 64-bit decimal, digit by digit: an optional sign, then digits only.
#[derive(Clone, Debug, Default)]
struct Seq {
    bytes: usize,
    digits: usize,
    negative: bool,
    magnitude: u64,
    bad: bool,
}

impl Seq {
    fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    fn push(&mut self, byte: u8) {
        match byte {
            b'+' | b'-' if self.bytes == 0 => self.negative = byte == b'-',
            b'0'..=b'9' => {
                self.digits += 1;
                let next = self
                    .magnitude
                    .checked_mul(10)
                    .and_then(|m| m.checked_add(u64::from(byte - b'0')));
                match next {
                    Some(next) => self.magnitude = next,
                    None => self.bad = true,
                }
            }
            _ => self.bad = true,
        }
        self.bytes += 1;
    }

    fn value(&self) -> Option<i64> {
        if self.bad || self.digits == 0 {
            return None;
        }
        if self.negative {
            0_i64.checked_sub_unsigned(self.magnitude)
        } else {
            i64::try_from(self.magnitude).ok()
        }
    }
}

#[cfg(test)]
mod tests;
