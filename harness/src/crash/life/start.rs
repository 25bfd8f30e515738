//! Starting the processes of a target, each until it can be talked to.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use bundle::{Death, Process, Transport};
use service::ready::Ready;

use super::{CONNECT_PATIENCE, Life, Note, Part};
use crate::crash::target::OURSELVES;
use crate::crash::words::Holes;
use crate::supervisor::drain::{Drain, TAIL_BYTES};
use crate::supervisor::spawn::{Spec, THIS_EXECUTABLE, spawn};
use crate::supervisor::udp;

/// How long a process may take from its start until it can be talked to.
const START_PATIENCE: Duration = Duration::from_secs(10);

/// How often a process is started again on another port, because somebody took its own.
const PORT_TRIES: usize = 3;

/// Between two attempts to connect to a process that has no way to say that it is ready.
const CONNECT_PAUSE: Duration = Duration::from_millis(5);

/// A readiness line is shorter than this.
const MAX_LINE_BYTES: u64 = 64 * 1024;

impl Life {
    pub(super) async fn add(
        &mut self,
        process: &Process,
        transport: Transport,
    ) -> Result<(), String> {
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
            Some(Death::Unknown) => "is gone, before any input".to_owned(),
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
}

fn free_port() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}
