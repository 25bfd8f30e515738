//! Starting proxies that know nothing of us, and finding one that runs already.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use report::event::{Event, ProbeOutcome, Role, Target};
use service::addr::HostPort;

use super::{Block, Cut, START_PATIENCE};
use crate::descriptor::{Descriptor, Template};
use crate::foreign;
use crate::scenario::Mode;
use crate::supervisor::spawn::Spec;
use crate::supervisor::{datagram, udp};

/// How often a foreign proxy is started again on another port, because somebody took
/// the one that was reserved for it.
const PORT_TRIES: usize = 3;

/// How long a port is waited for before the next attempt, if it must be that one.
const PORT_PAUSE: Duration = Duration::from_millis(500);

/// Between two attempts to connect to a process that has no way to say that it is ready.
const CONNECT_PAUSE: Duration = Duration::from_millis(10);

/// An attempt to connect to this machine is answered at once.
const CONNECT_PATIENCE: Duration = Duration::from_millis(500);

impl Block<'_> {
    /// Starts a proxy that knows nothing of us, on a port that was free a moment ago; in a
    /// comparison always on the same one, which may be given back with some delay.
    pub(super) async fn start_foreign(&mut self, subject: &Descriptor) -> Result<SocketAddr, Cut> {
        let problem = |error: std::io::Error| Cut::Problem(format!("{subject}: {error}"));
        let given = self.ports.as_ref().map(|ports| ports.proxy);
        let listen = || given.map_or_else(free_port, Ok).map_err(problem);
        for _ in 1..PORT_TRIES {
            match self.try_foreign(subject, listen()?).await {
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
        self.try_foreign(subject, listen()?).await
    }

    async fn try_foreign(
        &mut self,
        subject: &Descriptor,
        listen: SocketAddr,
    ) -> Result<SocketAddr, Cut> {
        let problem = |reason: String| Cut::Problem(format!("{subject}: {reason}"));
        let program = self.program(subject).map_err(problem)?;
        let management = self.ports.as_ref().map_or(listen, |ports| ports.management);
        let whereabouts = foreign::At { listen, management };
        let spec = if subject.is_build_of_ours() {
            Spec {
                program,
                args: self.own_flags(&listen.to_string(), &[])?,
                ..Spec::default()
            }
        } else {
            let scratch = &self.shared.scratch;
            let mode = self.planned.scenario.proxy.mode;
            foreign::spec(subject, program, mode, whereabouts, &self.backends, scratch)
                .map_err(problem)?
        };
        let spec = Spec {
            core_dumps: self.shared.plan.core_dumps,
            limits: self.proxy_limits(),
            ..spec
        };
        let at = self.start(Role::Proxy, &subject.to_string(), Target::Proxy, &spec)?;
        self.children[at].spec = Some(spec);
        self.wait_for_foreign(at, listen).await?;
        if self.is_about_lines() {
            self.find_management(subject, at).await?;
        }
        Ok(listen)
    }

    /// Notes where a proxy for statsd is asked how it is and what it counts, where that is
    /// known, and waits until it answers.
    async fn find_management(&mut self, subject: &Descriptor, at: usize) -> Result<(), Cut> {
        let has_management = match subject {
            Descriptor::Template(template) => *template == Template::Statsd,
            Descriptor::Command(command) => command.contains("{management}"),
            other => other.is_build_of_ours(),
        };
        let Some(ports) = self.ports.clone().filter(|_| has_management) else {
            return Ok(());
        };
        self.wait_until(at, || {
            TcpStream::connect_timeout(&ports.management, CONNECT_PATIENCE).is_ok()
        })
        .await?;
        self.management = Some(ports.management);
        self.admin = subject.is_build_of_ours().then_some(ports.admin);
        Ok(())
    }

    /// Waits until the proxy that was started takes connections there.
    pub(super) async fn wait_for_foreign(
        &mut self,
        at: usize,
        listen: SocketAddr,
    ) -> Result<(), Cut> {
        // A proxy for datagrams takes no connections: that its socket is there has to do.
        let is_of_datagrams = self.planned.scenario.has_datagrams();
        self.wait_until(at, || {
            if is_of_datagrams {
                udp::look(listen).is_some()
            } else {
                TcpStream::connect_timeout(&listen, CONNECT_PATIENCE).is_ok()
            }
        })
        .await?;
        let sockets = [("listen".to_owned(), listen.to_string())].into();
        let (role, name) = (Role::Proxy, self.plan.subject.to_string());
        self.emit(Event::ChildReady {
            role,
            name,
            sockets,
        });
        Ok(())
    }

    /// Waits until this holds of a child that was started.
    async fn wait_until(&mut self, at: usize, is_there: impl Fn() -> bool) -> Result<(), Cut> {
        let deadline = Instant::now() + START_PATIENCE;
        while Instant::now() < deadline {
            let pause = Instant::now() + CONNECT_PAUSE;
            self.listen_until(pause, |block| !block.children[at].is_running())
                .await?;
            if !self.children[at].is_running() {
                break;
            }
            if is_there() {
                return Ok(());
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
    pub(super) async fn find_running(&self, addr: &HostPort) -> Result<SocketAddr, Cut> {
        let problem = |reason: String| Cut::Problem(format!("addr:{addr}: {reason}"));
        let candidates = addr
            .connect_candidates()
            .map_err(|error| problem(error.to_string()))?;
        let mut reached = None;
        for at in candidates {
            if self.is_reached(at).await {
                reached = Some(at);
                break;
            }
        }
        let reached = reached.ok_or_else(|| problem("nothing answers there".to_owned()))?;
        self.emit(Event::ChildStarted {
            role: Role::Proxy,
            name: self.plan.subject.to_string(),
            pid: self.shared.plan.pid.unwrap_or(0),
            command: Vec::new(),
        });
        Ok(reached)
    }

    /// Whether somebody is there.
    async fn is_reached(&self, at: SocketAddr) -> bool {
        match self.planned.scenario.proxy.mode {
            // Whoever takes lines takes no connections, and answers nothing.
            Mode::Statsd => true,
            Mode::Udp => {
                let (outcome, _) = datagram::ask(at, 0, 4 * CONNECT_PATIENCE).await;
                outcome == ProbeOutcome::Answered
            }
            Mode::Foo | Mode::Tcp => TcpStream::connect_timeout(&at, 4 * CONNECT_PATIENCE).is_ok(),
        }
    }
}

/// A port that is free now; whoever is to have it must be quick.
fn free_port() -> std::io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}
