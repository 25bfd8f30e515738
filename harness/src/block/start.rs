//! Starting upstreams and proxy, and finding out that they can be talked to.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Instant;

use report::event::{Limits, Role};
use service::addr::HostPort;

use super::{Block, Cut, START_PATIENCE};
use crate::descriptor::Descriptor;
use crate::foreign::{self, Backend};
use crate::ports::Ports;
use crate::scenario::{Action, Mode, Server, Upstream, statsd};
use crate::supervisor::spawn::{Spec, THIS_EXECUTABLE};

/// Any free port.
const ANY: &str = "127.0.0.1:0";

impl Block<'_> {
    pub(super) async fn start_upstreams(&mut self) -> Result<(), Cut> {
        let upstreams = self.planned.upstreams(&self.plan.subject);
        for (nth, upstream) in upstreams.iter().enumerate() {
            let at = self.start_upstream(nth, upstream).await?;
            let sockets = self
                .children
                .last()
                .and_then(|child| child.sockets.as_ref());
            let admin = sockets.and_then(|sockets| sockets.get("management")?.parse().ok());
            self.backends.push(Backend {
                name: self.planned.scenario.upstream_name(nth),
                at,
                server: at,
                weight: upstream.weight,
                admin,
            });
        }
        self.start_links().await?;
        self.entry = self.backends.first().map(|backend| backend.at);
        Ok(())
    }

    async fn start_upstream(&mut self, nth: usize, upstream: &Upstream) -> Result<SocketAddr, Cut> {
        let listen = upstream.listen.as_ref().map_or_else(
            || self.own_port(|ports| ports.upstreams[nth % ports.upstreams.len()]),
            HostPort::to_string,
        );
        let mut args = words(&["upstream", upstream.mode.word(), "--listen", &listen]);
        for defect in &upstream.defects {
            args.extend(words(&["--defect", defect]));
        }
        if let Some(threads) = upstream.threads {
            args.extend(words(&["--threads", &threads.to_string()]));
        }
        if upstream.mode == Server::Statsd {
            let management =
                self.own_port(|ports| ports.managements[nth % ports.managements.len()]);
            let flags = statsd::server_flags(&management, upstream.receive_buffer);
            args.extend(flags.into_iter().map(OsString::from));
        } else {
            args.extend(words(&["--seed", &self.plan.seed.to_string()]));
        }
        if upstream.mode == Server::UdpEcho
            && let Some(size) = upstream.receive_buffer
        {
            args.extend(words(&["--receive-buffer", &size.to_string()]));
        }
        let name = self.planned.scenario.upstream_name(nth);
        let limits = Limits {
            descriptors: upstream.descriptors,
            memory_bytes: upstream.memory.map(|size| size.0),
        };
        self.start_ours(Role::Upstream, &name, args, limits).await
    }

    pub(super) async fn start_proxy(&mut self) -> Result<(), Cut> {
        let subject = self.plan.subject.clone();
        match &subject {
            Descriptor::Direct => {}
            Descriptor::Running(addr) => self.entry = Some(self.find_running(addr).await?),
            _ if self.backends.is_empty() => {
                return Err(Cut::Problem(
                    "there is no upstream to forward to".to_owned(),
                ));
            }
            Descriptor::Builtin(more) => {
                let listen = self.own_port(|ports| ports.proxy);
                let mut args = words(&["proxy"]);
                args.extend(self.own_flags(&listen, more)?);
                let limits = self.proxy_limits();
                let at = self.start_ours(Role::Proxy, "proxy", args, limits).await?;
                self.entry = Some(at);
            }
            _ => self.entry = Some(self.start_foreign(&subject).await?),
        }
        self.open_client_link().await
    }

    /// How our own proxy is started, and whatever takes its flags.
    pub(super) fn own_flags(&self, listen: &str, more: &[String]) -> Result<Vec<OsString>, Cut> {
        let proxy = &self.planned.scenario.proxy;
        let mut args = foreign::own_flags(proxy.mode, listen, &self.backends);
        if proxy.mode == Mode::Statsd {
            let admin = self.own_port(|ports| ports.admin);
            let management = self.own_port(|ports| ports.management);
            args.extend(words(&["--admin", &admin, "--management", &management]));
            if self.needs_config() || !proxy.nodes.is_empty() {
                let path = self.write_statsd_config(&self.first_nodes())?;
                args.push("--config".into());
                args.push(path.into_os_string());
            } else {
                args.extend(foreign::node_flags(&self.backends));
            }
        }
        if proxy.mode == Mode::Tcp {
            let admin = self.own_port(|ports| ports.admin);
            args.extend(words(&["--admin", &admin]));
            if self.needs_config() {
                // What is read again has to be in a file.
                args.truncate(args.len() - 2 - self.backends.len());
                let path = self.write_config()?;
                args.extend(words(&["--admin", &admin, "--config"]));
                args.push(path.into_os_string());
            }
        }
        args.extend(proxy.args.iter().chain(more).map(OsString::from));
        Ok(args)
    }

    /// Whether the proxy is to read its configuration again.
    fn needs_config(&self) -> bool {
        let mut faults = self.planned.scenario.fault.iter();
        faults.any(|fault| fault.action == Some(Action::Reload))
    }

    /// Writes the configuration that our own proxy reads its backends from.
    fn write_config(&self) -> Result<std::path::PathBuf, Cut> {
        let path = self.shared.scratch.join("proxy.toml");
        let lines: Vec<String> = self
            .backends
            .iter()
            .map(|backend| format!("    {:?},\n", backend.argument()))
            .collect();
        let text = format!("backends = [\n{}]\n", lines.concat());
        let written = std::fs::write(&path, text);
        let problem = |error| Cut::Problem(format!("cannot write {}: {error}", path.display()));
        written.map_err(problem)?;
        Ok(path)
    }

    /// Writes the configuration that a proxy for statsd reads its servers from.
    pub(super) fn write_statsd_config(&self, nodes: &[String]) -> Result<std::path::PathBuf, Cut> {
        let path = self.shared.scratch.join("statsd.json");
        let written = std::fs::write(&path, self.statsd_config(nodes));
        let problem = |error| Cut::Problem(format!("cannot write {}: {error}", path.display()));
        written.map_err(problem)?;
        Ok(path)
    }

    /// Where one of our own parts listens.
    pub(super) fn own_port(&self, which: impl Fn(&Ports) -> SocketAddr) -> String {
        let ports = self.ports.as_ref();
        ports.map_or_else(|| ANY.to_owned(), |ports| which(ports).to_string())
    }

    /// What the proxy may use.
    pub(super) fn proxy_limits(&self) -> Limits {
        let proxy = &self.planned.scenario.proxy;
        Limits {
            descriptors: proxy.descriptors,
            memory_bytes: proxy.memory.map(|size| size.0),
        }
    }

    /// Starts this executable again as one of its parts, and waits for its readiness
    /// line.
    async fn start_ours(
        &mut self,
        role: Role,
        name: &str,
        args: Vec<OsString>,
        limits: Limits,
    ) -> Result<SocketAddr, Cut> {
        let spec = Spec {
            program: THIS_EXECUTABLE.into(),
            args,
            write_fds: vec!["--ready-fd"],
            core_dumps: self.shared.plan.core_dumps,
            limits,
        };
        self.start_and_wait(role, name, spec).await
    }

    /// Starts what announces its sockets, and waits until it does.
    pub(super) async fn start_and_wait(
        &mut self,
        role: Role,
        name: &str,
        spec: Spec,
    ) -> Result<SocketAddr, Cut> {
        let at = self.start(role, name, report::event::Target::Proxy, &spec)?;
        let settled = |block: &Self| {
            let child = &block.children[at];
            child.sockets.is_some() || child.is_mute || !child.is_running()
        };
        self.listen_until(Instant::now() + START_PATIENCE, settled)
            .await?;
        let child = &self.children[at];
        let sockets = child.sockets.as_ref();
        let socket = |role: &str| sockets.and_then(|sockets| sockets.get(role)?.parse().ok());
        // The process of the links is steered at its API; its links come and go.
        let door = if role == Role::Link { "api" } else { "listen" };
        let Some(listen) = socket(door) else {
            return Err(self.start_failure(at).await);
        };
        if role == Role::Proxy {
            self.admin = socket("admin").map(reachable);
            self.management = socket("management").map(reachable);
        }
        let management = socket("management").map(reachable);
        let listen = reachable(listen);
        // Once it is down it comes back to the same place.
        let spec = listening_at(spec, "--listen", listen);
        self.children[at].spec = Some(match management {
            Some(management) => listening_at(spec, "--management", management),
            None => spec,
        });
        Ok(listen)
    }
}

/// The same, on a port that is known by now.
fn listening_at(mut spec: Spec, flag: &str, at: SocketAddr) -> Spec {
    let flag = spec.args.iter().position(|arg| arg == flag);
    if let Some(value) = flag.and_then(|flag| spec.args.get_mut(flag + 1)) {
        *value = at.to_string().into();
    }
    spec
}

/// Where to connect to what listens at `at`: who listens everywhere listens on the
/// loopback interface as well.
pub(super) fn reachable(at: SocketAddr) -> SocketAddr {
    let ip = match at.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(ip, at.port())
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
