//! `--work`: the works of all modes by their names.

use clap::ValueEnum;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

use super::{lines, works};
use crate::scenario::Mode;

/// A work, or works that belong together, of one mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    Tcp(works::Work),
    Statsd(lines::Family),
}

impl Named {
    fn all() -> impl Iterator<Item = Self> {
        let tcp = works::Work::value_variants().iter().copied().map(Self::Tcp);
        let statsd = lines::Family::value_variants().iter().copied();
        tcp.chain(statsd.map(Self::Statsd))
    }

    fn value(self) -> Option<PossibleValue> {
        match self {
            Self::Tcp(work) => work.to_possible_value(),
            Self::Statsd(family) => family.to_possible_value(),
        }
    }

    /// Its name.
    pub(super) fn word(self) -> String {
        let value = self.value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// The mode that it belongs to.
    pub(super) fn mode(self) -> Mode {
        match self {
            Self::Tcp(_) => Mode::Tcp,
            Self::Statsd(_) => Mode::Statsd,
        }
    }

    pub(super) fn tcp(self) -> Option<works::Work> {
        match self {
            Self::Tcp(work) => Some(work),
            Self::Statsd(_) => None,
        }
    }

    pub(super) fn statsd(self) -> Option<lines::Family> {
        match self {
            Self::Statsd(family) => Some(family),
            Self::Tcp(_) => None,
        }
    }
}

/// Reads one of them.
pub(super) fn parser() -> impl TypedValueParser<Value = Named> {
    let values: Vec<PossibleValue> = Named::all().filter_map(Named::value).collect();
    PossibleValuesParser::new(values).map(|word| {
        let mut all = Named::all();
        all.find(|named| named.word() == word)
            .expect("only these words are let through")
    })
}
