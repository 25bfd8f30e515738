//! What a scenario demands, parsed once into types that can be judged.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::bound::Bound;
use crate::event::Role;

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
        /// The bound.
        #[serde(flatten)]
        bound: Bound,
    },
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

/// What becomes of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It lives and answers at the end.
    Survives,
    /// It ends without being asked to.
    Dies,
    /// It lives, and answers nobody any more.
    Hangs,
    /// It answers nobody for a while, and then does again.
    Freezes,
    /// It takes long for every answer.
    Slow,
    /// It answers wrongly.
    Wrong,
    /// It lives, and takes no connections or closes them.
    Refuses,
}

impl Fate {
    /// All, in the order in which they are listed to a user.
    pub const ALL: [Self; 7] = [
        Self::Survives,
        Self::Dies,
        Self::Hangs,
        Self::Freezes,
        Self::Slow,
        Self::Wrong,
        Self::Refuses,
    ];

    /// The word in a scenario.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Survives => "survives",
            Self::Dies => "dies",
            Self::Hangs => "hangs",
            Self::Freezes => "freezes",
            Self::Slow => "slow",
            Self::Wrong => "wrong",
            Self::Refuses => "refuses",
        }
    }

    /// As in a sentence.
    #[must_use]
    pub fn predicate(self) -> &'static str {
        match self {
            Self::Slow => "is slow",
            Self::Wrong => "answers wrongly",
            other => other.word(),
        }
    }
}

impl FromStr for Fate {
    type Err = ExpectError;

    fn from_str(text: &str) -> Result<Self, ExpectError> {
        Self::ALL
            .into_iter()
            .find(|fate| fate.word() == text)
            .ok_or_else(|| ExpectError::Fate {
                text: text.to_owned(),
                accepted: Self::ALL.map(Self::word).join(", "),
            })
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
