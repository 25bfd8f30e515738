//! Reading `--defect`.

use std::str::FromStr;

use protocol::foo::MAX_LINE_BYTES;
use service::units::{Size, parse_duration};

use super::catalogue;
use super::{Defect, Flap, Freeze, WrongKind, WrongReply};

impl FromStr for Defect {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        let needs = |form: &str| format!("expected {name}={form}");
        let bare = |defect| match value {
            None => Ok(defect),
            Some(_) => Err(format!("expected {name} without a value")),
        };
        let above_zero = || {
            let number = value.and_then(|v| v.parse().ok()).filter(|n| *n > 0);
            number.ok_or_else(|| needs("N with a whole number above 0"))
        };
        let bytes = || {
            let size = value.and_then(bytes);
            size.ok_or_else(|| needs("BYTES such as 4KiB"))
        };
        let rate = || {
            let rate = value.and_then(|v| bytes_of_rate(v).filter(|n| *n > 0));
            rate.ok_or_else(|| needs("BYTES/s such as 64KiB/s"))
        };
        let share = || {
            let every = value.and_then(share);
            every.ok_or_else(|| needs("1/N with a whole number N above 0"))
        };
        let duration = || {
            let duration = value.and_then(|v| parse_duration(v).ok());
            let duration = duration.filter(|delay| !delay.is_zero());
            duration.ok_or_else(|| needs("DURATION such as 50ms"))
        };
        match name {
            "segfault-after-decode-errors" => above_zero().map(Self::SegfaultAfterDecodeErrors),
            "segfault-after-bytes" => bytes().map(Self::SegfaultAfterBytes),
            "abort-on-line" => value
                .and_then(unescape)
                .filter(|bytes| !bytes.is_empty())
                .map(Self::AbortOnLine)
                .ok_or_else(|| {
                    needs("BYTES, at least one, with \\xNN, \\r, \\t and \\\\ as escapes")
                }),
            "abort-on-long-line" => value
                .and_then(bytes_of_line)
                .map(Self::AbortOnLongLine)
                .ok_or_else(|| needs("BYTES such as 4KiB, 64KiB at most")),
            "panic-on-invalid-utf8" => bare(Self::PanicOnInvalidUtf8),
            "exit-after" => above_zero().map(Self::ExitAfter),
            "hang-after" => above_zero().map(Self::HangAfter),
            "freeze" => value
                .and_then(freeze)
                .map(Self::Freeze)
                .ok_or_else(|| needs("DURATION@PERIOD such as 200ms@2s, the first shorter")),
            "slow" => duration().map(Self::Slow),
            "slow-reader" => rate().map(Self::SlowReader),
            "slow-writer" => rate().map(Self::SlowWriter),
            "late-reply" => duration().map(Self::LateReply),
            "wrong-reply" => value
                .and_then(wrong_reply)
                .map(Self::WrongReply)
                .ok_or_else(|| {
                    needs(
                        "1/N or KIND:1/N with KIND swapped, duplicated, corrupted, stale or dropped",
                    )
                }),
            "corrupt-byte" => share().map(Self::CorruptByte),
            "drop-byte" => share().map(Self::DropByte),
            "duplicate-byte" => share().map(Self::DuplicateByte),
            "wrong-connection" => share().map(Self::WrongConnection),
            "wrong-port" => share().map(Self::WrongPort),
            "silence" => bare(Self::Silence),
            "leak-memory" => bytes().map(Self::LeakMemory),
            "leak-descriptors" => bare(Self::LeakDescriptors),
            "leak-threads" => bare(Self::LeakThreads),
            "accept-then-close" => bare(Self::AcceptThenClose),
            "accept-then-silence" => bare(Self::AcceptThenSilence),
            "stop-accepting" => above_zero().map(Self::StopAccepting),
            "reset-after" => bytes().map(Self::ResetAfter),
            "reset-midway" => share().map(Self::ResetMidway),
            "flap" => value
                .and_then(flap)
                .map(Self::Flap)
                .ok_or_else(|| needs("UP/DOWN such as 2s/500ms")),
            "silent-health" => bare(Self::SilentHealth),
            "health-down" => bare(Self::HealthDown),
            _ => Err(format!(
                "unknown defect {name:?}, expected one of {}",
                catalogue::usages(None)
            )),
        }
    }
}

fn bytes(text: &str) -> Option<u64> {
    let size: Size = text.parse().ok()?;
    (size.0 > 0).then_some(size.0)
}

/// More is too long for a line, and closes its connection.
fn bytes_of_line(text: &str) -> Option<usize> {
    let bytes = usize::try_from(bytes(text)?).ok()?;
    (bytes <= MAX_LINE_BYTES + 1).then_some(bytes)
}

fn bytes_of_rate(text: &str) -> Option<u64> {
    bytes(text.strip_suffix("/s").unwrap_or(text))
}

fn share(text: &str) -> Option<u64> {
    text.strip_prefix("1/")?.parse().ok().filter(|n| *n > 0)
}

fn freeze(text: &str) -> Option<Freeze> {
    let (lasts, period) = text.split_once('@')?;
    let freeze = Freeze {
        lasts: parse_duration(lasts).ok()?,
        period: parse_duration(period).ok()?,
    };
    (!freeze.lasts.is_zero() && freeze.lasts < freeze.period).then_some(freeze)
}

fn flap(text: &str) -> Option<Flap> {
    let (up, down) = text.split_once('/')?;
    let flap = Flap {
        up: parse_duration(up).ok()?,
        down: parse_duration(down).ok()?,
    };
    (!flap.up.is_zero() && !flap.down.is_zero()).then_some(flap)
}

fn wrong_reply(text: &str) -> Option<WrongReply> {
    let (kind, every) = match text.split_once(':') {
        Some((kind, every)) => (Some(WrongKind::named(kind)?), every),
        None => (None, text),
    };
    let every = share(every)?;
    Some(WrongReply { every, kind })
}

impl WrongKind {
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
