//! Reading a scenario, and saying what is wrong with it: `file:line: key: reason`.

use std::path::Path;

use report::event::Role;
use report::expect::{Expectation, Fate, Origin};
use toml::Value;

use super::source::Source;
use super::{Expect, Scenario};

/// What is wrong with a scenario.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// It cannot be read.
    #[error("cannot read {path}: {reason}")]
    Unreadable {
        /// The file.
        path: String,
        /// What the system said.
        reason: String,
    },
    /// Something in it.
    #[error("{file}:{line}: {reason}")]
    Wrong {
        /// The file.
        file: String,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong, and what is accepted.
        reason: String,
    },
}

/// A scenario file is written by hand; what is larger is something else.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// What the schema has room for and nothing stands behind yet.
const NOT_BUILT: [&str; 2] = ["link", "fault"];

/// Reads a scenario from a file.
///
/// # Errors
/// What is wrong, by file, line and key.
pub fn file(path: &Path) -> Result<Scenario, ScenarioError> {
    let unreadable = |reason: String| ScenarioError::Unreadable {
        path: path.display().to_string(),
        reason,
    };
    let size = std::fs::metadata(path)
        .map_err(|error| unreadable(error.to_string()))?
        .len();
    if size > MAX_FILE_BYTES {
        return Err(unreadable(format!(
            "{size} bytes are more than a scenario has ({MAX_FILE_BYTES})"
        )));
    }
    let source = std::fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
    text(&source, &path.display().to_string())
}

/// Reads a scenario from `source`; `file` is what errors call it.
///
/// # Errors
/// What is wrong, by file, line and key.
pub fn text(source: &str, file: &str) -> Result<Scenario, ScenarioError> {
    let source = Source { text: source, file };
    refuse_what_is_not_built(&source)?;
    let mut scenario: Scenario =
        toml::from_str(source.text).map_err(|error| source.explain(&error))?;
    source.check(&scenario)?;
    for (at, expect) in scenario.expect.iter().enumerate() {
        let line = source.line_of_table("expect", at);
        let expectation = expectation(expect).map_err(|(key, reason)| {
            source.wrong(
                source.line_of_key_below(line, key),
                format!("{key}: {reason}"),
            )
        })?;
        scenario.expectations.push(expectation);
    }
    Ok(scenario)
}

/// `[[link]]` and the like are refused by name, not as unknown.
fn refuse_what_is_not_built(source: &Source<'_>) -> Result<(), ScenarioError> {
    let table: toml::Table = source
        .text
        .parse()
        .map_err(|error| source.explain(&error))?;
    for name in NOT_BUILT {
        if table.contains_key(name) {
            let line = source.line_of_table(name, 0);
            return Err(source.wrong(line, format!("[[{name}]] is not built yet")));
        }
    }
    if let Some(Value::Array(upstreams)) = table.get("upstream")
        && upstreams.len() > 1
    {
        let line = source.line_of_table("upstream", 1);
        return Err(source.wrong(
            line,
            "a second [[upstream]] is not built yet: mode \"foo\" has one".to_owned(),
        ));
    }
    Ok(())
}

/// One `[[expect]]`, or the key that is wrong and why.
fn expectation(expect: &Expect) -> Result<Expectation, (&'static str, String)> {
    if let Some(phase) = expect.phase.as_deref().filter(|phase| *phase != "all") {
        return Err((
            "phase",
            format!("{phase:?} is not built yet; accepted: \"all\""),
        ));
    }
    let fate = |key: &'static str, role: Role, word: &str| {
        let fate: Fate = word.parse().map_err(|error| (key, format!("{error}")))?;
        if fate != Fate::Dies && (expect.signal.is_some() || expect.code.is_some()) {
            let key = if expect.signal.is_some() {
                "signal"
            } else {
                "code"
            };
            return Err((key, "belongs to \"dies\" only".to_owned()));
        }
        Ok(Expectation::fate(
            role,
            fate,
            expect.signal.clone(),
            expect.code,
            Origin::Scenario,
        ))
    };
    match (
        &expect.upstream,
        &expect.proxy,
        &expect.load,
        expect.counts.as_deref(),
    ) {
        (Some(word), None, None, None) => fate("upstream", Role::Upstream, word),
        (None, Some(word), None, None) => fate("proxy", Role::Proxy, word),
        (None, None, Some(text), None) => {
            Expectation::load(text, expect.client.clone(), Origin::Scenario)
                .map_err(|error| ("load", error.to_string()))
        }
        (None, None, None, Some("reconcile")) => Ok(Expectation::reconcile(Origin::Scenario)),
        (None, None, None, Some(other)) => {
            Err(("counts", format!("expected \"reconcile\", got {other:?}")))
        }
        _ => Err((
            "expect",
            "expected exactly one of upstream, proxy, load and counts".to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOAD: &str = "[[load]]\nrate = \"1k/s\"\n";

    fn error(source: &str) -> String {
        text(source, "s.toml").unwrap_err().to_string()
    }

    #[test]
    fn what_is_wrong_is_named_by_file_line_and_key() {
        let cases = [
            (
                "name = \"a\"\nnaem = 1\n".to_owned(),
                "s.toml:2: unknown key \"naem\"; accepted: name, description",
            ),
            (
                format!("name = \"a\"\n{LOAD}conections = 3\n"),
                "s.toml:4: unknown key \"conections\"; accepted: name, target",
            ),
            (
                "name = \"a\"\n[[load]]\nrate = \"fast\"\n".to_owned(),
                "s.toml:3: rate: expected a rate per second",
            ),
            (
                format!("name = \"a\"\n{LOAD}duration = \"3 parsecs\"\n"),
                "s.toml:4: duration: expected a duration",
            ),
            (
                format!("name = \"a\"\n{LOAD}target = \"moon\"\n"),
                "s.toml:4: target: unknown value \"moon\"; accepted: proxy",
            ),
            (
                format!("name = \"a\"\n{LOAD}pipeline = 0\n"),
                "s.toml:4: pipeline: expected more than 0",
            ),
            (
                format!("name = \"a\"\n{LOAD}interval = \"1ms\"\n"),
                "s.toml:4: interval: expected at least 10ms",
            ),
            (
                format!("name = \"a\"\n{LOAD}closed = true\n"),
                "s.toml:3: rate: expected a rate such as",
            ),
            (
                format!("name = \"a b\"\n{LOAD}"),
                "s.toml:1: name: expected letters",
            ),
            (
                format!("name = \"a\"\n{LOAD}[[link]]\n"),
                "s.toml:4: [[link]] is not built yet",
            ),
            (
                format!("name = \"a\"\n{LOAD}[[fault]]\nkind = \"x\"\n"),
                "s.toml:4: [[fault]] is not built yet",
            ),
            (
                format!("name = \"a\"\n{LOAD}[[upstream]]\n[[upstream]]\n"),
                "s.toml:5: a second [[upstream]]",
            ),
            (
                format!("name = \"a\"\n{LOAD}[[upstream]]\ndefects = [\"explode\"]\n"),
                "s.toml:5: defects: ",
            ),
            (
                format!("name = \"a\"\n{LOAD}[proxy]\ndescriptor = \"no such thing\"\n"),
                "s.toml:5: descriptor: ",
            ),
            (
                format!("name = \"a\"\n{LOAD}[[expect]]\nload = \"p98 < 2ms\"\n"),
                "s.toml:5: load: unknown metric \"p98\"",
            ),
            (
                format!("name = \"a\"\n{LOAD}[[expect]]\nupstream = \"explodes\"\n"),
                "s.toml:5: upstream: unknown fate",
            ),
            (
                format!("name = \"a\"\n{LOAD}[[expect]]\nupstream = \"dies\"\nphase = \"fault\"\n"),
                "s.toml:6: phase: \"fault\" is not built yet",
            ),
            (
                format!("name = \"a\"\n{LOAD}[[expect]]\nupstream = \"dies\"\nproxy = \"dies\"\n"),
                "s.toml:4: expect: expected exactly one",
            ),
            (
                format!("name = \"a\"\n{LOAD}[[expect]]\nload = \"valid\"\nclient = \"x\"\n"),
                "s.toml:6: client: there is no load \"x\"; accepted: load",
            ),
            (
                "name = \"a\"\n".to_owned(),
                "s.toml:1: expected at least one [[load]] or [[fuzz]]",
            ),
            ("description = \"a\"\n".to_owned(), "missing key \"name\""),
            ("name = \n".to_owned(), "s.toml:1: name: "),
        ];
        for (source, says) in cases {
            let said = error(&source);
            assert!(
                said.contains(says),
                "{source}\nsaid {said}\ninstead of {says}"
            );
            assert_eq!(said.lines().count(), 1, "{said}");
        }
    }

    #[test]
    fn defaults_are_filled_in() {
        let scenario = text(&format!("name = \"a\"\n{LOAD}"), "s.toml").unwrap();
        assert_eq!(scenario.rounds, 1);
        assert_eq!(scenario.proxy.descriptor, "builtin");
        assert_eq!(scenario.load[0].connections, 32);
    }

    #[test]
    fn a_scenario_survives_being_written() {
        for builtin in super::super::builtin::all() {
            let written = toml::to_string(&builtin).unwrap();
            let mut back = text(&written, "s.toml").unwrap();
            assert_eq!(back.expectations.len(), builtin.expectations.len());
            back.expectations.clone_from(&builtin.expectations);
            assert_eq!(back, builtin, "{written}");
        }
    }
}
