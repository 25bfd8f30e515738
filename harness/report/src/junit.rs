//! JUnit XML: one test case for each expectation.

use crate::run::RunFile;
use crate::verdict::Outcome;

/// The document.
#[must_use]
pub fn render(run: &RunFile) -> String {
    let mut out =
        String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"harness\">\n");
    for scenario in &run.scenarios {
        let count = |outcome| {
            scenario
                .verdicts
                .iter()
                .filter(|v| v.outcome == outcome)
                .count()
        };
        let name = escape(&scenario.header.name);
        out.push_str(&format!(
            "  <testsuite name=\"{name}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\">\n",
            scenario.verdicts.len(),
            count(Outcome::Fail),
            usize::from(scenario.problem.is_some()),
            count(Outcome::Inconclusive),
        ));
        for verdict in &scenario.verdicts {
            let evidence = escape(&verdict.evidence);
            let case = format!(
                "    <testcase classname=\"{name}\" name=\"{}\"",
                escape(&verdict.expectation)
            );
            out.push_str(&match verdict.outcome {
                Outcome::Pass => format!("{case}/>\n"),
                Outcome::Fail => format!("{case}><failure message=\"{evidence}\"/></testcase>\n"),
                Outcome::Inconclusive => {
                    format!("{case}><skipped message=\"{evidence}\"/></testcase>\n")
                }
            });
        }
        if let Some(problem) = &scenario.problem {
            out.push_str(&format!(
                "    <system-err>{}</system-err>\n",
                escape(problem)
            ));
        }
        out.push_str("  </testsuite>\n");
    }
    out.push_str("</testsuites>\n");
    out
}

/// What XML text and attributes may hold. Characters that XML cannot hold at all, as a
/// dying process may print them, become a replacement character.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\r' | '\t' => out.push(' '),
            c if c < ' ' || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_breaks_the_document() {
        assert_eq!(
            escape("a<b & \"c\"\n\u{1}"),
            "a&lt;b &amp; &quot;c&quot; \u{fffd}"
        );
    }
}
