//! The words of demands: what becomes of a process, what a proxy thinks of a backend, and
//! of which part of a run that is said.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::expect::ExpectError;

/// A part of a run, as its faults divide it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Until the first fault.
    Before,
    /// While a fault lasts.
    During,
    /// When the last is over.
    After,
}

impl Part {
    /// All, in the order in which they are listed to a user.
    pub const ALL: [Self; 3] = [Self::Before, Self::During, Self::After];

    /// The word in a scenario.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::During => "during",
            Self::After => "after",
        }
    }
}

/// What a proxy comes to think of a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// That nobody should be sent there, after a fault began.
    Ejected,
    /// That it may be used again, after a fault ended.
    Readmitted,
}

impl Change {
    /// The word in a scenario.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ejected => "ejected",
            Self::Readmitted => "readmitted",
        }
    }
}

/// What a process uses, and has to give back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Open descriptors.
    Descriptors,
    /// Resident memory.
    Memory,
    /// Threads.
    Threads,
}

impl What {
    /// All, in the order in which they are listed to a user.
    pub const ALL: [Self; 3] = [Self::Descriptors, Self::Memory, Self::Threads];

    /// The word in a scenario.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Descriptors => "descriptors",
            Self::Memory => "memory",
            Self::Threads => "threads",
        }
    }
}

impl FromStr for What {
    type Err = ExpectError;

    fn from_str(text: &str) -> Result<Self, ExpectError> {
        Self::ALL
            .into_iter()
            .find(|what| what.word() == text)
            .ok_or_else(|| ExpectError::What {
                text: text.to_owned(),
                accepted: Self::ALL.map(Self::word).join(", "),
            })
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
