//! The names that a user gives: how to balance, and what to do when all are down.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// How a [`Pool`](crate::Pool) chooses among its eligible backends.
///
/// Weights count in all of them. Names are read in any case, with `_` for `-`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// Each connection draws a backend in proportion to weight.
    Random,
    /// The power of two choices (Mitzenmacher, 2001): two distinct backends are drawn in
    /// proportion to weight, and the one with fewer connections per weight wins.
    #[default]
    P2c,
    /// As [`P2c`](Self::P2c), comparing peak-EWMA latency × connections, as Finagle and
    /// Linkerd do.
    P2cEwma,
    /// nginx's smooth weighted round robin: exact over each cycle, and interleaved.
    RoundRobin,
    /// The fewest connections per weight of all.
    LeastConn,
    /// Consistent hashing of the source address with bounded loads (Mirrokni, Thorup,
    /// Zadimoghaddam, 2016).
    Hash,
}

impl Algorithm {
    /// Every algorithm, in the order in which a help text names them.
    pub const ALL: [Self; 6] = [
        Self::Random,
        Self::P2c,
        Self::P2cEwma,
        Self::RoundRobin,
        Self::LeastConn,
        Self::Hash,
    ];

    /// The canonical name, in lower case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::P2c => "p2c",
            Self::P2cEwma => "p2c-ewma",
            Self::RoundRobin => "round-robin",
            Self::LeastConn => "least-conn",
            Self::Hash => "hash",
        }
    }
}

/// What [`Pool::pick`](crate::Pool::pick) does when no backend is up, and none is out merely
/// by ejection either.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum WhenAllDown {
    /// Refuse: [`NoBackend::AllDown`](crate::NoBackend::AllDown).
    #[default]
    Fail,
    /// Choose among all that the operator has not taken out, however ill they look.
    Any,
}

impl WhenAllDown {
    /// Both, in the order in which a help text names them.
    pub const ALL: [Self; 2] = [Self::Fail, Self::Any];

    /// The canonical name, in lower case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Any => "any",
        }
    }
}

/// A name that is none of those accepted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("unknown {what} '{given}': expected one of {accepted}")]
pub struct UnknownName {
    what: &'static str,
    given: String,
    accepted: String,
}

/// Finds what is called `given` among `all`, in any case and with `_` for `-`.
fn find<T: Copy>(
    what: &'static str,
    given: &str,
    all: &[T],
    name: impl Fn(T) -> &'static str,
) -> Result<T, UnknownName> {
    let wanted = given.trim().to_ascii_lowercase().replace('_', "-");
    all.iter()
        .copied()
        .find(|&one| name(one) == wanted)
        .ok_or_else(|| UnknownName {
            what,
            given: given.to_owned(),
            accepted: all
                .iter()
                .map(|&one| name(one))
                .collect::<Vec<_>>()
                .join(", "),
        })
}

impl FromStr for Algorithm {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        find("balancing algorithm", text, &Self::ALL, Self::name)
    }
}

impl FromStr for WhenAllDown {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        find(
            "policy when all backends are down",
            text,
            &Self::ALL,
            Self::name,
        )
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Display for WhenAllDown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_any_case_and_with_underscores() {
        for algorithm in Algorithm::ALL {
            let shouted = algorithm.name().to_ascii_uppercase().replace('-', "_");
            assert_eq!(shouted.parse(), Ok(algorithm));
            assert_eq!(algorithm.to_string().parse(), Ok(algorithm));
        }
        assert_eq!("Any".parse(), Ok(WhenAllDown::Any));
    }

    #[test]
    fn an_unknown_name_lists_what_is_accepted() {
        let error = "fastest".parse::<Algorithm>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "unknown balancing algorithm 'fastest': expected one of \
             random, p2c, p2c-ewma, round-robin, least-conn, hash"
        );
    }
}
