//! The command line.

mod bench;
mod compare;
mod corpus;
mod crash;
mod distribute;
mod list;
mod merge;
mod minimize;
mod replay;
mod report;
mod run;
mod tournament;

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ::report::event::Binary;
use ::report::run::RunFile;
use clap::{Args, Parser, Subcommand};
use service::units::parse_duration;

use crate::descriptor::Descriptor;
use crate::engine::{self, Settings};
use crate::plan::{Plan, PlanError};

/// The exit code when the harness itself failed.
const HARNESS_FAILED: u8 = 5;

/// Measure a proxy, attack what stands behind it, and say who survived.
///
/// Without a command it runs the quick suite: latency direct and through the proxy, and
/// the recorded crash directly, through a plain relay and through the shield.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    quick: run::Run,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Run),
    List(list::List),
    Bench(bench::Bench),
    Compare(compare::Compare),
    Tournament(tournament::Tournament),
    Report(report::Report),
    Distribute(distribute::Distribute),
    Merge(merge::Merge),
    Crash(Box<crash::Crash>),
    Replay(replay::Replay),
    Minimize(minimize::Minimize),
    Corpus(corpus::CorpusArgs),
    /// Run a reference server, sound or with planted defects: see "harness upstream --help"
    Upstream,
    /// Serve links with faults behind Toxiproxy's API, or steer them: "harness toxics --help"
    #[command(disable_help_flag = true)]
    Toxics {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
}

const EXAMPLES: &str = "\
Examples:
  The quick suite, then the same with nginx in the proxy's place:
    harness
    harness --proxy nginx
  One built-in scenario, and one of your own:
    harness list
    harness run crash-shield ./my-scenario.toml
  How fast is a proxy, beside others, and is it fast enough:
    harness bench --proxy builtin --proxy nginx --rate 20k/s --expect 'p99<2ms'
  What the shards of one load, sent by several machines, come to:
    harness merge results
  Look again at what a run showed:
    harness report .harness/runs/20261121-064512-quick/run.json

Exit codes: 0 every expectation passed, 1 one failed, 2 usage error, 3 one could not be
judged, 4 proxy or upstream did not survive where it should have, 5 the harness itself
failed, 130 and 143 interrupted. The highest of 5, 4, 1, 3 wins.";

/// What every command that runs something takes.
#[derive(Args, Debug, Clone)]
struct Common {
    /// Write the run's files to this directory [default: .harness/runs/<id>]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Draw all randomness from this number [default: a new one, which is printed]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    /// Take what could not be judged for a warning: exit 0 instead of 3
    #[arg(long)]
    lenient: bool,

    /// Allow load and garbage to go to addresses that are not this machine's
    #[arg(long)]
    allow_remote: bool,

    /// Let one block of processes take this long at most, e.g. 30s [default: the scenario's]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    timeout: Option<std::time::Duration>,

    /// Watch this process as the proxy behind "addr:HOST:PORT"
    #[arg(long, value_name = "PID")]
    pid: Option<u32>,

    /// Have our upstream listen here, where "addr:HOST:PORT" forwards to
    #[arg(long, value_name = "ADDR")]
    upstream_listen: Option<service::addr::HostPort>,

    /// Let children leave core dumps
    #[arg(long)]
    core_dumps: bool,

    /// Write every decision of the links to this directory, a file for each block; sorted,
    /// those of two runs with the same seed and traffic are equal
    #[arg(long, value_name = "DIR")]
    decisions: Option<PathBuf>,

    /// Show nothing while it runs
    #[arg(long, short)]
    quiet: bool,
}

/// Runs the harness with these arguments.
pub(crate) fn run(args: Vec<OsString>) -> ExitCode {
    let cli = match service::cli::parse::<Cli>(args) {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    match cli.command {
        None => run::execute(&cli.quick),
        Some(Command::Run(run)) => run::execute(&run),
        Some(Command::List(list)) => list::execute(&list),
        Some(Command::Bench(bench)) => bench::execute(&bench),
        Some(Command::Compare(compare)) => compare::execute(&compare),
        Some(Command::Tournament(tournament)) => tournament::execute(&tournament),
        Some(Command::Report(report)) => report::execute(&report),
        Some(Command::Distribute(distribute)) => distribute::execute(&distribute),
        Some(Command::Merge(merge)) => merge::execute(&merge),
        Some(Command::Crash(crash)) => crash::execute(&crash),
        Some(Command::Replay(replay)) => replay::execute(&replay),
        Some(Command::Minimize(minimize)) => minimize::execute(&minimize),
        Some(Command::Corpus(corpus)) => corpus::execute(&corpus),
        // It is taken before arguments are parsed, and is here for the help.
        Some(Command::Upstream) => usage("upstream: expected \"harness upstream MODE …\""),
        Some(Command::Toxics { args }) => {
            toxics::run([vec!["harness toxics".into()], args].concat())
        }
    }
}

/// Checks a plan and carries it out.
fn check_and_carry_out(plan: &Plan, common: &Common, label: &str) -> ExitCode {
    match check(plan, common) {
        Ok(binaries) => carry_out(plan, binaries, common, label, |_, _| Ok(())),
        Err(code) => code,
    }
}

/// Checks a plan, and names the programs that it needs; or says what to end with.
fn check(plan: &Plan, common: &Common) -> Result<Vec<Binary>, ExitCode> {
    let tell = |line: &str| {
        if !common.quiet {
            say(line);
        }
    };
    plan.check(&tell).map_err(|error| match error {
        PlanError::Stopped(stop) => {
            say(&error.to_string());
            ExitCode::from(stop.exit_code())
        }
        error if error.is_usage() => usage(&error.to_string()),
        error => failed(&error.to_string()),
    })
}

/// Runs a plan that has been checked, prints its report to stdout, and says what to end
/// with. What is left to do with the run file is done by `afterwards`.
fn carry_out(
    plan: &Plan,
    binaries: Vec<Binary>,
    common: &Common,
    label: &str,
    afterwards: impl FnOnce(&RunFile, &Path) -> io::Result<()>,
) -> ExitCode {
    let settings = Settings {
        out: common.out.clone(),
        label: label.to_owned(),
        lenient: common.lenient,
        quiet: common.quiet,
    };
    let outcome = engine::run(plan, binaries, &settings).and_then(|(run, directory)| {
        let shown = directory.display().to_string();
        let printed = print(&::report::text::render(&run, Some(&shown)));
        // A report that cannot be printed is no reason to lose what was asked for beside it.
        afterwards(&run, &directory)?;
        printed?;
        Ok(run.exit_code)
    });
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(error) => failed(&error.to_string()),
    }
}

/// Writes to stdout; that nobody reads it any more is no failure.
fn print(text: &str) -> io::Result<()> {
    print_to(&mut io::stdout().lock(), text)
}

fn print_to(out: &mut impl io::Write, text: &str) -> io::Result<()> {
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(io::Error::new(
            error.kind(),
            format!("cannot write to stdout: {error}"),
        )),
        _ => Ok(()),
    }
}

/// Writes to stdout, where that is all there is to do, and says what to end with.
fn show(text: &str) -> ExitCode {
    match print(text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error.to_string()),
    }
}

/// Writes a line to stderr; that nobody reads it any more is no failure.
fn say(line: &str) {
    use std::io::Write;
    let _ = writeln!(io::stderr(), "{line}");
}

fn usage(message: &str) -> ExitCode {
    say(&format!(
        "error: {} (see --help)",
        message.replace('\n', " ")
    ));
    ExitCode::from(service::cli::USAGE)
}

fn failed(message: &str) -> ExitCode {
    say(&format!("error: {}", message.replace('\n', " ")));
    ExitCode::from(HARNESS_FAILED)
}

/// A descriptor as an argument.
fn descriptor(text: &str) -> Result<Descriptor, crate::descriptor::DescriptorError> {
    text.parse()
}

#[cfg(test)]
mod tests {
    use std::io::{self, ErrorKind};

    use clap::CommandFactory;

    /// Fails in this way.
    struct Failing(ErrorKind);

    impl io::Write for Failing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn only_a_reader_that_has_gone_is_no_failure() {
        let print = |kind| super::print_to(&mut Failing(kind), "a report\n");
        assert!(print(ErrorKind::BrokenPipe).is_ok());
        let error = print(ErrorKind::StorageFull).unwrap_err().to_string();
        assert!(error.starts_with("cannot write to stdout: "), "{error}");
    }

    #[test]
    fn the_command_line_is_sound() {
        super::Cli::command().debug_assert();
    }
}
