//! `harness replay`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use bundle::{Bundle, Death, Process, ReadError, What};
use clap::Args;

use super::crash::{could_not, shown_repeats};
use super::{failed, print, say, usage};
use crate::crash::evidence;
use crate::crash::trial::Trial;
use crate::supervisor::guard::Guard;

/// The exit code if it is seen again.
const REPRODUCED: u8 = 4;

/// Send what a bundle holds again, to a fresh target each time
///
/// The minimised input, where there is one. A target survives if the same does not come of
/// it: so this turns green when the defect is gone, and can stay in CI for ever.
#[derive(Args, Debug, Clone)]
#[command(after_help = EXAMPLES)]
pub(super) struct Replay {
    /// The directory of a finding, or its verdict.json
    #[arg(value_name = "BUNDLE")]
    bundle: PathBuf,

    /// Send it this many times
    #[arg(long, short = 'n', value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    times: u32,

    /// Start this instead of the command that the bundle names, for the process that is to
    /// blame, such as "./server-fixed --listen {listen}"; for what was found in something that
    /// ran already, start this
    #[arg(long, value_name = "COMMAND")]
    command: Option<String>,

    /// Say nothing but the outcome
    #[arg(long, short)]
    quiet: bool,
}

const EXAMPLES: &str = "\
Examples:
    harness replay .harness/runs/20261121-064512-crash/crashes/died-sigsegv-0123456789abcdef
    harness replay ./crash --times 20
    harness replay ./crash --command 'python3 server-fixed.py {port}'

Exit codes: 0 the target survived every time, 2 the bundle is cut or edited, 4 the same came
of it at least once, 5 the target did not start.";

pub(super) fn execute(replay: &Replay) -> ExitCode {
    let mut bundle = match read(&replay.bundle) {
        Ok(bundle) => bundle,
        Err(code) => return code,
    };
    if let Some(command) = &replay.command
        && let Err(message) = instead(&mut bundle, command)
    {
        return usage(&message);
    }
    let trial = match trial(&bundle) {
        Ok(trial) => trial,
        Err(code) => return code,
    };
    let tell = |fails: bool| {
        if !replay.quiet {
            say(if fails {
                "the same came of it"
            } else {
                "it survived"
            });
        }
    };
    match evidence::repeat(&trial, bundle.smallest(), replay.times, &tell) {
        Ok(seen) => {
            let finding = &bundle.verdict.finding;
            let (who, what) = (finding.who.word(), &finding.what);
            let text = match seen.failed {
                0 => format!("survived   {who}: {} of {} times\n", seen.tried, seen.tried),
                _ => format!("reproduced {who} {what}: {}\n", shown_repeats(seen)),
            };
            if let Err(error) = print(&text) {
                return failed(&error.to_string());
            }
            ExitCode::from(if seen.failed > 0 { REPRODUCED } else { 0 })
        }
        Err(reason) => could_not("it cannot be sent again", &reason),
    }
}

/// Another command for the process that is to blame.
pub(super) fn instead(bundle: &mut Bundle, command: &str) -> Result<(), String> {
    let command = command.strip_prefix("cmd:").unwrap_or(command);
    let words =
        crate::crash::words::split(command).map_err(|error| format!("--command: {error}"))?;
    let who = bundle.verdict.finding.who;
    if bundle.origin.processes.is_empty() {
        // It ran already, and a target that nobody watched may have died where it refused.
        let command = Vec::new();
        bundle.origin.processes.push(Process { who, command });
        let what = &mut bundle.verdict.finding.what;
        if *what == What::Refuses {
            *what = What::Died(Death::Unknown);
        }
    }
    let process = bundle
        .origin
        .processes
        .iter_mut()
        .find(|process| process.who == who);
    match process {
        Some(process) if !words.is_empty() => process.command = words,
        _ => return Err("--command: there is no process that it could replace".to_owned()),
    }
    Ok(())
}

/// Reads a bundle; what is wrong with it is said.
pub(super) fn read(place: &std::path::Path) -> Result<Bundle, ExitCode> {
    let directory = match place.file_name().is_some_and(|name| name == "verdict.json") {
        true => place.parent().unwrap_or(place),
        false => place,
    };
    Bundle::read(directory).map_err(|error| match &error {
        ReadError::Missing { .. } if !directory.is_dir() => {
            usage(&format!("there is no bundle at {}", directory.display()))
        }
        _ => usage(&error.to_string()),
    })
}

/// Tries of what a bundle holds, with somebody who ends their processes if this one is killed;
/// or what to end with, once it is said why there can be none.
pub(super) fn trial(bundle: &Bundle) -> Result<Trial, ExitCode> {
    let guard = Guard::start().map_err(|error| failed(&error.to_string()))?;
    let guard = Arc::new(Mutex::new(guard));
    let tries = Trial::of(bundle, &guard);
    tries.map_err(|reason| could_not("it cannot be sent again", &reason))
}
