//! What a scenario demands, parsed once into types that can be judged.

use serde::{Deserialize, Serialize};

use crate::account::demand::Demand;
use crate::bound::{Bound, Metric, TimesBound};
use crate::event::Role;

pub use crate::fate::{Change, Fate, Part, What};

mod faults;

/// One demand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Expectation {
    /// As a reader would say it.
    pub text: String,
    /// What must hold.
    pub claim: Claim,
    /// Where it comes from.
    pub origin: Origin,
}

/// Where a demand comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The scenario says so.
    Scenario,
    /// The command line says so.
    CommandLine,
    /// It goes without saying.
    Implied,
}

/// What must hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Claim {
    /// What becomes of a process.
    Fate {
        /// Whose fate: upstream or proxy.
        role: Role,
        /// Which of several upstreams, such as `upstream.1`; all if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        process: Option<String>,
        /// Which.
        fate: Fate,
        /// The signal that must have killed it.
        signal: Option<String>,
        /// The exit code that it must have ended with.
        code: Option<i32>,
    },
    /// A figure of the load clients, or of what they cost the proxy.
    Metric {
        /// Which load; every one if none is named.
        load: Option<String>,
        /// Which part of the run, as faults divide it; all of it if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        part: Option<Part>,
        /// The bound.
        #[serde(flatten)]
        bound: Bound,
    },
    /// A figure of the load clients beside that of another subject in the same round.
    Beside {
        /// Which load; every one if none is named.
        load: Option<String>,
        /// The other subject's descriptor.
        subject: String,
        /// The figure, and how many times that of the other it may be.
        #[serde(flatten)]
        bound: TimesBound,
    },
    /// How soon the proxy thinks differently of a backend after a fault.
    Backend {
        /// Which, such as `upstream.1`.
        backend: String,
        /// What it must come to.
        change: Change,
        /// Within how much time, in microseconds.
        within_us: f64,
        /// That as it was written.
        written: String,
    },
    /// A figure of the line account.
    Account(Demand),
    /// Every fault of the timeline could be done.
    FaultsDone,
    /// Every fault on a link touched something.
    FaultsTouched,
    /// Nothing happened that must not in a run that is watched.
    Invariants,
    /// How soon after every fault a load is served as before.
    Recovery {
        /// Which load; every one if none is named.
        load: Option<String>,
        /// Within how much time, in microseconds.
        within_us: f64,
        /// That as it was written.
        written: String,
    },
    /// A process uses no more than before the faults.
    Back {
        /// `proxy`, `upstream.1`, or `upstream` for all of them.
        process: String,
        /// More of what.
        what: What,
    },
    /// No request was delivered twice.
    AtMostOnce,
    /// The load clients kept their schedule, so that their times may be judged.
    Valid {
        /// Which load; every one if none is named.
        load: Option<String>,
    },
    /// Valid clients got their answers while garbage was coming in.
    AnsweredDuringAttack {
        /// Which load; every one if none is named.
        load: Option<String>,
    },
    /// The counts of client, proxy and upstream agree.
    Reconcile,
    /// No answer was lost, duplicated, reordered, misrouted, corrupted or unexpected.
    Intact,
    /// The upstream did not die in the blocks of the other subjects either.
    SurvivesBeside {
        /// Whether it must have answered at the end as well.
        answers: bool,
    },
}

impl Expectation {
    /// A demand on the life of a process.
    #[must_use]
    pub fn fate(
        role: Role,
        fate: Fate,
        signal: Option<String>,
        code: Option<i32>,
        origin: Origin,
    ) -> Self {
        let mut text = format!("{} {}", role.word(), fate.predicate());
        if let Some(signal) = &signal {
            text.push_str(&format!(" of {signal}"));
        }
        if let Some(code) = code {
            text.push_str(&format!(" with exit code {code}"));
        }
        Self {
            text,
            claim: Claim::Fate {
                role,
                process: None,
                fate,
                signal,
                code,
            },
            origin,
        }
    }

    /// A demand on a load: `p99 < 2ms`, `valid`, `answered during attack`.
    ///
    /// # Errors
    /// Says what is accepted.
    pub fn load(text: &str, load: Option<String>, origin: Origin) -> Result<Self, ExpectError> {
        let said = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let claim = match said.as_str() {
            "valid" => Claim::Valid { load: load.clone() },
            "answered during attack" => Claim::AnsweredDuringAttack { load: load.clone() },
            other => Claim::Metric {
                bound: other.parse()?,
                part: None,
                load: load.clone(),
            },
        };
        let what = match &claim {
            Claim::Metric { bound, .. } => bound.to_string(),
            Claim::AnsweredDuringAttack { .. } => "valid clients answered during attack".to_owned(),
            _ => "load is valid".to_owned(),
        };
        let text = load.map_or(what.clone(), |load| format!("{what} ({load})"));
        Ok(Self {
            text,
            claim,
            origin,
        })
    }

    /// The same demand on one of several upstreams.
    #[must_use]
    pub fn of_process(mut self, name: &str) -> Self {
        if let Claim::Fate { role, process, .. } = &mut self.claim {
            self.text = self.text.replacen(role.word(), name, 1);
            *process = Some(name.to_owned());
        }
        self
    }

    /// The same demand on a part of the run.
    ///
    /// # Errors
    /// That it cannot be told for a part of the run.
    pub fn in_part(mut self, wanted: Part) -> Result<Self, ExpectError> {
        match &mut self.claim {
            Claim::Metric { part, bound, .. } if bound.metric.is_known_by_interval() => {
                *part = Some(wanted);
                self.text = format!("{} {} the faults", self.text, wanted.word());
                Ok(self)
            }
            _ => Err(ExpectError::Part {
                text: self.text,
                accepted: Metric::ALL
                    .into_iter()
                    .filter(|metric| metric.is_known_by_interval())
                    .map(Metric::word)
                    .collect::<Vec<_>>()
                    .join(", "),
            }),
        }
    }

    /// A demand on a load beside another subject: `p99 < 0.8x`.
    ///
    /// # Errors
    /// Says what is accepted.
    pub fn beside(
        text: &str,
        subject: &str,
        load: Option<String>,
        origin: Origin,
    ) -> Result<Self, ExpectError> {
        let bound: TimesBound = text.parse()?;
        Ok(Self {
            text: format!("{bound} of {subject}"),
            claim: Claim::Beside {
                load,
                subject: subject.to_owned(),
                bound,
            },
            origin,
        })
    }

    /// A demand on what the proxy thinks of a backend: `< 2s`.
    ///
    /// # Errors
    /// Says what is accepted.
    pub fn backend(backend: &str, change: Change, text: &str) -> Result<Self, ExpectError> {
        let (within_us, written) = faults::within(text, change.word())?;
        Ok(Self {
            text: format!("{backend} {} within {written}", change.word()),
            claim: Claim::Backend {
                backend: backend.to_owned(),
                change,
                within_us,
                written,
            },
            origin: Origin::Scenario,
        })
    }

    /// A demand on the line account: `unaccounted = 0`, `received >= 99.9 %`.
    ///
    /// # Errors
    /// Says what is accepted.
    pub fn account(text: &str, origin: Origin) -> Result<Self, ExpectError> {
        let demand: Demand = text.parse()?;
        Ok(Self {
            text: format!("lines {demand}"),
            claim: Claim::Account(demand),
            origin,
        })
    }

    /// The demand that goes without saying: what was to be done was done.
    #[must_use]
    pub fn faults_done() -> Self {
        Self {
            text: "every fault was done".to_owned(),
            claim: Claim::FaultsDone,
            origin: Origin::Implied,
        }
    }

    /// The demand that all counts agree.
    #[must_use]
    pub fn reconcile(origin: Origin) -> Self {
        Self {
            text: "counts reconcile".to_owned(),
            claim: Claim::Reconcile,
            origin,
        }
    }

    /// The demand that goes without saying: every answer is the right one.
    #[must_use]
    pub fn intact() -> Self {
        Self {
            text: "no wrong answers".to_owned(),
            claim: Claim::Intact,
            origin: Origin::Implied,
        }
    }

    /// The demand that goes without saying: the upstream outlives the blocks of the other
    /// subjects too. `answers` is whether it must answer at their end.
    #[must_use]
    pub fn survives_beside(answers: bool) -> Self {
        let what = if answers { "survives" } else { "does not die" };
        Self {
            text: format!("upstream {what} in the other blocks"),
            claim: Claim::SurvivesBeside { answers },
            origin: Origin::Implied,
        }
    }
}

/// A text that is not a demand.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExpectError {
    /// Not a fate.
    #[error("unknown fate {text:?}; accepted: {accepted}")]
    Fate {
        /// What was written.
        text: String,
        /// What is accepted.
        accepted: String,
    },
    /// No comparison in it.
    #[error("expected METRIC OP VALUE such as \"p99 < 2ms\" or \"failed = 0\", got {0:?}")]
    Shape(String),
    /// Not a metric.
    #[error("unknown metric {text:?}; accepted: {accepted}")]
    Metric {
        /// What was written.
        text: String,
        /// What is accepted.
        accepted: String,
    },
    /// Not known of a part of a run.
    #[error("{text:?} cannot be told of a part of the run; accepted: {accepted}")]
    Part {
        /// What was written.
        text: String,
        /// What is accepted.
        accepted: String,
    },
    /// Not something that a process uses.
    #[error("unknown {text:?}; accepted: {accepted}")]
    What {
        /// What was written.
        text: String,
        /// What is accepted.
        accepted: String,
    },
    /// Not a value of that metric.
    #[error("{metric}: {reason}")]
    Value {
        /// The metric.
        metric: &'static str,
        /// What is accepted, and what was written.
        reason: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_fate_is_named_with_what_is_accepted() {
        let error = "explodes".parse::<Fate>().unwrap_err().to_string();
        assert!(error.contains("survives, dies, hangs"), "{error}");
    }

    #[test]
    fn demands_read_as_sentences() {
        let fate = Expectation::fate(
            Role::Upstream,
            Fate::Dies,
            Some("SIGSEGV".into()),
            None,
            Origin::Scenario,
        );
        assert_eq!(fate.text, "upstream dies of SIGSEGV");
        let load = Expectation::load("p99<2ms", Some("a".into()), Origin::CommandLine).unwrap();
        assert_eq!(load.text, "p99 < 2ms (a)");
        let answered =
            Expectation::load("answered  during attack", None, Origin::Scenario).unwrap();
        assert_eq!(answered.claim, Claim::AnsweredDuringAttack { load: None });
    }
}
