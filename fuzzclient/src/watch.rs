//! What probes tell about the target, and when that is enough to say it aloud.

use std::time::Duration;

use crate::probe::Outcome;

/// Probes in a row that were taken and ended without an answer, before that is a finding: a
/// target that is full turns somebody away now and then.
const CLOSED_IN_A_ROW: u32 = 3;

/// Probes in a row without an answer, before the target is called hung and no longer frozen.
const SILENT_IN_A_ROW: u32 = 3;

/// Probes in a row that were slow, before the target is called so: one may have waited for
/// the processor.
const SLOW_IN_A_ROW: u32 = 3;

/// Bytes of a wrong answer that are shown.
const SHOWN_BYTES: usize = 200;

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its name: `refuses`, `hung`, `froze`, `wrong`, `slow`.
    pub what: &'static str,
    /// In a sentence.
    pub detail: String,
    /// Whether nothing more is to be learned from this target.
    pub ends_the_run: bool,
    /// Whether nobody listens any more.
    pub gone: bool,
}

/// Looks at one probe after the other.
#[derive(Debug)]
pub struct Watch {
    slow_after: Duration,
    closed: u32,
    silent: u32,
    slow: u32,
    called_slow: bool,
    /// Probes that were made.
    pub made: u64,
    /// Of these, rightly answered.
    pub answered: u64,
    /// The longest time that such an answer took.
    pub slowest: Duration,
}

impl Watch {
    /// Answers that take longer than this are slow.
    #[must_use]
    pub fn new(slow_after: Duration) -> Self {
        Self {
            slow_after,
            closed: 0,
            silent: 0,
            slow: 0,
            called_slow: false,
            made: 0,
            answered: 0,
            slowest: Duration::ZERO,
        }
    }

    /// Whether the next probe is to be made at once, because the last was not answered.
    #[must_use]
    pub fn is_suspicious(&self) -> bool {
        self.closed + self.silent > 0
    }

    /// Looks at the outcome of a probe.
    pub fn see(&mut self, outcome: &Outcome) -> Option<Found> {
        self.made += 1;
        match outcome {
            Outcome::Answered(took, _) => self.answered(*took),
            Outcome::Refused => Some(Found {
                gone: true,
                ..ends("refuses", "nobody listens there any more".to_owned())
            }),
            Outcome::Closed => {
                self.silent = 0;
                self.closed += 1;
                (self.closed == CLOSED_IN_A_ROW).then(|| {
                    ends("refuses", format!("{CLOSED_IN_A_ROW} valid requests in a row were taken and ended without an answer"))
                })
            }
            Outcome::Silent => {
                self.closed = 0;
                self.silent += 1;
                (self.silent == SILENT_IN_A_ROW).then(|| {
                    ends(
                        "hung",
                        format!(
                            "{SILENT_IN_A_ROW} valid requests in a row were not answered in time"
                        ),
                    )
                })
            }
            Outcome::Wrong(answer) => {
                let shown = answer[..answer.len().min(SHOWN_BYTES)].escape_ascii();
                Some(ends(
                    "wrong",
                    format!("a valid request was answered with \"{shown}\""),
                ))
            }
            Outcome::Failed(_) => None,
        }
    }

    fn answered(&mut self, took: Duration) -> Option<Found> {
        self.answered += 1;
        self.slowest = self.slowest.max(took);
        self.closed = 0;
        let silent = std::mem::take(&mut self.silent);
        self.slow = if took > self.slow_after {
            self.slow + 1
        } else {
            0
        };
        let goes_on = |what, detail| Found {
            ends_the_run: false,
            ..ends(what, detail)
        };
        if silent > 0 {
            return Some(goes_on(
                "froze",
                "a valid request was not answered in time, and then one was".to_owned(),
            ));
        }
        if self.slow == SLOW_IN_A_ROW && !self.called_slow {
            self.called_slow = true;
            return Some(goes_on(
                "slow",
                format!(
                    "{SLOW_IN_A_ROW} valid requests in a row took longer than {:?}, the last {took:?}",
                    self.slow_after
                ),
            ));
        }
        None
    }
}

fn ends(what: &'static str, detail: String) -> Found {
    Found {
        what,
        detail,
        ends_the_run: true,
        gone: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn story(outcomes: &[Outcome]) -> Vec<(&'static str, bool)> {
        let mut watch = Watch::new(Duration::from_millis(100));
        let found = outcomes.iter().filter_map(|outcome| watch.see(outcome));
        found
            .map(|found| (found.what, found.ends_the_run))
            .collect()
    }

    #[test]
    fn one_silence_is_a_freeze_and_three_are_a_hang() {
        let answered = |ms| Outcome::Answered(Duration::from_millis(ms), Vec::new());
        let (silent, closed) = (Outcome::Silent, Outcome::Closed);
        let all = [
            answered(1),
            silent.clone(),
            silent.clone(),
            answered(1),
            silent.clone(),
        ];
        assert_eq!(story(&all), [("froze", false)]);
        assert_eq!(
            story(&[silent.clone(), silent.clone(), silent.clone()]),
            [("hung", true)]
        );
        assert_eq!(
            story(&[closed.clone(), closed.clone(), answered(1), closed.clone()]),
            []
        );
        assert_eq!(
            story(&[closed.clone(), closed.clone(), closed]),
            [("refuses", true)]
        );
        let slow = [answered(200), answered(200), answered(200), answered(200)];
        assert_eq!(story(&slow), [("slow", false)]);
        assert_eq!(
            story(&[answered(200), answered(1), answered(200), answered(200)]),
            []
        );
        assert_eq!(
            story(&[Outcome::Wrong(b"NAK 9 x\n".to_vec())]),
            [("wrong", true)]
        );
        let mut watch = Watch::new(Duration::MAX);
        assert!(watch.see(&Outcome::Refused).unwrap().gone);
    }
}
