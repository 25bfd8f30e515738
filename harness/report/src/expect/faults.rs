//! Demands on what faults do, and on what is left of them when they are over.

use super::{Claim, ExpectError, Expectation, Origin, What};

impl Expectation {
    /// A demand on how soon after every fault a load is served as before: `< 2s`.
    ///
    /// # Errors
    /// Says what is accepted.
    pub fn recovery(text: &str, load: Option<String>) -> Result<Self, ExpectError> {
        let (within_us, written) = within(text, "recovery")?;
        let whose = load
            .as_ref()
            .map_or(String::new(), |load| format!(" ({load})"));
        Ok(Self {
            text: format!("served as before within {written} of every fault{whose}"),
            claim: Claim::Recovery {
                load,
                within_us,
                written,
            },
            origin: Origin::Scenario,
        })
    }

    /// The demand that a process comes back to what it used before the faults. `process` is
    /// `proxy`, `upstream` (all of them) or `upstream.1`.
    #[must_use]
    pub fn back(process: &str, what: What) -> Self {
        let there = match what {
            What::Memory => "it was",
            What::Descriptors | What::Threads => "they were",
        };
        Self {
            text: format!("{} of {process} back to where {there}", what.word()),
            claim: Claim::Back {
                process: process.to_owned(),
                what,
            },
            origin: Origin::Scenario,
        }
    }

    /// The demand that no request is delivered twice.
    #[must_use]
    pub fn at_most_once() -> Self {
        Self {
            text: "every request is delivered at most once".to_owned(),
            claim: Claim::AtMostOnce,
            origin: Origin::Scenario,
        }
    }

    /// The demand that goes without saying: a fault on a link did something to somebody.
    #[must_use]
    pub fn faults_touched() -> Self {
        Self {
            text: "every fault on a link touched something".to_owned(),
            claim: Claim::FaultsTouched,
            origin: Origin::Implied,
        }
    }
}

impl Expectation {
    /// The demand on a run that is watched: nobody dies or hangs, no answer is wrong, nothing
    /// grows, and clients are served again after each fault.
    #[must_use]
    pub fn invariants() -> Self {
        Self {
            text: "every invariant holds".to_owned(),
            claim: Claim::Invariants,
            origin: Origin::Scenario,
        }
    }
}

/// `< 2s`: microseconds, and what was written.
pub(super) fn within(text: &str, metric: &'static str) -> Result<(f64, String), ExpectError> {
    let error = |reason: String| ExpectError::Value { metric, reason };
    let Some(written) = text.trim().strip_prefix('<') else {
        let reason = format!("expected a time such as \"< 2s\", got {text:?}");
        return Err(error(reason));
    };
    let written = written.trim_start_matches('=').trim();
    let time = service::units::parse_duration(written).map_err(|e| error(e.to_string()))?;
    Ok((time.as_secs_f64() * 1e6, written.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn demands_read_as_sentences() {
        let recovery = Expectation::recovery("< 2s", Some("a".to_owned())).unwrap();
        assert_eq!(
            recovery.text,
            "served as before within 2s of every fault (a)"
        );
        let back = Expectation::back("upstream.1", What::Descriptors);
        assert_eq!(
            back.text,
            "descriptors of upstream.1 back to where they were"
        );
        for bad in ["2s", "> 2s", "< soon", ""] {
            let error = Expectation::recovery(bad, None).unwrap_err().to_string();
            assert!(error.starts_with("recovery: "), "{error}");
        }
    }

    #[test]
    fn what_comes_back_has_a_word_each() {
        for what in What::ALL {
            assert_eq!(what.word().parse::<What>(), Ok(what));
        }
        let error = "sockets".parse::<What>().unwrap_err().to_string();
        assert!(error.contains("descriptors, memory, threads"), "{error}");
    }
}
