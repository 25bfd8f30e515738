//! The evidence for and against each kind of claim.

use std::collections::BTreeMap;

use loadgen::record::Counts;

use super::{Finding, Outcome};
use crate::bound::{Bound, Metric, Unit};
use crate::event::Role;
use crate::evidence::Block;
use crate::expect::{Claim, Fate};
use crate::figures::Figures;
use crate::health::{self, Status};
use crate::run::ScenarioRun;
use crate::text::number;
use crate::words;

/// What the evidence says about a claim.
pub(super) fn find(scenario: &ScenarioRun, claim: &Claim) -> Finding {
    match claim {
        Claim::Fate {
            role,
            fate,
            signal,
            code,
        } => {
            let wanted = signal
                .clone()
                .or_else(|| code.map(|code| format!("exit code {code}")));
            worst(
                scenario
                    .judged()
                    .map(|block| fate_of(block, *role, *fate, wanted.as_deref())),
            )
        }
        Claim::Metric { load, bound } => {
            let rows = rows(scenario, load.as_deref());
            worst(rows.map(|figures| metric(scenario, figures, bound)))
        }
        Claim::Valid { load } => worst(rows(scenario, load.as_deref()).map(validity)),
        Claim::AnsweredDuringAttack { load } => worst(
            scenario
                .judged()
                .map(|block| answered_during_attack(block, load.as_deref())),
        ),
        Claim::Reconcile => reconciled(scenario),
    }
}

/// The worst of several findings: a failure, else what could not be judged, else the
/// first.
fn worst(findings: impl Iterator<Item = Finding>) -> Finding {
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

fn fate_of(block: &Block, role: Role, fate: Fate, cause: Option<&str>) -> Finding {
    let status = health::status(block, role);
    let said = described(block, role, &status);
    if status == Status::Unwatched {
        return (
            Outcome::Inconclusive,
            format!("the {} was not watched", role.word()),
        );
    }
    let silent_attack = !block.fuzzes.is_empty() && block.garbage_bytes() == 0;
    if fate == Fate::Survives && status.is(fate) && silent_attack {
        return (
            Outcome::Inconclusive,
            "no garbage was sent: nothing is shown".to_owned(),
        );
    }
    let cause_fits = match (&status, cause) {
        (Status::Died { cause }, Some(wanted)) => cause == wanted,
        (_, wanted) => wanted.is_none(),
    };
    let holds = status.is(fate) && cause_fits;
    (if holds { Outcome::Pass } else { Outcome::Fail }, said)
}

/// The status in a sentence, with what led to it.
fn described(block: &Block, role: Role, status: &Status) -> String {
    let mut said = format!("{} {status}", role.word());
    let Some(process) = block.process(role) else {
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

fn rows<'a>(scenario: &'a ScenarioRun, load: Option<&'a str>) -> impl Iterator<Item = &'a Figures> {
    let named = move |row: &&Figures| load.is_none_or(|load| row.load == load);
    scenario
        .figures
        .iter()
        .filter(|row| row.subject == scenario.subject())
        .filter(named)
}

fn validity(figures: &Figures) -> Finding {
    if figures.is_valid() {
        let said = format!(
            "{} of {} blocks are valid",
            figures.valid_blocks, figures.blocks
        );
        return (Outcome::Pass, said);
    }
    let blocks = format!(
        "{} of {} blocks are valid",
        figures.valid_blocks, figures.blocks
    );
    (
        Outcome::Inconclusive,
        format!("INVALID, {blocks}: {}", figures.why_invalid()),
    )
}

fn metric(scenario: &ScenarioRun, figures: &Figures, bound: &Bound) -> Finding {
    let value = match bound.metric {
        Metric::P50 => figures.response_us.p50,
        Metric::P90 => figures.response_us.p90,
        Metric::P99 => figures.response_us.p99,
        Metric::P99_9 => figures.response_us.p99_9,
        Metric::Max => figures.response_us.max,
        Metric::Rate => Some(figures.rate),
        Metric::CpuPerMsg => figures.cpu_us_per_msg,
        Metric::PeakMemory => figures.peak_memory_bytes.map(|bytes| bytes as f64),
        count => Some(counted(scenario, figures, count) as f64),
    };
    let Some(value) = value else {
        let said = format!(
            "too few samples, or nothing measured {}",
            bound.metric.word()
        );
        return (Outcome::Inconclusive, said);
    };
    let shown = match bound.metric.unit() {
        Unit::Time => number::micros(value),
        Unit::Rate => number::rate(value),
        Unit::Size => number::bytes(value as u64),
        Unit::Count => number::count(value as u64),
    };
    let mut said = format!("{} is {shown}", bound.metric.word());
    let is_count = bound.metric.unit() == Unit::Count;
    if bound.metric == Metric::Failed {
        said.push_str(&kinds(scenario, figures));
    }
    // Whether an answer is right does not depend on when its request was sent: counts
    // are judged in an invalid run too, times are not.
    if !is_count && !figures.is_valid() {
        let why = figures.why_invalid();
        return (
            Outcome::Inconclusive,
            format!("{said}, but the run is INVALID: {why}"),
        );
    }
    let holds = bound.op.holds(value, bound.value);
    (if holds { Outcome::Pass } else { Outcome::Fail }, said)
}

fn records<'a>(
    scenario: &'a ScenarioRun,
    figures: &'a Figures,
) -> impl Iterator<Item = &'a Counts> {
    scenario
        .judged()
        .flat_map(|block| &block.loads)
        .filter(|load| load.name == figures.load)
        .filter_map(|load| load.record.as_ref())
        .map(|record| &record.counts)
}

/// An integrity count over all blocks. An answer that came twice is not in the sum of
/// the requests, and counts as a failure nevertheless.
fn counted(scenario: &ScenarioRun, figures: &Figures, metric: Metric) -> u64 {
    records(scenario, figures)
        .map(|counts| match metric {
            Metric::Unanswered => counts.unanswered,
            Metric::Failed => counts.failed_total() + counts.extra_answers.values().sum::<u64>(),
            kind => {
                let of =
                    |kinds: &BTreeMap<String, u64>| kinds.get(kind.word()).copied().unwrap_or(0);
                of(&counts.failed) + of(&counts.extra_answers)
            }
        })
        .sum()
}

fn kinds(scenario: &ScenarioRun, figures: &Figures) -> String {
    let mut sums = BTreeMap::new();
    let mut sent = 0;
    for counts in records(scenario, figures) {
        sent += counts.sent;
        for (kind, count) in counts
            .failed
            .iter()
            .chain(&counts.extra_answers)
            .filter(|(_, count)| **count > 0)
        {
            *sums.entry(kind.as_str()).or_insert(0) += count;
        }
    }
    let kinds: Vec<String> = sums
        .iter()
        .map(|(kind, count)| format!("{kind} {}", number::count(*count)))
        .collect();
    let of = format!(" of {} requests", number::count(sent));
    if kinds.is_empty() {
        of
    } else {
        format!("{of} ({})", kinds.join(", "))
    }
}

/// Good answers of valid clients in the slices of time that lie within the attack.
#[must_use]
pub fn answers_during_attack(block: &Block, load: Option<&str>) -> Option<u64> {
    let (from, to) = block.attack()?;
    let named = block
        .loads
        .iter()
        .filter(|evidence| load.is_none_or(|load| evidence.name == load));
    let slices = named
        .filter_map(|load| load.record.as_ref())
        .flat_map(|record| &record.intervals);
    let within = slices.filter(|slice| {
        let end = slice.start_mono_ns + (slice.length_s * 1e9) as u64;
        slice.start_mono_ns >= from && end <= to
    });
    Some(within.map(|slice| slice.answered).sum())
}

fn answered_during_attack(block: &Block, load: Option<&str>) -> Finding {
    let Some(answered) = answers_during_attack(block, load) else {
        return (Outcome::Inconclusive, "there was no attack".to_owned());
    };
    if block.garbage_bytes() == 0 {
        return (
            Outcome::Inconclusive,
            "no garbage was sent: nothing is shown".to_owned(),
        );
    }
    let bytes = number::bytes(block.garbage_bytes());
    let said = format!(
        "{} answers to valid clients while {bytes} of garbage came in",
        number::count(answered)
    );
    (
        if answered > 0 {
            Outcome::Pass
        } else {
            Outcome::Fail
        },
        said,
    )
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
    (Outcome::Pass, format!("{} counts agree", rows.len()))
}
