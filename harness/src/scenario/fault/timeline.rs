//! Faults in order of time.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Number, Value};

use super::{Action, Fault};

/// Steps in which a ramp grows.
const RAMP_STEPS: u32 = 20;

/// One thing to do at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// When, after clients began.
    pub at: Duration,
    /// The fault's number from 1, and that of the repetition, if there are several.
    pub id: String,
    /// What it is a step of.
    pub fault: Fault,
    /// What is done.
    pub deed: Deed,
    /// Whether this undoes what was done before under the same number.
    pub undoes: bool,
    /// Whether the fault is over with it: it is undone, or lasts for a moment only.
    pub is_over: bool,
}

/// What is done in a step.
#[derive(Clone, Debug, PartialEq)]
pub enum Deed {
    /// To a process, or to a link as a whole.
    Act(Action),
    /// A toxic comes onto a link.
    Spoil,
    /// It gets these attributes.
    Change(BTreeMap<String, Value>),
    /// It is removed.
    Mend,
}

/// All that is to be done, in order of time.
#[must_use]
pub fn timeline(faults: &[Fault]) -> Vec<Step> {
    let mut steps = Vec::new();
    for (nth, fault) in faults.iter().enumerate() {
        let number = fault.id.clone().unwrap_or_else(|| (nth + 1).to_string());
        for time in 0..fault.count() {
            let id = match fault.count() {
                1 => number.clone(),
                _ => format!("{number}.{}", time + 1),
            };
            add(fault, fault.at + fault.every * time, &id, &mut steps);
        }
    }
    steps.sort_by_key(|step| step.at);
    steps
}

/// The steps of one repetition.
fn add(fault: &Fault, at: Duration, id: &str, steps: &mut Vec<Step>) {
    let (deed, undoing) = match fault.action {
        Some(action) => (Deed::Act(action), action.opposite().map(Deed::Act)),
        None => (Deed::Spoil, Some(Deed::Mend)),
    };
    let is_moment = undoing.is_none();
    let undoing = undoing.filter(|_| !fault.lasts.is_zero());
    let step = |at: Duration, deed: Deed, undoes: bool, is_over: bool| Step {
        at,
        id: id.to_owned(),
        fault: fault.clone(),
        deed,
        undoes,
        is_over,
    };
    steps.push(step(at, deed, false, is_moment));
    if !fault.to.is_empty() {
        steps.extend((1..=RAMP_STEPS).map(|nth| {
            let share = f64::from(nth) / f64::from(RAMP_STEPS);
            let when = at + fault.lasts.mul_f64(share * 0.999);
            step(when, Deed::Change(between(fault, share)), false, false)
        }));
    }
    if let Some(undoing) = undoing {
        steps.push(step(at + fault.lasts, undoing, true, true));
    }
}

/// The attributes of a ramp when this share of its time has passed.
fn between(fault: &Fault, share: f64) -> BTreeMap<String, Value> {
    let grown = fault.to.iter().map(|(name, to)| {
        let from = fault.attributes.get(name).and_then(Value::as_f64);
        let (from, end) = (from.unwrap_or(0.0), to.as_f64().unwrap_or(0.0));
        let now = from + (end - from) * share;
        let is_whole = to.is_u64() || to.is_i64();
        let number = if is_whole {
            Some(Number::from(now.round() as i64))
        } else {
            Number::from_f64(now)
        };
        (name.clone(), number.map_or(Value::Null, Value::Number))
    });
    grown.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(action: Action) -> Fault {
        Fault {
            at: Duration::from_secs(1),
            process: Some("upstream".to_owned()),
            action: Some(action),
            ..Fault::default()
        }
    }

    #[test]
    fn what_is_repeated_and_undone_is_in_order() {
        let flapping = Fault {
            lasts: Duration::from_millis(300),
            every: Duration::from_millis(500),
            times: Some(2),
            ..fault(Action::Kill)
        };
        let late = Fault {
            at: Duration::from_millis(1_400),
            ..fault(Action::Freeze)
        };
        let steps: Vec<_> = timeline(&[flapping, late])
            .into_iter()
            .map(|step| (step.at.as_millis(), step.id, step.deed, step.is_over))
            .collect();
        let expected = [
            (1_000, "1.1", Action::Kill, false),
            (1_300, "1.1", Action::Restart, true),
            (1_400, "2", Action::Freeze, false),
            (1_500, "1.2", Action::Kill, false),
            (1_800, "1.2", Action::Restart, true),
        ];
        let expected =
            expected.map(|(at, id, action, over)| (at, id.to_owned(), Deed::Act(action), over));
        assert_eq!(steps, expected);
    }

    #[test]
    fn a_ramp_grows_evenly_and_ends_with_its_fault() {
        let ramp = Fault {
            at: Duration::from_secs(1),
            lasts: Duration::from_secs(2),
            link: Some("client-proxy".to_owned()),
            toxic: Some("latency".to_owned()),
            attributes: [("latency".to_owned(), 100.into())].into(),
            to: [("latency".to_owned(), 200.into())].into(),
            ..Fault::default()
        };
        let steps = timeline(&[ramp]);
        assert_eq!(steps.first().map(|step| &step.deed), Some(&Deed::Spoil));
        assert_eq!(steps.last().map(|step| &step.deed), Some(&Deed::Mend));
        let grown: Vec<i64> = steps
            .iter()
            .filter_map(|step| match &step.deed {
                Deed::Change(attributes) => attributes["latency"].as_i64(),
                _ => None,
            })
            .collect();
        assert_eq!(grown.len(), 20);
        assert!(
            grown.windows(2).all(|pair| pair[1] - pair[0] == 5),
            "{grown:?}"
        );
        assert_eq!(grown.last(), Some(&200));
    }
}
