//! Reading a scenario, and saying what is wrong with it: `file:line: key: reason`.

use std::path::Path;

use report::expect::Expectation;

use super::Scenario;
use super::demand;
use super::source::Source;
use super::udp;

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
    let mut scenario: Scenario =
        toml::from_str(source.text).map_err(|error| source.explain(&error))?;
    udp::fill_in(&mut scenario, source.text);
    source.check(&scenario)?;
    let mut expectations = Vec::new();
    for (at, expect) in scenario.expect.iter().enumerate() {
        let line = source.line_of_table("expect", at);
        let expectation = demand::expectation(expect, &scenario).map_err(|(key, reason)| {
            source.wrong(
                source.line_of_key_below(line, key),
                format!("{key}: {reason}"),
            )
        })?;
        expectations.push(expectation);
    }
    expectations.extend(scenario.watch.as_ref().map(|_| Expectation::invariants()));
    scenario.expectations = expectations;
    Ok(scenario)
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
                "s.toml:4: unknown key \"conections\"; accepted: name, mode, target",
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
                format!("name = \"a\"\n{LOAD}[[link]]\nname = \"a-b\"\n"),
                "s.toml:5: name: there is no link \"a-b\"; accepted: client-proxy, proxy-upstream",
            ),
            (
                format!("name = \"a\"\n{LOAD}[[fault]]\nkind = \"x\"\n"),
                "s.toml:5: unknown key \"kind\"; accepted: at",
            ),
            (
                format!(
                    "name = \"a\"\n{LOAD}[[fault]]\nat = \"1s\"\nprocess = \"upstream.1\"\naction = \"kill\"\n"
                ),
                "s.toml:6: process: there is no \"upstream.1\"; accepted: upstream, proxy",
            ),
            (
                format!("name = \"a\"\n{LOAD}[[upstream]]\n[[upstream]]\n"),
                "s.toml:5: mode: a proxy of mode \"foo\" has one upstream behind it",
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
                "s.toml:6: phase: unknown value \"fault\"; accepted: all, before",
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
