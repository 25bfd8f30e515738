//! Histograms as every part of a run uses them: nanoseconds, 3 significant digits, from
//! 1 ns to 1 h, all memory taken at once so that recording never allocates.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::serialization::{Deserializer, Serializer, V2DeflateSerializer};

use crate::record::Percentiles;

/// A histogram of nanoseconds.
pub type Histogram = hdrhistogram::Histogram<u64>;

/// Longest time that is told from longer ones: 1 h.
const HIGHEST_NS: u64 = 3_600_000_000_000;

/// Fewest samples for a p99.9: ten beyond it.
pub const P99_9_SAMPLES: u64 = 10_000;

/// An empty histogram.
#[must_use]
pub fn empty() -> Histogram {
    Histogram::new_with_bounds(1, HIGHEST_NS, 3).expect("the bounds are constants that fit")
}

/// The percentiles that reports show, in microseconds.
#[must_use]
pub fn percentiles(histogram: &Histogram) -> Percentiles {
    if histogram.is_empty() {
        return Percentiles::default();
    }
    let at = |quantile| Some(us(histogram.value_at_quantile(quantile)));
    Percentiles {
        count: histogram.len(),
        p50: at(0.5),
        p90: at(0.9),
        p99: at(0.99),
        p99_9: at(0.999).filter(|_| histogram.len() >= P99_9_SAMPLES),
        max: Some(us(histogram.max())),
        mean: Some((histogram.mean()).round() / 1e3),
    }
}

fn us(nanos: u64) -> f64 {
    nanos as f64 / 1e3
}

/// The histogram as HdrHistogram V2 with deflate, base64: `HISTF…`.
#[must_use]
pub fn encode(histogram: &Histogram) -> String {
    let mut bytes = Vec::new();
    V2DeflateSerializer::new()
        .serialize(histogram, &mut bytes)
        .expect("a histogram of these bounds can be written to memory");
    STANDARD.encode(bytes)
}

/// Reads back what [`encode`], or another implementation, wrote.
#[must_use]
pub fn decode(text: &str) -> Option<Histogram> {
    let bytes = STANDARD.decode(text).ok()?;
    Deserializer::new().deserialize(&mut bytes.as_slice()).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn p99_9_needs_ten_samples_beyond_it() {
        let mut histogram = empty();
        assert_eq!(percentiles(&histogram), Percentiles::default());
        histogram.record_n(1_500, P99_9_SAMPLES - 1).unwrap();
        assert_eq!(percentiles(&histogram).p99_9, None);
        histogram.record(1_500).unwrap();
        assert!((percentiles(&histogram).p99_9.unwrap() - 1.5).abs() < 0.002);
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(values in proptest::collection::vec(0..HIGHEST_NS, 0..200)) {
            let mut histogram = empty();
            for value in values {
                histogram.saturating_record(value);
            }
            let text = encode(&histogram);
            prop_assert!(text.starts_with("HISTF"), "{}", text);
            prop_assert_eq!(decode(&text).unwrap(), histogram);
        }
    }
}
