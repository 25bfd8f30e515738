//! What a target is asked in order to know whether it lives.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use bundle::{Asked, Origin, Transport};
use fuzzclient::generate::Protocol;
use fuzzclient::probe::{Outcome, Probe, Question};
use fuzzclient::watch::{Found, Watch};

use super::life::{Life, Part};

/// A line that every statsd server takes.
const METRIC: &[u8] = b"harness.alive:0|c\n";

/// What an echo is asked, and answers.
const ECHOED: &[u8] = b"alive\n";

/// How often a target is asked before it is said to give no answer: one that is slow to start
/// may take connections earlier than it answers.
const FIRST_TRIES: usize = 5;

/// What a target is asked, if nobody says otherwise. `is_echo`: it, or what stands behind it,
/// is our reference server.
#[must_use]
pub fn usual(protocol: Protocol, transport: Transport, life: &Life, is_echo: bool) -> Question {
    let has_management = life.parts[life.target()].management.is_some();
    match (protocol, transport) {
        (Protocol::Foo, _) => Question::Foo,
        (Protocol::Statsd, _) if has_management => Question::Bytes {
            send: b"health\r\n".to_vec(),
            expect: vec![b"up".to_vec()],
        },
        (Protocol::Statsd, Transport::Udp) => Question::Datagram(METRIC.to_vec()),
        (Protocol::Tcp, _) if is_echo => Question::Bytes {
            send: ECHOED.to_vec(),
            expect: vec![ECHOED.to_vec()],
        },
        // Most servers answer the end of a connection with its other end.
        (Protocol::Tcp | Protocol::Statsd, _) => Question::End,
    }
}

/// What a bundle's target is asked.
#[must_use]
pub fn of(origin: &Origin) -> Asked {
    let question = || match (origin.protocol, origin.transport) {
        (Protocol::Foo, _) => Question::Foo,
        (_, Transport::Tcp) => Question::Connect,
        (_, Transport::Udp) => Question::Datagram(METRIC.to_vec()),
    };
    origin.asked.clone().unwrap_or_else(|| Asked {
        question: question(),
        hang_after_ms: 1_000,
        slow_after_ms: 100,
        serial: false,
    })
}

/// The probe of a process.
#[must_use]
pub fn probe(asked: &Asked, protocol: Protocol, part: &Part) -> Probe {
    Probe {
        at: part.management.filter(|_| protocol == Protocol::Statsd),
        question: asked.question.clone(),
        patience: Duration::from_millis(asked.hang_after_ms),
        slow_after: Duration::from_millis(asked.slow_after_ms),
        usual: None,
    }
}

/// Asks on a thread of its own, which may wait.
pub async fn ask(probe: &Probe, at: SocketAddr) -> Outcome {
    let probe = probe.clone();
    let asking = tokio::task::spawn_blocking(move || probe.ask(at));
    asking
        .await
        .unwrap_or_else(|error| Outcome::Failed(error.to_string()))
}

/// Whether a target serves one connection after the other: one that says nothing keeps all
/// others from an answer.
pub async fn is_serial(probe: &Probe, at: SocketAddr) -> bool {
    let silent = TcpStream::connect_timeout(&at, probe.patience);
    let outcome = ask(probe, at).await;
    drop(silent);
    if outcome != Outcome::Silent {
        return false;
    }
    // It has to come back from that first.
    matches!(ask(probe, at).await, Outcome::Answered(..))
}

/// Asks a target that serves one connection after the other, when nothing is sent.
pub async fn look(probe: &Probe, at: SocketAddr) -> Option<Found> {
    let mut watch = Watch::new(probe.slow_after);
    loop {
        if let Some(found) = watch.see(&ask(probe, at).await) {
            return Some(found);
        }
        if !watch.is_suspicious() {
            return None;
        }
    }
}

/// Asks before any garbage, and learns what the usual answer is.
///
/// # Errors
/// What came instead of a valid answer.
pub async fn learn(probe: &mut Probe, at: SocketAddr) -> Result<(), String> {
    let mut last = String::new();
    for _ in 0..FIRST_TRIES {
        let mut asked = probe.clone();
        let asking = tokio::task::spawn_blocking(move || {
            let outcome = asked.learn(at);
            (asked, outcome)
        });
        let (asked, outcome) = asking.await.map_err(|error| error.to_string())?;
        *probe = asked;
        match outcome {
            Outcome::Answered(..) => return Ok(()),
            // This will not become another one.
            Outcome::Wrong(answer) => return Err(shown(&Outcome::Wrong(answer))),
            outcome => last = shown(&outcome),
        }
    }
    Err(last)
}

/// Bytes of a wrong answer that are shown.
const SHOWN_BYTES: usize = 100;

/// What came of a probe, as in a sentence.
fn shown(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Answered(..) => "it answers".to_owned(),
        Outcome::Refused => "it refuses connections".to_owned(),
        Outcome::Closed => "it takes connections and ends them without an answer".to_owned(),
        Outcome::Silent => "it takes connections and does not answer in time".to_owned(),
        Outcome::Wrong(answer) => {
            let shown = answer[..answer.len().min(SHOWN_BYTES)].escape_ascii();
            format!("it answers \"{shown}\"")
        }
        Outcome::Failed(reason) => reason.clone(),
    }
}
