//! Whether faults were done, and whether those on links met anybody.

use super::{Finding, Outcome};
use crate::evidence::FaultEvidence;
use crate::run::ScenarioRun;
use crate::text::number;

/// Whether all that was to be done was done.
pub(super) fn faults_done(scenario: &ScenarioRun) -> Finding {
    let all = || scenario.blocks.iter().flat_map(|block| &block.faults);
    let count = number::count(all().count() as u64);
    match all().find_map(|fault| Some((fault, fault.problem.as_ref()?))) {
        Some((fault, problem)) => (Outcome::Fail, format!("{}: {problem}", fault.words())),
        None => (Outcome::Pass, format!("{count} faults were done")),
    }
}

/// Whether each fault on a link touched something: a test that proved nothing must not be
/// green.
pub(super) fn faults_touched(scenario: &ScenarioRun) -> Finding {
    let on_links = |fault: &&FaultEvidence| fault.fault.on_link && fault.problem.is_none();
    let all = || {
        let judged = scenario.judged();
        judged.flat_map(|block| block.faults.iter().filter(on_links))
    };
    let hits = |fault: &FaultEvidence| fault.touched.as_ref().map(|touch| touch.hits);
    // Of those that are repeated, not every one meets somebody; one has to.
    let has_hit = |fault: &FaultEvidence| {
        all()
            .filter(|other| number_of(other) == number_of(fault))
            .any(|other| hits(other).unwrap_or(0) > 0)
    };
    let in_vain: Vec<String> = all()
        .filter(|fault| !has_hit(fault))
        .map(|fault| format!("{} (fault {})", fault.words(), fault.fault.id))
        .collect();
    if !in_vain.is_empty() {
        let said = number::first_few(&in_vain, 3).join(", ");
        return (Outcome::Fail, format!("touched nothing: {said}"));
    }
    let [faults, touched] = [
        all().count() as u64,
        all().filter_map(hits).fold(0, u64::saturating_add),
    ]
    .map(number::count);
    let plural = if all().count() == 1 { "" } else { "s" };
    let said = format!("{touched} decisions of {faults} fault{plural} changed something");
    (Outcome::Pass, said)
}

/// The number of what a fault is a repetition of, or was drawn by.
fn number_of(fault: &FaultEvidence) -> &str {
    fault.fault.id.split('.').next().unwrap_or_default()
}

/// Whether nothing happened that must not in a run that is watched.
pub(super) fn invariants(scenario: &ScenarioRun) -> Finding {
    let mut blocks = scenario.judged();
    if let Some(broken) = blocks.find_map(|block| block.broken.as_ref()) {
        return (Outcome::Fail, broken.words());
    }
    let faults = scenario.judged().map(|block| block.faults.len() as u64);
    let garbage = scenario.judged().map(|block| block.fuzzes.len() as u64);
    let times = scenario.judged().filter_map(|block| {
        let end = block.ended_mono_ns?;
        Some(end.saturating_sub(block.started_mono_ns) as f64 / 1e9)
    });
    let said = format!(
        "for {:.0} s, {} faults and {} times garbage",
        times.sum::<f64>(),
        number::count(faults.sum()),
        number::count(garbage.sum()),
    );
    (Outcome::Pass, said)
}

#[cfg(test)]
mod tests {
    use crate::event::{Event, Fault, Touch};
    use crate::expect::Expectation;
    use crate::fixtures::{Story, load_record};
    use crate::run::RunFile;
    use crate::verdict::{Outcome, Verdict};

    #[test]
    fn one_of_several_repeats_has_to_touch_something() {
        let repeated = |hits: [u64; 2]| {
            let mut story = Story::new(Vec::new()).block("builtin");
            for (nth, hits) in hits.into_iter().enumerate() {
                let fault = Fault {
                    id: format!("1.{}", nth + 1),
                    target: "client-proxy".to_owned(),
                    action: "down".to_owned(),
                    on_link: true,
                    ..Fault::default()
                };
                let id = fault.id.clone();
                let touch = Touch {
                    hits,
                    ..Touch::default()
                };
                story = story
                    .at(300, Event::FaultBegan(fault))
                    .at(400, Event::FaultEnded { id: id.clone() })
                    .at(400, Event::FaultTouched { id, touch });
            }
            RunFile::from_events(&story.load(load_record(100, 90)).end().0).exit_code
        };
        assert_eq!(repeated([0, 3]), 0);
        assert_eq!(repeated([0, 0]), 1);
    }

    /// Two faults on a link, the second of which hit so often, if that is told.
    fn verdict(hits: Option<u64>) -> (Verdict, u8) {
        let mut story = Story::new(Vec::new())
            .block("builtin")
            .toxic("client-proxy", "latency", 300, 500)
            .touched("latency 300", 7)
            .toxic("proxy-upstream", "corrupt", 600, 700);
        if let Some(hits) = hits {
            let touch = Touch {
                hits,
                ..Touch::default()
            };
            let id = "corrupt 600".to_owned();
            story = story.at(700, Event::FaultTouched { id, touch });
        }
        let run = RunFile::from_events(&story.load(load_record(100, 90)).end().0);
        let text = Expectation::faults_touched().text;
        let mut verdicts = run.scenarios[0].verdicts.iter();
        let found = verdicts.find(|verdict| verdict.expectation == text);
        (found.unwrap().clone(), run.exit_code)
    }

    #[test]
    fn a_fault_that_touched_nothing_fails_the_run() {
        let (good, code) = verdict(Some(5));
        assert_eq!((good.outcome, code), (Outcome::Pass, 0));
        assert!(good.evidence.contains("12 decisions of 2 faults"));
        for in_vain in [Some(0), None] {
            let (bad, code) = verdict(in_vain);
            assert_eq!((bad.outcome, code), (Outcome::Fail, 1));
            let evidence = bad.evidence;
            assert!(evidence.contains("corrupt proxy-upstream"), "{evidence}");
            assert!(!evidence.contains("latency"), "{evidence}");
        }
    }

    #[test]
    fn nothing_is_said_of_links_where_no_fault_was_on_one() {
        let story = Story::new(Vec::new())
            .block("builtin")
            .fault("upstream", "freeze", 300, 500);
        let run = RunFile::from_events(&story.load(load_record(100, 90)).end().0);
        let text = Expectation::faults_touched().text;
        let mut verdicts = run.scenarios[0].verdicts.iter();
        assert!(!verdicts.any(|verdict| verdict.expectation == text));
    }

    #[test]
    fn what_could_not_be_done_fails_the_run() {
        let story = |reason: Option<&str>| {
            let mut story = Story::new(Vec::new())
                .block("builtin")
                .fault("proxy", "upgrade", 310, 580);
            if let Some(reason) = reason {
                let failed = Event::FaultFailed {
                    id: "upgrade 310".to_owned(),
                    reason: reason.to_owned(),
                };
                story = story.at(590, failed);
            }
            RunFile::from_events(&story.load(load_record(100, 90)).end().0)
        };
        assert_eq!(story(None).exit_code, 0);
        let run = story(Some("started none"));
        assert_eq!(run.exit_code, 1);
        let said = &run.scenarios[0].verdicts;
        assert!(
            said.iter()
                .any(|v| v.evidence.contains("upgrade proxy: started none"))
        );
    }
}
