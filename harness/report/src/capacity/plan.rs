//! What is searched for, and which plans a search can be carried out by.

use std::ops::RangeInclusive;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

use crate::bound::Bound;

/// A search for the highest rate at which a bound holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CapacityPlan {
    /// What must hold, such as `p99 < 2ms`.
    pub bound: Bound,
    /// The first rate that is tried.
    #[serde(deserialize_with = "rate")]
    pub first_rate: f64,
    /// How closely the highest rate is closed in on: 0.05 means within 5 %.
    #[serde(deserialize_with = "resolution")]
    pub resolution: f64,
    /// How often it is closed in on again, to see how certain it is.
    pub rounds: u32,
    /// Rates beyond this are not tried.
    #[serde(deserialize_with = "rate")]
    pub most: f64,
}

/// Requests per second: from far below one a day to far above what a machine can send.
const RATES: RangeInclusive<f64> = 1e-9..=1e12;

/// Rates are tried to four digits: nothing can be closed in on beyond that.
const RESOLUTIONS: RangeInclusive<f64> = 0.001..=10.0;

// A run file may have been written by hand, and a search is carried out again whenever one
// is read: it must end, whatever the file says.

fn rate<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    within(&RATES, "rate", deserializer)
}

fn resolution<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    within(&RESOLUTIONS, "resolution", deserializer)
}

fn within<'de, D: Deserializer<'de>>(
    range: &RangeInclusive<f64>,
    what: &str,
    deserializer: D,
) -> Result<f64, D::Error> {
    let value = f64::deserialize(deserializer)?;
    if range.contains(&value) {
        return Ok(value);
    }
    let (least, most) = (range.start(), range.end());
    Err(D::Error::custom(format!(
        "a search has a {what} of {value:?}; expected {least:?} to {most:?}"
    )))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::capacity::{most_blocks, next};
    use crate::evidence::Block;
    use crate::read::ReadError;
    use crate::run::{RunFile, SCHEMA_VERSION, ScenarioRun};

    /// A run file with a search whose plan has this in one place.
    fn with(field: &str, value: &Value) -> Result<RunFile, ReadError> {
        let run = RunFile {
            schema_version: SCHEMA_VERSION,
            scenarios: vec![ScenarioRun::default()],
            ..RunFile::default()
        };
        let mut written = serde_json::to_value(&run).unwrap();
        let mut plan = json!({
            "bound": {"metric": "p99", "op": "<", "value": 2_000.0, "written": "2ms"},
            "first_rate": 5_000.0,
            "resolution": 0.05,
            "rounds": 5,
            "most": 1e7,
        });
        plan[field] = value.clone();
        written["scenarios"][0]["subjects"] = json!(["builtin"]);
        written["scenarios"][0]["capacity_plan"] = plan;
        RunFile::read(&written.to_string())
    }

    #[test]
    fn a_search_that_could_not_be_carried_out_is_refused_in_one_line() {
        let cases = [
            ("first_rate", json!(0), "a search has a rate of 0.0;"),
            ("first_rate", json!(-5), "a search has a rate of -5.0;"),
            (
                "first_rate",
                json!(1e-300),
                "expected 1e-9 to 1000000000000.0",
            ),
            ("most", json!(0.0), "a search has a rate of 0.0;"),
            ("most", json!(1e300), "expected 1e-9 to 1000000000000.0"),
            ("resolution", json!(0), "a search has a resolution of 0.0;"),
            ("resolution", json!(1e-9), "expected 0.001 to 10.0"),
            ("resolution", json!("x"), "invalid type: string"),
        ];
        for (field, value, says) in cases {
            let error = with(field, &value).unwrap_err();
            assert!(matches!(error, ReadError::NotARun { .. }), "{error:?}");
            let error = error.to_string();
            assert!(error.contains(says), "{field} {value}: {error}");
            assert!(!error.contains('\n'), "{error}");
        }
        let run = with("rounds", &json!(3)).unwrap();
        let plan = run.scenarios[0].header.capacity.as_ref().unwrap();
        assert_eq!((plan.first_rate, plan.rounds), (5_000.0, 3));
    }

    #[test]
    fn a_search_begins_within_its_plan_at_both_ends_of_what_may_be_asked() {
        let ends = |range: RangeInclusive<f64>| [*range.start(), *range.end()];
        for first_rate in ends(RATES) {
            for most in ends(RATES) {
                for resolution in ends(RESOLUTIONS) {
                    let plan = CapacityPlan {
                        bound: "p99 < 2ms".parse().unwrap(),
                        first_rate,
                        resolution,
                        rounds: 5,
                        most,
                    };
                    let asked = next(&plan, std::iter::empty::<&Block>()).unwrap();
                    assert!(asked > 0.0 && asked <= most, "{asked} of {plan:?}");
                    assert!(most_blocks(&plan) < 1_000, "{plan:?}");
                }
            }
        }
    }
}
