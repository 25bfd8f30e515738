//! The schedule: clients begin when they are to, and end by themselves, or when there
//! is nobody left to talk to.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use report::event::{Event, Limits, Role, Target};
use rustix::process::Signal;
use service::units::format_duration;

use super::start::words;
use super::{Block, Cut, GRACE};
use crate::plan::split;
use crate::scenario::fault::{self, Step};
use crate::scenario::{Fuzz, Load, Mode, flags, garbage};
use crate::supervisor::spawn::{Spec, THIS_EXECUTABLE};

/// How long clients go on after upstream or proxy died: time to see what that does to
/// them.
const LINGER: Duration = Duration::from_millis(700);

/// A client that is yet to begin.
enum Client<'a> {
    Load(&'a Load),
    Fuzz(Fuzz),
}

impl Client<'_> {
    fn start(&self) -> Duration {
        match self {
            Self::Load(load) => load.start,
            Self::Fuzz(fuzz) => fuzz.start,
        }
    }
}

/// Something that is yet to happen.
enum Due<'a> {
    Client(Client<'a>),
    Fault(Box<Step>),
}

impl Due<'_> {
    fn at(&self) -> Duration {
        match self {
            Self::Client(client) => client.start(),
            Self::Fault(step) => step.at,
        }
    }
}

impl Block<'_> {
    pub(super) async fn run_clients(&mut self) -> Result<(), Cut> {
        let planned = self.planned;
        let loads = planned.scenario.load.iter().map(Client::Load);
        let fuzzes = planned.scenario.fuzz.iter().flat_map(Fuzz::each_time);
        let clients = loads.chain(fuzzes.map(Client::Fuzz));
        let faults = fault::timeline(&planned.scenario.fault).into_iter();
        let mut waiting: Vec<Due<'_>> = clients
            .map(Due::Client)
            .chain(faults.map(|step| Due::Fault(Box::new(step))))
            .collect();
        waiting.sort_by_key(Due::at);
        let begun = Instant::now();
        for next in waiting {
            let due = begun + next.at();
            self.listen_until(due.min(self.deadline), Self::is_over_early)
                .await?;
            if due > self.deadline && !self.is_over_early() {
                return Err(self.took_too_long());
            }
            if self.is_over_early() {
                break;
            }
            match next {
                Due::Client(Client::Load(load)) => self.start_load(load)?,
                Due::Client(Client::Fuzz(fuzz)) => self.start_fuzz(&fuzz)?,
                Due::Fault(step) => self.do_step(&step).await?,
            }
        }
        let done = |block: &Self| block.are_clients_done() || block.is_over_early();
        if !self.listen_until(self.deadline, done).await? {
            return Err(self.took_too_long());
        }
        if self.are_links_dead() {
            return Err(Cut::Problem("the process of the links died".to_owned()));
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

    /// Whether there is no sense in going on.
    fn is_over_early(&self) -> bool {
        self.is_anybody_dead() || self.is_broken()
    }

    fn address(&self, target: Target) -> Result<SocketAddr, Cut> {
        let at = match target {
            Target::Proxy => self.door.or(self.entry),
            Target::Upstream => self.backends.first().map(|backend| backend.server),
        };
        at.ok_or_else(|| Cut::Problem("there is no upstream of ours to aim at".to_owned()))
    }

    fn start_load(&mut self, load: &Load) -> Result<(), Cut> {
        let at = self.address(load.target)?;
        let record = self.record_path("load", &load.name);
        let mode = load.mode.word();
        let mut args = words(&["loadgen", mode, "--connect", &at.to_string()]);
        args.extend(
            flags::of(load, self.plan.rate)
                .into_iter()
                .map(OsString::from),
        );
        let seed = split(self.plan.seed, &format!("load {}", load.name)).to_string();
        args.extend(words(&["--seed", &seed]));
        if load.mode == Mode::Foo {
            let verify = if self.backends.is_empty() {
                "seq"
            } else {
                "digest"
            };
            args.extend(words(&["--verify", verify]));
        }
        if load.bulk.is_some() {
            // As the servers have it.
            args.extend(words(&["--pattern-seed", &self.plan.seed.to_string()]));
        }
        self.start_client(Role::Load, &load.name, load.target, args, record)?;
        Ok(())
    }

    fn start_fuzz(&mut self, fuzz: &Fuzz) -> Result<(), Cut> {
        let at = self.address(fuzz.target)?;
        let record = self.record_path("fuzz", &fuzz.name);
        let seed = split(self.plan.seed, &format!("fuzz {}", fuzz.name)).to_string();
        let mode = fuzz.mode.word();
        let mut args = words(&["fuzzclient", mode, "--connect", &at.to_string()]);
        args.extend(garbage::of(fuzz).into_iter().map(OsString::from));
        args.extend(words(&["--seed", &seed]));
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
            limits: Limits::default(),
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
