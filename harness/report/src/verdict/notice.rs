//! How soon after a fault the proxy thinks differently of a backend.

use super::phases::first_load;
use super::{Finding, Outcome};
use crate::evidence::{Block, FaultEvidence, TimedTransition};
use crate::expect::Change;
use crate::text::number;

/// What a proxy calls a backend to which it sends nobody new.
const OUT: [&str; 4] = ["down", "ejected", "draining", "disabled"];

pub(crate) fn is_out(state: &str) -> bool {
    let state = state.to_lowercase();
    OUT.iter().any(|out| state.starts_with(out))
}

/// How soon after a fault the proxy thought differently of a backend.
pub(super) fn backend(block: &Block, backend: &str, change: Change, within_us: f64) -> Finding {
    let concerns = |fault: &&FaultEvidence| {
        let target = fault.fault.target.as_str();
        let leads_there = || target == "proxy-upstream" || target == format!("proxy-{backend}");
        target == backend
            || fault.fault.backend.as_deref() == Some(backend)
            || fault.fault.on_link && leads_there()
    };
    let faults: Vec<&FaultEvidence> = block.faults.iter().filter(concerns).collect();
    let since = match change {
        Change::Ejected => faults.first().map(|fault| fault.began_mono_ns),
        Change::Readmitted => faults.iter().filter_map(|fault| fault.ended_mono_ns).max(),
    };
    let word = change.word();
    let Some(since) = since.or_else(|| first_load(block).filter(|_| faults.is_empty())) else {
        let said = format!("{backend} was to be {word} after a fault that was not over");
        return (Outcome::Inconclusive, said);
    };
    if block.transitions.is_empty() {
        let said = "the proxy does not tell what it thinks of its backends".to_owned();
        return (Outcome::Inconclusive, said);
    }
    let found = transition(block, backend, change, since);
    let Some(found) = found else {
        return (Outcome::Fail, format!("{backend} was never {word}"));
    };
    let after_us = found.mono_ns.saturating_sub(since) as f64 / 1e3;
    let took = number::micros(after_us);
    let why = match found.transition.why.as_str() {
        "" => String::new(),
        why => format!(" ({why})"),
    };
    let holds = after_us < within_us;
    let outcome = if holds { Outcome::Pass } else { Outcome::Fail };
    (outcome, format!("{backend} was {word} after {took}{why}"))
}

/// The first change of that kind since then.
pub(crate) fn transition<'a>(
    block: &'a Block,
    backend: &str,
    change: Change,
    since: u64,
) -> Option<&'a TimedTransition> {
    let fits = |to: &str| is_out(to) == (change == Change::Ejected);
    // A proxy may be quicker than whoever watches it: what came just before counts too.
    block.transitions.iter().find(|found| {
        found.transition.backend == backend
            && fits(&found.transition.to)
            && found.mono_ns.saturating_add(SLACK_NS) >= since
    })
}

/// How much earlier than the fault a transition may seem to be: proxies count milliseconds.
const SLACK_NS: u64 = 20_000_000;

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::expect::Expectation;
    use crate::fixtures::{Story, load_record};
    use crate::run::RunFile;

    /// Slices of 100 ms from 100 ms on; a fault from 310 ms to 580 ms, in which eight
    /// requests fail, and what the proxy says of it.
    pub(in crate::verdict) fn judged(
        demand: Expectation,
        told: &[(u64, &str, &str)],
    ) -> (Outcome, String) {
        let mut record = load_record(100, 90);
        record.intervals[3].failed = 8;
        let mut story =
            Story::new(vec![demand])
                .block("builtin")
                .fault("upstream.1", "kill", 310, 580);
        for (ms, from, to) in told {
            story = story.changed(*ms, "upstream.1", from, to);
        }
        let run = RunFile::from_events(&story.load(record).end().0);
        let verdict = &run.scenarios[0].verdicts[0];
        (verdict.outcome, verdict.evidence.clone())
    }

    #[test]
    fn a_proxy_is_judged_by_when_it_took_notice() {
        let ejected = || Expectation::backend("upstream.1", Change::Ejected, "< 100ms").unwrap();
        let back = || Expectation::backend("upstream.1", Change::Readmitted, "< 100ms").unwrap();
        let quick = [
            (200, "down", "up"),
            (350, "up", "ejected"),
            (600, "ejected", "up"),
        ];
        assert_eq!(judged(ejected(), &quick).0, Outcome::Pass);
        assert_eq!(judged(back(), &quick).0, Outcome::Pass);
        let slow = [
            (200, "down", "up"),
            (500, "up", "down"),
            (900, "down", "slow-start"),
        ];
        assert_eq!(judged(ejected(), &slow).0, Outcome::Fail);
        assert_eq!(judged(back(), &slow).0, Outcome::Fail);
        let never = [(200, "down", "up")];
        assert_eq!(judged(ejected(), &never).0, Outcome::Fail);
        assert_eq!(
            judged(ejected(), &[]).0,
            Outcome::Inconclusive,
            "it tells nothing"
        );
    }
}
