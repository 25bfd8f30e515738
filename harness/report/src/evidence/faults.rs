//! What was done on purpose, when, and what it met.

use serde::{Deserialize, Serialize};

use crate::fault::{Fault, Touch};
use crate::text::number;
use crate::text::toxic::strength;

/// Something that was done on purpose, and when.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FaultEvidence {
    /// What.
    #[serde(flatten)]
    pub fault: Fault,
    /// When it began.
    pub began_mono_ns: u64,
    /// When it was undone or done with; none if it lasted to the end.
    pub ended_mono_ns: Option<u64>,
    /// Why it could not be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// What it touched, if it was on a link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub touched: Option<Touch>,
}

impl FaultEvidence {
    /// What is done to whom: `kill upstream.1`, `latency client-proxy`.
    #[must_use]
    pub fn name(&self) -> String {
        let whom = self.fault.backend.as_ref().unwrap_or(&self.fault.target);
        format!("{} {whom}", self.fault.action)
    }

    /// As in a sentence: `kill upstream.1`, `latency client-proxy 100 ms downstream`.
    #[must_use]
    pub fn words(&self) -> String {
        let fault = &self.fault;
        let mut words = self.name();
        if let Some(toxic) = &fault.toxic {
            words.push_str(&format!(" {}", strength(&fault.action, toxic)));
        }
        if let Some(limits) = &fault.limits {
            let descriptors = limits
                .descriptors
                .map(|most| format!(" to {} descriptors", number::count(most)));
            let memory = limits
                .memory_bytes
                .map(|most| format!(" to {} of memory", number::bytes(most)));
            words.extend(descriptors.into_iter().chain(memory));
        }
        words
    }

    /// What it touched: `812 hits on 16 connections, 20.3 KiB`; none if it was not on a
    /// link.
    #[must_use]
    pub fn touched_words(&self) -> Option<String> {
        let is_told = self.touched.as_ref().filter(|touch| touch.hits > 0);
        let Some(touch) = is_told else {
            return self.fault.on_link.then(|| "TOUCHED NOTHING".to_owned());
        };
        let [hits, connections] = [touch.hits, touch.connections].map(number::count);
        let [one, one_connection] = [touch.hits, touch.connections].map(|count| count == 1);
        let plural = |one: bool| if one { "" } else { "s" };
        let mut said = format!(
            "{hits} hit{} on {connections} connection{}",
            plural(one),
            plural(one_connection)
        );
        if touch.bytes > 0 {
            said.push_str(&format!(", {}", number::bytes(touch.bytes)));
        }
        Some(said)
    }
}
