//! The schedule: clients begin when they are to, and end by themselves, or when there
//! is nobody left to talk to.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use report::event::{Event, Role, Target};
use rustix::process::Signal;
use service::units::{Rate, format_duration};

use super::start::words;
use super::{Block, Cut, GRACE};
use crate::plan::split;
use crate::scenario::{Fuzz, Load};
use crate::supervisor::probe::Check;
use crate::supervisor::spawn::{Spec, THIS_EXECUTABLE};

/// How long clients go on after upstream or proxy died: time to see what that does to
/// them.
const LINGER: Duration = Duration::from_millis(700);

/// A client that is yet to begin.
enum Client<'a> {
    Load(&'a Load),
    Fuzz(&'a Fuzz),
}

impl Client<'_> {
    fn start(&self) -> Duration {
        match self {
            Self::Load(load) => load.start,
            Self::Fuzz(fuzz) => fuzz.start,
        }
    }
}

impl Block<'_> {
    pub(super) async fn run_clients(&mut self) -> Result<(), Cut> {
        let planned = self.planned;
        let loads = planned.scenario.load.iter().map(Client::Load);
        let mut waiting: Vec<Client<'_>> = loads
            .chain(planned.scenario.fuzz.iter().map(Client::Fuzz))
            .collect();
        waiting.sort_by_key(Client::start);
        let begun = Instant::now();
        for client in waiting {
            let due = begun + client.start();
            self.listen_until(due.min(self.deadline), Self::is_anybody_dead)
                .await?;
            if due > self.deadline && !self.is_anybody_dead() {
                return Err(self.took_too_long());
            }
            if self.is_anybody_dead() {
                break;
            }
            match client {
                Client::Load(load) => self.start_load(load)?,
                Client::Fuzz(fuzz) => self.start_fuzz(fuzz)?,
            }
        }
        let done = |block: &Self| block.are_clients_done() || block.is_anybody_dead();
        if !self.listen_until(self.deadline, done).await? {
            return Err(self.took_too_long());
        }
        if !self.are_clients_done() {
            self.listen_until(Instant::now() + LINGER, Self::are_clients_done)
                .await?;
            self.end_clients().await?;
        }
        self.complain_about_clients()
    }

    fn took_too_long(&self) -> Cut {
        let limit = format_duration(self.planned.scenario.timeout);
        Cut::Problem(format!("the block took longer than its timeout of {limit}"))
    }

    /// Asks clients to end, and waits for their records.
    async fn end_clients(&mut self) -> Result<(), Cut> {
        for child in self
            .children
            .iter_mut()
            .filter(|child| is_client(child.role))
        {
            child.signal(Signal::TERM);
        }
        self.listen_until(Instant::now() + GRACE, Self::are_clients_done)
            .await?;
        Ok(())
    }

    /// A client without a record is the harness's own failure.
    fn complain_about_clients(&self) -> Result<(), Cut> {
        let recorder = self.shared.recorder.borrow();
        let of_this_block = recorder
            .events()
            .iter()
            .rev()
            .take_while(|e| !matches!(e.event, Event::BlockStarted { .. }));
        for stamped in of_this_block {
            if let Event::LoadEnded {
                problem: Some(problem),
                ..
            }
            | Event::FuzzEnded {
                problem: Some(problem),
                ..
            } = &stamped.event
            {
                return Err(Cut::Problem(problem.clone()));
            }
        }
        Ok(())
    }

    fn are_clients_done(&self) -> bool {
        self.children
            .iter()
            .all(|child| !is_client(child.role) || !child.is_running())
    }

    fn is_anybody_dead(&self) -> bool {
        self.children
            .iter()
            .any(|child| !is_client(child.role) && !child.is_running() && !child.is_replaced)
    }

    fn address(&self, target: Target) -> Result<SocketAddr, Cut> {
        let at = match target {
            Target::Proxy => self.entry,
            Target::Upstream => self.upstream_at,
        };
        at.ok_or_else(|| Cut::Problem("there is no upstream of ours to aim at".to_owned()))
    }

    fn start_load(&mut self, load: &Load) -> Result<(), Cut> {
        let at = self.address(load.target)?;
        let record = self.record_path("load", &load.name);
        let mut args = words(&["loadgen", "foo", "--connect", &at.to_string()]);
        let rate = self.plan.rate.or(load.rate.map(Rate::per_second));
        args.extend(match rate {
            Some(rate) => words(&["--rate", &rate.to_string()]),
            None => words(&["--closed"]),
        });
        let verify = if self.check() == Check::Digest {
            "digest"
        } else {
            "seq"
        };
        let seed = split(self.plan.seed, &format!("load {}", load.name)).to_string();
        for (flag, value) in [
            ("--connections", load.connections.to_string()),
            ("--pipeline", load.pipeline.to_string()),
            ("--duration", format_duration(load.duration)),
            ("--warmup", format_duration(load.warmup)),
            ("--interval", format_duration(load.interval)),
            ("--floor", format_duration(load.floor)),
            ("--verify", verify.to_owned()),
            ("--seed", seed),
        ] {
            args.extend(words(&[flag, &value]));
        }
        if let Some(requests) = load.requests_per_connection {
            args.extend(words(&["--requests-per-connection", &requests.to_string()]));
        }
        if let Some(threads) = load.threads {
            args.extend(words(&["--threads", &threads.to_string()]));
        }
        self.start_client(Role::Load, &load.name, load.target, args, record)?;
        Ok(())
    }

    fn start_fuzz(&mut self, fuzz: &Fuzz) -> Result<(), Cut> {
        let at = self.address(fuzz.target)?;
        let record = self.record_path("fuzz", &fuzz.name);
        let seed = split(self.plan.seed, &format!("fuzz {}", fuzz.name)).to_string();
        let mut args = words(&["fuzzclient", "foo", "--connect", &at.to_string()]);
        for (flag, value) in [
            ("--strategy", fuzz.strategy.word().to_owned()),
            ("--duration", format_duration(fuzz.duration)),
            ("--connections", fuzz.connections.to_string()),
            ("--seed", seed),
        ] {
            args.extend(words(&[flag, &value]));
        }
        if let Some(bytes) = fuzz.bytes {
            args.extend(words(&["--bytes", &bytes.to_string()]));
        }
        if fuzz.until_crash {
            args.extend(words(&["--until-crash"]));
        }
        self.emit(Event::FuzzStarted {
            name: fuzz.name.clone(),
            target: fuzz.target,
        });
        self.start_client(Role::Fuzz, &fuzz.name, fuzz.target, args, record)
    }

    fn start_client(
        &mut self,
        role: Role,
        name: &str,
        target: Target,
        mut args: Vec<OsString>,
        record: PathBuf,
    ) -> Result<(), Cut> {
        args.extend(words(&["--quiet", "--json"]));
        args.push(record.clone().into_os_string());
        if self.shared.plan.allow_remote {
            args.extend(words(&["--allow-remote"]));
        }
        let write_fds = if role == Role::Load {
            vec!["--events-fd"]
        } else {
            Vec::new()
        };
        let program = THIS_EXECUTABLE.into();
        let spec = Spec {
            program,
            args,
            write_fds,
            core_dumps: self.shared.plan.core_dumps,
        };
        let at = self.start(role, name, target, &spec)?;
        self.children[at].record = Some(record);
        Ok(())
    }

    /// A file of this client's own: one that was left by another block is not read.
    fn record_path(&self, kind: &str, name: &str) -> PathBuf {
        let path = self.shared.scratch.join(format!("{kind}-{name}.json"));
        let _ = std::fs::remove_file(&path);
        path
    }
}

fn is_client(role: Role) -> bool {
    matches!(role, Role::Load | Role::Fuzz)
}
