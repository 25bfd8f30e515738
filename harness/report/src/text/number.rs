//! Figures as people read them.

/// Microseconds with a unit and three digits or so: `71.3 µs`, `2.4 ms`, `1.20 s`.
#[must_use]
pub fn micros(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude >= 1e6 {
        format!("{:.2} s", value / 1e6)
    } else if magnitude >= 1e4 {
        format!("{:.1} ms", value / 1e3)
    } else if magnitude >= 1e3 {
        format!("{:.2} ms", value / 1e3)
    } else if magnitude >= 100.0 {
        format!("{value:.0} µs")
    } else {
        format!("{value:.1} µs")
    }
}

/// The same, or a dash.
#[must_use]
pub fn micros_or_dash(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), micros)
}

/// A difference in microseconds, with its sign.
#[must_use]
pub fn signed_micros(value: Option<f64>) -> String {
    value.map_or_else(
        || "-".to_owned(),
        |value| {
            if value < 0.0 {
                micros(value)
            } else {
                format!("+{}", micros(value))
            }
        },
    )
}

/// A whole number with thousands set apart: `117,496`.
#[must_use]
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Per second.
#[must_use]
pub fn rate(value: f64) -> String {
    format!("{}/s", count(value.round().max(0.0) as u64))
}

/// `12.3 Gbit`, from gigabits.
#[must_use]
pub fn gigabits(value: f64) -> String {
    if value >= 1.0 {
        format!("{value:.1} Gbit")
    } else {
        format!("{:.0} Mbit", value * 1e3)
    }
}

/// Bytes with a binary unit: `12.3 MiB`.
#[must_use]
pub fn bytes(value: u64) -> String {
    let units = [("GiB", 1_u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    units
        .into_iter()
        .find(|(_, unit)| value >= *unit)
        .map_or_else(
            || format!("{value} B"),
            |(name, unit)| format!("{:.1} {name}", value as f64 / unit as f64),
        )
}

/// A ratio with a sign that says so: `0.83×`.
#[must_use]
pub fn ratio(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}×"))
}

/// A ratio as the change that it is: `+12.3 %`.
#[must_use]
pub fn change(ratio: f64) -> String {
    let percent = (ratio - 1.0) * 100.0;
    // Without this a tiny decrease would read -0.0.
    let percent = if percent.abs() < 0.05 { 0.0 } else { percent };
    format!("{percent:+.1} %")
}

/// A share, with as many digits as it needs: `5 %`, `3.1 %`.
#[must_use]
pub fn percent(share: f64) -> String {
    let rounded = format!("{:.1}", share * 100.0);
    format!("{} %", rounded.trim_end_matches(".0"))
}

/// A share that may be far below a percent: `0 %`, `0.003 %`, `12.5 %`.
#[must_use]
pub fn percent_exact(share: f64) -> String {
    let percent = share * 100.0;
    if percent == 0.0 || percent >= 10.0 {
        return self::percent(share);
    }
    // Two digits that are not zero.
    let digits = (1.0 - percent.log10().floor()).clamp(1.0, 6.0) as usize;
    let rounded = format!("{percent:.digits$}");
    let short = rounded.trim_end_matches('0').trim_end_matches('.');
    format!("{short} %")
}

/// A probability: `0.002`, `<0.001`.
#[must_use]
pub fn p_value(p: f64) -> String {
    if p < 0.001 {
        "<0.001".to_owned()
    } else {
        format!("{p:.3}")
    }
}

/// The first of many texts, and how many more there are.
#[must_use]
pub fn first_few(texts: &[String], few: usize) -> Vec<String> {
    let mut shown: Vec<String> = texts.iter().take(few).cloned().collect();
    if texts.len() > few {
        shown.push(format!("and {} more", texts.len() - few));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(micros(71.34), "71.3 µs");
        assert_eq!(micros(712.3), "712 µs");
        assert_eq!(micros(2_400.0), "2.40 ms");
        assert_eq!(micros(24_000.0), "24.0 ms");
        assert_eq!(micros(1_200_000.0), "1.20 s");
        assert_eq!(signed_micros(Some(-3.0)), "-3.0 µs");
        assert_eq!(signed_micros(Some(3.0)), "+3.0 µs");
        assert_eq!(
            [0, 12, 999, 1_000, 117_496, 1_000_000].map(count),
            ["0", "12", "999", "1,000", "117,496", "1,000,000"]
        );
        assert_eq!(bytes(512), "512 B");
        assert_eq!(bytes(12 << 20), "12.0 MiB");
        assert_eq!(
            [1.123, 0.9, 0.9999].map(change),
            ["+12.3 %", "-10.0 %", "+0.0 %"]
        );
        assert_eq!([0.05, 0.031, 0.1].map(percent), ["5 %", "3.1 %", "10 %"]);
        assert_eq!(
            [0.0, 0.000_034, 0.01, 0.0123, 0.5].map(percent_exact),
            ["0 %", "0.0034 %", "1 %", "1.2 %", "50 %"]
        );
        assert_eq!([0.04, 0.00002].map(p_value), ["0.040", "<0.001"]);
    }
}
