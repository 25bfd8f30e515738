//! What may be planted: parsing `--defect`, and the set of what was asked for.

use std::str::FromStr;
use std::time::Duration;

use service::units::{Size, parse_duration};

/// One planted defect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Defect {
    /// A bad memory access at the Nth line of the process that cannot be decoded.
    SegfaultAfterDecodeErrors(u64),
    /// An abort at a line that holds these bytes.
    AbortOnLine(Vec<u8>),
    /// A panic, exit code 101, at a line that is not UTF-8.
    PanicOnInvalidUtf8,
    /// After this many requests the process neither reads nor answers ever again.
    HangAfter(u64),
    /// The process stops for a while, again and again.
    Freeze(Freeze),
    /// Each answer is delayed by this much.
    Slow(Duration),
    /// Every Nth answer is wrong.
    WrongReply(WrongReply),
    /// Every request costs this many bytes of memory for ever.
    LeakMemory(u64),
    /// Every connection costs a descriptor for ever.
    LeakDescriptors,
    /// Every connection is closed as soon as it is accepted.
    AcceptThenClose,
}

/// Every form that [`Defect`] is parsed from.
pub const ACCEPTED: &str = "segfault-after-decode-errors=N, abort-on-line=BYTES, \
    panic-on-invalid-utf8, hang-after=N, freeze=DURATION@PERIOD, slow=DURATION, \
    wrong-reply=[swapped:|duplicated:|corrupted:|stale:|dropped:]1/N, leak-memory=BYTES, \
    leak-descriptors, accept-then-close";

/// When the process stands still: for `lasts`, once in every `period`, the first time
/// one period after the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freeze {
    /// How long it stands still.
    pub lasts: Duration,
    /// From the start of one freeze to the start of the next.
    pub period: Duration,
}

impl Freeze {
    /// How much longer the process stands still, if it does `since_start`.
    #[must_use]
    pub fn remaining(self, since_start: Duration) -> Option<Duration> {
        if since_start < self.period {
            return None;
        }
        let into_period = since_start.as_nanos() % self.period.as_nanos();
        let into_period = Duration::from_nanos(u64::try_from(into_period).unwrap_or(u64::MAX));
        self.lasts
            .checked_sub(into_period)
            .filter(|left| !left.is_zero())
    }
}

/// Every `every`th answer of the process is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrongReply {
    /// One wrong answer in this many.
    pub every: u64,
    /// In which way; `None` takes turns.
    pub kind: Option<WrongKind>,
}

/// In which way an answer is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WrongKind {
    /// It changes places with the next one.
    Swapped,
    /// It is sent twice.
    Duplicated,
    /// One of its digits is another.
    Corrupted,
    /// It is the answer to an earlier request of the connection.
    Stale,
    /// It is not sent.
    Dropped,
}

impl WrongKind {
    /// The kinds that take turns when none is named: those that send an answer for
    /// every request.
    pub const TURNS: [Self; 4] = [
        Self::Swapped,
        Self::Duplicated,
        Self::Corrupted,
        Self::Stale,
    ];

    fn named(text: &str) -> Option<Self> {
        Some(match text {
            "swapped" => Self::Swapped,
            "duplicated" => Self::Duplicated,
            "corrupted" => Self::Corrupted,
            "stale" => Self::Stale,
            "dropped" => Self::Dropped,
            _ => return None,
        })
    }
}

impl FromStr for Defect {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        let needs = |form: &str| format!("expected {name}={form}");
        let above_zero = || {
            let number = value.and_then(|v| v.parse().ok()).filter(|n| *n > 0);
            number.ok_or_else(|| needs("N with a whole number above 0"))
        };
        let bare = |defect| match value {
            None => Ok(defect),
            Some(_) => Err(format!("expected {name} without a value")),
        };
        match name {
            "segfault-after-decode-errors" => above_zero().map(Self::SegfaultAfterDecodeErrors),
            "hang-after" => above_zero().map(Self::HangAfter),
            "abort-on-line" => value
                .and_then(unescape)
                .filter(|bytes| !bytes.is_empty())
                .map(Self::AbortOnLine)
                .ok_or_else(|| needs("BYTES, at least one, with \\xNN, \\r, \\t and \\\\ as escapes")),
            "freeze" => value
                .and_then(freeze)
                .map(Self::Freeze)
                .ok_or_else(|| needs("DURATION@PERIOD such as 200ms@2s, the first shorter")),
            "slow" => value
                .and_then(|v| parse_duration(v).ok())
                .filter(|delay| !delay.is_zero())
                .map(Self::Slow)
                .ok_or_else(|| needs("DURATION such as 50ms")),
            "wrong-reply" => value.and_then(wrong_reply).map(Self::WrongReply).ok_or_else(|| {
                needs("1/N or KIND:1/N with KIND swapped, duplicated, corrupted, stale or dropped")
            }),
            "leak-memory" => value
                .and_then(|v| v.parse::<Size>().ok())
                .filter(|size| size.0 > 0)
                .map(|size| Self::LeakMemory(size.0))
                .ok_or_else(|| needs("BYTES such as 4KiB")),
            "panic-on-invalid-utf8" => bare(Self::PanicOnInvalidUtf8),
            "leak-descriptors" => bare(Self::LeakDescriptors),
            "accept-then-close" => bare(Self::AcceptThenClose),
            _ => Err(format!("unknown defect {name:?}, expected one of {ACCEPTED}")),
        }
    }
}

fn freeze(text: &str) -> Option<Freeze> {
    let (lasts, period) = text.split_once('@')?;
    let freeze = Freeze {
        lasts: parse_duration(lasts).ok()?,
        period: parse_duration(period).ok()?,
    };
    (!freeze.lasts.is_zero() && freeze.lasts < freeze.period).then_some(freeze)
}

fn wrong_reply(text: &str) -> Option<WrongReply> {
    let (kind, share) = match text.split_once(':') {
        Some((kind, share)) => (Some(WrongKind::named(kind)?), share),
        None => (None, text),
    };
    let every = share.strip_prefix("1/")?.parse().ok().filter(|n| *n > 0)?;
    Some(WrongReply { every, kind })
}

/// Bytes as people type them on a command line.
fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes().iter();
    while let Some(&byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        bytes.push(match rest.next()? {
            b'x' => {
                let digits = [*rest.next()?, *rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            b'r' => b'\r',
            b't' => b'\t',
            b'\\' => b'\\',
            _ => return None,
        });
    }
    Some(bytes)
}

/// The set of planted defects; the last of two of the same name counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Defects {
    /// See [`Defect::SegfaultAfterDecodeErrors`].
    pub segfault_after_decode_errors: Option<u64>,
    /// See [`Defect::AbortOnLine`].
    pub abort_on_line: Option<Vec<u8>>,
    /// See [`Defect::PanicOnInvalidUtf8`].
    pub panic_on_invalid_utf8: bool,
    /// See [`Defect::HangAfter`].
    pub hang_after: Option<u64>,
    /// See [`Defect::Freeze`].
    pub freeze: Option<Freeze>,
    /// See [`Defect::Slow`].
    pub slow: Option<Duration>,
    /// See [`Defect::WrongReply`].
    pub wrong_reply: Option<WrongReply>,
    /// See [`Defect::LeakMemory`].
    pub leak_memory: Option<u64>,
    /// See [`Defect::LeakDescriptors`].
    pub leak_descriptors: bool,
    /// See [`Defect::AcceptThenClose`].
    pub accept_then_close: bool,
}

impl Defects {
    /// Collects a list.
    #[must_use]
    pub fn new(list: &[Defect]) -> Self {
        let mut all = Self::default();
        for defect in list.iter().cloned() {
            match defect {
                Defect::SegfaultAfterDecodeErrors(n) => all.segfault_after_decode_errors = Some(n),
                Defect::AbortOnLine(bytes) => all.abort_on_line = Some(bytes),
                Defect::PanicOnInvalidUtf8 => all.panic_on_invalid_utf8 = true,
                Defect::HangAfter(n) => all.hang_after = Some(n),
                Defect::Freeze(freeze) => all.freeze = Some(freeze),
                Defect::Slow(delay) => all.slow = Some(delay),
                Defect::WrongReply(wrong) => all.wrong_reply = Some(wrong),
                Defect::LeakMemory(bytes) => all.leak_memory = Some(bytes),
                Defect::LeakDescriptors => all.leak_descriptors = true,
                Defect::AcceptThenClose => all.accept_then_close = true,
            }
        }
        all
    }

    /// Whether each line has to be looked at before it is decoded.
    pub(crate) fn inspect_lines(&self) -> bool {
        self.abort_on_line.is_some() || self.panic_on_invalid_utf8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_parsed() {
        let ms = Duration::from_millis;
        let cases = [
            (
                "segfault-after-decode-errors=1000",
                Defect::SegfaultAfterDecodeErrors(1000),
            ),
            (
                "abort-on-line=a=\\x00\\\\",
                Defect::AbortOnLine(b"a=\0\\".to_vec()),
            ),
            ("panic-on-invalid-utf8", Defect::PanicOnInvalidUtf8),
            ("hang-after=3", Defect::HangAfter(3)),
            (
                "freeze=200ms@2s",
                Defect::Freeze(Freeze {
                    lasts: ms(200),
                    period: ms(2000),
                }),
            ),
            ("slow=50ms", Defect::Slow(ms(50))),
            (
                "wrong-reply=1/7",
                Defect::WrongReply(WrongReply {
                    every: 7,
                    kind: None,
                }),
            ),
            (
                "wrong-reply=stale:1/7",
                Defect::WrongReply(WrongReply {
                    every: 7,
                    kind: Some(WrongKind::Stale),
                }),
            ),
            ("leak-memory=4KiB", Defect::LeakMemory(4096)),
            ("leak-descriptors", Defect::LeakDescriptors),
            ("accept-then-close", Defect::AcceptThenClose),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_answered_with_what_is_accepted() {
        let cases = [
            (
                "explode",
                "segfault-after-decode-errors=N, abort-on-line=BYTES",
            ),
            ("", "expected one of"),
            ("hang-after", "hang-after=N"),
            ("hang-after=0", "hang-after=N"),
            ("hang-after=-1", "hang-after=N"),
            (
                "segfault-after-decode-errors=x",
                "segfault-after-decode-errors=N",
            ),
            ("freeze=1s", "DURATION@PERIOD"),
            ("freeze=2s@1s", "the first shorter"),
            ("freeze=0@1s", "DURATION@PERIOD"),
            ("slow=fast", "slow=DURATION"),
            ("wrong-reply=2/3", "1/N"),
            ("wrong-reply=1/0", "1/N"),
            ("wrong-reply=late:1/3", "KIND:1/N"),
            ("abort-on-line=\\q", "abort-on-line=BYTES"),
            ("abort-on-line=", "abort-on-line=BYTES"),
            ("leak-descriptors=1", "without a value"),
        ];
        for (text, expected) in cases {
            let error = text.parse::<Defect>().unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn a_freeze_begins_one_period_after_the_start() {
        let ms = Duration::from_millis;
        let freeze = Freeze {
            lasts: ms(200),
            period: ms(1000),
        };
        let cases = [
            (0, None),
            (150, None),
            (999, None),
            (1000, Some(200)),
            (1150, Some(50)),
            (1200, None),
            (1999, None),
            (3001, Some(199)),
        ];
        for (at, left) in cases {
            assert_eq!(freeze.remaining(ms(at)), left.map(ms), "at {at} ms");
        }
    }
}
