//! How a connection is conducted beside its bytes: how many, how fast, and what end.

use std::time::Duration;

use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;
use serde::{Deserialize, Serialize};

use super::recipe::Strategy;

/// Between two bytes of the slow strategy: a thousand bytes per second, so that a message
/// is under way for longer than most servers expect and shorter than they would wait.
const PAUSE: Duration = Duration::from_millis(1);

/// Bytes of a slow connection at most: it ends within seconds.
const SLOW_BYTES: u64 = 4096;

/// Bytes of a connection that comes and goes at most.
const CHURN_BYTES: u64 = 4096;

/// How we end a connection.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// End our side, and wait for the other.
    #[default]
    HalfClose,
    /// Close at once. What was not read by then makes it a reset.
    Close,
    /// Reset it.
    Reset,
}

impl Ending {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::HalfClose, Self::Close, Self::Reset];

    /// The name in a recording.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::HalfClose => "half-close",
            Self::Close => "close",
            Self::Reset => "reset",
        }
    }

    /// The one of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|ending| ending.name() == name)
    }
}

/// How a connection is conducted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Script {
    /// Bytes at most; `None`: no limit of its own.
    pub bytes: Option<u64>,
    /// How long to wait after each byte; `None`: as many at once as are taken.
    pub pause: Option<Duration>,
    /// How it ends after the last byte.
    pub ending: Ending,
}

impl Script {
    /// The script that a strategy has for a connection. An input of a corpus is sent whole.
    pub(super) fn of(strategy: Strategy, is_input: bool, mut rng: Xoshiro256PlusPlus) -> Self {
        let mut script = match strategy {
            Strategy::Slow => Self {
                bytes: Some(rng.random_range(1..=SLOW_BYTES)),
                pause: Some(PAUSE),
                ending: Ending::HalfClose,
            },
            Strategy::Churn => Self {
                // As many short ones as long ones, and many with nothing at all.
                bytes: Some(rng.random_range(0..=CHURN_BYTES) >> rng.random_range(0..=12)),
                pause: None,
                ending: Ending::ALL[rng.random_range(0..Ending::ALL.len())],
            },
            _ => Self::default(),
        };
        if is_input {
            script.bytes = None;
        }
        script
    }
}
