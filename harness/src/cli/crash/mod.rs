//! `harness crash`.

mod plan;
mod said;

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use fuzzclient::generate::{Protocol, Strategy};
use service::clock::unix_ms;
use service::signals::StopSignals;
use service::units::parse_duration;

pub(super) use said::shown_repeats;

use super::{HARNESS_FAILED, failed, print, say, usage};
use crate::crash::hunt::{self, Outcome, Plan, Progress};
use crate::crash::record::Record;
use crate::crash::target::Named;
use crate::host;
use crate::output;
use crate::supervisor::guard::Guard;

/// The exit code with a finding.
const FOUND: u8 = 4;

/// Find out what kills a server or a proxy, and keep what does
///
/// The target is started, with the reference server behind it where it is a proxy, and is
/// sent garbage of all strategies in turns. Its process, memory, descriptors, threads, last
/// words and answers to valid requests are watched, and so are those of the server behind
/// it. At the first finding it says who is to blame, and writes a bundle: everything that was
/// sent, a script that repeats it, and how often it does.
///
/// Findings: died (signal or exit code), hung, froze (no answer for a while), leaked
/// (memory, descriptors, threads), wrong (an answer that is not for that request), slow,
/// refuses (connections are taken and ended, or not taken).
#[derive(Args, Debug, Clone)]
#[command(after_help = EXAMPLES)]
pub(super) struct Crash {
    /// Attack this: proxy, upstream, "cmd:PROGRAM … {listen} …", a path, addr:HOST:PORT
    #[arg(long, value_name = "TARGET", allow_hyphen_values = true)]
    target: Named,

    /// Model messages on this protocol [default: foo; of a command or an address it is found
    /// out whether it speaks Foo, otherwise tcp]
    #[arg(long, value_enum)]
    mode: Option<Mode>,

    /// Send statsd lines in datagrams, or over connections
    #[arg(long, value_enum, default_value_t)]
    transport: Way,

    /// Plant a defect in the reference server, which is the target or stands behind it; may be
    /// given several times ("harness upstream foo --help" lists them)
    #[arg(long, value_name = "DEFECT")]
    defect: Vec<String>,

    /// Have our proxy do this with malformed lines: reply, drop, close, forward
    #[arg(long, value_name = "ACTION")]
    on_malformed: Option<String>,

    /// Make bytes in this way; may be given several times, then they take turns [default: all,
    /// in turns]
    #[arg(long, value_enum)]
    strategy: Vec<Strategy>,

    /// Send the files in this directory first, each on a connection of its own, then what
    /// mutations make of them
    #[arg(long, value_name = "DIR")]
    corpus: Option<PathBuf>,

    /// Draw all randomness from this number [default: a new one, which is printed]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    /// Attack for this long
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = parse_duration)]
    duration: Duration,

    /// Stop when this many different causes are found
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    findings: u32,

    /// Use this many connections at the same time [default: 1 and 8, in turns; more for
    /// strategies that need them]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=20_000))]
    connections: Option<u64>,

    /// Send at most this much: bytes per second such as 10MiB/s; datagrams per second such as
    /// 20k/s [default: as much as is taken; 5k/s datagrams]
    #[arg(long, value_name = "RATE")]
    rate: Option<String>,

    /// Send each finding again this many times, to see whether it comes every time
    #[arg(long, value_name = "N", default_value_t = 5)]
    repeat: u32,

    /// Call it a hang when a valid request is not answered for this long
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = parse_duration)]
    hang_after: Duration,

    /// Call the target slow when valid requests take longer than this without any load
    #[arg(long, value_name = "DURATION", default_value = "100ms", value_parser = parse_duration)]
    slow_after: Duration,

    /// Ask with this text whether the target lives (\r, \n, \t, \0, \xNN and \\ work)
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    probe_send: Option<String>,

    /// Take only an answer that holds this text for the right one; may be given several
    /// times, one is enough [default with --probe-send: any byte]
    #[arg(long, value_name = "TEXT", requires = "probe_send")]
    probe_expect: Vec<String>,

    /// Watch this process behind "addr:HOST:PORT"
    #[arg(long, value_name = "PID")]
    pid: Option<u32>,

    /// Write crash.json, junit.xml and report.txt to this directory, and what is found below
    /// it, in "crashes" [default: .harness/runs/<id>]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Send garbage to addresses that are not this machine's
    #[arg(long)]
    allow_remote: bool,

    /// Show nothing while it runs
    #[arg(long, short)]
    quiet: bool,

    /// More flags for the target, behind "--"
    #[arg(last = true, value_name = "FLAGS")]
    flags: Vec<String>,
}

/// Whose messages are the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// Lines of requests
    Foo,
    /// Nobody's in particular: HTTP, PROXY headers, TLS, lines
    Tcp,
    /// Lines of metrics
    Statsd,
}

impl Mode {
    fn protocol(self) -> Protocol {
        match self {
            Self::Foo => Protocol::Foo,
            Self::Tcp => Protocol::Tcp,
            Self::Statsd => Protocol::Statsd,
        }
    }
}

/// How statsd lines travel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Way {
    /// In datagrams
    #[default]
    Udp,
    /// Over connections
    Tcp,
}

const EXAMPLES: &str = "\
Examples:
  The recorded crash, through a proxy that passes malformed lines on:
    harness crash --target proxy --on-malformed forward --defect segfault-after-decode-errors=1000
  A server of your own; {listen} becomes HOST:PORT, {host} and {port} its parts:
    harness crash --target 'cmd:python3 server.py {port}'
  The same, asked in its own words whether it lives:
    harness crash --target 'cmd:python3 server.py {port}' --probe-send 'PING\\n' --probe-expect PONG
  A proxy of your own, with the reference server behind it:
    harness crash --target 'cmd:./my-proxy {listen} {forward}'
  Something that runs already, which can be attacked only once:
    harness crash --target addr:127.0.0.1:8002 --pid 4711
  What to do with a finding:
    harness replay BUNDLE; harness minimize BUNDLE; harness corpus add BUNDLE

Exit codes: 0 nothing was found, 2 usage error, 4 something was, 5 the target did not start,
ended before anything was sent, or gave no valid answer before; 130 and 143 interrupted.";

/// What a run came to, beside its bundles.
const RECORD: &str = "crash.json";

/// What a run is called.
const LABEL: &str = "crash";

pub(super) fn execute(crash: &Crash) -> ExitCode {
    let seed = crash.seed.unwrap_or_else(host::random_seed);
    let plan = match plan::of(crash, seed) {
        Ok(plan) => plan,
        Err(message) => return usage(&message),
    };
    // A directory that cannot be made must not keep what is found from being said.
    let directory = match output::directory(crash.out.as_deref(), LABEL, unix_ms()) {
        Ok((_, directory)) => Some(directory),
        Err(error) => {
            say(&format!("warning: {error}: findings are only said"));
            None
        }
    };
    let there = directory.clone();
    let there = there.unwrap_or_else(|| Path::new(".harness/runs").join(LABEL));
    // An earlier run's must not look like the outcome of one that came to no end.
    let _ = std::fs::remove_file(there.join(RECORD));
    let bundles = there.join("crashes");
    let plan = Plan { bundles, ..plan };
    match attack(&plan, crash.quiet) {
        Ok(outcome) => conclude(&plan, &outcome, directory.as_deref()),
        Err(error) => failed(&error.to_string()),
    }
}

fn attack(plan: &Plan, quiet: bool) -> io::Result<Outcome> {
    let guard = Arc::new(Mutex::new(Guard::start()?));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut shown = Instant::now();
    let mut tell = |progress: &Progress<'_>| {
        if !quiet {
            said::tell(progress, plan, &mut shown);
        }
    };
    let outcome = runtime.block_on(async {
        let mut stop = StopSignals::listen()?;
        Ok(hunt::run(plan, &guard, &mut stop, &mut tell).await)
    });
    runtime.shutdown_background();
    outcome
}

/// Prints what was found, leaves it beside the bundles, and says what to end with.
fn conclude(plan: &Plan, outcome: &Outcome, directory: Option<&Path>) -> ExitCode {
    let mut text = String::new();
    for reported in &outcome.found {
        text.push_str(&said::report(reported));
    }
    if outcome.found.is_empty() && outcome.problem.is_none() {
        text.push_str("found      nothing\n");
    }
    if outcome.problem.is_none() || !outcome.found.is_empty() {
        text.push_str(&said::sums(&outcome.sums, plan));
    }
    let code = match (outcome.stopped, &outcome.problem) {
        (Some(stop), _) => stop.exit_code(),
        // A finding is one, whatever came after it; but the harness's failure is said.
        (None, Some(_)) => HARNESS_FAILED,
        (None, None) if outcome.found.is_empty() => 0,
        (None, None) => FOUND,
    };
    let printed = print(&text);
    let record = Record::of(plan, &said::target(plan), outcome, code);
    let left = directory.map_or(Ok(()), |directory| leave(directory, &record, &text));
    if let Some(problem) = &outcome.problem {
        say(&format!("error: {}", problem.replace('\n', " ")));
    }
    // What was found counts for more than where it could not be written.
    match printed.and(left) {
        Err(error) if code == 0 => failed(&error.to_string()),
        Err(error) => {
            say(&format!("warning: {error}"));
            ExitCode::from(code)
        }
        Ok(()) => ExitCode::from(code),
    }
}

/// Writes what programs and CI servers read.
fn leave(directory: &Path, record: &Record, text: &str) -> io::Result<()> {
    let mut json = serde_json::to_vec_pretty(record)?;
    json.push(b'\n');
    output::whole(&directory.join(RECORD), &json)?;
    output::whole(&directory.join("junit.xml"), record.junit().as_bytes())?;
    output::whole(&directory.join("report.txt"), text.as_bytes())
}

/// What ends a command that could not begin.
pub(super) fn could_not(what: &str, why: &str) -> ExitCode {
    say(&format!("error: {what}: {}", why.replace('\n', " ")));
    ExitCode::from(HARNESS_FAILED)
}
