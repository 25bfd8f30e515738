//! What must not happen in a run that goes on for long: the first of it ends the run.

use serde::{Deserialize, Serialize};

/// An invariant that was broken.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Broken {
    /// What happened, in a sentence: `proxy answered no probe for 5.2 s`.
    pub what: String,
    /// When, in seconds after clients began.
    pub after_s: f64,
    /// What was being done on purpose then; if nothing, the last that had been.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<String>,
    /// The command that does the same again.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub again: String,
}

impl Broken {
    /// As a sentence, with how to see it again.
    #[must_use]
    pub fn words(&self) -> String {
        let mut said = format!("{} after {:.1} s", self.what, self.after_s);
        if !self.faults.is_empty() {
            said.push_str(&format!("; {}", self.faults.join(", ")));
        }
        if !self.again.is_empty() {
            said.push_str(&format!("; again: {}", self.again));
        }
        said
    }
}
