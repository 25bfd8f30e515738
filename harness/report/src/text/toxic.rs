//! How strong a toxic is, in words.

use std::collections::BTreeMap;

use serde_json::Value;

use super::number;
use crate::fault::Toxic;

/// `100 ms downstream`, `jitter 10 ms, latency 100 ms to 300 ms upstream, on 50 % of
/// connections`.
#[must_use]
pub fn strength(kind: &str, toxic: &Toxic) -> String {
    let mut parts: Vec<String> = Vec::new();
    let keys = toxic.attributes.keys();
    let grown = toxic.to.keys();
    let mut all: Vec<&String> = keys.chain(grown).collect();
    all.sort();
    all.dedup();
    for key in &all {
        let value =
            |of: &BTreeMap<String, Value>| of.get(*key).map(|value| shown(kind, key, value));
        let said = match (value(&toxic.attributes), value(&toxic.to)) {
            (Some(from), Some(to)) if from != to => format!("{from} to {to}"),
            (Some(only), _) => only,
            (None, Some(to)) => format!("up to {to}"),
            (None, None) => continue,
        };
        // What a toxic is named after, or has but one of, needs no name.
        let goes_without = *key == kind || all.len() == 1;
        parts.push(if goes_without {
            said
        } else {
            format!("{} {said}", key.replace('_', " "))
        });
    }
    let mut said = parts.join(", ");
    if !toxic.stream.is_empty() {
        let gap = if said.is_empty() { "" } else { " " };
        said.push_str(&format!("{gap}{}", toxic.stream));
    }
    if toxic.toxicity < 1.0 {
        let share = number::percent_exact(toxic.toxicity);
        said.push_str(&format!(", on {share} of connections"));
    }
    said
}

/// A value with its unit, as the toxics have it.
fn shown(kind: &str, key: &str, value: &Value) -> String {
    let plain = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let unit = match (kind, key) {
        ("slicer", "delay") => "µs",
        (_, "latency" | "jitter" | "delay" | "timeout" | "time" | "after") => "ms",
        (_, "rate") if kind == "bandwidth" => "kB/s",
        (_, "bytes" | "average_size" | "size_variation") => "bytes",
        _ => return plain,
    };
    format!("{plain} {unit}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn toxic(attributes: &Value, to: &Value, toxicity: f64) -> Toxic {
        let map = |value: &Value| serde_json::from_value(value.clone()).unwrap();
        Toxic {
            stream: "downstream".to_owned(),
            toxicity,
            attributes: map(attributes),
            to: map(to),
        }
    }

    #[test]
    fn toxics_read_well() {
        let cases = [
            ("latency", json!({"latency": 100}), "100 ms downstream"),
            (
                "latency",
                json!({"latency": 100, "jitter": 10}),
                "jitter 10 ms, 100 ms downstream",
            ),
            ("bandwidth", json!({"rate": 64}), "64 kB/s downstream"),
            (
                "slicer",
                json!({"average_size": 1, "delay": 50}),
                "average size 1 bytes, delay 50 µs downstream",
            ),
            ("packet_loss", json!({"loss_rate": 0.5}), "0.5 downstream"),
            ("reset_peer", json!({}), "downstream"),
        ];
        for (kind, attributes, expected) in cases {
            let said = strength(kind, &toxic(&attributes, &json!({}), 1.0));
            assert_eq!(said, expected, "{kind}");
        }
        let grows = toxic(&json!({"latency": 100}), &json!({"latency": 300}), 0.25);
        assert_eq!(
            strength("latency", &grows),
            "100 ms to 300 ms downstream, on 25 % of connections"
        );
    }
}
