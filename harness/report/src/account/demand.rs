//! What a scenario may ask of an account: `unaccounted = 0`, `received >= 99.9 %`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Account;
use crate::bound::Op;
use crate::expect::ExpectError;

/// A figure of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Entry {
    /// Lines that the load clients sent.
    Sent,
    /// Numbers that the servers saw.
    Received,
    /// Numbers that no server saw.
    Missing,
    /// Lines that came once more.
    Duplicated,
    /// Lines that nobody sent.
    Unexpected,
    /// Lines of garbage that came to the servers.
    Other,
    /// Lines that the proxy dropped: for this reason, or for any.
    Dropped(Option<String>),
    /// Lines that the proxy still held at the end.
    Pending,
    /// Lines that the servers' hosts sent back.
    Refused,
    /// Lines lost in the kernel, before the proxy and before the servers.
    Kernel,
    /// Lines lost in the kernel before the proxy.
    KernelBefore,
    /// Lines lost in the kernel before the servers.
    KernelBehind,
    /// Lines lost with a server that was gone.
    Died,
    /// Lines that nobody tells of.
    Unaccounted,
    /// Lines that were sent elsewhere than they had waited for.
    Rerouted,
    /// Copies to servers that were down.
    Mirrored,
    /// Keys that came to more than one server.
    KeysMoved,
    /// Keys that moved without a reason.
    KeysMovedNeedlessly,
}

impl Entry {
    /// Those that are one word, in the order in which they are listed to a user.
    const PLAIN: [(&'static str, Self); 18] = [
        ("sent", Self::Sent),
        ("received", Self::Received),
        ("missing", Self::Missing),
        ("duplicated", Self::Duplicated),
        ("unexpected", Self::Unexpected),
        ("other", Self::Other),
        ("dropped", Self::Dropped(None)),
        ("pending", Self::Pending),
        ("refused", Self::Refused),
        ("kernel", Self::Kernel),
        ("kernel.before", Self::KernelBefore),
        ("kernel.behind", Self::KernelBehind),
        ("died", Self::Died),
        ("unaccounted", Self::Unaccounted),
        ("rerouted", Self::Rerouted),
        ("mirrored", Self::Mirrored),
        ("keys_moved", Self::KeysMoved),
        ("keys_moved_needlessly", Self::KeysMovedNeedlessly),
    ];

    /// Its value in an account; none if nobody knows it.
    #[must_use]
    pub fn value(&self, account: &Account) -> Option<f64> {
        let keys = || account.keys.as_ref();
        let count = match self {
            Self::Sent => account.sent,
            Self::Received => account.received,
            Self::Missing => account.missing,
            Self::Duplicated => account.duplicated,
            Self::Unexpected => account.unexpected,
            Self::Other => account.other,
            Self::Dropped(None) => account.dropped_total(),
            Self::Dropped(Some(reason)) => account.dropped.get(reason).copied().unwrap_or(0),
            Self::Pending => account.pending,
            Self::Refused => account.refused,
            Self::Kernel => account.kernel(),
            Self::KernelBefore => account.kernel_before,
            Self::KernelBehind => account.kernel_behind,
            Self::Died => account.died,
            Self::Unaccounted => return Some(account.unaccounted as f64),
            Self::Rerouted => account.rerouted,
            Self::Mirrored => account.mirrored,
            Self::KeysMoved => keys()?.moved,
            Self::KeysMovedNeedlessly => keys()?.needless,
        };
        Some(count as f64)
    }

    /// What 100 % of it is.
    #[must_use]
    pub fn whole(&self, account: &Account) -> Option<f64> {
        match self {
            Self::KeysMoved | Self::KeysMovedNeedlessly => Some(account.keys?.total as f64),
            _ => Some(account.sent as f64),
        }
    }

    /// Whether only a proxy that keeps an account can tell it.
    #[must_use]
    pub fn is_the_proxys(&self) -> bool {
        matches!(
            self,
            Self::Dropped(_) | Self::Pending | Self::Refused | Self::Rerouted | Self::Mirrored
        )
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dropped(Some(reason)) => write!(f, "dropped.{reason}"),
            plain => {
                let mut known = Self::PLAIN.iter().filter(|(_, entry)| entry == plain);
                f.write_str(known.next().map_or("", |(word, _)| word))
            }
        }
    }
}

impl From<Entry> for String {
    fn from(entry: Entry) -> Self {
        entry.to_string()
    }
}

impl TryFrom<String> for Entry {
    type Error = ExpectError;

    fn try_from(text: String) -> Result<Self, ExpectError> {
        text.parse()
    }
}

impl FromStr for Entry {
    type Err = ExpectError;

    fn from_str(text: &str) -> Result<Self, ExpectError> {
        if let Some((_, plain)) = Self::PLAIN.iter().find(|(word, _)| *word == text) {
            return Ok(plain.clone());
        }
        let is_word = |reason: &&str| {
            !reason.is_empty() && reason.chars().all(|c| c.is_ascii_lowercase() || c == '_')
        };
        if let Some(reason) = text.strip_prefix("dropped.").filter(is_word) {
            return Ok(Self::Dropped(Some(reason.to_owned())));
        }
        let plain: Vec<&str> = Self::PLAIN.iter().map(|(word, _)| *word).collect();
        Err(ExpectError::Metric {
            text: text.to_owned(),
            accepted: format!("{}, dropped.REASON", plain.join(", ")),
        })
    }
}

/// `received >= 99.9 %`, parsed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Demand {
    /// The figure.
    pub entry: Entry,
    /// The comparison.
    pub op: Op,
    /// The value, in lines or keys, or in percent of them.
    pub value: f64,
    /// Whether it is in percent: of the lines sent, or of the keys.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub percent: bool,
}

impl Demand {
    /// What the figure is in this account, in the unit of the demand; none if nobody knows.
    #[must_use]
    pub fn figure(&self, account: &Account) -> Option<f64> {
        let value = self.entry.value(account)?;
        if !self.percent {
            return Some(value);
        }
        let whole = self.entry.whole(account).filter(|whole| *whole > 0.0)?;
        Some(value / whole * 100.0)
    }
}

impl fmt::Display for Demand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = if self.percent { " %" } else { "" };
        write!(f, "{} {} {}{unit}", self.entry, self.op.sign(), self.value)
    }
}

impl FromStr for Demand {
    type Err = ExpectError;

    fn from_str(text: &str) -> Result<Self, ExpectError> {
        let (word, op, written) = crate::bound::split(text)?;
        let entry: Entry = word.parse()?;
        let percent = written.strip_suffix('%').map(str::trim);
        let value = match percent {
            Some(share) => share
                .parse()
                .ok()
                .filter(|share: &f64| share.is_finite() && *share >= 0.0),
            None => written.parse::<u64>().ok().map(|count| count as f64),
        };
        let value = value.ok_or_else(|| ExpectError::Value {
            metric: "account",
            reason: format!(
                "expected a whole number or a share such as \"99.9 %\", got {written:?}"
            ),
        })?;
        Ok(Self {
            entry,
            op,
            value,
            percent: percent.is_some(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::Keys;

    #[test]
    fn demands_are_parsed_and_written_again() {
        for (text, written) in [
            ("unaccounted=0", "unaccounted = 0"),
            ("received >= 99.9%", "received >= 99.9 %"),
            ("dropped.no_node > 0", "dropped.no_node > 0"),
            ("dropped <= 10", "dropped <= 10"),
            ("kernel.behind = 0", "kernel.behind = 0"),
            ("keys_moved < 40 %", "keys_moved < 40 %"),
        ] {
            let demand: Demand = text.parse().unwrap();
            assert_eq!(demand.to_string(), written);
            let json = serde_json::to_string(&demand).unwrap();
            assert_eq!(serde_json::from_str::<Demand>(&json).unwrap(), demand);
        }
        for (text, says) in [
            ("gone = 0", "accepted: sent, received"),
            ("dropped. = 0", "dropped.REASON"),
            ("missing", "METRIC OP VALUE"),
            ("missing = few", "whole number"),
            ("missing = 0.5", "whole number"),
            ("missing < -1 %", "whole number"),
        ] {
            let error = text.parse::<Demand>().unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn shares_are_of_lines_or_of_keys() {
        let account = Account {
            sent: 200,
            received: 150,
            unaccounted: -3,
            dropped: [("no_node".to_owned(), 2), ("too_long".to_owned(), 1)].into(),
            keys: Some(Keys {
                total: 10,
                moved: 4,
                ..Keys::default()
            }),
            ..Account::default()
        };
        let figure = |text: &str| text.parse::<Demand>().unwrap().figure(&account);
        assert_eq!(figure("received > 0 %"), Some(75.0));
        assert_eq!(figure("keys_moved > 0 %"), Some(40.0));
        assert_eq!(figure("dropped > 0"), Some(3.0));
        assert_eq!(figure("dropped.no_node > 0"), Some(2.0));
        assert_eq!(figure("dropped.other > 0"), Some(0.0));
        assert_eq!(figure("unaccounted = 0"), Some(-3.0));
        let nothing = Account::default();
        assert_eq!(
            "keys_moved = 0".parse::<Demand>().unwrap().figure(&nothing),
            None
        );
        assert_eq!(
            "received > 1 %".parse::<Demand>().unwrap().figure(&nothing),
            None
        );
    }
}
