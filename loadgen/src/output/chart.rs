//! A histogram drawn with characters.

use std::fmt::Write as _;

use crate::histograms::Histogram;

/// Rows of a chart: as many as fit beside a table on a screen.
const ROWS: usize = 14;

/// Characters of the longest bar.
const WIDTH: usize = 50;

/// Draws `histogram` as horizontal bars over ranges that grow by a constant factor.
/// What lies beyond the 99.9th percentile is one row, so that a single late answer does
/// not squeeze all others into one.
pub(crate) fn draw(histogram: &Histogram) -> String {
    if histogram.is_empty() {
        return "  no samples\n".to_owned();
    }
    let low = histogram.min().max(1) as f64;
    let high = histogram.value_at_quantile(0.999).max(histogram.min() + 1) as f64 * 1.000_001;
    let factor = (high / low).powf(1.0 / ROWS as f64);
    let mut counts = [0_u64; ROWS + 1];
    for value in histogram.iter_recorded() {
        let position = (value.value_iterated_to() as f64 / low).ln() / factor.ln();
        counts[(position.max(0.0) as usize).min(ROWS)] += value.count_at_value();
    }
    let most = counts.iter().copied().max().unwrap_or(1).max(1);
    let mut text = String::new();
    for (row, count) in counts.iter().enumerate() {
        let from = low * factor.powi(row as i32);
        let to = if row < ROWS {
            from * factor
        } else {
            histogram.max() as f64
        };
        if row == ROWS && *count == 0 {
            break;
        }
        let eighths = (u128::from(*count) * WIDTH as u128 * 8 / u128::from(most)) as usize;
        let share = *count as f64 / histogram.len() as f64 * 100.0;
        let range = format!("{} – {}", micros(from), micros(to));
        let line = format!(
            "  {range:>21} µs  {:6.2} %  {}",
            share,
            bar(eighths, *count)
        );
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

/// A bar of `eighths` eighths of a character; something that is there is seen.
fn bar(eighths: usize, count: u64) -> String {
    const PARTS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = if count > 0 { eighths.max(1) } else { 0 };
    format!("{}{}", "█".repeat(eighths / 8), PARTS[eighths % 8])
}

/// Nanoseconds as microseconds, with three digits or more.
pub(crate) fn micros(nanos: f64) -> String {
    let us = nanos / 1e3;
    if us >= 100.0 {
        super::text::grouped(us.round() as u64)
    } else if us >= 10.0 {
        format!("{us:.1}")
    } else {
        format!("{us:.2}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::histograms;

    #[test]
    fn the_longest_bar_is_the_fullest_range_and_the_tail_is_one_row() {
        let mut histogram = histograms::empty();
        for at in 0..10_000_u64 {
            histogram.saturating_record(100_000 + at * 10);
        }
        histogram.saturating_record(1_000_000_000);
        let chart = draw(&histogram);
        assert_eq!(chart.lines().count(), ROWS + 1, "{chart}");
        assert!(
            chart.lines().any(|line| line.ends_with(&"█".repeat(WIDTH))),
            "{chart}"
        );
        let last = chart.lines().last().expect("a row");
        assert!(
            last.contains("– 1,000,") && last.ends_with("%  ▎"),
            "{last}"
        );
        let shares = chart
            .lines()
            .filter_map(|line| line.split(" µs ").nth(1)?.split('%').next());
        let sum: f64 = shares
            .map(|share| share.trim().parse::<f64>().expect(share))
            .sum();
        assert!((sum - 100.0).abs() < 0.2, "{sum}: {chart}");
    }

    #[test]
    fn one_value_and_none_can_be_drawn() {
        let mut histogram = histograms::empty();
        assert_eq!(draw(&histogram), "  no samples\n");
        histogram.saturating_record(0);
        assert!(draw(&histogram).contains("100.00 %"));
    }
}
