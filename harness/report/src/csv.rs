//! Every slice of every load client's time as a row of comma-separated values (RFC 4180),
//! for spreadsheets and data frames.

use crate::compare::design::Arm;
use crate::run::RunFile;

/// The columns. Times count from the start of the run.
const HEAD: &str = "scenario,round,subject,arm,offered_rate,load,time_s,length_s,warmup,\
sent,answered,failed,p50_us,p99_us,max_us\r\n";

/// The table: a head, and a row for each slice in the order of the blocks. What is not
/// known is an empty field.
#[must_use]
pub fn render(run: &RunFile) -> String {
    let mut out = HEAD.to_owned();
    for scenario in &run.scenarios {
        for block in &scenario.blocks {
            for load in &block.loads {
                let Some(record) = &load.record else { continue };
                for interval in &record.intervals {
                    let since_start = interval.start_mono_ns.saturating_sub(run.started_mono_ns);
                    let fields = [
                        quote(&scenario.header.name),
                        block.round.to_string(),
                        quote(&block.subject),
                        block.arm.map(arm).unwrap_or_default().to_owned(),
                        figure(block.rate.or(record.target_rate)),
                        quote(&load.name),
                        format!("{:.6}", since_start as f64 / 1e9),
                        interval.length_s.to_string(),
                        interval.warmup.to_string(),
                        interval.sent.to_string(),
                        interval.answered.to_string(),
                        interval.failed.to_string(),
                        figure(interval.p50_us),
                        figure(interval.p99_us),
                        figure(interval.max_us),
                    ];
                    out.push_str(&fields.join(","));
                    out.push_str("\r\n");
                }
            }
        }
    }
    out
}

fn arm(arm: Arm) -> &'static str {
    match arm {
        Arm::Baseline => "baseline",
        Arm::Candidate => "candidate",
        Arm::NoiseFirst => "noise_first",
        Arm::NoiseSecond => "noise_second",
        Arm::Anchor => "anchor",
    }
}

fn figure(value: Option<f64>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

/// A field: in quotes if anything in it would end it.
fn quote(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fixtures::{Story, load_record};

    /// The fields of one record of RFC 4180, as its grammar says.
    fn fields(text: &str) -> Vec<String> {
        let mut fields = vec![String::new()];
        let mut is_quoted = false;
        let mut rest = text.chars().peekable();
        while let Some(c) = rest.next() {
            let last = fields.last_mut().unwrap();
            match c {
                '"' if is_quoted && rest.peek() == Some(&'"') => {
                    last.push('"');
                    rest.next();
                }
                '"' => is_quoted = !is_quoted,
                ',' if !is_quoted => fields.push(String::new()),
                c => last.push(c),
            }
        }
        fields
    }

    #[test]
    fn a_row_for_each_slice() {
        let story = Story::new(Vec::new()).block("cmd:x \"a,b\" {listen} {forward}");
        let run = RunFile::from_events(&story.load(load_record(100, 90)).end().0);
        let table = render(&run);
        let rows: Vec<Vec<String>> = table.trim_end().split("\r\n").map(fields).collect();
        assert_eq!(rows.len(), 11);
        assert!(rows.iter().all(|row| row.len() == 15), "{table}");
        let row = rows[2].join("|");
        assert_eq!(
            row,
            "made-up|1|cmd:x \"a,b\" {listen} {forward}||20000|load|0.200000|0.1|false|2000|2000|0|||"
        );
    }

    proptest! {
        #[test]
        fn every_text_comes_back(texts in proptest::collection::vec("[a,\"\r\n é]{0,6}", 1..5)) {
            let line: Vec<String> = texts.iter().map(|text| quote(text)).collect();
            prop_assert_eq!(fields(&line.join(",")), texts);
        }
    }
}
