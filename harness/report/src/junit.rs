//! JUnit XML: one test case for each expectation, and for each metric that is compared.

use crate::compare::{Comparison, Gravity, ScenarioComparison, Word};
use crate::run::RunFile;
use crate::text::{account, compare, faults};
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
            scenario.verdicts.len() + usize::from(scenario.problem.is_some()),
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
            out.push_str(&error(&name, problem));
        }
        let mut lines = faults::lines(scenario);
        lines.extend(account::lines(scenario));
        if !lines.is_empty() {
            let lines = escape(&lines.join("\n"));
            out.push_str(&format!("    <system-out>{lines}</system-out>\n"));
        }
        out.push_str("  </testsuite>\n");
    }
    out.extend(compare::judged(run).map(comparison));
    out.push_str(&of_the_harness(run));
    out.push_str("</testsuites>\n");
    out
}

/// A comparison: a case for each metric that is judged, and one for what became of the
/// requests and processes of each scenario.
fn comparison(comparison: &Comparison) -> String {
    let (candidate, baseline) = (&comparison.candidate, &comparison.baseline);
    let name = escape(&format!("{candidate} beside {baseline}"));
    let cases: Vec<(Gravity, String)> = comparison
        .scenarios
        .iter()
        .flat_map(|scenario| compared(scenario, &name))
        .collect();
    let count = |wanted| {
        cases
            .iter()
            .filter(|(gravity, _)| *gravity == wanted)
            .count()
    };
    let (all, worse, open) = (cases.len(), count(Gravity::Worse), count(Gravity::Open));
    let cases: String = cases.into_iter().map(|(_, case)| case).collect();
    format!(
        "  <testsuite name=\"{name}\" tests=\"{all}\" failures=\"{worse}\" errors=\"0\" skipped=\"{open}\">\n{cases}  </testsuite>\n"
    )
}

fn compared(scenario: &ScenarioComparison, class: &str) -> Vec<(Gravity, String)> {
    let case = |what: &str, gravity: Gravity, said: &str| {
        let (name, said) = (
            escape(&format!("{}: {what}", scenario.scenario)),
            escape(said),
        );
        let case = format!("    <testcase classname=\"{class}\" name=\"{name}\"");
        let case = match gravity {
            Gravity::Fine => format!("{case}/>\n"),
            Gravity::Worse => format!("{case}><failure message=\"{said}\"/></testcase>\n"),
            Gravity::Open => format!("{case}><skipped message=\"{said}\"/></testcase>\n"),
        };
        (gravity, case)
    };
    let judged = scenario.metrics.iter().filter(|metric| metric.is_judged);
    let mut cases: Vec<_> = judged
        .map(|metric| {
            let row = compare::row(metric);
            let columns = compare::HEAD.iter().zip(&row).skip(1);
            let said: Vec<String> = columns
                .map(|(what, cell)| format!("{what} {cell}"))
                .collect();
            let said = format!("{}: {}", metric.word.text(), said.join(", "));
            case(&row[0], metric.word.gravity(), &said)
        })
        .collect();
    if cases.is_empty() && scenario.word == Word::Invalid {
        cases.push(case("figures", Gravity::Open, &scenario.why));
    }
    let conduct = match scenario.word {
        Word::Crashed | Word::WorseIntegrity => Gravity::Worse,
        _ => Gravity::Fine,
    };
    cases.push(case("requests and processes", conduct, &scenario.why));
    cases
}

/// What went wrong outside of any scenario: a run that the harness could not finish must
/// not look like a good one.
fn of_the_harness(run: &RunFile) -> String {
    let interruption = run
        .interrupted
        .as_ref()
        .map(|interruption| format!("interrupted by {}", interruption.signal));
    let problems: Vec<&String> = run.failures.iter().chain(&interruption).collect();
    if problems.is_empty() {
        return String::new();
    }
    let count = problems.len();
    let cases: String = problems
        .into_iter()
        .map(|problem| error("harness", problem))
        .collect();
    format!(
        "  <testsuite name=\"harness\" tests=\"{count}\" failures=\"0\" errors=\"{count}\" skipped=\"0\">\n{cases}  </testsuite>\n"
    )
}

/// A test case that could not be carried out; `class` is escaped already.
fn error(class: &str, problem: &str) -> String {
    format!(
        "    <testcase classname=\"{class}\" name=\"harness\"><error message=\"{}\"/></testcase>\n",
        escape(problem)
    )
}

/// What XML text and attributes may hold. Characters that XML cannot hold at all, as a
/// dying process may print them, become a replacement character.
#[must_use]
pub fn escape(text: &str) -> String {
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
    use crate::event::Event;
    use crate::fixtures::Story;

    #[test]
    fn what_the_harness_could_not_do_is_an_error() {
        let story = Story::new(Vec::new())
            .block("builtin")
            .at(
                2_000,
                Event::ScenarioEnded {
                    problem: Some("no port".to_owned()),
                },
            )
            .at(
                2_001,
                Event::HarnessFailed {
                    message: "disk full".to_owned(),
                },
            )
            .at(
                2_002,
                Event::Interrupted {
                    signal: "SIGINT".to_owned(),
                    exit_code: 130,
                },
            );
        let junit = render(&RunFile::from_events(&story.0));
        for message in ["no port", "disk full", "interrupted by SIGINT"] {
            let case = format!("name=\"harness\"><error message=\"{message}\"/></testcase>");
            assert!(junit.contains(&case), "{case} is not in\n{junit}");
        }
        let whole = Story::new(Vec::new()).block("builtin").end();
        let junit = render(&RunFile::from_events(&whole.0));
        assert!(!junit.contains("<error"), "{junit}");
    }

    #[test]
    fn nothing_breaks_the_document() {
        assert_eq!(
            escape("a<b & \"c\"\n\u{1}"),
            "a&lt;b &amp; &quot;c&quot; \u{fffd}"
        );
    }
}
