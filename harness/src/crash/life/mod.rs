//! The processes of a target, from their start, which is in `start`, to their end.

mod start;

use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bundle::{Death, Process, Transport, Who};
use fuzzclient::watch::Found;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::supervisor::child::signal_name;
use crate::supervisor::drain::{Drain, Output};
use crate::supervisor::guard::Guard;
use crate::supervisor::spawn::signal_group;
use crate::supervisor::tree;

/// An attempt to connect to this machine is answered at once.
const CONNECT_PATIENCE: Duration = Duration::from_millis(500);

/// How long a process that was killed may take to be gone.
const KILL_PATIENCE: Duration = Duration::from_secs(5);

/// Lines of last words that a message shows.
const SHOWN_LINES: usize = 3;

/// Something that happens while a target is attacked. Processes are known by their place.
#[derive(Debug)]
pub enum Note {
    /// A process has ended.
    Exited(usize, ExitStatus),
    /// A probe of a process has found something.
    Found(usize, Found),
    /// All is sent that was to be.
    Sent,
}

/// Where notes go.
pub type Sink = UnboundedSender<Note>;

/// Ends all processes if the harness is killed.
pub type SharedGuard = Arc<Mutex<Guard>>;

/// A process of a target.
#[derive(Debug)]
pub struct Part {
    /// Which part it plays.
    pub who: Who,
    /// Where it listens.
    pub at: SocketAddr,
    /// Where it is asked how it is, if that is another port.
    pub management: Option<SocketAddr>,
    /// Its process, if it is known.
    pub pid: Option<u32>,
    /// How it ended.
    pub status: Option<ExitStatus>,
    /// A connection from before any garbage.
    pub held: Option<TcpStream>,
    /// What it writes, if we started it.
    output: Option<(Drain, Drain)>,
}

/// A target that has been started.
#[derive(Debug)]
pub struct Life {
    /// Its processes; the last is attacked.
    pub parts: Vec<Part>,
    /// Those that have ended, in that order.
    pub ended: Vec<usize>,
    /// When it was ready.
    pub since: Instant,
    /// What happens.
    notes: UnboundedReceiver<Note>,
    /// Where others say what happens.
    pub sink: Sink,
    guard: SharedGuard,
}

impl Part {
    /// What it wrote to stderr last.
    #[must_use]
    pub fn last_words(&self) -> Vec<u8> {
        let output = self.output.as_ref();
        output.map_or_else(Vec::new, |(_, stderr)| {
            stderr.output(|output| output.tail().to_vec())
        })
    }

    /// The same on one line, for messages.
    #[must_use]
    pub fn shown_words(&self) -> String {
        let output = self.output.as_ref();
        let lines = output.map_or_else(Vec::new, |(_, stderr)| stderr.output(Output::last_lines));
        let from = lines.len().saturating_sub(SHOWN_LINES);
        if lines.is_empty() {
            "nothing on stderr".to_owned()
        } else {
            format!("stderr: {}", lines[from..].join(" | "))
        }
    }

    /// Whether it is our child.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.output.is_some()
    }

    /// How it ended, if it has.
    #[must_use]
    pub fn death(&self) -> Option<Death> {
        let status = self.status?;
        Some(match self.is_ours() {
            true => death(status),
            false => Death::Unknown,
        })
    }
}

/// How a process ended.
fn death(status: ExitStatus) -> Death {
    match (status.signal(), status.code()) {
        (Some(signal), _) => Death::Signal(signal_name(signal)),
        (None, code) => Death::Code(code.unwrap_or_default()),
    }
}

impl Life {
    /// Starts these, one after the other, each when the one before is ready.
    ///
    /// # Errors
    /// Which did not start, and why; then none is left.
    pub async fn start(
        processes: &[Process],
        transport: Transport,
        guard: &SharedGuard,
    ) -> Result<Self, String> {
        let mut life = Self::empty(guard);
        for process in processes {
            if let Err(reason) = life.add(process, transport).await {
                life.end().await;
                return Err(reason);
            }
        }
        life.since = Instant::now();
        Ok(life)
    }

    /// Takes note of something that runs already.
    ///
    /// # Errors
    /// That it does not.
    pub fn of_running(
        at: SocketAddr,
        pid: Option<u32>,
        transport: Transport,
        guard: &SharedGuard,
    ) -> Result<Self, String> {
        let mut life = Self::empty(guard);
        if transport == Transport::Tcp {
            TcpStream::connect_timeout(&at, CONNECT_PATIENCE)
                .map_err(|error| format!("nothing runs at {at}: {error}"))?;
        }
        if let Some(pid) = pid {
            if tree::sample(&[pid]).is_none() {
                return Err(format!("there is no process {pid}"));
            }
            let sink = life.sink.clone();
            std::thread::spawn(move || {
                wait_for(pid);
                let _ = sink.send(Note::Exited(0, ExitStatus::default()));
            });
        }
        let who = Who::Command;
        let (management, status, held, output) = (None, None, None, None);
        life.parts.push(Part {
            who,
            at,
            management,
            pid,
            status,
            held,
            output,
        });
        Ok(life)
    }

    fn empty(guard: &SharedGuard) -> Self {
        let (sink, notes) = unbounded_channel();
        Self {
            parts: Vec::new(),
            ended: Vec::new(),
            since: Instant::now(),
            notes,
            sink,
            guard: Arc::clone(guard),
        }
    }

    /// Opens a connection to each process: whether old ones are served tells a process that
    /// accepts none any more from one that hangs.
    pub fn hold(&mut self) {
        for part in &mut self.parts {
            part.held = TcpStream::connect_timeout(&part.at, CONNECT_PATIENCE).ok();
        }
    }

    /// Which process is attacked.
    #[must_use]
    pub fn target(&self) -> usize {
        self.parts.len() - 1
    }

    /// Takes note of it if a process has ended.
    fn take_exit(&mut self, note: &Note) {
        if let Note::Exited(place, status) = note
            && let Some(part) = self.parts.get_mut(*place)
        {
            part.status.get_or_insert(*status);
            self.ended.push(*place);
        }
    }

    /// Waits for what happens next.
    pub async fn next(&mut self) -> Note {
        let note = self.notes.recv().await.expect("there is a sink here");
        self.take_exit(&note);
        note
    }

    /// The same, but no longer than this.
    pub async fn next_within(&mut self, patience: Duration) -> Option<Note> {
        tokio::time::timeout(patience, self.next()).await.ok()
    }

    /// Waits until what a process that has ended wrote last is read.
    pub async fn hear_last_words(&mut self, place: usize) {
        if let Some((_, stderr)) = &mut self.parts[place].output {
            stderr.end().await;
        }
    }

    /// Kills what we have started, and waits until it is gone.
    pub async fn end(mut self) {
        while !self.parts.is_empty() {
            self.bury_last().await;
        }
    }

    async fn bury_last(&mut self) {
        let place = self.parts.len() - 1;
        if let Some(pid) = self.parts[place]
            .pid
            .filter(|_| self.parts[place].is_ours())
        {
            // Its children may outlive it.
            signal_group(pid, Signal::KILL);
            let gone = async {
                while self.parts[place].status.is_none() {
                    self.next().await;
                }
            };
            let _ = tokio::time::timeout(KILL_PATIENCE, gone).await;
            self.lock_guard(|guard| guard.forget(pid));
        }
        self.parts.pop();
    }

    fn lock_guard(&self, use_it: impl FnOnce(&mut Guard)) {
        use_it(&mut self.guard.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Waits until a process that is no child of ours is gone: how it ended only its parent knows.
fn wait_for(pid: u32) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    // One that cannot be opened has gone meanwhile.
    let process = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
    while let Some(process) = &process {
        let mut fds = [PollFd::new(process, PollFlags::IN)];
        match poll(&mut fds, None) {
            Err(Errno::INTR) => {}
            _ => break,
        }
    }
}

impl Drop for Life {
    /// Whoever does not wait for the end leaves nobody behind either.
    fn drop(&mut self) {
        for part in &self.parts {
            if let Some(pid) = part.pid.filter(|_| part.is_ours() && part.status.is_none()) {
                signal_group(pid, Signal::KILL);
            }
        }
    }
}
