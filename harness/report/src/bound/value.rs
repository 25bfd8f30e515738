//! What stands behind the sign of a bound.

use service::units;

use super::{Metric, Unit};
use crate::expect::ExpectError;

/// The value in the unit of the metric.
pub(super) fn parse_value(metric: Metric, written: &str) -> Result<f64, ExpectError> {
    let error = |reason: String| ExpectError::Value {
        metric: metric.word(),
        reason,
    };
    match metric.unit() {
        Unit::Time => units::parse_duration(written)
            .map(|duration| duration.as_secs_f64() * 1e6)
            .map_err(|e| error(e.to_string())),
        Unit::Rate => written
            .parse::<units::Rate>()
            .map(units::Rate::per_second)
            .map_err(|e| error(e.to_string())),
        Unit::Size => written
            .parse::<units::Size>()
            .map(|size| size.0 as f64)
            .map_err(|e| error(e.to_string())),
        Unit::Gigabits => gigabits(written)
            .ok_or_else(|| error(format!("expected bits such as \"10Gbit\", got {written:?}"))),
        Unit::Share => Err(error(format!(
            "expected a share such as \"1 %\", got {written:?}"
        ))),
        Unit::Count => written
            .parse::<u64>()
            .map(|count| count as f64)
            .map_err(|_| error(format!("expected a whole number, got {written:?}"))),
    }
}

/// A share of the requests sent, in percent.
pub(super) fn parse_percent(
    metric: Metric,
    number: &str,
    written: &str,
) -> Result<f64, ExpectError> {
    let value = number.parse().ok();
    value
        .filter(|percent| (0.0..=100.0).contains(percent))
        .ok_or_else(|| ExpectError::Value {
            metric: metric.word(),
            reason: format!("expected a share from 0 % to 100 %, got {written:?}"),
        })
}

/// `10Gbit`, `800Mbit`: per second, whether that is written or not.
fn gigabits(written: &str) -> Option<f64> {
    let text = written.strip_suffix("/s").unwrap_or(written);
    let (number, unit) = [("Gbit", 1.0), ("Mbit", 1e-3), ("kbit", 1e-6)]
        .into_iter()
        .find_map(|(word, unit)| Some((text.strip_suffix(word)?, unit)))?;
    let number: f64 = number.trim().parse().ok()?;
    (number.is_finite() && number >= 0.0).then_some(number * unit)
}
