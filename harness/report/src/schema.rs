//! The published JSON Schema of the run file, and whether it is true.

/// The JSON Schema of [`crate::run::RunFile`].
pub const RUN: &str = include_str!("../run.schema.json");

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::RUN;
    use crate::account::{Account, Datagrams, Keys, NodeShare};
    use crate::bound::Metric;
    use crate::capacity::{Capacity, CapacityPlan, Limit, Point};
    use crate::compare::design::{
        Arm, BlockFigures, Conduct, Design, History, HistoryScenario, Kind, Noise,
    };
    use crate::compare::{Comparison, MetricComparison, ScenarioComparison, Word};
    use loadgen::record::{Bulk, Idle, Statsd};

    use crate::event::{Audit, Event, Exit, ProbeOutcome, Role};
    use crate::expect::{Change, Expectation, Fate, Origin, Part};
    use crate::figures::{LineFigures, Ratios};
    use crate::fixtures::{Story, fate, load, load_record};
    use crate::run::RunFile;

    /// As much of JSON Schema as ours uses. Tells where `value` is not as `schema` says.
    fn complaint(value: &Value, schema: &Value, root: &Value, path: &str) -> Option<String> {
        if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
            return complaint(value, root.pointer(&name[1..])?, root, path);
        }
        if let Some(choices) = schema.get("anyOf").and_then(Value::as_array) {
            let complaints: Vec<_> = choices
                .iter()
                .map(|choice| complaint(value, choice, root, path))
                .collect();
            return if complaints.contains(&None) {
                None
            } else {
                complaints.into_iter().flatten().next()
            };
        }
        let is_one_of = |allowed: &Value| {
            allowed
                .as_array()
                .is_none_or(|allowed| allowed.contains(value))
        };
        if !schema.get("enum").is_none_or(is_one_of)
            || schema.get("const").is_some_and(|only| only != value)
        {
            return Some(format!("{path}: {value} is not allowed"));
        }
        if let Some(types) = schema.get("type") {
            let types = types
                .as_array()
                .cloned()
                .unwrap_or_else(|| vec![types.clone()]);
            if !types
                .iter()
                .filter_map(Value::as_str)
                .any(|name| is_a(value, name))
            {
                return Some(format!("{path}: {value} is not one of {types:?}"));
            }
        }
        match value {
            Value::Array(items) => items.iter().enumerate().find_map(|(at, item)| {
                complaint(item, schema.get("items")?, root, &format!("{path}/{at}"))
            }),
            Value::Object(fields) => {
                let required = schema.get("required").and_then(Value::as_array);
                let missing = required
                    .into_iter()
                    .flatten()
                    .find(|name| !fields.contains_key(name.as_str().unwrap()));
                if let Some(missing) = missing {
                    return Some(format!("{path}: {missing} is missing"));
                }
                fields.iter().find_map(|(name, field)| {
                    let path = format!("{path}/{name}");
                    match schema.get("properties").and_then(|known| known.get(name)) {
                        Some(known) => complaint(field, known, root, &path),
                        None => match schema.get("additionalProperties") {
                            Some(Value::Bool(false)) => {
                                Some(format!("{path} is not in the schema"))
                            }
                            Some(more) => complaint(field, more, root, &path),
                            None => None,
                        },
                    }
                })
            }
            _ => None,
        }
    }

    fn is_a(value: &Value, name: &str) -> bool {
        match name {
            "null" => value.is_null(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_i64() || value.is_u64(),
            "number" => value.is_number(),
            "string" => value.is_string(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            other => panic!("unknown type {other}"),
        }
    }

    fn everything_run() -> RunFile {
        let mut record = load_record(100, 70);
        record.client.floor_us = Some(record.latency_us.response.clone());
        record.counts.failed.insert("lost".to_owned(), 1);
        let audit = Audit {
            role: Role::Proxy,
            name: None,
            sent: 10,
            right: 9,
            wrong: 1,
        };
        let demands = vec![
            load("p99 < 2ms"),
            load("valid"),
            load("answered during attack"),
            fate(Role::Upstream, Fate::Dies),
            Expectation::reconcile(Origin::CommandLine),
            load("throughput > 1Gbit"),
            load("failed = 0").in_part(Part::During).unwrap(),
            Expectation::beside("p99 < 0.5x", "nginx", None, Origin::Scenario).unwrap(),
            Expectation::backend("upstream.1", Change::Ejected, "< 1s").unwrap(),
            Expectation::account("received >= 99.9 %", Origin::Scenario).unwrap(),
        ];
        record.statsd = Some(Statsd::default());
        record.counts.idle = Some(Idle::default());
        record.bulk = Some(Bulk {
            direction: "echo".to_owned(),
            bytes_sent: 1 << 30,
            ..Bulk::default()
        });
        let story = Story::new(demands)
            .block("builtin")
            .probe(Role::Proxy, 1_100, 1, ProbeOutcome::Wrong)
            .load(record.clone())
            .garbage(1 << 20)
            .at(1_200, Event::Audit(audit))
            .exit(Role::Upstream, "SIGSEGV", false)
            .counted(Role::Proxy, json!({"msg_total": 3}))
            .fault("upstream.1", "kill", 300, 600)
            .changed(305, "upstream.1", "up", "ejected")
            .at(
                1_250,
                Event::Exited {
                    role: Role::Upstream,
                    name: "upstream.1".to_owned(),
                    exit: Exit::default(),
                },
            )
            .block("nginx")
            .load(record.clone())
            .block("direct")
            .load(record)
            .counted(Role::Upstream, json!({"requests": 1}))
            .at(
                3_000,
                Event::HarnessFailed {
                    message: "x".to_owned(),
                },
            )
            .at(
                3_001,
                Event::Interrupted {
                    signal: "SIGINT".to_owned(),
                    exit_code: 130,
                },
            );
        let mut run = RunFile::from_events(&story.end().0);
        compared(&mut run);
        accounted(&mut run);
        run
    }

    /// What only lines of statsd leave in a run file.
    fn accounted(run: &mut RunFile) {
        let scenario = &mut run.scenarios[0];
        let block = &mut scenario.blocks[0];
        block.account = Some(Account {
            dropped: [("no_node".to_owned(), 1)].into(),
            unaccounted: -1,
            datagrams: Datagrams {
                received: Some(1),
                kernel_before: Some(1),
                forwarded: Some(1),
                refused: Some(1),
                ..Datagrams::default()
            },
            nodes: vec![NodeShare {
                forwarded: Some(1),
                ..NodeShare::default()
            }],
            keys: Some(Keys::default()),
            notes: vec!["x".to_owned()],
            ..Account::default()
        });
        block.faults[0].fault.nodes = vec!["upstream.1".to_owned()];
        let fuzz = block.fuzzes[0].record.as_mut().expect("there was garbage");
        fuzz.datagrams = Some(fuzzclient::record::Datagrams::default());
        scenario.figures[0].lines = Some(LineFigures::default());
        scenario.figures[0].beside_peer = Some(Ratios {
            lines: Some(1.5),
            lines_per_cpu_s: Some(1.5),
            ..Ratios::default()
        });
    }

    /// What only comparisons and searches leave in a run file.
    fn compared(run: &mut RunFile) {
        let figures = || BlockFigures::from([(Metric::P50, 70.5), (Metric::PeakMemory, 1.5)]);
        let conduct = || Conduct {
            wrong: [("lost".to_owned(), 1)].into(),
            proxy_troubles: vec!["round 1: hung".to_owned()],
            ..Conduct::default()
        };
        run.header.host.machine = Some("x".to_owned());
        run.header.binaries[0].commit = Some("x".to_owned());
        run.header.design = Some(Design {
            kind: Kind::History,
            baseline: "old".to_owned(),
            candidates: vec!["new".to_owned()],
            pairs: 10,
            spare_pairs: 3,
            history: Some(History {
                scenarios: vec![HistoryScenario {
                    name: "x".to_owned(),
                    blocks: vec![figures()],
                    anchors: vec![figures()],
                    conduct: conduct(),
                }],
                ..History::default()
            }),
        });
        let metric = MetricComparison {
            metric: Metric::P99_9,
            is_judged: false,
            baseline: 1.5,
            candidate: 2.5,
            differences: vec![0.5],
            noise: vec![-0.5],
            ratio: 1.5,
            low: Some(1.25),
            high: None,
            p: 0.5,
            level: 0.05,
            margin: 0.1,
            detectable: None,
            word: Word::ChangedWithinMargin,
        };
        run.comparisons = vec![Comparison {
            baseline: "old".to_owned(),
            candidate: "new".to_owned(),
            word: Word::WorseIntegrity,
            why: "x".to_owned(),
            notes: vec!["x".to_owned()],
            scenarios: vec![ScenarioComparison {
                scenario: "x".to_owned(),
                word: Word::Crashed,
                why: "x".to_owned(),
                pairs: 8,
                left_out: vec!["x".to_owned()],
                baseline: Conduct::default(),
                candidate: conduct(),
                metrics: vec![metric],
            }],
        }];
        let scenario = &mut run.scenarios[0];
        scenario.noise = Some(Noise {
            pairs: vec![figures()],
            ..Noise::default()
        });
        scenario.blocks[0].arm = Some(Arm::NoiseFirst);
        scenario.blocks[0].rate = Some(1_000.5);
        scenario.header.capacity = Some(CapacityPlan {
            bound: "p99 < 2ms".parse().unwrap(),
            first_rate: 1_000.5,
            resolution: 0.05,
            rounds: 3,
            most: 1e6,
        });
        scenario.capacity = vec![Capacity {
            subject: "builtin".to_owned(),
            rate: Some(1_000.5),
            low: None,
            high: None,
            rounds: vec![1_000.5],
            limited_by: Limit::LoadClient,
            why: "x".to_owned(),
            points: vec![Point {
                round: 1,
                offered: 1_000.5,
                achieved: 1_000.5,
                p50_us: Some(70.5),
                p99_us: None,
                value: Some(70.5),
                holds: true,
                invalid: None,
            }],
        }];
    }

    fn everything() -> Value {
        serde_json::to_value(everything_run()).unwrap()
    }

    #[test]
    fn a_run_file_survives_its_writing() {
        let run = everything_run();
        let written = serde_json::to_string(&run).unwrap();
        assert_eq!(serde_json::from_str::<RunFile>(&written).unwrap(), run);
    }

    #[test]
    fn a_run_file_is_as_its_schema_says() {
        let schema: Value = serde_json::from_str(RUN).unwrap();
        let run = everything();
        assert_eq!(complaint(&run, &schema, &schema, ""), None);
        let empty = serde_json::to_value(RunFile::from_events(&[])).unwrap();
        assert_eq!(complaint(&empty, &schema, &schema, ""), None);
    }

    #[test]
    fn the_schema_refuses_what_is_not_a_run_file() {
        let schema: Value = serde_json::from_str(RUN).unwrap();
        let changes: [(&str, Value); 7] = [
            ("/exit_code", json!(2)),
            ("/scenarios/0/blocks/0/loads/0/target", json!("moon")),
            ("/scenarios/0/verdicts/0/outcome", json!(true)),
            ("/host", json!({"cpu": "x"})),
            ("/comparisons/0/word", json!("better")),
            ("/design/history/scenarios/0/blocks/0", json!({"p98": 1.5})),
            ("/scenarios/0/capacity/0/limited_by", json!("luck")),
        ];
        for (path, value) in changes {
            let mut run = everything();
            *run.pointer_mut(path).unwrap() = value;
            assert!(complaint(&run, &schema, &schema, "").is_some(), "{path}");
        }
        let mut more = everything();
        more["surprise"] = json!(1);
        assert!(
            complaint(&more, &schema, &schema, "")
                .unwrap()
                .contains("surprise")
        );
    }
}
