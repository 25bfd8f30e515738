//! `harness corpus`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::replay::read;
use super::{failed, print};
use crate::output;

/// Where inputs are kept unless somebody says otherwise.
const CORPUS: &str = "corpus";

/// Keep inputs that killed something once
#[derive(Args, Debug, Clone)]
#[command(after_help = EXAMPLES)]
pub(super) struct CorpusArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug, Clone)]
enum Command {
    /// Add the smallest input of a bundle, under the bundle's name
    Add(Add),
}

#[derive(Args, Debug, Clone)]
struct Add {
    /// The directory of a finding
    #[arg(value_name = "BUNDLE", required = true)]
    bundles: Vec<PathBuf>,

    /// Put it into this directory
    #[arg(long, value_name = "DIR", default_value = CORPUS)]
    corpus: PathBuf,
}

const EXAMPLES: &str = "\
Examples:
    harness corpus add .harness/runs/20261121-064512-crash/crashes/died-sigsegv-0123456789abcdef
    harness crash --target proxy --corpus corpus
    harness fuzzclient foo --corpus corpus --until-crash";

pub(super) fn execute(corpus: &CorpusArgs) -> ExitCode {
    let Command::Add(add) = &corpus.command;
    let mut text = String::new();
    for place in &add.bundles {
        let bundle = match read(place) {
            Ok(bundle) => bundle,
            Err(code) => return code,
        };
        let file = add.corpus.join(format!("{}.bin", bundle.verdict.key));
        let smallest = bundle.smallest();
        if let Err(error) = output::whole(&file, &smallest.to_input()) {
            return failed(&error.to_string());
        }
        text.push_str(&line(
            &file,
            smallest.size().bytes,
            bundle.smaller.is_some(),
            place,
        ));
    }
    match print(&text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error.to_string()),
    }
}

fn line(file: &Path, bytes: usize, is_minimised: bool, place: &Path) -> String {
    let hint = match is_minimised {
        true => String::new(),
        false => format!(" (not minimised yet: harness minimize {})", place.display()),
    };
    format!("added      {}, {bytes} bytes{hint}\n", file.display())
}
