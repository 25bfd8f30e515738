//! The processes of a target, from their start to their end.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bundle::{Death, Process, Transport, Who};
use fuzzclient::watch::Found;
use rustix::process::Signal;
use service::ready::Ready;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::target::OURSELVES;
use super::words::Holes;
use crate::supervisor::child::signal_name;
use crate::supervisor::drain::{Drain, Output, TAIL_BYTES};
use crate::supervisor::guard::Guard;
use crate::supervisor::spawn::{Spec, THIS_EXECUTABLE, signal_group, spawn};
use crate::supervisor::{orphan, tree, udp};

/// How long a process may take from its start until it can be talked to.
const START_PATIENCE: Duration = Duration::from_secs(10);

/// How often a process is started again on another port, because somebody took its own.
const PORT_TRIES: usize = 3;

/// Between two attempts to connect to a process that has no way to say that it is ready.
const CONNECT_PAUSE: Duration = Duration::from_millis(5);

/// An attempt to connect to this machine is answered at once.
const CONNECT_PATIENCE: Duration = Duration::from_millis(500);

/// How long a process that was killed may take to be gone.
const KILL_PATIENCE: Duration = Duration::from_secs(5);

/// A readiness line is shorter than this.
const MAX_LINE_BYTES: u64 = 64 * 1024;

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
        self.status.map(death)
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
            // It is no child of ours: that it is gone is all that can be known.
            std::thread::spawn(move || {
                let _ = sink.send(Note::Exited(0, orphan::wait(pid)));
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

    async fn add(&mut self, process: &Process, transport: Transport) -> Result<(), String> {
        let is_own = process
            .command
            .first()
            .is_some_and(|program| program == OURSELVES);
        for _ in 1..PORT_TRIES {
            match self.try_add(process, is_own, transport).await {
                Err(said) if !is_own && said.to_lowercase().contains("in use") => {
                    self.bury_last().await;
                }
                outcome => return outcome,
            }
        }
        self.try_add(process, is_own, transport).await
    }

    async fn try_add(
        &mut self,
        process: &Process,
        is_own: bool,
        transport: Transport,
    ) -> Result<(), String> {
        let who = process.who.word();
        let no_port = |error: io::Error| format!("there is no free port: {error}");
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let port = || {
            if is_own {
                Ok(any)
            } else {
                free_port().map_err(no_port)
            }
        };
        let before = self.parts.last();
        let holes = Holes {
            listen: port()?,
            management: port()?,
            forward: before.map(|part| part.at),
            forward_management: before.and_then(|part| part.management),
        };
        let words: Vec<String> = process
            .command
            .iter()
            .map(|word| holes.fill(word))
            .collect();
        let Some((program, args)) = words.split_first() else {
            return Err(format!("the {who} has no command"));
        };
        let spec = Spec {
            program: if is_own { THIS_EXECUTABLE } else { program }.into(),
            args: args.iter().map(OsString::from).collect(),
            write_fds: if is_own {
                vec!["--ready-fd"]
            } else {
                Vec::new()
            },
            ..Spec::default()
        };
        let spawned = spawn(&spec)
            .map_err(|error| format!("the {who} cannot be started: {program}: {error}"))?;
        let pid = spawned.pid;
        self.lock_guard(|guard| guard.watch(pid));
        let place = self.parts.len();
        let output = (
            Drain::start(spawned.stdout, TAIL_BYTES),
            Drain::start(spawned.stderr, TAIL_BYTES),
        );
        self.parts.push(Part {
            who: process.who,
            at: holes.listen,
            management: None,
            pid: Some(pid),
            status: None,
            held: None,
            output: Some(output),
        });
        let (sink, mut child) = (self.sink.clone(), spawned.child);
        tokio::spawn(async move {
            if let Ok(status) = child.wait().await {
                let _ = sink.send(Note::Exited(place, status));
            }
        });
        let announced = match spawned.write_fds.into_iter().next() {
            Some(pipe) => self.announced(pipe).await?,
            None => {
                let uses_management = process
                    .command
                    .iter()
                    .any(|word| word.contains("{management}"));
                let management = uses_management.then_some(holes.management);
                self.answers(holes.listen, management, transport).await?;
                (holes.listen, management)
            }
        };
        (self.parts[place].at, self.parts[place].management) = announced;
        Ok(())
    }

    /// Waits until a process of ours says that it is ready, and where.
    async fn announced(&mut self, pipe: File) -> Result<(SocketAddr, Option<SocketAddr>), String> {
        let reading = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            let _ = BufReader::new(pipe.take(MAX_LINE_BYTES)).read_line(&mut line);
            serde_json::from_str::<Ready>(&line).ok()
        });
        let ready = tokio::time::timeout(START_PATIENCE, reading).await;
        let Ok(Ok(Some(ready))) = ready else {
            let place = self.parts.len() - 1;
            // One that closed its descriptor is about to exit: its cause is wanted.
            self.wait_for_end(place, Duration::from_secs(1)).await;
            return Err(self.not_ready());
        };
        let socket = |role: &str| -> Option<SocketAddr> { ready.sockets.get(role)?.parse().ok() };
        let listen = ["listen", "listen-tcp", "listen.0"]
            .into_iter()
            .find_map(socket);
        let listen =
            listen.ok_or_else(|| format!("{} does not say where it listens", ready.ready))?;
        Ok((listen, socket("management")))
    }

    /// Waits until somebody takes connections there, or has a socket for datagrams.
    async fn answers(
        &mut self,
        at: SocketAddr,
        management: Option<SocketAddr>,
        transport: Transport,
    ) -> Result<(), String> {
        let deadline = Instant::now() + START_PATIENCE;
        let place = self.parts.len() - 1;
        let is_there = |at: SocketAddr, transport| match transport {
            Transport::Tcp => TcpStream::connect_timeout(&at, CONNECT_PATIENCE).is_ok(),
            Transport::Udp => udp::look(at).is_some(),
        };
        loop {
            let knocks =
                is_there(at, transport) && management.is_none_or(|at| is_there(at, Transport::Tcp));
            self.wait_for_end(
                place,
                if knocks {
                    Duration::ZERO
                } else {
                    CONNECT_PAUSE
                },
            )
            .await;
            if self.parts[place].status.is_some() || Instant::now() >= deadline {
                return Err(self.not_ready());
            }
            if knocks {
                return Ok(());
            }
        }
    }

    /// Why the last process is not ready, in one line.
    fn not_ready(&self) -> String {
        let part = &self.parts[self.parts.len() - 1];
        let how = match part.death() {
            Some(Death::Signal(signal)) => {
                format!("died of {signal} at its start, before any input")
            }
            Some(Death::Code(code)) => {
                format!("ended with exit code {code} at its start, before any input")
            }
            None => format!("took no connection for {} s", START_PATIENCE.as_secs()),
        };
        format!("the {} {how}; {}", part.who.word(), part.shown_words())
    }

    /// Waits for the end of a process, but no longer than this. Other notes are dropped: there
    /// are none before anything is sent.
    async fn wait_for_end(&mut self, place: usize, patience: Duration) {
        let ended = async {
            while self.parts[place].status.is_none() {
                self.next().await;
            }
            if let Some((_, stderr)) = &mut self.parts[place].output {
                stderr.end().await;
            }
        };
        let _ = tokio::time::timeout(patience, ended).await;
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

fn free_port() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}
