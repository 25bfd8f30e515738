//! Whether a process gives back what it took while faults lasted.
//!
//! The least that it used after the last fault is set beside the most before the first:
//! what stays is a leak, what comes and goes is work. An allocator keeps some of what it
//! had, and a pool some of its connections, so half as much again and a little more are
//! allowed.

use super::{Finding, Outcome, claims::worst};
use crate::event::Sample;
use crate::evidence::{Block, ProcessEvidence};
use crate::expect::What;
use crate::run::ScenarioRun;
use crate::text::number;

/// How many times what it had before.
const TIMES: f64 = 1.5;

/// And how much more.
fn slack(what: What) -> u64 {
    match what {
        What::Descriptors => 16,
        What::Memory => 8 << 20,
        What::Threads => 2,
    }
}

fn of(sample: &Sample, what: What) -> u64 {
    match what {
        What::Descriptors => sample.descriptors,
        What::Memory => sample.resident_bytes,
        What::Threads => sample.threads,
    }
}

fn shown(value: u64, what: What) -> String {
    match what {
        What::Memory => number::bytes(value),
        What::Descriptors | What::Threads => number::count(value),
    }
}

/// Whether a process, or each of them if it is only said whose, is back where it was.
pub(super) fn claim(scenario: &ScenarioRun, process: &str, what: What) -> Finding {
    let all = scenario.judged().flat_map(|block| {
        let is_meant = move |role: &str, name: &str| process == name || process == role;
        let watched = block
            .watched()
            .filter(move |(role, name, _)| is_meant(role.word(), name));
        watched.map(move |(_, name, found)| of_process(block, &name, found, what))
    });
    worst(all)
}

fn of_process(block: &Block, name: &str, process: &ProcessEvidence, what: What) -> Finding {
    let open = |said: &str| (Outcome::Inconclusive, format!("{name}: {said}"));
    let done = || block.faults.iter().filter(|fault| fault.problem.is_none());
    let Some(first) = done().map(|fault| fault.began_mono_ns).min() else {
        return open("there was no fault");
    };
    let ends: Option<Vec<u64>> = done().map(|fault| fault.ended_mono_ns).collect();
    let Some(last) = ends.and_then(|ends| ends.into_iter().max()) else {
        return open("a fault lasted to the end");
    };
    // One that was gone when it was looked at used nothing.
    let there = || {
        let samples = process.samples.iter();
        samples.filter(|timed| timed.sample.processes > 0)
    };
    let before = there().filter(|timed| timed.mono_ns <= first);
    let Some(before) = before.map(|timed| of(&timed.sample, what)).max() else {
        return open("nobody looked at it before the first fault");
    };
    let after = there().filter(|timed| timed.mono_ns > last);
    let Some(after) = after.map(|timed| of(&timed.sample, what)).min() else {
        return open("nobody looked at it after the last fault");
    };
    let most = (before as f64 * TIMES) as u64 + slack(what);
    let outcome = if after <= most {
        Outcome::Pass
    } else {
        Outcome::Fail
    };
    let [before, after, most] = [before, after, most].map(|value| shown(value, what));
    let said = format!(
        "{} of {name}: {before} at most before the faults, {after} at least after them; up to {most} is back",
        what.word()
    );
    (outcome, said)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Event, Role};
    use crate::expect::Expectation;
    use crate::fixtures::{Story, load_record};
    use crate::run::RunFile;

    fn look(story: Story, ms: u64, sample: Sample) -> Story {
        let role = Role::Proxy;
        let name = None;
        story.at(ms, Event::Sample { role, name, sample })
    }

    /// 20 descriptors, 20 MiB and 4 threads before a fault from 310 ms to 500 ms, and
    /// these after it.
    fn judged(what: What, after: &[u64]) -> (Outcome, String) {
        let sample = |value: u64| {
            let mut sample = Sample {
                processes: 1,
                resident_bytes: 20 << 20,
                descriptors: 20,
                threads: 4,
                ..Sample::default()
            };
            match what {
                What::Descriptors => sample.descriptors = value,
                What::Memory => sample.resident_bytes = value << 20,
                What::Threads => sample.threads = value,
            }
            sample
        };
        let least = if what == What::Threads { 4 } else { 20 };
        let story = Story::new(vec![Expectation::back("proxy", what)]).block("builtin");
        let mut story = look(story, 200, sample(least)).fault("upstream", "kill", 310, 500);
        // In the middle of it everything is allowed.
        story = look(story, 400, sample(5_000));
        for (at, value) in (600..).step_by(100).zip(after) {
            story = look(story, at, sample(*value));
        }
        let run = RunFile::from_events(&story.load(load_record(100, 90)).end().0);
        let verdict = &run.scenarios[0].verdicts[0];
        (verdict.outcome, verdict.evidence.clone())
    }

    #[test]
    fn half_as_much_again_and_a_little_more_is_back() {
        for (what, back, leaked) in [
            (What::Descriptors, 46, 47),
            (What::Memory, 38, 39),
            (What::Threads, 8, 9),
        ] {
            assert_eq!(judged(what, &[back]).0, Outcome::Pass, "{what:?}");
            let (outcome, said) = judged(what, &[leaked]);
            assert_eq!(outcome, Outcome::Fail, "{said}");
            assert!(said.contains(what.word()), "{said}");
        }
    }

    #[test]
    fn the_least_after_the_last_fault_counts() {
        assert_eq!(
            judged(What::Descriptors, &[900, 21, 900]).0,
            Outcome::Pass,
            "work comes and goes"
        );
        assert_eq!(judged(What::Descriptors, &[]).0, Outcome::Inconclusive);
    }

    #[test]
    fn nothing_is_back_from_what_never_ended() {
        let demand = Expectation::back("proxy", What::Memory);
        let story = Story::new(vec![demand.clone()]).block("builtin");
        let run = RunFile::from_events(&story.load(load_record(100, 90)).end().0);
        assert_eq!(
            run.scenarios[0].verdicts[0].outcome,
            Outcome::Inconclusive,
            "no fault"
        );
        let story = Story::new(vec![demand])
            .block("builtin")
            .fault("upstream", "kill", 310, 500);
        let mut events = story.load(load_record(100, 90)).end().0;
        events.retain(|stamped| !matches!(stamped.event, Event::FaultEnded { .. }));
        let run = RunFile::from_events(&events);
        assert_eq!(run.scenarios[0].verdicts[0].outcome, Outcome::Inconclusive);
    }
}
