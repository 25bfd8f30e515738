//! `harness list`.

use std::collections::BTreeSet;
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::{show, usage};
use crate::scenario::builtin;
use crate::scenario::suite::Suite;

/// List the built-in scenarios, or print one as a start for your own
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct List {
    /// Print this scenario's TOML instead
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  harness list
  harness run --suite chaos
  harness list crash-shield > mine.toml && harness run mine.toml";

pub(super) fn execute(list: &List) -> ExitCode {
    match &list.name {
        None => show(&listed()),
        Some(name) => match builtin::SOURCES.iter().find(|(known, _)| known == name) {
            Some((_, source)) => show(source),
            None => {
                let known: Vec<&str> = builtin::SOURCES.iter().map(|(name, _)| *name).collect();
                usage(&format!(
                    "unknown scenario {name:?}; accepted: {}",
                    known.join(", ")
                ))
            }
        },
    }
}

/// What a suite is, as its help says.
fn said_of(suite: Suite) -> String {
    let value = suite.to_possible_value();
    let help = value.and_then(|value| value.get_help().map(ToString::to_string));
    help.unwrap_or_default()
}

/// All of them, each below what it is about.
fn listed() -> String {
    let scenarios = builtin::all();
    let width = scenarios.iter().map(|scenario| scenario.name.len()).max();
    let width = width.unwrap_or(0);
    let mut groups: Vec<&str> = Vec::new();
    for scenario in &scenarios {
        let group = builtin::group(scenario);
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    let mut out = String::from("suites, to be run with --suite NAME\n");
    for suite in Suite::value_variants() {
        let (flag, about) = (format!("--suite {}", suite.word()), said_of(*suite));
        let all = suite.scenarios(None);
        let modes: BTreeSet<&str> = all.iter().map(|one| one.proxy.mode.word()).collect();
        let modes: Vec<&str> = modes.into_iter().collect();
        let (count, modes) = (all.len(), modes.join(", "));
        out.push_str(&format!(
            "  {flag:width$}  {about}: {count} in modes {modes}\n"
        ));
    }
    for group in groups {
        out.push_str(&format!("{group}\n"));
        let of_group = scenarios.iter().filter(|one| builtin::group(one) == group);
        for scenario in of_group {
            let (name, about) = (&scenario.name, &scenario.description);
            out.push_str(&format!("  {name:width$}  {about}\n"));
        }
    }
    out
}
