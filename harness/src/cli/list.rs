//! `harness list`.

use std::process::ExitCode;

use clap::Args;

use super::{show, usage};
use crate::scenario::builtin;

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
  harness list crash-shield > mine.toml && harness run mine.toml";

pub(super) fn execute(list: &List) -> ExitCode {
    match &list.name {
        None => {
            let rows: Vec<Vec<String>> = builtin::all()
                .into_iter()
                .map(|scenario| {
                    let is_quick = builtin::QUICK.contains(&scenario.name.as_str());
                    let mark = if is_quick { "quick" } else { "" };
                    vec![scenario.name, mark.to_owned(), scenario.description]
                })
                .collect();
            show(&report::text::table::render(&rows, &[]))
        }
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
