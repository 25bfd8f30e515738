//! The published JSON Schema of the run file, and whether it is true.

/// The JSON Schema of [`crate::run::RunFile`].
pub const RUN: &str = include_str!("../run.schema.json");

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::RUN;
    use crate::event::{Audit, Event, ProbeOutcome, Role};
    use crate::expect::{Expectation, Fate, Origin};
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

    fn everything() -> Value {
        let mut record = load_record(100, 70);
        record.client.floor_us = Some(record.latency_us.response.clone());
        record.counts.failed.insert("lost".to_owned(), 1);
        let audit = Audit {
            role: Role::Proxy,
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
        ];
        let story = Story::new(demands)
            .block("builtin")
            .probe(Role::Proxy, 1_100, 1, ProbeOutcome::Wrong)
            .load(record.clone())
            .garbage(1 << 20)
            .at(1_200, Event::Audit(audit))
            .exit(Role::Upstream, "SIGSEGV", false)
            .counted(Role::Proxy, json!({"msg_total": 3}))
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
        serde_json::to_value(RunFile::from_events(&story.end().0)).unwrap()
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
        let changes: [(&str, Value); 4] = [
            ("/exit_code", json!(2)),
            ("/scenarios/0/blocks/0/loads/0/target", json!("moon")),
            ("/scenarios/0/verdicts/0/outcome", json!(true)),
            ("/host", json!({"cpu": "x"})),
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
