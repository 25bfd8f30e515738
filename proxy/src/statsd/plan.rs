//! What flags and file come to.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use balance::hashring::HashRing;
use service::addr::HostPort;
use service::logging::LogLevel;
use thiserror::Error;

use super::args::{Options, StatsdArgs, Transport};
use super::config::{self, ConfigError, File, NodeAt};
use super::health::Rules;
use super::settings::Policy;
use super::sockets;

/// Ports that the original listens on when nobody says.
const PORT: u16 = 8125;
const MANAGEMENT_PORT: u16 = 8126;

/// Time between checks when nobody says: as the original.
const CHECK_INTERVAL: Duration = Duration::from_secs(10);

/// Time for an answer when nobody says: the interval, as in the original, but not so long
/// that many lines are lost meanwhile, nor so short that a busy machine misses it.
const LONGEST_CHECK: Duration = Duration::from_secs(2);
const SHORTEST_CHECK: Duration = Duration::from_millis(500);

/// More nodes than these need a larger number for a node's place on the ring.
const MAX_NODES: usize = 65_535;

/// Why nothing can be started with this.
#[derive(Debug, Error)]
pub(super) enum PlanError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(
        "no nodes: give --node HOST:PORT[:ADMINPORT], or --config FILE with nodes: [{{host, port, \
         adminport}}]"
    )]
    NoNodes,
    #[error("--node {0}: given twice, and each node has one place on the ring")]
    Twice(String),
    #[error("{0} nodes: there can be {MAX_NODES}")]
    TooMany(usize),
    #[error("node {0}: that is where this proxy listens, and lines would go round for ever")]
    Itself(String),
    #[error("{path}: {key}: expected a host name or an address, got {host:?}")]
    Host {
        path: String,
        key: &'static str,
        host: String,
    },
}

/// The command line, which stays what it is at every reload.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    pub(super) config: Option<PathBuf>,
    pub(super) options: Options,
    pub(super) debug: bool,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) fixed: Fixed,
    pub(super) nodes: Vec<NodeAt>,
    pub(super) checks: CheckPlan,
    pub(super) policy: Policy,
}

/// What cannot change without a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fixed {
    pub(super) listen: HostPort,
    pub(super) management: HostPort,
    pub(super) udp: bool,
    pub(super) tcp: bool,
    pub(super) threads: usize,
    pub(super) receive_buffer: usize,
    pub(super) admin: Option<HostPort>,
    pub(super) resolver: Option<HostPort>,
    pub(super) log_level: LogLevel,
}

/// How nodes are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CheckPlan {
    pub(super) interval: Duration,
    pub(super) timeout: Duration,
    pub(super) rules: Rules,
}

/// A plan, and what to warn about.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) plan: Plan,
    pub(super) warnings: Vec<String>,
    /// Whether to read the file again when it changes.
    pub(super) watch: bool,
}

impl Origin {
    /// The command line without what is only for the start.
    pub(super) fn new(args: StatsdArgs) -> Self {
        Self {
            config: args.config,
            options: args.options,
            debug: args.debug,
        }
    }

    /// What this command line, without the program's name, comes to.
    #[cfg(test)]
    pub(super) fn of_line(line: &[&str]) -> Self {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            args: StatsdArgs,
        }
        let line = [&["proxy"], line].concat();
        let line = <Line as clap::Parser>::parse_from(line);
        Self::new(line.args)
    }

    /// Reads the file and puts both together.
    ///
    /// # Errors
    /// Names the file, the line and the key, or the flag, and what is accepted.
    pub(super) fn plan(&self) -> Result<Planned, PlanError> {
        let file = self.config.as_deref().map(config::load).transpose()?;
        let file = file.unwrap_or_default();
        let path = self.config.as_deref().unwrap_or(Path::new(""));
        let warnings = warnings(&file, path);
        let fixed = self.fixed(&file, path)?;
        let options = &self.options;
        let nodes = if options.nodes.is_empty() {
            file.nodes.clone()
        } else {
            options.nodes.clone()
        };
        Ok(Planned {
            plan: Plan {
                nodes: not_itself(check_nodes(nodes)?, &fixed.listen)?,
                fixed,
                checks: self.checks(&file),
                policy: Policy {
                    remap: options.remap,
                    on_malformed: options.on_malformed,
                    mtu: options.mtu,
                    flush: options.flush,
                    hold_bytes: options.hold_bytes,
                    queue_bytes: options.queue_bytes,
                },
            },
            warnings,
            watch: file.automatic_reload != Some(false),
        })
    }

    fn fixed(&self, file: &File, path: &Path) -> Result<Fixed, PlanError> {
        let options = &self.options;
        let at = |key, host: &Option<String>, port: Option<u16>, default| {
            let port = port.unwrap_or(default);
            match host {
                Some(host) => host_port(host, port).ok_or_else(|| PlanError::Host {
                    path: path.display().to_string(),
                    key,
                    host: host.clone(),
                }),
                None if file.ipv6 == Some(true) => Ok(sockets::any_v6(port)),
                None => Ok(sockets::any_v4(port)),
            }
        };
        let listen = match &options.listen {
            Some(listen) => listen.clone(),
            None => at("host", &file.host, file.port, PORT)?,
        };
        let management = match &options.management {
            Some(management) => management.clone(),
            None => at(
                "mgmt_address",
                &file.management_address,
                file.management_port,
                MANAGEMENT_PORT,
            )?,
        };
        let (udp, tcp) = match (&options.server[..], file.server) {
            ([], Some(server)) => (server.udp, server.tcp),
            ([], None) => (true, false),
            (given, _) => (
                given.contains(&Transport::Udp),
                given.contains(&Transport::Tcp),
            ),
        };
        Ok(Fixed {
            listen,
            management,
            udp,
            tcp,
            threads: options.threads.or(file.threads).unwrap_or(1),
            receive_buffer: options.receive_buffer,
            admin: options.admin.clone(),
            resolver: options.resolver.clone(),
            log_level: if self.debug {
                LogLevel::Debug
            } else {
                options.log_level
            },
        })
    }

    fn checks(&self, file: &File) -> CheckPlan {
        let options = &self.options;
        let interval = options.check_interval.or(file.check_interval);
        let interval = interval.unwrap_or(CHECK_INTERVAL);
        let usual = interval.clamp(SHORTEST_CHECK, LONGEST_CHECK);
        let timeout = options.check_timeout.unwrap_or(usual);
        CheckPlan {
            interval,
            timeout,
            rules: Rules {
                rise: options.rise,
                fall: options.fall,
            },
        }
    }
}

impl Plan {
    /// The ring over all nodes, in their order. With the most that there can be it takes a
    /// second to make.
    pub(super) fn ring(&self) -> HashRing {
        let names: Vec<_> = self.nodes.iter().map(NodeAt::name).collect();
        HashRing::new(&names, |_| true)
    }
}

impl Fixed {
    /// What another plan wants otherwise, by the names that users know.
    pub(super) fn differences(&self, other: &Self) -> Vec<&'static str> {
        let parts = [
            ("listen address", self.listen == other.listen),
            ("management address", self.management == other.management),
            ("server", (self.udp, self.tcp) == (other.udp, other.tcp)),
            ("threads", self.threads == other.threads),
        ];
        let differ = parts.into_iter().filter(|(_, same)| !same);
        differ.map(|(name, _)| name).collect()
    }
}

/// What of a file is not used, and why.
pub(super) fn warnings(file: &File, path: &Path) -> Vec<String> {
    let path = path.display();
    let unknown = file.unknown.iter().map(|(key, line)| {
        format!("{path}:{line}: {key}: not a key of either proxy that this one replaces, left out")
    });
    let repeated = file
        .repeated
        .iter()
        .map(|(key, line)| format!("{path}:{line}: {key}: given before, and the last one counts"));
    unknown.chain(repeated).collect()
}

fn host_port(host: &str, port: u16) -> Option<HostPort> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let text = match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    };
    text.parse().ok()
}

/// Nodes that make a ring: at least one, each once.
pub(super) fn check_nodes(nodes: Vec<NodeAt>) -> Result<Vec<NodeAt>, PlanError> {
    if nodes.is_empty() {
        return Err(PlanError::NoNodes);
    }
    if nodes.len() > MAX_NODES {
        return Err(PlanError::TooMany(nodes.len()));
    }
    let mut seen = HashSet::new();
    for node in &nodes {
        if !seen.insert(node.name()) {
            return Err(PlanError::Twice(node.name()));
        }
    }
    Ok(nodes)
}

/// Refuses a node that is this proxy, as far as addresses tell.
fn not_itself(nodes: Vec<NodeAt>, listen: &HostPort) -> Result<Vec<NodeAt>, PlanError> {
    // An empty host is every interface.
    let own: Option<IpAddr> = match listen.host() {
        "" => Some(Ipv6Addr::UNSPECIFIED.into()),
        host => host.parse().ok(),
    };
    let is_own = |node: &&NodeAt| {
        let ip: Option<IpAddr> = match node.host.as_str() {
            "localhost" => Some(Ipv4Addr::LOCALHOST.into()),
            host => host.parse().ok(),
        };
        let (Some(own), Some(ip)) = (own, ip) else {
            return false;
        };
        let everywhere = own.is_unspecified() && (ip.is_loopback() || ip.is_unspecified());
        node.port == listen.port() && (own == ip || everywhere)
    };
    match nodes.iter().find(is_own) {
        Some(node) => Err(PlanError::Itself(node.name())),
        None => Ok(nodes),
    }
}
