//! Starting upstream and proxy, and finding out that they can be talked to.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use report::event::{Event, Role, Target};
use service::addr::HostPort;

use super::{Block, Cut, START_PATIENCE};
use crate::descriptor::Descriptor;
use crate::foreign;
use crate::ports::Ports;
use crate::supervisor::child::Child;
use crate::supervisor::drain::Drain;
use crate::supervisor::notes;
use crate::supervisor::spawn::{Spec, THIS_EXECUTABLE, spawn};

/// How often a foreign proxy is started again on another port, because somebody took
/// the one that was reserved for it.
const PORT_TRIES: usize = 3;

/// How long a port is waited for before the next attempt, if it must be that one.
const PORT_PAUSE: Duration = Duration::from_millis(500);

/// Between two attempts to connect to a process that has no way to say that it is ready.
const CONNECT_PAUSE: Duration = Duration::from_millis(10);

/// An attempt to connect to this machine is answered at once.
const CONNECT_PATIENCE: Duration = Duration::from_millis(500);

/// Any free port.
const ANY: &str = "127.0.0.1:0";

impl Block<'_> {
    pub(super) async fn start_upstream(&mut self) -> Result<(), Cut> {
        let Some(upstream) = self.planned.upstream(&self.plan.subject) else {
            return Ok(());
        };
        let listen = upstream.listen.as_ref().map_or_else(
            || self.own_port(|ports| ports.upstream),
            HostPort::to_string,
        );
        let mut args = words(&["upstream", "foo", "--listen", &listen]);
        for defect in &upstream.defects {
            args.extend(words(&["--defect", defect]));
        }
        if let Some(threads) = upstream.threads {
            args.extend(words(&["--threads", &threads.to_string()]));
        }
        args.extend(words(&["--seed", &self.plan.seed.to_string()]));
        let at = self.start_ours(Role::Upstream, args).await?;
        self.upstream_at = Some(at);
        self.entry = Some(at);
        Ok(())
    }

    pub(super) async fn start_proxy(&mut self) -> Result<(), Cut> {
        let subject = self.plan.subject.clone();
        match (&subject, self.upstream_at) {
            (Descriptor::Direct, _) => {}
            (Descriptor::Builtin, Some(forward)) => {
                let mut args = words(&[
                    "proxy",
                    "foo",
                    "--listen",
                    &self.own_port(|ports| ports.proxy),
                    "--forward",
                    &forward.to_string(),
                ]);
                args.extend(self.planned.scenario.proxy.args.iter().map(OsString::from));
                self.entry = Some(self.start_ours(Role::Proxy, args).await?);
            }
            (Descriptor::Running(addr), _) => self.entry = Some(self.find_running(addr)?),
            (_, Some(forward)) => self.entry = Some(self.start_foreign(&subject, forward).await?),
            (_, None) => {
                return Err(Cut::Problem(
                    "there is no upstream to forward to".to_owned(),
                ));
            }
        }
        Ok(())
    }

    /// Where one of our own parts listens.
    fn own_port(&self, which: fn(&Ports) -> SocketAddr) -> String {
        let ports = self.planned.ports.as_ref();
        ports.map_or_else(|| ANY.to_owned(), |ports| which(ports).to_string())
    }

    /// Starts this executable again as one of its parts, and waits for its readiness
    /// line.
    async fn start_ours(&mut self, role: Role, args: Vec<OsString>) -> Result<SocketAddr, Cut> {
        let spec = Spec {
            program: THIS_EXECUTABLE.into(),
            args,
            write_fds: vec!["--ready-fd"],
            core_dumps: self.shared.plan.core_dumps,
        };
        let at = self.start(role, role.word(), Target::Proxy, &spec)?;
        let settled = |block: &Self| {
            let child = &block.children[at];
            child.sockets.is_some() || child.is_mute || !child.is_running()
        };
        self.listen_until(Instant::now() + START_PATIENCE, settled)
            .await?;
        let child = &self.children[at];
        let socket = child
            .sockets
            .as_ref()
            .and_then(|sockets| sockets.get("listen")?.parse().ok());
        match socket {
            Some(socket) => Ok(reachable(socket)),
            None => Err(self.start_failure(at).await),
        }
    }

    /// Starts a proxy that knows nothing of us, on a port that was free a moment ago; in a
    /// comparison always on the same one, which may be given back with some delay.
    async fn start_foreign(
        &mut self,
        subject: &Descriptor,
        forward: SocketAddr,
    ) -> Result<SocketAddr, Cut> {
        let problem = |error: std::io::Error| Cut::Problem(format!("{subject}: {error}"));
        let given = self.planned.ports.as_ref().map(|ports| ports.proxy);
        let listen = || given.map_or_else(free_port, Ok).map_err(problem);
        for _ in 1..PORT_TRIES {
            match self.try_foreign(subject, listen()?, forward).await {
                Err(Cut::Problem(said)) if said.to_lowercase().contains("in use") => {}
                outcome => return outcome,
            }
            if let Some(failed) = self.children.last_mut() {
                failed.is_replaced = true;
            }
            if given.is_some() {
                self.listen_until(Instant::now() + PORT_PAUSE, |_| false)
                    .await?;
            }
        }
        self.try_foreign(subject, listen()?, forward).await
    }

    async fn try_foreign(
        &mut self,
        subject: &Descriptor,
        listen: SocketAddr,
        forward: SocketAddr,
    ) -> Result<SocketAddr, Cut> {
        let args = &self.planned.scenario.proxy.args;
        let spec = self
            .program(subject)
            .and_then(|program| {
                foreign::spec(
                    subject,
                    program,
                    listen,
                    forward,
                    args,
                    &self.shared.scratch,
                )
            })
            .map_err(|reason| Cut::Problem(format!("{subject}: {reason}")))?;
        let spec = Spec {
            core_dumps: self.shared.plan.core_dumps,
            ..spec
        };
        let at = self.start(Role::Proxy, &subject.to_string(), Target::Proxy, &spec)?;
        let deadline = Instant::now() + START_PATIENCE;
        while Instant::now() < deadline {
            let pause = Instant::now() + CONNECT_PAUSE;
            self.listen_until(pause, |block| !block.children[at].is_running())
                .await?;
            if !self.children[at].is_running() {
                break;
            }
            if TcpStream::connect_timeout(&listen, CONNECT_PATIENCE).is_ok() {
                let sockets = [("listen".to_owned(), listen.to_string())].into();
                let (role, name) = (Role::Proxy, subject.to_string());
                self.emit(Event::ChildReady {
                    role,
                    name,
                    sockets,
                });
                return Ok(listen);
            }
        }
        Err(self.start_failure(at).await)
    }

    /// A subject's program. That of a revision is the one that was built before the run,
    /// even if the revision's name has come to mean another since.
    fn program(&self, subject: &Descriptor) -> Result<PathBuf, String> {
        let role = subject.to_string();
        let built = self.shared.binaries.iter().find(|known| known.role == role);
        match (subject, built) {
            (Descriptor::Revision(_), Some(built)) => Ok(PathBuf::from(&built.path)),
            _ => subject.program()?.ok_or_else(|| "is no program".to_owned()),
        }
    }

    /// Something that runs already has to be there.
    fn find_running(&self, addr: &HostPort) -> Result<SocketAddr, Cut> {
        let problem = |reason: String| Cut::Problem(format!("addr:{addr}: {reason}"));
        let candidates = addr
            .connect_candidates()
            .map_err(|error| problem(error.to_string()))?;
        let reached = candidates
            .iter()
            .find(|at| TcpStream::connect_timeout(at, 4 * CONNECT_PATIENCE).is_ok())
            .ok_or_else(|| problem("nothing answers there".to_owned()))?;
        self.emit(Event::ChildStarted {
            role: Role::Proxy,
            name: self.plan.subject.to_string(),
            pid: self.shared.plan.pid.unwrap_or(0),
            command: Vec::new(),
        });
        Ok(*reached)
    }

    /// Starts a child, and has it listened to.
    pub(super) fn start(
        &mut self,
        role: Role,
        name: &str,
        target: Target,
        spec: &Spec,
    ) -> Result<usize, Cut> {
        let spawned = spawn(spec).map_err(|error| {
            Cut::Problem(format!(
                "the {} cannot be started: {}: {error}",
                role.word(),
                spec.program.display()
            ))
        })?;
        let (at, pid) = (self.children.len(), spawned.pid);
        self.shared.guard.borrow_mut().watch(pid);
        self.emit(Event::ChildStarted {
            role,
            name: name.to_owned(),
            pid,
            command: spec.words(),
        });
        for (flag, pipe) in spec.write_fds.iter().zip(spawned.write_fds) {
            match *flag {
                "--events-fd" => notes::on_load_events(pipe, at, self.sink.clone()),
                _ => notes::on_ready(pipe, at, self.sink.clone()),
            }
        }
        self.children.push(Child {
            role,
            name: name.to_owned(),
            pid,
            target,
            record: None,
            stdout: Drain::start(spawned.stdout),
            stderr: Drain::start(spawned.stderr),
            sockets: None,
            is_mute: false,
            is_talking: spec.write_fds.contains(&"--events-fd"),
            pending: None,
            asked: false,
            may_be_killed: false,
            status: None,
            is_replaced: false,
        });
        notes::on_exit(spawned.child, at, self.sink.clone());
        Ok(at)
    }

    /// Why a child did not become ready, in one line.
    async fn start_failure(&mut self, at: usize) -> Cut {
        // A child that closed its descriptor is about to exit: its cause is wanted.
        let soon = Instant::now() + Duration::from_secs(1);
        if let Err(stop) = self
            .listen_until(soon, |block| !block.children[at].is_running())
            .await
        {
            return Cut::Stopped(stop);
        }
        let child = &self.children[at];
        let how = if child.is_running() {
            format!("was not ready after {} s", START_PATIENCE.as_secs())
        } else {
            format!("died at its start ({})", child.exit().cause())
        };
        let is_named = child.name == child.role.word();
        let name = if is_named {
            String::new()
        } else {
            format!(" {}", child.name)
        };
        Cut::Problem(format!(
            "the {}{name} {how}; {}",
            child.role.word(),
            child.last_words()
        ))
    }
}

/// Where to connect to what listens at `at`: who listens everywhere listens on the
/// loopback interface as well.
fn reachable(at: SocketAddr) -> SocketAddr {
    let ip = match at.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(ip, at.port())
}

/// A port that is free now; whoever is to have it must be quick.
fn free_port() -> std::io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// Arguments.
pub(super) fn words(words: &[&str]) -> Vec<OsString> {
    words.iter().map(OsString::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_listens_everywhere_is_reached_over_loopback() {
        for (listens, reached) in [
            ("[::]:8001", "[::1]:8001"),
            ("0.0.0.0:8001", "127.0.0.1:8001"),
            ("127.0.0.2:8001", "127.0.0.2:8001"),
        ] {
            assert_eq!(reachable(listens.parse().unwrap()).to_string(), reached);
        }
    }
}
