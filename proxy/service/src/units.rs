//! Durations, sizes and rates as people type them: `250ms`, `64KiB`, `20k/s`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A text that is not the quantity it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, got {text:?}")]
pub struct UnitError {
    expected: &'static str,
    text: String,
}

const DURATION: &str = "a duration such as 250ms, 10s, 1m30s or 2h";
const SIZE: &str = "a size such as 512, 64KiB, 30MB or 1GiB";
const RATE: &str = "a rate per second such as 500, 20k/s or 1.5M/s";

/// Parses `250ms`, `1.5s`, `1m30s`; a bare `0` too. Units: ns, us, ms, s, m, h.
///
/// # Errors
/// Names the text and what is accepted.
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    let error = || UnitError {
        expected: DURATION,
        text: text.to_owned(),
    };
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut total: u128 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let (number, unit, after) = quantity(rest).ok_or_else(error)?;
        let nanos = match unit {
            "ns" => 1,
            "us" | "µs" => 1_000,
            "ms" => 1_000_000,
            "s" => SECOND_NS,
            "m" => 60 * SECOND_NS,
            "h" => 3_600 * SECOND_NS,
            _ => return Err(error()),
        };
        let part = times(number, nanos).ok_or_else(error)?;
        total = total.checked_add(part).ok_or_else(error)?;
        rest = after;
    }
    let seconds = u64::try_from(total / SECOND_NS).map_err(|_| error())?;
    if text.is_empty() {
        return Err(error());
    }
    Ok(Duration::new(seconds, (total % SECOND_NS) as u32))
}

const SECOND_NS: u128 = 1_000_000_000;

/// A decimal number of units, to the nanosecond: binary fractions would be off by one in
/// what was written to be read back.
fn times(number: &str, unit: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let digits = |text: &str| match text {
        "" => Some(0),
        _ => text.parse::<u128>().ok(),
    };
    // More digits than these are less than a nanosecond of an hour.
    let fraction = fraction.get(..18).unwrap_or(fraction);
    let part = digits(fraction)?.checked_mul(unit)? / 10_u128.pow(fraction.len() as u32);
    digits(whole)?.checked_mul(unit)?.checked_add(part)
}

/// Writes a duration so that [`parse_duration`] reads it back.
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    let (unit, name) = [(1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "us")]
        .into_iter()
        .find(|(unit, _)| nanos.is_multiple_of(*unit))
        .unwrap_or((1, "ns"));
    format!("{}{name}", nanos / unit)
}

/// A number as it is written, the letters behind it, and the rest.
fn quantity(text: &str) -> Option<(&str, &str, &str)> {
    let number_end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, rest) = text.split_at(number_end);
    let unit_end = rest
        .find(|c: char| c.is_ascii_digit() || c == '.')
        .unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(unit_end);
    (!number.is_empty()).then_some((number, unit, rest))
}

fn scaled(text: &str, scale: impl Fn(&str) -> Option<f64>) -> Option<f64> {
    let (number, unit, rest) = quantity(text)?;
    rest.is_empty().then_some(())?;
    let value = number.parse::<f64>().ok()? * scale(unit.trim())?;
    value.is_finite().then_some(value)
}

/// A number of bytes. KB, MB and GB count in thousands; KiB, MiB and GiB in 1,024s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

impl FromStr for Size {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        scaled(text, |unit| {
            Some(match unit.to_ascii_lowercase().as_str() {
                "" | "b" => 1.0,
                "k" | "kb" => 1e3,
                "m" | "mb" => 1e6,
                "g" | "gb" => 1e9,
                "kib" => 1024.0,
                "mib" => 1_048_576.0,
                "gib" => 1_073_741_824.0,
                _ => return None,
            })
        })
        .filter(|value| *value <= 9e18)
        .map(|value| Self(value.round() as u64))
        .ok_or_else(|| UnitError {
            expected: SIZE,
            text: text.to_owned(),
        })
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, name) in [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")] {
            if self.0 != 0 && self.0.is_multiple_of(unit) {
                return write!(f, "{}{name}", self.0 / unit);
            }
        }
        write!(f, "{}", self.0)
    }
}

/// Events per second: more than none, and no more than a thousand million.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Rate(f64);

impl Rate {
    /// Events per second.
    #[must_use]
    pub fn per_second(self) -> f64 {
        self.0
    }
}

impl FromStr for Rate {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let number = text.strip_suffix("/s").unwrap_or(text);
        scaled(number, |unit| {
            Some(match unit {
                "" => 1.0,
                "k" | "K" => 1e3,
                "m" | "M" => 1e6,
                _ => return None,
            })
        })
        .filter(|value| *value > 0.0 && *value <= 1e9)
        .map(Self)
        .ok_or_else(|| UnitError {
            expected: RATE,
            text: text.to_owned(),
        })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            rate if rate >= 1e6 => write!(f, "{}M/s", rate / 1e6),
            rate if rate >= 1e3 => write!(f, "{}k/s", rate / 1e3),
            rate => write!(f, "{rate}/s"),
        }
    }
}

macro_rules! serde_as_text {
    ($($unit:ty),*) => {$(
        impl Serialize for $unit {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $unit {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

serde_as_text!(Size, Rate);

/// For `#[serde(with = "service::units::duration")]`: a duration as text.
pub mod duration {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes the duration as text.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::format_duration(*value))
    }

    /// Reads a duration from text.
    ///
    /// # Errors
    /// The deserializer's, or that the text is not a duration.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        super::parse_duration(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations() {
        let cases = [
            ("250ms", Some(250_000_000)),
            ("1m30s", Some(90_000_000_000)),
            ("1.5s", Some(1_500_000_000)),
            ("60us", Some(60_000)),
            ("0", Some(0)),
            ("1.5us", Some(1_500)),
            (".5s", Some(500_000_000)),
            ("4198566526000us", Some(4_198_566_526_000_000)),
            ("1.2.3s", None),
            (".s", None),
            ("10", None),
            ("", None),
            ("ms", None),
            ("-1s", None),
            ("1 fortnight", None),
            ("99999999999999999999999h", None),
        ];
        for (text, nanos) in cases {
            assert_eq!(
                parse_duration(text).ok().map(|d| d.as_nanos()),
                nanos,
                "{text}"
            );
        }
    }

    #[test]
    fn sizes_and_rates() {
        assert_eq!("64KiB".parse(), Ok(Size(65_536)));
        assert_eq!("30MB".parse(), Ok(Size(30_000_000)));
        assert_eq!("512".parse(), Ok(Size(512)));
        for bad in [
            "",
            "KiB",
            "-1",
            "1 furlong",
            "1KiB2",
            "99999999999999999999",
        ] {
            assert!(bad.parse::<Size>().is_err(), "{bad}");
        }
        assert_eq!("20k/s".parse::<Rate>().unwrap().per_second(), 20_000.0);
        assert_eq!("1.5M".parse::<Rate>().unwrap().per_second(), 1_500_000.0);
        for bad in ["", "0", "-5", "k/s", "1e3", "5/m", "2G"] {
            assert!(bad.parse::<Rate>().is_err(), "{bad}");
        }
        let error = "fast".parse::<Rate>().unwrap_err().to_string();
        assert!(
            error.contains("\"fast\"") && error.contains("20k/s"),
            "{error}"
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(n in 0_u32.., scale in 0..4) {
            let duration = Duration::from_nanos(u64::from(n) * 10_u64.pow(3 * scale as u32 % 7));
            prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
            prop_assert_eq!(Size(n.into()).to_string().parse(), Ok(Size(n.into())));
        }
    }
}
