//! Whether a run file with everything in it is as the schema says.

use serde_json::{Value, json};

use super::RUN;
use crate::run::RunFile;
use everything::everything_run;

mod everything;

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
                        Some(Value::Bool(false)) => Some(format!("{path} is not in the schema")),
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
