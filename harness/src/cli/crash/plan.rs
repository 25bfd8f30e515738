//! What the flags ask for, checked before anything starts.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bundle::Transport;
use fuzzclient::generate::{Corpus, Protocol};
use fuzzclient::probe::{Question, unescape};
use service::units::{Rate, Size};
use upstream::defect::Defect;

use super::{Crash, Mode, Way};
use crate::crash::hunt::Plan;
use crate::crash::rounds;
use crate::crash::target::{Extras, Named, processes};

/// Datagrams per second, if nobody says otherwise: nothing else would slow them down.
const DATAGRAMS: f64 = 5_000.0;

/// The plan, without a place for bundles.
///
/// # Errors
/// What does not fit, in a sentence.
pub(super) fn of(crash: &Crash, seed: u64) -> Result<Plan, String> {
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
