//! What is done on purpose while clients are at work, and when.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use service::units::format_duration;

use super::{Mode, Scenario, statsd};

/// Repetitions of one fault at most: more would be a load of its own.
const MOST_TIMES: u32 = 10_000;

/// Something that is done to a process, or told to the proxy, once or again and again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// When, after clients began.
    #[serde(with = "service::units::duration")]
    pub at: Duration,
    /// After how long it is undone: what was ended is started again, what was frozen thaws,
    /// a backend that was taken out is used again. It stays if absent.
    #[serde(
        rename = "for",
        default,
        skip_serializing_if = "is_zero",
        with = "service::units::duration"
    )]
    pub lasts: Duration,
    /// Between two repetitions, from beginning to beginning.
    #[serde(
        default,
        skip_serializing_if = "is_zero",
        with = "service::units::duration"
    )]
    pub every: Duration,
    /// How often it is done in all.
    #[serde(default = "once", skip_serializing_if = "is_once")]
    pub times: u32,
    /// To which process: `upstream`, `upstream.1`, `proxy`.
    pub process: String,
    /// What.
    pub action: Action,
    /// The backend that the proxy is told about: `upstream.1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,
    /// The servers that are in the proxy's configuration from then on: `reload` in mode
    /// `statsd` only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<String>,
}

fn once() -> u32 {
    1
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands over a reference"
)]
fn is_once(times: &u32) -> bool {
    *times == 1
}

fn is_zero(duration: &Duration) -> bool {
    duration.is_zero()
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// SIGKILL.
    Kill,
    /// SIGTERM.
    Terminate,
    /// SIGSTOP: it stands still, and its sockets stay open.
    Freeze,
    /// SIGCONT.
    Thaw,
    /// Ended in good order if it runs, and started again on the same port.
    Restart,
    /// SIGHUP: the proxy reads its configuration again.
    Reload,
    /// SIGUSR2: the proxy starts its successor, hands over its socket and ends.
    Upgrade,
    /// The proxy sends nobody new to the backend.
    Drain,
    /// The proxy sends nobody new to the backend, and checks it no more.
    Disable,
    /// The proxy uses the backend again.
    Enable,
    /// Clients connect to the proxy's management port and say nothing.
    #[serde(rename = "silent-clients")]
    SilentClients,
    /// They hang up.
    #[serde(rename = "hang-up")]
    HangUp,
}

impl Action {
    /// The word in a scenario.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Terminate => "terminate",
            Self::Freeze => "freeze",
            Self::Thaw => "thaw",
            Self::Restart => "restart",
            Self::Reload => "reload",
            Self::Upgrade => "upgrade",
            Self::Drain => "drain",
            Self::Disable => "disable",
            Self::Enable => "enable",
            Self::SilentClients => "silent-clients",
            Self::HangUp => "hang-up",
        }
    }

    /// What undoes it.
    #[must_use]
    pub fn opposite(self) -> Option<Self> {
        match self {
            Self::Kill | Self::Terminate => Some(Self::Restart),
            Self::Freeze => Some(Self::Thaw),
            Self::Drain | Self::Disable => Some(Self::Enable),
            Self::SilentClients => Some(Self::HangUp),
            _ => None,
        }
    }

    /// Whether the proxy is told about a backend.
    #[must_use]
    pub fn is_about_backend(self) -> bool {
        matches!(self, Self::Drain | Self::Disable | Self::Enable)
    }

    /// Whether only a proxy can be told to do it.
    #[must_use]
    pub fn is_for_proxy(self) -> bool {
        self.is_about_backend()
            || self.is_at_management()
            || matches!(self, Self::Reload | Self::Upgrade)
    }

    /// Whether it is done at the port where a proxy for statsd is asked how it is.
    #[must_use]
    pub fn is_at_management(self) -> bool {
        matches!(self, Self::SilentClients | Self::HangUp)
    }

    /// Whether a proxy of that mode can be told to do it.
    fn suits(self, mode: Mode) -> bool {
        match mode {
            _ if !self.is_for_proxy() => true,
            Mode::Foo => false,
            Mode::Tcp => !self.is_at_management(),
            Mode::Statsd => self.is_at_management() || self == Self::Reload,
        }
    }
}

/// One thing to do at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// When, after clients began.
    pub at: Duration,
    /// The fault's number from 1, and that of the repetition, if there are several.
    pub id: String,
    /// To which process.
    pub process: String,
    /// What.
    pub action: Action,
    /// About which backend.
    pub backend: Option<String>,
    /// The servers that are in the configuration from then on.
    pub nodes: Vec<String>,
    /// Whether this undoes what was done before under the same number.
    pub undoes: bool,
    /// Whether the fault is over with it: it is undone, or lasts for a moment only.
    pub is_over: bool,
}

/// All that is to be done, in order of time.
#[must_use]
pub fn timeline(faults: &[Fault]) -> Vec<Step> {
    let mut steps = Vec::new();
    for (nth, fault) in faults.iter().enumerate() {
        for time in 0..fault.times {
            let id = if fault.times == 1 {
                (nth + 1).to_string()
            } else {
                format!("{}.{}", nth + 1, time + 1)
            };
            let at = fault.at + fault.every * time;
            let undoing = fault.action.opposite().filter(|_| !fault.lasts.is_zero());
            let step = |at: Duration, action: Action, undoes: bool| Step {
                at,
                id: id.clone(),
                process: fault.process.clone(),
                action,
                backend: fault.backend.clone(),
                nodes: fault.nodes.clone(),
                undoes,
                is_over: undoes || action.opposite().is_none(),
            };
            steps.push(step(at, fault.action, false));
            if let Some(undoing) = undoing {
                steps.push(step(at + fault.lasts, undoing, true));
            }
        }
    }
    steps.sort_by_key(|step| step.at);
    steps
}

/// What of a fault cannot be carried out in this scenario.
///
/// # Errors
/// The key, and what is accepted.
pub(super) fn check(fault: &Fault, scenario: &Scenario) -> Result<(), (&'static str, String)> {
    let word = fault.action.word();
    let names = scenario.process_names();
    let is_proxy = fault.process == "proxy";
    if !is_proxy && scenario.upstream_at(&fault.process).is_none() {
        let accepted = names.join(", ");
        let said = format!("there is no {:?}; accepted: {accepted}", fault.process);
        return Err(("process", said));
    }
    if fault.action.is_for_proxy() && !is_proxy {
        return Err(("action", format!("only \"proxy\" can {word}")));
    }
    if !fault.action.suits(scenario.proxy.mode) {
        let mode = if fault.action.is_at_management() {
            "statsd"
        } else {
            "tcp"
        };
        return Err(("action", format!("{word} needs [proxy] mode = \"{mode}\"")));
    }
    if !fault.nodes.is_empty() && fault.action != Action::Reload {
        return Err(("nodes", "belongs to reload only".to_owned()));
    }
    statsd::names(scenario, &fault.nodes).map_err(|said| ("nodes", said))?;
    let known = |name: &String| scenario.upstream_at(name).is_some();
    match &fault.backend {
        None if fault.action.is_about_backend() => {
            return Err((
                "backend",
                format!("{word} needs one, such as {:?}", names[0]),
            ));
        }
        Some(_) if !fault.action.is_about_backend() => {
            return Err((
                "backend",
                "belongs to drain, disable and enable only".to_owned(),
            ));
        }
        Some(name) if !known(name) => {
            let accepted = names[..names.len() - 1].join(", ");
            return Err((
                "backend",
                format!("there is no {name:?}; accepted: {accepted}"),
            ));
        }
        _ => {}
    }
    times(fault)
}

fn times(fault: &Fault) -> Result<(), (&'static str, String)> {
    let word = fault.action.word();
    if !fault.lasts.is_zero() && fault.action.opposite().is_none() {
        return Err(("for", format!("{word} is not undone by anything")));
    }
    if fault.times == 0 || fault.times > MOST_TIMES {
        return Err((
            "times",
            format!("expected 1 to {MOST_TIMES}, got {}", fault.times),
        ));
    }
    if fault.times > 1 && fault.every.is_zero() {
        return Err((
            "every",
            "expected more than 0 where there are several times".to_owned(),
        ));
    }
    if fault.times == 1 && !fault.every.is_zero() {
        return Err(("times", "expected 2 or more with \"every\"".to_owned()));
    }
    if fault.times > 1 && fault.lasts >= fault.every {
        let every = format_duration(fault.every);
        return Err((
            "for",
            format!("expected less than the {every} until the next time"),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(action: Action) -> Fault {
        Fault {
            at: Duration::from_secs(1),
            lasts: Duration::ZERO,
            every: Duration::ZERO,
            times: 1,
            process: "upstream".to_owned(),
            action,
            backend: None,
            nodes: Vec::new(),
        }
    }

    #[test]
    fn what_is_repeated_and_undone_is_in_order() {
        let flapping = Fault {
            lasts: Duration::from_millis(300),
            every: Duration::from_millis(500),
            times: 2,
            ..fault(Action::Kill)
        };
        let late = Fault {
            at: Duration::from_millis(1_400),
            ..fault(Action::Freeze)
        };
        let steps: Vec<_> = timeline(&[flapping, late])
            .into_iter()
            .map(|step| {
                (
                    step.at.as_millis(),
                    step.id,
                    step.action.word(),
                    step.is_over,
                )
            })
            .collect();
        let expected = [
            (1_000, "1.1", "kill", false),
            (1_300, "1.1", "restart", true),
            (1_400, "2", "freeze", false),
            (1_500, "1.2", "kill", false),
            (1_800, "1.2", "restart", true),
        ];
        let expected = expected.map(|(at, id, word, over)| (at, id.to_owned(), word, over));
        assert_eq!(steps, expected);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let refused = |change: fn(&mut Fault)| {
            let mut wrong = fault(Action::Kill);
            change(&mut wrong);
            times(&wrong).err().map(|(key, _)| key)
        };
        assert_eq!(refused(|_| {}), None);
        assert_eq!(refused(|fault| fault.times = 0), Some("times"));
        assert_eq!(refused(|fault| fault.times = 2), Some("every"));
        assert_eq!(
            refused(|fault| fault.every = Duration::from_secs(1)),
            Some("times")
        );
        assert_eq!(
            refused(|fault| {
                fault.action = Action::Thaw;
                fault.lasts = Duration::from_secs(1);
            }),
            Some("for")
        );
        assert_eq!(
            refused(|fault| {
                fault.times = 2;
                fault.every = Duration::from_secs(1);
                fault.lasts = Duration::from_secs(1);
            }),
            Some("for")
        );
    }
}
