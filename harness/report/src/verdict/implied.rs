//! What goes without saying: a scenario demands it unless it speaks of it itself.

use crate::account::Keeper;
use crate::account::demand::Entry;
use crate::bound::Metric;
use crate::event::Role;
use crate::evidence::{Block, ProcessEvidence};
use crate::expect::{Claim, Expectation, Fate, Origin};
use crate::reconcile::INTEGRITY;
use crate::run::ScenarioRun;

/// The demands that a scenario need not write down.
pub(super) fn expectations(scenario: &ScenarioRun) -> Vec<Expectation> {
    let fates = [Role::Upstream, Role::Proxy]
        .into_iter()
        .filter(|role| {
            fates_of(scenario, *role).next().is_none()
                && scenario
                    .judged()
                    .filter_map(|block| block.process(*role))
                    .any(ProcessEvidence::was_watched)
        })
        .map(|role| Expectation::fate(role, Fate::Survives, None, None, Origin::Implied));
    let faults_done = scenario
        .blocks
        .iter()
        .any(|block| !block.faults.is_empty())
        .then(Expectation::faults_done);
    let is_on_link = |block: &Block| block.faults.iter().any(|fault| fault.fault.on_link);
    let faults_touched = scenario
        .judged()
        .any(is_on_link)
        .then(Expectation::faults_touched);
    fates
        .chain(faults_done)
        .chain(faults_touched)
        .chain(survives_beside(scenario))
        .chain(intact(scenario))
        .chain(accounted(scenario))
        .collect()
}

fn claims(scenario: &ScenarioRun) -> impl Iterator<Item = &Claim> {
    let expectations = scenario.header.expectations.iter();
    expectations.map(|expectation| &expectation.claim)
}

fn fates_of(scenario: &ScenarioRun, wanted: Role) -> impl Iterator<Item = Fate> {
    claims(scenario).filter_map(move |claim| match claim {
        Claim::Fate { role, fate, .. } if *role == wanted => Some(*fate),
        _ => None,
    })
}

/// Only the first subject's blocks are judged by what a scenario says, but an upstream
/// that dies in another's is a finding as well. One that is to have some other trouble
/// has it there too: it only must not die.
fn survives_beside(scenario: &ScenarioRun) -> Option<Expectation> {
    let may_die = fates_of(scenario, Role::Upstream).any(|fate| fate == Fate::Dies);
    let answers = fates_of(scenario, Role::Upstream).all(|fate| fate == Fate::Survives);
    let is_there = scenario.beside().any(|block| block.upstream.is_some());
    (is_there && !may_die).then(|| Expectation::survives_beside(answers))
}

/// Wrong answers are wrong whether a scenario thinks of them or not; one that plants them,
/// or that sets its own bound on failures, knows what it does.
fn intact(scenario: &ScenarioRun) -> Option<Expectation> {
    let mut claims = claims(scenario);
    let is_spoken_of = claims.any(|claim| match claim {
        Claim::Fate { fate, .. } => *fate == Fate::Wrong,
        Claim::Metric { bound, .. } => {
            let all = [
                Metric::Failed,
                Metric::ErrorRate,
                Metric::Wrong,
                Metric::LostThere,
                Metric::LostBack,
            ];
            all.contains(&bound.metric) || INTEGRITY.contains(&bound.metric.word())
        }
        _ => false,
    });
    let was_load_sent = scenario
        .judged()
        .flat_map(|block| &block.loads)
        .filter_map(|load| load.record.as_ref())
        .any(|record| record.counts.sent > 0);
    (was_load_sent && !is_spoken_of && !has_account(scenario)).then(Expectation::intact)
}

/// Lines of statsd have no answers that could be wrong, but an account that has to close,
/// where the proxy keeps one: no line gone without a word, none that came twice.
fn accounted(scenario: &ScenarioRun) -> impl Iterator<Item = Expectation> {
    let entries = [
        (Entry::Unaccounted, "unaccounted = 0"),
        (Entry::Duplicated, "duplicated = 0"),
    ];
    let is_kept = scenario.judged().any(|block| {
        let account = block.account.as_ref();
        account.is_some_and(|account| account.keeper == Keeper::Proxy)
    });
    entries
        .into_iter()
        .filter(move |(entry, _)| {
            let is_it =
                |claim: &Claim| matches!(claim, Claim::Account(demand) if demand.entry == *entry);
            is_kept && !claims(scenario).any(is_it)
        })
        .filter_map(|(_, text)| Expectation::account(text, Origin::Implied).ok())
}

fn has_account(scenario: &ScenarioRun) -> bool {
    scenario.judged().any(|block| block.account.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Event, ProbeOutcome};
    use crate::fixtures::{Story, fate, load, load_record};
    use crate::run::RunFile;
    use crate::verdict::Outcome;

    fn outcome_of(run: &RunFile, expectation: &str) -> Option<Outcome> {
        let verdicts = &run.scenarios[0].verdicts;
        verdicts
            .iter()
            .find(|verdict| verdict.expectation == expectation)
            .map(|verdict| verdict.outcome)
    }

    #[test]
    fn wrong_answers_fail_though_nobody_asked() {
        let run = |demands, kind: &str| {
            let mut record = load_record(100, 70);
            record.counts.failed.insert(kind.to_owned(), 1);
            RunFile::from_events(&Story::new(demands).block("builtin").load(record).end().0)
        };
        let text = Expectation::intact().text;
        for kind in INTEGRITY {
            let run = run(vec![load("p99 < 2ms")], kind);
            assert_eq!(outcome_of(&run, &text), Some(Outcome::Fail), "{kind}");
            assert_eq!(run.exit_code, 1, "{kind}");
        }
        // What a connection does is not an answer.
        let reset = run(Vec::new(), "reset");
        assert_eq!(outcome_of(&reset, &text), Some(Outcome::Pass));
        for demand in [
            load("failed > 0"),
            load("lost = 0"),
            fate(Role::Upstream, Fate::Wrong),
        ] {
            assert_eq!(outcome_of(&run(vec![demand], "lost"), &text), None);
        }
    }

    #[test]
    fn a_death_in_another_subjects_block_is_exit_4() {
        let run = |demands, death: bool| {
            let mut story = Story::new(demands)
                .block("builtin")
                .load(load_record(100, 70))
                .at(2_100, Event::BlockEnded { problem: None })
                .block("direct");
            if death {
                story = story.exit(Role::Upstream, "SIGSEGV", false);
            }
            RunFile::from_events(&story.end().0)
        };
        for demands in [vec![], vec![fate(Role::Upstream, Fate::Survives)]] {
            assert_eq!(run(demands.clone(), true).exit_code, 4);
            assert_eq!(run(demands, false).exit_code, 0);
        }
        let dies = run(vec![fate(Role::Upstream, Fate::Dies)], true);
        for answers in [true, false] {
            let text = Expectation::survives_beside(answers).text;
            assert_eq!(outcome_of(&dies, &text), None);
        }
    }

    #[test]
    fn a_planted_trouble_may_be_in_every_block_and_a_death_may_not() {
        let hung = |story: Story| story.probe(Role::Upstream, 1_200, 1_000, ProbeOutcome::Silent);
        let both = || {
            let demands = vec![fate(Role::Upstream, Fate::Hangs)];
            let story = hung(Story::new(demands).block("builtin"))
                .at(2_250, Event::BlockEnded { problem: None })
                .block("direct");
            hung(story)
        };
        let text = Expectation::survives_beside(false).text;
        let run = |story: Story| RunFile::from_events(&story.end().0);
        assert_eq!(outcome_of(&run(both()), &text), Some(Outcome::Pass));
        let dead = run(both().exit(Role::Upstream, "SIGSEGV", false));
        assert_eq!(outcome_of(&dead, &text), Some(Outcome::Fail));
        assert_eq!(dead.exit_code, 4);
    }
}
