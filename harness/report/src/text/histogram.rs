//! Distributions drawn with block characters, side by side on one logarithmic scale.

use hdrhistogram::Histogram;

use super::{number, shortened};

/// Rows of a drawing: enough to see a second hump, few enough for one screen.
const ROWS: usize = 14;

/// Width of a full bar.
const BAR: usize = 34;

/// Share of the samples below and above which the scale need not reach. What lies
/// outside is drawn in the outermost rows.
const OUTSIDE: f64 = 0.001;

/// Draws the histograms below their names. Empty ones are left out.
#[must_use]
pub fn draw(named: &[(String, Histogram<u64>)]) -> String {
    let named: Vec<_> = named
        .iter()
        .filter(|(_, histogram)| !histogram.is_empty())
        .collect();
    let low = named
        .iter()
        .map(|(_, h)| h.value_at_quantile(OUTSIDE))
        .min();
    let high = named
        .iter()
        .map(|(_, h)| h.value_at_quantile(1.0 - OUTSIDE))
        .max();
    let (Some(low), Some(high)) = (low, high) else {
        return String::new();
    };
    let edges = edges(low.max(1), high.max(low + 1));
    let shares: Vec<Vec<f64>> = named
        .iter()
        .map(|(_, histogram)| shares(histogram, &edges))
        .collect();
    let tallest = shares
        .iter()
        .flatten()
        .copied()
        .fold(f64::MIN_POSITIVE, f64::max);

    let mut out = format!("  {:>19}", "response time");
    for (name, _) in &named {
        let name = shortened(name, BAR + 6);
        out.push_str(&format!("  {name:<width$}", width = BAR + 7));
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    for row in 0..ROWS {
        let range = format!("{} … {}", micros(edges[row]), micros(edges[row + 1]));
        let mut line = format!("  {range:>19}");
        for column in &shares {
            line.push_str(&format!(
                "  {:<BAR$} {:>6}",
                bar(column[row] / tallest),
                percent(column[row])
            ));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

fn micros(nanos: f64) -> String {
    number::micros(nanos / 1e3)
}

/// Bounds of the rows, evenly spaced on a logarithmic scale.
fn edges(low: u64, high: u64) -> Vec<f64> {
    let (low, high) = (low as f64, high as f64 * 1.001);
    (0..=ROWS)
        .map(|at| low * (high / low).powf(at as f64 / ROWS as f64))
        .collect()
}

/// The share of the samples in each row.
fn shares(histogram: &Histogram<u64>, edges: &[f64]) -> Vec<f64> {
    let mut counts = [0_u64; ROWS];
    for value in histogram.iter_recorded() {
        let nanos = value.value_iterated_to() as f64;
        let row = edges[1..ROWS]
            .iter()
            .take_while(|edge| nanos >= **edge)
            .count();
        counts[row] += value.count_since_last_iteration();
    }
    counts
        .iter()
        .map(|count| *count as f64 / histogram.len() as f64)
        .collect()
}

/// A bar of eighths.
fn bar(share: f64) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (share * BAR as f64 * 8.0).round() as usize;
    let eighths = if share > 0.0 { eighths.max(1) } else { 0 };
    format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8])
}

fn percent(share: f64) -> String {
    match share {
        0.0 => String::new(),
        share if share < 0.0005 => "<0.1 %".to_owned(),
        share => format!("{:.1} %", share * 100.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(values: &[(u64, u64)]) -> Histogram<u64> {
        let mut histogram = Histogram::new_with_bounds(1, 3_600_000_000_000, 3).unwrap();
        for (nanos, count) in values {
            histogram.record_n(*nanos, *count).unwrap();
        }
        histogram
    }

    #[test]
    fn every_sample_is_in_one_row() {
        let one = histogram(&[(10_000, 90), (20_000, 9), (90_000_000, 1)]);
        let edges = edges(10_000, 100_000);
        let shares = shares(&one, &edges);
        assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        assert!((shares[0] - 0.9).abs() < 1e-9);
        assert!(
            (shares[ROWS - 1] - 0.01).abs() < 1e-9,
            "what lies above is in the last row"
        );
    }

    #[test]
    fn a_drawing_has_a_row_for_each_step_and_a_bar_for_each_name() {
        let named = vec![
            (
                "direct".to_owned(),
                histogram(&[(10_000, 900), (15_000, 100)]),
            ),
            ("proxy".to_owned(), histogram(&[(30_000, 1_000)])),
            ("nothing".to_owned(), histogram(&[])),
        ];
        let drawn = draw(&named);
        assert_eq!(drawn.lines().count(), ROWS + 1);
        assert!(
            drawn.starts_with("        response time  direct"),
            "{drawn}"
        );
        assert!(!drawn.contains("nothing"));
        assert!(
            drawn.contains(&"█".repeat(BAR)),
            "the tallest row has a full bar:\n{drawn}"
        );
        assert!(
            drawn.contains("100.0 %") && drawn.contains("10.0 %"),
            "{drawn}"
        );
        assert_eq!(draw(&[]), "");
    }

    #[test]
    fn the_least_share_is_still_seen() {
        assert_eq!(bar(0.0), "");
        assert_eq!(bar(1e-9), "▏");
        assert_eq!(bar(1.0), "█".repeat(BAR));
    }
}
