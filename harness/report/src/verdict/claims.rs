//! The evidence for and against each kind of claim.

use super::{
    Finding, Outcome, account, attack, back, delivered, measured, notice, phases, recovery, touched,
};
use crate::event::Role;
use crate::evidence::Block;
use crate::expect::{Claim, Fate};
use crate::figures::BUILTIN;
use crate::health::{self, Status};
use crate::run::ScenarioRun;
use crate::text::number;
use crate::words;

/// What the evidence says about a claim.
pub(super) fn find(scenario: &ScenarioRun, claim: &Claim) -> Finding {
    match claim {
        Claim::Fate {
            role,
            process,
            fate,
            signal,
            code,
        } => {
            let wanted = signal
                .clone()
                .or_else(|| code.map(|code| format!("exit code {code}")));
            let several = scenario
                .judged()
                .map(|block| whose(block, *role, process.as_deref()).count());
            let several = several.max().unwrap_or(0);
            let found = worst(
                scenario
                    .judged()
                    .flat_map(|block| whose(block, *role, process.as_deref()))
                    .map(|(block, name)| {
                        fate_of(scenario, block, *role, &name, *fate, wanted.as_deref())
                    }),
            );
            match found {
                (Outcome::Pass, said) if several > 1 => {
                    (Outcome::Pass, format!("all {several} of them: {said}"))
                }
                found => found,
            }
        }
        Claim::Metric { load, part, bound } => {
            let rows = measured::rows(scenario, load.as_deref());
            worst(rows.map(|figures| match part {
                None => measured::metric(scenario, figures, bound),
                Some(part) => phases::metric(scenario, figures, bound, *part),
            }))
        }
        Claim::Beside {
            load,
            subject,
            bound,
        } => {
            let rows = measured::rows(scenario, load.as_deref());
            worst(rows.map(|figures| measured::beside(scenario, figures, subject, bound)))
        }
        Claim::Backend {
            backend,
            change,
            within_us,
            ..
        } => worst(
            scenario
                .judged()
                .map(|block| notice::backend(block, backend, *change, *within_us)),
        ),
        Claim::Account(demand) => worst(
            scenario
                .judged()
                .map(|block| account::figure(block, demand)),
        ),
        Claim::FaultsDone => touched::faults_done(scenario),
        Claim::FaultsTouched => touched::faults_touched(scenario),
        Claim::Invariants => touched::invariants(scenario),
        Claim::Recovery {
            load, within_us, ..
        } => recovery::claim(scenario, load.as_deref(), *within_us),
        Claim::Back { process, what } => back::claim(scenario, process, *what),
        Claim::AtMostOnce => delivered::claim(scenario),
        Claim::Valid { load } => {
            worst(measured::rows(scenario, load.as_deref()).map(measured::validity))
        }
        Claim::AnsweredDuringAttack { load } => worst(
            scenario
                .judged()
                .map(|block| attack::answered(block, load.as_deref())),
        ),
        Claim::Reconcile => reconciled(scenario),
        Claim::Intact => measured::intact(scenario),
        Claim::SurvivesBeside { answers } => worst(
            scenario
                .beside()
                .map(|block| survives_beside(scenario, block, *answers)),
        ),
    }
}

/// The worst of several findings: a failure, else what could not be judged, else the
/// first.
pub(super) fn worst(findings: impl Iterator<Item = Finding>) -> Finding {
    let findings: Vec<Finding> = findings.collect();
    let rank = |outcome: Outcome| match outcome {
        Outcome::Fail => 0,
        Outcome::Inconclusive => 1,
        Outcome::Pass => 2,
    };
    findings
        .into_iter()
        .min_by_key(|(outcome, _)| rank(*outcome))
        .unwrap_or_else(|| {
            (
                Outcome::Inconclusive,
                "there is nothing to judge it by".to_owned(),
            )
        })
}

/// The processes in that role, or the one of that name.
fn whose<'a>(
    block: &'a Block,
    role: Role,
    name: Option<&str>,
) -> impl Iterator<Item = (&'a Block, String)> {
    let mut names: Vec<String> = block
        .watched()
        .filter(|(of, known, _)| *of == role && name.is_none_or(|name| name == known))
        .map(|(_, known, _)| known)
        .collect();
    // Who was to be there and was not is not watched.
    if names.is_empty() {
        names.push(name.unwrap_or(role.word()).to_owned());
    }
    names.into_iter().map(move |name| (block, name))
}

fn fate_of(
    scenario: &ScenarioRun,
    block: &Block,
    role: Role,
    name: &str,
    fate: Fate,
    cause: Option<&str>,
) -> Finding {
    let status = health::status_of(block, name);
    let said = described(block, role, name, &status);
    if status == Status::Unwatched {
        return (Outcome::Inconclusive, format!("the {name} was not watched"));
    }
    let cause_fits = match (&status, cause) {
        (Status::Died { cause }, Some(wanted)) => cause == wanted,
        (_, wanted) => wanted.is_none(),
    };
    if !(status.is(fate) && cause_fits) {
        return (Outcome::Fail, said);
    }
    // Where garbage is part of it, garbage must be the reason: who dies before it comes
    // shows as little as who survives without it.
    if plans_garbage(scenario, block) && block.garbage_bytes() == 0 {
        return (
            Outcome::Inconclusive,
            format!("{said}, but no garbage was sent until then: nothing is shown"),
        );
    }
    (Outcome::Pass, said)
}

/// Whether garbage is part of the plan, even if the block did not come to it.
fn plans_garbage(scenario: &ScenarioRun, block: &Block) -> bool {
    let planned = scenario.header.config.get("fuzz");
    let planned = planned.and_then(serde_json::Value::as_array);
    !block.fuzzes.is_empty() || planned.is_some_and(|fuzzes| !fuzzes.is_empty())
}

/// The upstream in the block of a subject that is not the judged one.
fn survives_beside(scenario: &ScenarioRun, block: &Block, answers: bool) -> Finding {
    let all = whose(block, Role::Upstream, None).map(|(block, name)| {
        if answers {
            return fate_of(scenario, block, Role::Upstream, &name, Fate::Survives, None);
        }
        let status = health::status_of(block, &name);
        let outcome = match status {
            Status::Died { .. } => Outcome::Fail,
            _ => Outcome::Pass,
        };
        (outcome, described(block, Role::Upstream, &name, &status))
    });
    let (outcome, said) = worst(all);
    (
        outcome,
        format!("{} (round {}): {said}", block.subject, block.round),
    )
}

/// The status in a sentence, with what led to it.
fn described(block: &Block, role: Role, name: &str, status: &Status) -> String {
    let mut said = format!("{name} {status}");
    let Some((.., process)) = block.watched().find(|(_, known, _)| known == name) else {
        return said;
    };
    if !block.fuzzes.is_empty() {
        let bytes = number::bytes(block.garbage_bytes());
        let errors = process.decode_errors();
        said.push_str(&format!(" after {bytes} of garbage"));
        if role == Role::Upstream {
            said.push_str(&format!(" and {} decode errors", number::count(errors)));
        }
    }
    if let Some(words) = process
        .death()
        .and_then(|death| words::last_words(&death.exit))
    {
        said.push_str(&format!("; its last words: {words}"));
    }
    said
}

fn reconciled(scenario: &ScenarioRun) -> Finding {
    let rows = &scenario.reconciliation;
    if let Some(row) = rows.iter().find(|row| !row.agrees()) {
        let said = format!(
            "{} ({}, round {}): {} counted, {} expected",
            row.what, row.subject, row.round, row.counted, row.expected
        );
        return (Outcome::Fail, said);
    }
    if rows.is_empty() {
        return (
            Outcome::Inconclusive,
            "there are no counts to compare".to_owned(),
        );
    }
    let open: Vec<String> = scenario
        .judged()
        .filter(|block| !is_reconciled(scenario, block))
        .map(|block| format!("{} (round {})", block.subject, block.round))
        .collect();
    if !open.is_empty() {
        let said = format!(
            "{} counts agree, but not all could be compared of {}",
            rows.len(),
            open.join(", ")
        );
        return (Outcome::Inconclusive, said);
    }
    (Outcome::Pass, format!("{} counts agree", rows.len()))
}

/// Whether everybody in a block who counts has been compared: an upstream of ours, and
/// our own proxy. Other proxies do not count.
fn is_reconciled(scenario: &ScenarioRun, block: &Block) -> bool {
    let has = |who: &str| {
        let mut rows = scenario.reconciliation.iter();
        rows.any(|row| {
            row.round == block.round && row.subject == block.subject && row.what.starts_with(who)
        })
    };
    (block.upstream.is_none() || has("upstream "))
        && (block.subject != BUILTIN || has("proxy "))
        && has("")
}
