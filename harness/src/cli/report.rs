//! `harness report`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use report::run::{RunFile, SCHEMA_VERSION};

use super::{print, usage};

/// Show the report of a run file again; the exit code is the run's
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Report {
    /// The run file, or the directory that holds it
    #[arg(value_name = "RUN.json")]
    run: PathBuf,

    /// Show it in this form
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum Format {
    /// For a terminal
    #[default]
    Text,
    /// For a CI job's summary
    Markdown,
    /// For what collects test results
    Junit,
}

const EXAMPLES: &str = "\
Examples:
  harness report .harness/runs/20261121-064512-quick
  harness report run.json --format markdown >> \"$GITHUB_STEP_SUMMARY\"";

pub(super) fn execute(report: &Report) -> ExitCode {
    let path = if report.run.is_dir() {
        report.run.join("run.json")
    } else {
        report.run.clone()
    };
    let shown = path.display();
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) => return usage(&format!("cannot read {shown}: {error}")),
    };
    let mut run: RunFile = match serde_json::from_str(&text) {
        Ok(run) => run,
        Err(error) => return usage(&format!("{shown} is not a run file: {error}")),
    };
    if run.schema_version != SCHEMA_VERSION {
        let version = run.schema_version;
        return usage(&format!(
            "{shown}: expected schema_version {SCHEMA_VERSION}, got {version}"
        ));
    }
    run.conclude();
    let directory = path.parent().map(|parent| parent.display().to_string());
    print(&match report.format {
        Format::Text => report::text::render(&run, directory.as_deref()),
        Format::Markdown => report::markdown::render(&run),
        Format::Junit => report::junit::render(&run),
    });
    ExitCode::from(run.exit_code)
}
