//! From scenarios and the command line to what is done, in order.

use std::path::PathBuf;

use report::compare::design::{Design, Noise};
use report::event::Binary;
use report::figures::DIRECT;
use service::signals::Stop;
use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128};

use crate::descriptor::{Descriptor, Template};
use crate::peers;
use crate::ports::Ports;
use crate::revision::RevisionError;
use crate::scenario::fault::nemesis;
use crate::scenario::{Action, Fault, Mode, Scenario, Upstream, limits, udp};
use crate::schedule::{Schedule, rounds};

/// A whole run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// All randomness comes from here.
    pub seed: u64,
    /// Its scenarios.
    pub scenarios: Vec<Planned>,
    /// Whether clients may aim at addresses that are not this machine's.
    pub allow_remote: bool,
    /// The process to watch behind `addr:HOST:PORT`.
    pub pid: Option<u32>,
    /// Whether children may leave core dumps.
    pub core_dumps: bool,
    /// Where every decision of the links is written, if it is.
    pub decisions: Option<PathBuf>,
    /// The suite that it runs, if it does.
    pub suite: Option<String>,
    /// What it sets out to compare.
    pub design: Option<Design>,
}

/// One scenario, and what is run for it.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The scenario, with what the command line changes.
    pub scenario: Scenario,
    /// Where it comes from.
    pub source: String,
    /// Its randomness.
    pub seed: u64,
    /// What is under test, the one that is judged first.
    pub subjects: Vec<Descriptor>,
    /// Its blocks, in order.
    pub schedule: Schedule,
    /// Whether its blocks are compared with one another, and not judged by themselves.
    pub compared: bool,
    /// How much the baseline differs from itself, if that is known already.
    pub noise: Option<Noise>,
    /// The ports of the upstream and of the proxy, the same in every block; any free ones
    /// if absent.
    pub ports: Option<Ports>,
    /// The command that does it again, if somebody may want to know.
    pub again: String,
}

/// What is wrong with a plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// Load would leave this machine.
    #[error("{0} is not a loopback address: load goes there only with --allow-remote")]
    Remote(String),
    /// An address cannot be resolved.
    #[error("{0}")]
    Address(String),
    /// A descriptor cannot be understood.
    #[error(transparent)]
    Descriptor(#[from] crate::descriptor::DescriptorError),
    /// A scenario cannot be carried out as it stands.
    #[error("scenario {scenario:?}: {reason}")]
    Scenario {
        /// Its name.
        scenario: String,
        /// What is wrong, and what is accepted.
        reason: String,
    },
    /// A process is to be watched that belongs to nobody.
    #[error("--pid {0}: expected a proxy that runs already, as addr:HOST:PORT")]
    Pid(u32),
    /// A program is missing.
    #[error("{descriptor}: {reason}")]
    Missing {
        /// What was asked for.
        descriptor: String,
        /// Why it is missing.
        reason: String,
    },
    /// Somebody ended the harness while a program was built.
    #[error("interrupted before anything was started")]
    Stopped(Stop),
}

impl PlanError {
    /// Whether the request was wrong, rather than this machine.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        !matches!(self, Self::Missing { .. } | Self::Stopped(_))
    }
}

impl Planned {
    /// Plans a scenario within a run of this seed.
    ///
    /// # Errors
    /// That a descriptor in it is wrong, or that it cannot be carried out.
    pub fn new(mut scenario: Scenario, source: String, run_seed: u64) -> Result<Self, PlanError> {
        let wrong = |reason: String| PlanError::Scenario {
            scenario: scenario.name.clone(),
            reason,
        };
        limits::timeout(&scenario).map_err(wrong)?;
        let seed = scenario
            .seed
            .unwrap_or_else(|| split(run_seed, &scenario.name));
        let mut subjects = Vec::new();
        let is_of_udp = scenario.proxy.mode == Mode::Udp;
        for text in std::iter::once(&scenario.proxy.descriptor).chain(&scenario.proxy.against) {
            let subject: Descriptor = text.parse()?;
            let ignores_args = subject != Descriptor::Direct && !subject.takes_our_flags();
            if ignores_args && !scenario.proxy.args.is_empty() {
                return Err(wrong(format!(
                    "proxy.args are for builtin or a path to a binary, which {subject} is not"
                )));
            }
            if let Some(fault) = scenario.fault.iter().find(|fault| !can(&subject, fault)) {
                let word = fault.word();
                let target = fault.target();
                return Err(wrong(format!(
                    "fault: {word} of {target} cannot be done where {subject} is under test"
                )));
            }
            let is_for_statsd = match &subject {
                Descriptor::Template(template) => Some(template.is_for_statsd()),
                _ => None,
            };
            let is_wanted = scenario.proxy.mode == Mode::Statsd;
            if is_for_statsd.is_some_and(|is_it| is_it != is_wanted) {
                let mode = scenario.proxy.mode.word();
                return Err(wrong(format!("{subject} is no proxy of mode \"{mode}\"")));
            }
            if is_of_udp {
                udp::relays(&subject).map_err(wrong)?;
            }
            if !subjects.contains(&subject) {
                subjects.push(subject);
            }
        }
        scenario.fault = nemesis::drawn(&scenario, seed);
        let schedule = Schedule::Rounds(rounds::rotated(scenario.rounds, &subjects, seed));
        Ok(Self {
            scenario,
            source,
            seed,
            subjects,
            schedule,
            compared: false,
            noise: None,
            ports: None,
            again: String::new(),
        })
    }

    /// The servers to start for a block: none where something that runs already has
    /// servers of its own that we are not told of.
    #[must_use]
    pub fn upstreams(&self, subject: &Descriptor) -> Vec<Upstream> {
        let given = &self.scenario.upstream;
        match subject {
            Descriptor::Running(_) if given.iter().any(|one| one.listen.is_none()) => Vec::new(),
            Descriptor::Running(_) => given.clone(),
            _ if given.is_empty() => vec![Upstream {
                mode: self.scenario.proxy.mode.usual_server(),
                ..Upstream::default()
            }],
            _ => given.clone(),
        }
    }
}

impl Plan {
    /// Blocks of the whole run.
    #[must_use]
    pub fn block_count(&self) -> usize {
        self.scenarios
            .iter()
            .map(|planned| planned.schedule.expected())
            .sum()
    }

    /// Checks what can be known before anything is started, and names the programs. Those
    /// that are named by a revision are built; what takes long in that is told.
    ///
    /// # Errors
    /// That load would go to another machine, or that a program is missing.
    pub fn check(&self, tell: &dyn Fn(&str)) -> Result<Vec<Binary>, PlanError> {
        let subjects = || self.scenarios.iter().flat_map(|planned| &planned.subjects);
        if let Some(pid) = self.pid
            && !subjects().any(|subject| matches!(subject, Descriptor::Running(_)))
        {
            return Err(PlanError::Pid(pid));
        }
        for subject in subjects() {
            if *subject == Descriptor::Template(Template::Statsd) {
                peers::install_cluster_proxy(tell).map_err(|reason| PlanError::Missing {
                    descriptor: subject.to_string(),
                    reason,
                })?;
            }
        }
        let mut binaries = Vec::new();
        let own = std::env::current_exe().unwrap_or_default();
        binaries.extend(hashed("harness", own));
        for subject in subjects() {
            if let Descriptor::Running(addr) = subject
                && !self.allow_remote
            {
                let is_loopback = addr
                    .is_loopback()
                    .map_err(|error| PlanError::Address(error.to_string()))?;
                if !is_loopback {
                    return Err(PlanError::Remote(addr.to_string()));
                }
            }
            let missing = |reason| PlanError::Missing {
                descriptor: subject.to_string(),
                reason,
            };
            let role = subject.to_string();
            if let Some(program) = subject.program().map_err(missing)?
                && !binaries.iter().any(|known: &Binary| known.role == role)
            {
                binaries.extend(hashed(&role, program));
            }
        }
        // Last, since it may take minutes.
        for subject in subjects() {
            let role = subject.to_string();
            if let Descriptor::Revision(revision) = subject
                && !binaries.iter().any(|known: &Binary| known.role == role)
            {
                let built = revision.build(tell).map_err(|error| match error {
                    RevisionError::Stopped(stop) => PlanError::Stopped(stop),
                    error => PlanError::Missing {
                        descriptor: role.clone(),
                        reason: error.to_string(),
                    },
                })?;
                binaries.extend(hashed(&role, built.program).map(|binary| Binary {
                    commit: Some(built.commit),
                    ..binary
                }));
            }
        }
        Ok(binaries)
    }
}

/// Whether a fault can be done where `subject` is under test. Proxies of other people are
/// ended and held as any process; how they are told something is known of ours alone, and
/// of a command line it is its own affair.
fn can(subject: &Descriptor, fault: &Fault) -> bool {
    // Who runs already forwards to where it was told, past any link of ours.
    let is_running = matches!(subject, Descriptor::Running(_));
    let is_behind = |name: &&String| name.starts_with("proxy-upstream");
    if is_running
        && fault
            .link
            .iter()
            .chain(&fault.links)
            .any(|name| is_behind(&name))
    {
        return false;
    }
    let at_proxy = fault.is_at("proxy") || fault.processes.iter().any(|name| name == "proxy");
    let Some(action) = fault.action else {
        return !at_proxy || !matches!(subject, Descriptor::Direct | Descriptor::Running(_));
    };
    match subject {
        Descriptor::Direct | Descriptor::Running(_) => !at_proxy,
        Descriptor::Template(Template::Statsd) if action.is_at_management() => true,
        Descriptor::Template(Template::Nginx) if action == Action::Reload => true,
        Descriptor::Command(_) => !action.is_about_backend(),
        _ => subject.takes_our_flags() || !action.is_for_proxy(),
    }
}

/// A seed for one purpose.
#[must_use]
pub fn split(seed: u64, purpose: &str) -> u64 {
    // 53 bits, so that every JSON reader keeps it whole.
    xxh3_64_with_seed(purpose.as_bytes(), seed) >> 11
}

fn hashed(role: &str, path: PathBuf) -> Option<Binary> {
    let content = std::fs::read(&path).ok()?;
    Some(Binary {
        role: role.to_owned(),
        path: path.display().to_string(),
        size_bytes: content.len() as u64,
        xxh3_128: format!("{:032x}", xxh3_128(&content)),
        commit: None,
    })
}

/// Puts `proxy` in the place of a scenario's own, unless that is fixed.
pub fn replace_proxy(scenario: &mut Scenario, proxy: &Descriptor) {
    if !scenario.proxy.fixed {
        scenario.proxy.descriptor = proxy.to_string();
        // What is said to ours in its own words would be lost on another.
        if scenario.proxy.mode != Mode::Foo && !proxy.takes_our_flags() {
            scenario.proxy.args.clear();
        }
        if *proxy == Descriptor::Direct {
            scenario.proxy.against.retain(|other| other != DIRECT);
        }
    }
}

#[cfg(test)]
mod tests;
