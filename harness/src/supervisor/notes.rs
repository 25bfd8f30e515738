//! What children, probes and threads have to say to the one loop that listens.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use loadgen::record::LoadEvent;
use report::event::{Audit, Phase, Probe, ProbeOutcome, Role};
use service::clock::mono_ns;
use service::ready::Ready;
use tokio::process::Child;
use tokio::sync::mpsc::UnboundedSender;

use super::orphan;
use super::probe::{self, Check};

/// Between the end of a probe and the next: often enough to see a freeze of a few
/// hundred milliseconds, seldom enough to be no load.
pub const PROBE_PAUSE: Duration = Duration::from_millis(100);

/// A probe without an answer for this long is given up: the process hangs.
pub const HANG_AFTER: Duration = Duration::from_secs(1);

/// The last probe waits longer, so that a process that froze is not said to hang.
const LAST_PATIENCE: Duration = Duration::from_secs(5);

/// A line on a child's descriptor that is longer than this is not one of ours.
const MAX_LINE_BYTES: u64 = 16 << 20;

/// Something to listen to. Children are known by their place in the block's list.
#[derive(Debug)]
pub enum Note {
    /// A child says that it is ready, or closed the descriptor without a word.
    Ready(usize, Option<Ready>),
    /// A child is gone.
    Exited(usize, ExitStatus),
    /// A load client says something.
    Load(usize, Box<LoadEvent>),
    /// A load client has said all that it had to say.
    LoadSilent(usize),
    /// A probe is over, at this monotonic time.
    Probe(u64, Probe),
    /// A prober has sent its last probe.
    ProberDone(Role, Option<String>),
    /// The proxy says what it thinks of its backends.
    State(serde_json::Value),
    /// An audit is over.
    Audit(Audit),
}

/// Where notes go.
pub type Sink = UnboundedSender<Note>;

/// Waits for a child, and reaps it.
pub fn on_exit(mut child: Child, at: usize, sink: Sink) {
    tokio::spawn(async move {
        if let Ok(status) = child.wait().await {
            let _ = sink.send(Note::Exited(at, status));
        }
    });
}

/// Waits for the end of a process that is not our child yet, but will be when its parent
/// ends: this process takes orphans in.
pub fn on_exit_of_orphan(pid: u32, at: usize, sink: Sink) {
    std::thread::spawn(move || {
        let status = orphan::wait(pid);
        let _ = sink.send(Note::Exited(at, status));
    });
}

/// Reads the readiness line of a child.
pub fn on_ready(pipe: File, at: usize, sink: Sink) {
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = BufReader::new(pipe.take(MAX_LINE_BYTES)).read_line(&mut line);
        let ready = read.ok().and_then(|_| serde_json::from_str(&line).ok());
        let _ = sink.send(Note::Ready(at, ready));
    });
}

/// Reads the events of a load client until it closes the descriptor.
pub fn on_load_events(pipe: File, at: usize, sink: Sink) {
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            if let Ok(event) = serde_json::from_str(&line)
                && sink.send(Note::Load(at, Box::new(event))).is_err()
            {
                break;
            }
        }
        let _ = sink.send(Note::LoadSilent(at));
    });
}

/// The part of the block that probes belong to, shared with the probers.
#[derive(Clone, Debug)]
pub struct SharedPhase(Arc<AtomicU8>);

impl Default for SharedPhase {
    fn default() -> Self {
        Self(Arc::new(AtomicU8::new(0)))
    }
}

impl SharedPhase {
    /// Says which part has come.
    pub fn set(&self, phase: Phase) {
        let number = match phase {
            Phase::Before => 0,
            Phase::During => 1,
            Phase::After => 2,
        };
        self.0.store(number, Ordering::Relaxed);
    }

    /// Which part it is.
    #[must_use]
    pub fn get(&self) -> Phase {
        match self.0.load(Ordering::Relaxed) {
            0 => Phase::Before,
            1 => Phase::During,
            _ => Phase::After,
        }
    }
}

/// Who is probed, and how.
#[derive(Clone, Debug)]
pub struct Probed {
    /// The server, or the proxy.
    pub role: Role,
    /// Its name, if it is not the only one in that role.
    pub name: Option<String>,
    /// Where it listens.
    pub at: SocketAddr,
    /// What it has to answer.
    pub check: Check,
}

/// Probes somebody again and again, until the phase is over and a last probe has been
/// sent.
pub fn probe_on_and_on(probed: Probed, pause: Duration, phase: SharedPhase, sink: Sink) {
    tokio::spawn(async move {
        let Probed {
            role,
            name,
            at,
            check,
        } = probed;
        let mut seq = 1_i64;
        loop {
            let during = phase.get();
            let patience = if during == Phase::After {
                LAST_PATIENCE
            } else {
                HANG_AFTER
            };
            let begun_mono_ns = mono_ns();
            let (outcome, sent) = probe::once(at, check, seq, patience).await;
            let probe = Probe {
                role,
                name: name.clone(),
                phase: during,
                begun_mono_ns,
                outcome,
                sent,
            };
            if sink.send(Note::Probe(mono_ns(), probe)).is_err() {
                return;
            }
            if during == Phase::After {
                let _ = sink.send(Note::ProberDone(role, name));
                return;
            }
            // A refusal costs nobody anything and may be over soon.
            let pause = if outcome == ProbeOutcome::Refused {
                pause / 2
            } else {
                pause
            };
            tokio::time::sleep(pause).await;
            seq += 1;
        }
    });
}

/// Audits somebody.
pub fn audit(probed: Probed, sink: Sink) {
    tokio::spawn(async move {
        let Probed {
            role,
            name,
            at,
            check,
        } = probed;
        let audit = probe::audit(at, check, role, name, LAST_PATIENCE).await;
        let _ = sink.send(Note::Audit(audit));
    });
}
