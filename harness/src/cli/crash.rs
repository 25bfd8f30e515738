//! `harness crash`.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bundle::verdict::Seen;
use bundle::{Transport, Who};
use clap::{Args, ValueEnum};
use fuzzclient::generate::{Corpus, Protocol, Strategy};
use fuzzclient::probe::{Question, unescape};
use service::clock::unix_ms;
use service::signals::StopSignals;
use service::units::{Rate, Size, format_duration, parse_duration};

use super::{HARNESS_FAILED, failed, print, say, usage};
use crate::crash::evidence::{Kept, Reported};
use crate::crash::hunt::{self, Outcome, Plan, Progress, Sums};
use crate::crash::rounds;
use crate::crash::target::{Extras, Named, processes};
use crate::host;
use crate::output;
use crate::supervisor::guard::Guard;
use upstream::defect::Defect;

/// The exit code with a finding.
const FOUND: u8 = 4;

/// Between two lines that say how far it is.
const SHOW_EVERY: Duration = Duration::from_secs(1);

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

    /// Write what is found below this directory, in "crashes" [default: .harness/runs/<id>]
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

/// Datagrams per second, if nobody says otherwise: nothing else would slow them down.
const DATAGRAMS: f64 = 5_000.0;

/// What a run is called.
const LABEL: &str = "crash";

pub(super) fn execute(crash: &Crash) -> ExitCode {
    let seed = crash.seed.unwrap_or_else(host::random_seed);
    let plan = match plan(crash, seed) {
        Ok(plan) => plan,
        Err(message) => return usage(&message),
    };
    // A directory that cannot be made must not keep what is found from being said.
    let (bundles, no_directory) = match output::directory(crash.out.as_deref(), LABEL, unix_ms()) {
        Ok((_, directory)) => (directory.join("crashes"), None),
        Err(error) => (
            Path::new(".harness/runs").join(LABEL),
            Some(error.to_string()),
        ),
    };
    if let Some(error) = no_directory {
        say(&format!("warning: {error}: findings are only said"));
    }
    let plan = Plan { bundles, ..plan };
    match attack(&plan, crash.quiet) {
        Ok(outcome) => conclude(&plan, &outcome),
        Err(error) => failed(&error.to_string()),
    }
}

fn plan(crash: &Crash, seed: u64) -> Result<Plan, String> {
    let transport = match (crash.mode, crash.transport) {
        (Some(Mode::Statsd), Way::Udp) => Transport::Udp,
        _ => Transport::Tcp,
    };
    let is_named_ours = matches!(crash.target, Named::Upstream(_) | Named::Proxy(_));
    let forwards = |command: &[String]| command.iter().any(|word| word.contains("{forward"));
    let is_proxy = matches!(&crash.target, Named::Command(command) if forwards(command));
    let protocol = crash.mode.map(Mode::protocol);
    let protocol = protocol.or((is_named_ours || is_proxy).then_some(Protocol::Foo));
    let extras = Extras {
        defects: crash.defect.clone(),
        on_malformed: crash.on_malformed.clone(),
        flags: crash.flags.clone(),
    };
    for text in &crash.defect {
        let defect: Defect = text.parse().map_err(|error| format!("--defect: {error}"))?;
        defect
            .suits(server_mode(protocol))
            .map_err(|error| format!("--defect: {error}"))?;
    }
    // What does not fit is said before anything starts.
    processes(
        &crash.target,
        &extras,
        protocol.unwrap_or(Protocol::Tcp),
        transport,
    )?;
    if let Named::Running(addr) = &crash.target
        && !crash.allow_remote
        && !addr
            .is_loopback()
            .map_err(|error| format!("{addr}: {error}"))?
    {
        return Err(format!(
            "--target addr:{addr} is another machine; --allow-remote permits that"
        ));
    }
    if crash.pid.is_some() && !matches!(crash.target, Named::Running(_)) {
        return Err(
            "--pid is for --target addr:HOST:PORT; what is started is watched anyhow".to_owned(),
        );
    }
    let is_zero = |flag, duration: Duration| match duration.is_zero() {
        true => Err(format!("{flag} must be longer than 0")),
        false => Ok(()),
    };
    is_zero("--hang-after", crash.hang_after)?;
    is_zero("--duration", crash.duration)?;
    let corpus = match &crash.corpus {
        None => None,
        Some(path) => {
            let corpus = Corpus::read(path).map_err(|error| format!("--corpus: {error}"))?;
            Some((path.clone(), Arc::new(corpus)))
        }
    };
    Ok(Plan {
        named: crash.target.clone(),
        extras,
        pid: crash.pid,
        protocol,
        transport,
        strategies: match &crash.strategy[..] {
            [] => rounds::ALL.to_vec(),
            chosen => chosen.to_vec(),
        },
        corpus,
        seed,
        connections: crash.connections,
        rate: rate(crash.rate.as_deref(), transport)?,
        duration: crash.duration,
        findings: crash.findings as usize,
        repeats: crash.repeat,
        question: question(crash)?,
        hang_after: crash.hang_after,
        slow_after: crash.slow_after,
        bundles: PathBuf::new(),
    })
}

/// What the reference server is called in this mode.
fn server_mode(protocol: Option<Protocol>) -> &'static str {
    match protocol {
        Some(Protocol::Statsd) => "statsd",
        Some(Protocol::Tcp) => "echo",
        Some(Protocol::Foo) | None => "foo",
    }
}

fn rate(text: Option<&str>, transport: Transport) -> Result<Option<f64>, String> {
    match (transport, text) {
        (Transport::Tcp, None) => Ok(None),
        (Transport::Udp, None) => Ok(Some(DATAGRAMS)),
        (Transport::Udp, Some(text)) => match text.parse::<Rate>() {
            Ok(rate) => Ok(Some(rate.per_second())),
            Err(error) => Err(format!("--rate: {error}")),
        },
        (Transport::Tcp, Some(text)) => {
            let size = text.strip_suffix("/s").unwrap_or(text).parse::<Size>().ok();
            let size = size.filter(|size| size.0 > 0);
            let size = size.ok_or_else(|| {
                format!(
                    "--rate: expected bytes per second such as 500KB/s or 10MiB/s, got {text:?}"
                )
            })?;
            Ok(Some(size.0 as f64))
        }
    }
}

fn question(crash: &Crash) -> Result<Option<Question>, String> {
    let Some(send) = &crash.probe_send else {
        return Ok(None);
    };
    let named = |flag: &str, text: &str| unescape(text).map_err(|error| format!("{flag}: {error}"));
    let expect = crash
        .probe_expect
        .iter()
        .map(|text| named("--probe-expect", text));
    Ok(Some(Question::Bytes {
        send: named("--probe-send", send)?,
        expect: expect.collect::<Result<_, _>>()?,
    }))
}

fn attack(plan: &Plan, quiet: bool) -> std::io::Result<Outcome> {
    let guard = Arc::new(Mutex::new(Guard::start()?));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut shown = Instant::now();
    let mut tell = |progress: &Progress<'_>| {
        if !quiet {
            tell(progress, plan, &mut shown);
        }
    };
    let outcome = runtime.block_on(async {
        let mut stop = StopSignals::listen()?;
        Ok(hunt::run(plan, &guard, &mut stop, &mut tell).await)
    });
    runtime.shutdown_background();
    outcome
}

/// Says what happens, on stderr.
fn tell(progress: &Progress<'_>, plan: &Plan, shown: &mut Instant) {
    match progress {
        Progress::Aimed(protocol, asked) => {
            let how = match &asked.question {
                Question::Foo => "asked in Foo whether it lives".to_owned(),
                Question::Connect => "which lives as long as it takes connections".to_owned(),
                Question::End => "which lives as long as it ends what we have ended".to_owned(),
                Question::Bytes { send, .. } => {
                    format!("asked \"{}\" whether it lives", send.escape_ascii())
                }
                Question::Datagram(_) => {
                    "which lives as long as nobody refuses datagrams".to_owned()
                }
            };
            let name = format!("{protocol:?}").to_lowercase();
            say(&format!(
                "attacking {} as {name}, {how}; seed {}",
                shown_target(plan),
                plan.seed
            ));
            if asked.serial {
                say(
                    "it serves one connection after the other, so it is sent no more than one at a time",
                );
            }
        }
        Progress::Turn(strategy, sums) => {
            if shown.elapsed() >= SHOW_EVERY {
                *shown = Instant::now();
                let name = format!("{strategy:?}").to_lowercase();
                say(&format!(
                    "{name}: so far {} on {} connections",
                    size(sums.bytes),
                    sums.connections
                ));
            }
        }
        Progress::Suspicious => say("it keeps something; another load will tell whether it leaks"),
        Progress::Found(reported, true) => {
            say(&format!("found: {}", reported.bundle.verdict.finding));
        }
        Progress::Found(reported, false) => {
            say(&format!(
                "again: {} ({} times)",
                reported.bundle.verdict.finding.what, reported.times
            ));
        }
        Progress::Repeated(reported) => {
            if let Some(seen) = reported.bundle.verdict.repeats {
                say(&format!("sent again: {}", shown_repeats(seen)));
            }
        }
    }
}

fn shown_target(plan: &Plan) -> String {
    match &plan.named {
        Named::Upstream(_) => "the reference server".to_owned(),
        Named::Proxy(_) => "our proxy, with the reference server behind it".to_owned(),
        Named::Command(words) => words.join(" "),
        Named::Running(addr) => addr.to_string(),
    }
}

/// Prints what was found, and says what to end with.
fn conclude(plan: &Plan, outcome: &Outcome) -> ExitCode {
    let mut text = String::new();
    for reported in &outcome.found {
        text.push_str(&report(reported));
    }
    if outcome.found.is_empty() && outcome.problem.is_none() {
        text.push_str("found      nothing\n");
    }
    if outcome.problem.is_none() || !outcome.found.is_empty() {
        text.push_str(&sums(&outcome.sums, plan));
    }
    let printed = print(&text);
    if let Some(stop) = outcome.stopped {
        return ExitCode::from(stop.exit_code());
    }
    if let Some(problem) = &outcome.problem {
        // A finding is one, whatever came after it; but the harness's failure is said.
        return failed(problem);
    }
    if let Err(error) = printed {
        return failed(&error.to_string());
    }
    match outcome.found.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(FOUND),
    }
}

fn report(reported: &Reported) -> String {
    let verdict = &reported.bundle.verdict;
    let finding = &verdict.finding;
    let mut text = String::new();
    let _ = writeln!(text, "found      {finding}");
    if !finding.detail.is_empty() {
        let _ = writeln!(text, "because    {}", finding.detail);
    }
    let blamed = match finding.who {
        Who::Upstream => "the upstream: what stood before it is not to blame",
        Who::Proxy => "the proxy: the upstream behind it is sound",
        Who::Command => "the command",
    };
    let _ = writeln!(text, "to blame   {blamed}");
    if let Some(seen) = verdict.repeats {
        let _ = writeln!(text, "sent again {}", shown_repeats(seen));
    }
    if let Some(reason) = &reported.not_repeated {
        let _ = writeln!(text, "sent again not: {reason}");
    }
    if reported.times > 1 {
        let _ = writeln!(text, "seen       {} times", reported.times);
    }
    match &reported.kept {
        Kept::Written(place) => text.push_str(&next_steps("bundle", place)),
        Kept::Known(place) => text.push_str(&next_steps("known as", place)),
        Kept::Lost(reason) => {
            let _ = writeln!(text, "bundle     none: {reason}");
            let _ = writeln!(
                text,
                "           the same seed sends the same bytes: --seed {}",
                reported.bundle.origin.seed
            );
        }
    }
    text
}

fn next_steps(word: &str, place: &Path) -> String {
    let place = place.display();
    format!(
        "{word:<10} {place}\n\
         next       harness replay {place}\n           \
         harness minimize {place}\n           \
         harness corpus add {place}\n"
    )
}

/// Such as `5 of 5 times`.
pub(super) fn shown_repeats(seen: Seen) -> String {
    let Seen { failed, tried } = seen;
    let hint = match seen {
        _ if failed == 0 => ": it may need its time, or what was sent before",
        seen if seen.is_flaky() => ": flaky",
        _ => "",
    };
    format!("the same came of it {failed} of {tried} times{hint}")
}

fn sums(sums: &Sums, plan: &Plan) -> String {
    let unit = match plan.transport {
        Transport::Tcp => "connections",
        Transport::Udp => "datagrams",
    };
    format!(
        "sent       {} on {} {unit} in {}, seed {}\n\
         watched    {} valid requests, the slowest took {}; the target was started {} times\n",
        size(sums.bytes),
        sums.connections,
        format_duration(Duration::from_millis(sums.elapsed.as_millis() as u64)),
        plan.seed,
        sums.probes,
        format_duration(Duration::from_micros(sums.slowest.as_micros() as u64)),
        sums.lives,
    )
}

/// Bytes as people read them.
fn size(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} bytes"),
        10_000..10_000_000 => format!("{:.0} kB", bytes as f64 / 1e3),
        _ => format!("{:.0} MB", bytes as f64 / 1e6),
    }
}

/// What ends a command that could not begin.
pub(super) fn could_not(what: &str, why: &str) -> ExitCode {
    say(&format!("error: {what}: {}", why.replace('\n', " ")));
    ExitCode::from(HARNESS_FAILED)
}
