//! When two findings are one.

use std::fmt;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::finding::Finding;

/// The cause as far as it is known: the same target, the same end, the same top of the stack.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Key(String);

impl Key {
    /// The key of a finding: also the name of its directory, `died-sigsegv-0123456789abcdef`.
    /// The target's command is part of it, as two servers may fail alike for their own reasons.
    #[must_use]
    pub fn of(finding: &Finding, command: &[String]) -> Self {
        let mut cause = format!("{}\0{:?}\0", finding.who.word(), finding.what);
        for part in command.iter().chain(&finding.stack_top) {
            cause.push_str(part);
            cause.push('\0');
        }
        Self(format!(
            "{}-{:016x}",
            finding.what.name(),
            xxh3_64(cause.as_bytes())
        ))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
