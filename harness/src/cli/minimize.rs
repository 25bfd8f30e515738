//! `harness minimize`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bundle::minimize::{self, MinimizeError};
use bundle::{Minimized, Progress, Repeats, Settings, Size};
use clap::Args;
use service::signals::{Stop, StopSignals};
use service::units::{format_duration, parse_duration};

use super::crash::could_not;
use super::replay::{instead, read, trial};
use super::{failed, print, say, usage};
use crate::crash::evidence;

/// Between two lines that say how far it is.
const SHOW_EVERY: Duration = Duration::from_secs(1);

/// Tries to find out how often it fails, if that is not known.
const TRIES: u32 = 5;

/// Make what a bundle holds as small as it can be
///
/// First connections are left out, then lines, then bytes, as long as the same still comes of
/// it; each try has a fresh target, on a port of its own. What is left is 1-minimal: nothing
/// more can be left out. Interrupted, it keeps what it has.
#[derive(Args, Debug, Clone)]
#[command(after_help = EXAMPLES)]
pub(super) struct Minimize {
    /// The directory of a finding
    #[arg(value_name = "BUNDLE")]
    bundle: PathBuf,

    /// Make so many tries at the same time [default: one for each core]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=256))]
    jobs: Option<u32>,

    /// Make so many tries at most
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    tries: u64,

    /// Take this long at most
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = parse_duration)]
    duration: Duration,

    /// Start this for what was found in something that ran already, "addr:HOST:PORT", such as
    /// "./server --listen {listen}"; or instead of the command that the bundle names. The bundle
    /// remembers it
    #[arg(long, value_name = "COMMAND")]
    command: Option<String>,

    /// Say nothing but the outcome
    #[arg(long, short)]
    quiet: bool,
}

const EXAMPLES: &str = "\
Examples:
    harness minimize .harness/runs/20261121-064512-crash/crashes/died-sigsegv-0123456789abcdef
    harness minimize ./crash --jobs 8 --duration 1m
    harness minimize ./crash --command 'python3 server.py {port}'

Exit codes: 0 it is as small as it can be, or as was reached in the time, 2 the bundle is cut or
edited, 3 it does not reproduce, 5 the target did not start, 130 and 143 interrupted.";

/// The exit code if there is nothing that could be made smaller.
const INCONCLUSIVE: u8 = 3;

pub(super) fn execute(minimize: &Minimize) -> ExitCode {
    let mut bundle = match read(&minimize.bundle) {
        Ok(bundle) => bundle,
        Err(code) => return code,
    };
    if let Some(command) = &minimize.command
        && let Err(message) = instead(&mut bundle, command)
    {
        return usage(&message);
    }
    let trial = match trial(&bundle) {
        Ok(trial) => trial,
        Err(code) => return code,
    };
    let started = Instant::now();
    let stop = AtomicBool::new(false);
    let stopped: Mutex<Option<Stop>> = Mutex::new(None);
    let session = bundle.smallest().clone();
    let done = AtomicBool::new(false);
    let outcome = std::thread::scope(|scope| {
        let (done, stop, stopped) = (&done, &stop, &stopped);
        scope.spawn(move || wait_for_end(minimize.duration, done, stop, stopped));
        let seen = match bundle.verdict.repeats.filter(|seen| seen.failed > 0) {
            Some(seen) => Ok(seen),
            None => evidence::repeat(&trial, &session, TRIES, &|_| {}),
        };
        let outcome = seen.map_err(MinimizeError::Unusable).and_then(|seen| {
            let settings = Settings {
                repeats: Repeats::for_rate(seen.failed, seen.tried),
                jobs: minimize
                    .jobs
                    .map_or_else(evidence::jobs, |jobs| jobs as usize),
                most_tries: minimize.tries,
                stop,
            };
            let shown = Mutex::new(Instant::now());
            let tell = |progress: &Progress| {
                if !minimize.quiet {
                    show(progress, &shown);
                }
            };
            minimize::minimize(&session, &trial, &settings, &tell)
        });
        done.store(true, Ordering::Relaxed);
        outcome
    });
    let minimized = match outcome {
        Ok(minimized) => minimized,
        Err(MinimizeError::Survives { failed, tried }) => {
            say(&format!(
                "error: it does not reproduce: the same came of it {failed} of {tried} times"
            ));
            return ExitCode::from(INCONCLUSIVE);
        }
        Err(MinimizeError::Unusable(reason)) => {
            return could_not("it cannot be sent again", &reason);
        }
    };
    let text = summary(&minimized, bundle.session.size(), started.elapsed());
    bundle.minimized(minimized);
    let printed = print(&text);
    let place = &minimize.bundle;
    if let Err(error) = bundle.rewrite(place) {
        return failed(&error.to_string());
    }
    let place = place.display();
    let next = format!(
        "smallest   {place}/input.min.bin\nnext       harness replay {place}\n           harness corpus add {place}\n"
    );
    if let Err(error) = printed.and_then(|()| print(&next)) {
        return failed(&error.to_string());
    }
    let stopped = stopped.lock().ok().and_then(|stopped| *stopped);
    stopped.map_or(ExitCode::SUCCESS, |stop| ExitCode::from(stop.exit_code()))
}

/// Sets `stop` when time is up or a signal comes, until it is done.
fn wait_for_end(
    duration: Duration,
    done: &AtomicBool,
    stop: &AtomicBool,
    stopped: &Mutex<Option<Stop>>,
) {
    let deadline = Instant::now() + duration;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let Ok(runtime) = runtime else { return };
    runtime.block_on(async {
        let Ok(mut signals) = StopSignals::listen() else {
            return;
        };
        while !done.load(Ordering::Relaxed) && Instant::now() < deadline {
            let pause = Duration::from_millis(20);
            if let Ok(signal) = tokio::time::timeout(pause, signals.next()).await {
                if let Ok(mut stopped) = stopped.lock() {
                    *stopped = Some(signal);
                }
                break;
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
}

fn show(progress: &Progress, shown: &Mutex<Instant>) {
    let Ok(mut shown) = shown.try_lock() else {
        return;
    };
    if shown.elapsed() >= SHOW_EVERY {
        *shown = Instant::now();
        let Progress {
            level, tries, size, ..
        } = progress;
        say(&format!("{level}: {tries} tries, now {}", words(*size)));
    }
}

fn summary(minimized: &Minimized, from: Size, took: Duration) -> String {
    let least = match minimized.is_minimal {
        true => "nothing more can be left out",
        false => "more may be possible: it was stopped before the end",
    };
    format!(
        "minimised  {} to {}\n           {least}; {} tries in {}\n",
        words(from),
        words(minimized.session.size()),
        minimized.tries,
        format_duration(Duration::from_millis(took.as_millis() as u64)),
    )
}

/// Such as `1000 bytes, 1000 lines, 1 connection`.
fn words(size: Size) -> String {
    let of = |count: usize, one: &str| match count {
        1 => format!("1 {one}"),
        _ => format!("{count} {one}s"),
    };
    format!(
        "{} in {} on {}",
        of(size.bytes, "byte"),
        of(size.lines, "line"),
        of(size.connections, "connection")
    )
}
