//! Whether valid clients got their answers while garbage was coming in.

use loadgen::record::{Interval, LoadRecord};

use super::claims::worst;
use super::{Finding, Outcome};
use crate::evidence::{Block, LoadEvidence};
use crate::text::number;

/// Share of the spans within the attack that must have brought answers.
const LEAST_ANSWERED: f64 = 0.9;

/// Below this many spans a share of them says nothing: one with answers is enough.
const FEW: usize = 3;

/// Requests that must be due in a span before its silence says something.
const LEAST_DUE: f64 = 5.0;

/// Good answers of valid clients in the slices of time that lie within the attack.
#[must_use]
pub fn answers_during_attack(block: &Block, load: Option<&str>) -> Option<u64> {
    let attack = block.attack()?;
    let slices = records(block, load).flat_map(|(_, record)| within(record, attack));
    Some(slices.map(|slice| slice.answered).sum())
}

/// Whether each of the load clients got its answers all along.
pub(super) fn answered(block: &Block, load: Option<&str>) -> Finding {
    let Some(attack) = block.attack() else {
        return (Outcome::Inconclusive, "there was no attack".to_owned());
    };
    if block.garbage_bytes() == 0 {
        return (
            Outcome::Inconclusive,
            "no garbage was sent: nothing is shown".to_owned(),
        );
    }
    let bytes = number::bytes(block.garbage_bytes());
    worst(records(block, load).map(|(evidence, record)| {
        let (outcome, said) = answered_all_along(record, attack);
        let name = &evidence.name;
        (
            outcome,
            format!("{name}: {said} while {bytes} of garbage came in"),
        )
    }))
}

fn answered_all_along(record: &LoadRecord, attack: (u64, u64)) -> Finding {
    let slices: Vec<&Interval> = within(record, attack).collect();
    let spans: Vec<u64> = slices
        .chunks(slices_of_a_span(record, &slices))
        .map(|span| span.iter().map(|slice| slice.answered).sum())
        .collect();
    let answered = spans.iter().filter(|answers| **answers > 0).count();
    let needed = if spans.len() < FEW {
        1
    } else {
        (spans.len() as f64 * LEAST_ANSWERED).ceil() as usize
    };
    let outcome = if answered >= needed {
        Outcome::Pass
    } else {
        Outcome::Fail
    };
    let said = format!(
        "{} answers, in {answered} of {} slices of time,",
        number::count(spans.iter().sum()),
        spans.len()
    );
    (outcome, said)
}

/// A load of few requests is looked at in longer spans: nobody can answer what was not
/// asked.
fn slices_of_a_span(record: &LoadRecord, slices: &[&Interval]) -> usize {
    let length_s = slices.first().map_or(0.0, |slice| slice.length_s);
    let due = record.target_rate.map(|rate| rate * length_s);
    due.filter(|due| *due > 0.0)
        .map_or(1, |due| (LEAST_DUE / due).ceil().max(1.0) as usize)
}

fn records<'a>(
    block: &'a Block,
    load: Option<&'a str>,
) -> impl Iterator<Item = (&'a LoadEvidence, &'a LoadRecord)> {
    block
        .loads
        .iter()
        .filter(move |evidence| load.is_none_or(|load| evidence.name == load))
        .filter_map(|evidence| Some((evidence, evidence.record.as_ref()?)))
}

fn within(record: &LoadRecord, (from, to): (u64, u64)) -> impl Iterator<Item = &Interval> {
    record.intervals.iter().filter(move |slice| {
        let end = slice.start_mono_ns + (slice.length_s * 1e9) as u64;
        slice.start_mono_ns >= from && end <= to
    })
}

#[cfg(test)]
mod tests {
    use crate::event::{Event, Target};
    use crate::fixtures::{MS, Story, fuzz_record, load, load_record};
    use crate::run::RunFile;
    use crate::verdict::Outcome;

    /// Garbage from `from_ms` to 800 ms; its process lived from 100 ms to 1,100 ms. The
    /// slices of the load are 100 ms long, and those with a number in `silent` brought no
    /// answer.
    fn outcome(from_ms: u64, silent: &[usize]) -> Outcome {
        let mut record = load_record(100, 70);
        for number in silent {
            record.intervals[*number].answered = 0;
        }
        let mut garbage = fuzz_record(1_000, 800);
        garbage.started_mono_ns = from_ms * MS;
        let name = || "garbage".to_owned();
        let target = Target::Proxy;
        let story = Story::new(vec![load("answered during attack")])
            .block("builtin")
            .load(record)
            .at(
                100,
                Event::FuzzStarted {
                    name: name(),
                    target,
                },
            )
            .at(
                1_100,
                Event::FuzzEnded {
                    name: name(),
                    record: Some(Box::new(garbage)),
                    problem: None,
                },
            );
        RunFile::from_events(&story.end().0).scenarios[0].verdicts[0].outcome
    }

    #[test]
    fn answers_count_only_while_garbage_comes_in() {
        // Slice 1 is 200 ms to 300 ms, slice 6 the last that is over by 800 ms.
        assert_eq!(outcome(200, &[]), Outcome::Pass);
        assert_eq!(outcome(200, &[0, 7, 8, 9]), Outcome::Pass);
        assert_eq!(outcome(200, &[1, 2, 3, 4, 5, 6]), Outcome::Fail);
    }

    #[test]
    fn one_answer_at_the_start_is_not_all_along() {
        assert_eq!(outcome(200, &[2, 3, 4, 5, 6]), Outcome::Fail);
        assert_eq!(outcome(200, &[4]), Outcome::Fail);
    }

    #[test]
    fn a_short_attack_needs_one_slice_with_answers() {
        assert_eq!(outcome(600, &[5]), Outcome::Pass);
        assert_eq!(outcome(600, &[5, 6]), Outcome::Fail);
        assert_eq!(outcome(750, &[]), Outcome::Fail);
    }
}
