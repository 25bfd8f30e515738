//! Percentile distributions as HdrHistogram writes them (`.hgrm`): what
//! `outputPercentileDistribution` of the Java library prints and its plotter reads.

use hdrhistogram::Histogram;

use crate::figures::decode;
use crate::run::RunFile;
use crate::tag::Tags;

/// Values are written in milliseconds, as plotters take them to be.
const NS_PER_MS: f64 = 1e6;

/// Lines for each halving of the distance to 100 %, as in the Java library.
const TICKS_PER_HALF_DISTANCE: u32 = 5;

/// One distribution, and what its file is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// `scenario.subject.load.hgrm`, with nothing in it that a file system would mind.
    pub name: String,
    /// The distribution.
    pub text: String,
}

/// The response times of every load against every subject in every scenario.
#[must_use]
pub fn render(run: &RunFile) -> Vec<File> {
    let mut files: Vec<File> = Vec::new();
    let tags = Tags::of(run);
    for (number, scenario) in run.scenarios.iter().enumerate() {
        for figures in &scenario.figures {
            let histogram = decode(&figures.response_histogram);
            let histogram = histogram.filter(|histogram| !histogram.is_empty());
            // Figures are those of blocks, so they have a tag.
            let tag = tags.get(number, &figures.subject, &figures.load);
            if let (Some(histogram), Some(tag)) = (histogram, tag) {
                files.push(File {
                    name: format!("{tag}.hgrm"),
                    text: distribution(&histogram),
                });
            }
        }
    }
    files
}

fn distribution(histogram: &Histogram<u64>) -> String {
    let mut out = format!(
        "{:>12} {:>14} {:>10} {:>14}\n\n",
        "Value", "Percentile", "TotalCount", "1/(1-Percentile)"
    );
    let mut seen = 0;
    for step in histogram.iter_quantiles(TICKS_PER_HALF_DISTANCE) {
        let value = step.value_iterated_to() as f64 / NS_PER_MS;
        let quantile = step.quantile_iterated_to();
        seen += step.count_since_last_iteration();
        out.push_str(&format!("{value:12.6} {quantile:2.12} {seen:10}"));
        // The last line has no distance left to tell.
        if quantile < 1.0 {
            out.push_str(&format!(" {:14.2}", 1.0 / (1.0 - quantile)));
        }
        out.push('\n');
    }
    let (mean, deviation) = (histogram.mean() / NS_PER_MS, histogram.stdev() / NS_PER_MS);
    let max = histogram.max() as f64 / NS_PER_MS;
    out.push_str(&format!(
        "#[Mean    = {mean:12.6}, StdDeviation   = {deviation:12.6}]\n\
         #[Max     = {max:12.6}, Total count    = {:12}]\n\
         #[Buckets = {:12}, SubBuckets     = {:12}]\n",
        histogram.len(),
        histogram.buckets(),
        sub_buckets(histogram.sigfig()),
    ));
    out
}

/// Linear steps within one power of two: enough for that many digits, a power of two
/// itself (Gil Tene's HdrHistogram).
fn sub_buckets(digits: u8) -> u64 {
    (2 * 10_u64.pow(u32::from(digits))).next_power_of_two()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distribution_reads_as_the_java_librarys() {
        let mut histogram = Histogram::<u64>::new_with_bounds(1, 3_600_000_000_000, 3).unwrap();
        histogram.record_n(1_000_000, 90).unwrap();
        histogram.record_n(9_000_000, 10).unwrap();
        let text = distribution(&histogram);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[0],
            "       Value     Percentile TotalCount 1/(1-Percentile)"
        );
        assert_eq!(lines[1], "");
        assert_eq!(
            lines[2],
            "    1.000447 0.000000000000         90           1.00"
        );
        let last = lines.iter().rfind(|line| !line.starts_with('#')).unwrap();
        assert_eq!(*last, "    9.003007 1.000000000000        100");
        assert!(
            lines[lines.len() - 3].starts_with("#[Mean    =     1.80"),
            "{text}"
        );
        assert!(lines[lines.len() - 2].ends_with("Total count    =          100]"));
        assert!(lines[lines.len() - 1].ends_with("SubBuckets     =         2048]"));
    }
}
