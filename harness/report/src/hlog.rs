//! The response times of every slice as a HdrHistogram interval log (format 1.3), which
//! `HistogramLogReader` and its relatives in other languages read.
//!
//! Each line is tagged `scenario.subject.load`, as the percentile distributions are named.
//! Slices of the warm-up are left out: not every reader knows tags, and one that does not
//! would add them to the rest.

use crate::figures::decode;
use crate::run::RunFile;
use crate::tag::Tags;

/// The log. Times count from the start of the run, in order.
#[must_use]
pub fn render(run: &RunFile) -> String {
    let mut lines: Vec<(u64, String)> = Vec::new();
    let tags = Tags::of(run);
    for (number, scenario) in run.scenarios.iter().enumerate() {
        for block in &scenario.blocks {
            for load in &block.loads {
                let tag = tags.get(number, &block.subject, &load.name);
                let (Some(record), Some(tag)) = (&load.record, tag) else {
                    continue;
                };
                for interval in record.intervals.iter().filter(|slice| !slice.warmup) {
                    let Some(histogram) = decode(&interval.response) else {
                        continue;
                    };
                    let start = interval.start_mono_ns.saturating_sub(run.started_mono_ns);
                    let line = format!(
                        "Tag={tag},{:.3},{:.3},{:.3},{}\n",
                        start as f64 / 1e9,
                        interval.length_s,
                        histogram.max() as f64 / 1e6,
                        interval.response
                    );
                    lines.push((start, line));
                }
            }
        }
    }
    // Readers stop at the first time that lies behind what they look for.
    lines.sort_by_key(|(start, _)| *start);
    let started = run.header.started_unix_ms as f64 / 1e3;
    let version = &run.header.version;
    let mut out = format!(
        "#[Logged by harness {version}; response times in nanoseconds, largest in milliseconds]\n\
         #[Histogram log format version 1.3]\n\
         #[StartTime: {started:.3} (seconds since epoch), of run {}]\n\
         #[BaseTime: {started:.3} (seconds since epoch)]\n\
         \"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n",
        run.header.id.replace(['\n', '\r'], " ")
    );
    out.extend(lines.into_iter().map(|(_, line)| line));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{Story, load_record};

    #[test]
    fn slices_are_in_order_and_tagged() {
        let mut later = load_record(500, 90);
        later.intervals[0].warmup = true;
        let story = Story::new(Vec::new())
            .block("./a,b")
            .load(later)
            .block("direct")
            .load(load_record(100, 70));
        let log = render(&RunFile::from_events(&story.end().0));
        let lines: Vec<&str> = log.lines().filter(|l| l.starts_with("Tag=")).collect();
        assert_eq!(lines.len(), 19, "the warm-up is left out");
        assert!(
            lines[0].starts_with("Tag=made-up.direct.load,0.100,0.100,0.070,HISTF"),
            "{}",
            lines[0]
        );
        assert!(
            lines[18].starts_with("Tag=made-up.a-b.load,1.400,0.100,0.090,HISTF"),
            "{}",
            lines[18]
        );
        assert!(log.contains("\n#[Histogram log format version 1.3]\n"));
    }
}
