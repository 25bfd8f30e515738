//! Bounds on figures: `p99 < 2ms`, parsed once into types.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::expect::ExpectError;
use value::{parse_percent, parse_value};

mod value;

/// A figure that can be demanded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Median response time.
    P50,
    /// 90th percentile of response time.
    P90,
    /// 99th percentile of response time.
    P99,
    /// 99.9th percentile of response time.
    P99_9,
    /// Longest response time.
    Max,
    /// Requests per second.
    Rate,
    /// Requests that went wrong in any way, and connections that could not be opened.
    Failed,
    /// The share of requests that failed or were never answered.
    ErrorRate,
    /// Connections that could not be opened, or that failed once they were, idle ones
    /// included.
    FailedConnections,
    /// Answers that were not the right ones: lost, duplicated, reordered, corrupted,
    /// misrouted or unexpected.
    Wrong,
    /// Requests without an answer at the end, those that were due and never written
    /// included.
    Unanswered,
    /// Requests whose answer never came though later ones did.
    Lost,
    /// Answers that came twice.
    Duplicated,
    /// Answers out of order.
    Reordered,
    /// Answers with wrong content.
    Corrupted,
    /// Answers to somebody else's request.
    Misrouted,
    /// Datagrams that never came to the server.
    LostThere,
    /// Datagrams that came to the server, and whose answer did not come back.
    LostBack,
    /// CPU time of the proxy's process tree for each request.
    CpuPerMsg,
    /// The most resident memory of the proxy's process tree.
    PeakMemory,
    /// Bits per second of a bulk transfer, both directions together.
    Throughput,
    /// Bits of it for each second of CPU time of the proxy's process tree.
    BitsPerCpuSecond,
    /// Lines of statsd that no server saw.
    Missing,
    /// Lines of statsd that came to a server for each second of CPU time of the proxy's
    /// process tree.
    LinesPerCpuSecond,
}

/// In which unit a figure is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Microseconds.
    Time,
    /// Per second.
    Rate,
    /// Pieces.
    Count,
    /// Percent.
    Share,
    /// Bytes.
    Size,
    /// Gigabits, for each second of something.
    Gigabits,
}

impl Metric {
    /// All, in the order in which they are listed to a user.
    pub const ALL: [Self; 24] = [
        Self::P50,
        Self::P90,
        Self::P99,
        Self::P99_9,
        Self::Max,
        Self::Rate,
        Self::Failed,
        Self::ErrorRate,
        Self::FailedConnections,
        Self::Wrong,
        Self::Unanswered,
        Self::Lost,
        Self::Duplicated,
        Self::Reordered,
        Self::Corrupted,
        Self::Misrouted,
        Self::LostThere,
        Self::LostBack,
        Self::CpuPerMsg,
        Self::PeakMemory,
        Self::Throughput,
        Self::BitsPerCpuSecond,
        Self::Missing,
        Self::LinesPerCpuSecond,
    ];

    /// The word in an expression.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::P50 => "p50",
            Self::P90 => "p90",
            Self::P99 => "p99",
            Self::P99_9 => "p99.9",
            Self::Max => "max",
            Self::Rate => "rate",
            Self::Failed => "failed",
            Self::ErrorRate => "error_rate",
            Self::FailedConnections => "failed_connections",
            Self::Wrong => "wrong",
            Self::Unanswered => "unanswered",
            Self::Lost => "lost",
            Self::Duplicated => "duplicated",
            Self::Reordered => "reordered",
            Self::Corrupted => "corrupted",
            Self::Misrouted => "misrouted",
            Self::LostThere => "lost_there",
            Self::LostBack => "lost_back",
            Self::CpuPerMsg => "cpu_per_msg",
            Self::PeakMemory => "peak_memory",
            Self::Throughput => "throughput",
            Self::BitsPerCpuSecond => "bits_per_cpu_second",
            Self::Missing => "missing",
            Self::LinesPerCpuSecond => "lines_per_cpu_second",
        }
    }

    /// The share of all requests that a percentile of response time speaks of.
    #[must_use]
    pub fn quantile(self) -> Option<f64> {
        match self {
            Self::P50 => Some(0.5),
            Self::P90 => Some(0.9),
            Self::P99 => Some(0.99),
            Self::P99_9 => Some(0.999),
            Self::Max => Some(1.0),
            _ => None,
        }
    }

    /// Whether it is known of each slice of time, and so of a part of a run.
    #[must_use]
    pub fn is_known_by_interval(self) -> bool {
        self.quantile().is_some()
            || self.is_kind()
            || matches!(
                self,
                Self::Rate | Self::Failed | Self::FailedConnections | Self::ErrorRate | Self::Wrong
            )
    }

    /// Whether it is one of the kinds that failed requests and answers too many have.
    #[must_use]
    pub fn is_kind(self) -> bool {
        matches!(
            self,
            Self::Lost | Self::Duplicated | Self::Reordered | Self::Corrupted | Self::Misrouted
        )
    }

    /// Whether it may be demanded as a share of the requests sent: `lost < 1 %`.
    #[must_use]
    pub fn has_share(self) -> bool {
        self.is_kind()
            || matches!(
                self,
                Self::Failed | Self::Wrong | Self::Unanswered | Self::LostThere | Self::LostBack
            )
    }

    /// The unit of its values.
    #[must_use]
    pub fn unit(self) -> Unit {
        match self {
            Self::P50 | Self::P90 | Self::P99 | Self::P99_9 | Self::Max | Self::CpuPerMsg => {
                Unit::Time
            }
            Self::Rate | Self::LinesPerCpuSecond => Unit::Rate,
            Self::ErrorRate => Unit::Share,
            Self::PeakMemory => Unit::Size,
            Self::Throughput | Self::BitsPerCpuSecond => Unit::Gigabits,
            _ => Unit::Count,
        }
    }
}

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Op {
    /// Less.
    #[serde(rename = "<")]
    Less,
    /// Less or equal.
    #[serde(rename = "<=")]
    AtMost,
    /// Greater.
    #[serde(rename = ">")]
    More,
    /// Greater or equal.
    #[serde(rename = ">=")]
    AtLeast,
    /// Equal.
    #[serde(rename = "=")]
    Equal,
}

impl Op {
    /// Longer signs first, so that `<=` is not read as `<`.
    const SIGNS: [(&'static str, Self); 6] = [
        ("<=", Self::AtMost),
        (">=", Self::AtLeast),
        ("==", Self::Equal),
        ("<", Self::Less),
        (">", Self::More),
        ("=", Self::Equal),
    ];

    /// The sign.
    #[must_use]
    pub fn sign(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::More => ">",
            Self::AtLeast => ">=",
            Self::Equal => "=",
        }
    }

    /// Whether `left` stands so to `right`.
    #[must_use]
    pub fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Self::Less => left < right,
            Self::AtMost => left <= right,
            Self::More => left > right,
            Self::AtLeast => left >= right,
            // Only counts are compared for equality: they are whole numbers.
            Self::Equal => left == right,
        }
    }
}

/// `p99 < 2ms`, parsed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bound {
    /// The figure.
    pub metric: Metric,
    /// The comparison.
    pub op: Op,
    /// In the metric's unit: microseconds, per second, pieces or bytes; in percent where
    /// that is demanded.
    pub value: f64,
    /// Whether a count is demanded in percent of the requests sent.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub percent: bool,
    /// The value as it was written.
    pub written: String,
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} {}",
            self.metric.word(),
            self.op.sign(),
            self.written
        )
    }
}

impl FromStr for Bound {
    type Err = ExpectError;

    fn from_str(text: &str) -> Result<Self, ExpectError> {
        let (metric, op, written) = parts(text)?;
        let share = written
            .strip_suffix('%')
            .filter(|_| metric.has_share() || metric.unit() == Unit::Share);
        let value = match share {
            Some(share) => parse_percent(metric, share.trim(), &written)?,
            None => parse_value(metric, &written)?,
        };
        Ok(Self {
            metric,
            op,
            value,
            percent: share.is_some(),
            written,
        })
    }
}

/// `p99 < 0.8x`, parsed: beside the same figure of somebody else.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TimesBound {
    /// The figure.
    pub metric: Metric,
    /// The comparison.
    pub op: Op,
    /// How many times the other's.
    pub times: f64,
}

impl fmt::Display for TimesBound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (metric, op) = (self.metric.word(), self.op.sign());
        write!(f, "{metric} {op} {}x", self.times)
    }
}

impl FromStr for TimesBound {
    type Err = ExpectError;

    fn from_str(text: &str) -> Result<Self, ExpectError> {
        let (metric, op, written) = parts(text)?;
        let times = written.strip_suffix('x').unwrap_or_default().trim();
        let times = times.parse().ok().filter(|times: &f64| times.is_finite());
        let times = times.filter(|times| *times > 0.0);
        times
            .map(|times| Self { metric, op, times })
            .ok_or_else(|| ExpectError::Value {
                metric: metric.word(),
                reason: format!("expected a factor such as \"0.8x\", got {written:?}"),
            })
    }
}

/// A word, a comparison, and what stands behind it.
pub(crate) fn split(text: &str) -> Result<(&str, Op, &str), ExpectError> {
    let at = text
        .find(['<', '>', '='])
        .ok_or_else(|| ExpectError::Shape(text.to_owned()))?;
    let (word, rest) = text.split_at(at);
    let (sign, op) = Op::SIGNS
        .into_iter()
        .find(|(sign, _)| rest.starts_with(sign))
        .ok_or_else(|| ExpectError::Shape(text.to_owned()))?;
    Ok((word.trim(), op, rest[sign.len()..].trim()))
}

/// A metric, a comparison, and what stands behind it.
fn parts(text: &str) -> Result<(Metric, Op, String), ExpectError> {
    let (word, op, written) = split(text)?;
    let metric = Metric::ALL
        .into_iter()
        .find(|m| m.word() == word)
        .ok_or_else(|| {
            let accepted = Metric::ALL.map(Metric::word).join(", ");
            ExpectError::Metric {
                text: word.to_owned(),
                accepted,
            }
        })?;
    Ok((metric, op, written.to_owned()))
}

#[cfg(test)]
mod tests;
