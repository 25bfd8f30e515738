//! What request bodies say: JSON as Go's decoder takes it.
//!
//! Only the first value counts, fields are found in any case, `null` is as if nothing was
//! said, and what is not known is passed over.

use serde_json::{Map, Value};

use crate::attributes::Attributes;
use crate::catalogue;
use crate::error::ApiError;
use crate::item::Medium;
use crate::toxic::{Acts, Direction, Fits, Toxic};

/// A body as one JSON value.
///
/// # Errors
/// That it is none.
pub fn decode(body: &[u8]) -> Result<Value, ApiError> {
    let mut values = serde_json::Deserializer::from_slice(body).into_iter();
    match values.next() {
        Some(Ok(value)) => Ok(value),
        None => Err(ApiError::BadBody("EOF".to_owned())),
        Some(Err(error)) if error.is_eof() => Err(ApiError::BadBody("unexpected EOF".to_owned())),
        Some(Err(error)) => Err(ApiError::BadBody(error.to_string())),
    }
}

/// An object whose fields are read one by one.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a> {
    object: &'a Map<String, Value>,
    of: &'static str,
}

impl<'a> Fields<'a> {
    /// The fields of an object that describes an `of`.
    ///
    /// # Errors
    /// That the value is no object.
    pub fn of(value: &'a Value, of: &'static str) -> Result<Self, ApiError> {
        static EMPTY: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
        match value {
            Value::Object(object) => Ok(Self { object, of }),
            Value::Null => Ok(Self { object: &EMPTY, of }),
            other => Err(ApiError::BadBody(format!(
                "json: cannot unmarshal {} into Go value of type toxiproxy.{of}",
                kind(other)
            ))),
        }
    }

    fn find(&self, name: &str) -> Option<&'a Value> {
        let found = self.object.get(name).or_else(|| {
            let mut fields = self.object.iter();
            let found = fields.find(|(field, _)| field.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value)
        });
        found.filter(|value| !value.is_null())
    }

    fn wrong(&self, name: &str, value: &Value, expected: &str) -> ApiError {
        let (got, of) = (kind(value), self.of);
        ApiError::BadBody(format!(
            "json: cannot unmarshal {got} into Go struct field {of}.{name} of type {expected}"
        ))
    }

    /// A text.
    ///
    /// # Errors
    /// That it is something else.
    pub fn text(&self, name: &str) -> Result<Option<&'a str>, ApiError> {
        match self.find(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.wrong(name, other, "string")),
        }
    }

    /// True or false.
    ///
    /// # Errors
    /// That it is something else.
    pub fn truth(&self, name: &str) -> Result<Option<bool>, ApiError> {
        match self.find(name) {
            None => Ok(None),
            Some(Value::Bool(truth)) => Ok(Some(*truth)),
            Some(other) => Err(self.wrong(name, other, "bool")),
        }
    }

    /// A list.
    ///
    /// # Errors
    /// That it is something else.
    pub fn list(&self, name: &str) -> Result<&'a [Value], ApiError> {
        match self.find(name) {
            None => Ok(&[]),
            Some(Value::Array(list)) => Ok(list),
            Some(other) => Err(self.wrong(name, other, "[]toxics.Toxic")),
        }
    }

    /// A share of connections.
    fn toxicity(&self) -> Result<Option<f64>, ApiError> {
        let Some(value) = self.find("toxicity") else {
            return Ok(None);
        };
        let Some(share) = value.as_f64() else {
            return Err(self.wrong("toxicity", value, "float32"));
        };
        if (0.0..=1.0).contains(&share) {
            Ok(Some(share))
        } else {
            let text = format!("toxicity: expected a number from 0 to 1, got {value}");
            Err(ApiError::BadBody(text))
        }
    }

    /// Attributes over those that there are.
    fn attributes(&self, base: &Attributes) -> Result<Attributes, ApiError> {
        match self.find("attributes") {
            None => Ok(base.clone()),
            Some(Value::Object(given)) => {
                let lower = given
                    .iter()
                    .map(|(name, value)| (name.to_ascii_lowercase(), value.clone()));
                let mut all: Map<String, Value> = lower.collect();
                // A field of the right case goes before one of another.
                for (name, value) in given {
                    if all.contains_key(name) {
                        all.insert(name.clone(), value.clone());
                    }
                }
                Ok(base.merged(&all)?)
            }
            Some(other) => Err(self.wrong("attributes", other, "toxics.Toxic")),
        }
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// A new toxic for a link of this medium. Whether its name is free is not known here, but
/// asked between the checks of type and attributes, as the original does.
///
/// # Errors
/// What is wrong with it.
pub fn new_toxic(
    value: &Value,
    medium: Medium,
    is_taken: impl Fn(&str) -> bool,
) -> Result<Toxic, ApiError> {
    let fields = Fields::of(value, "ToxicWrapper")?;
    let (name, kind) = (fields.text("name")?, fields.text("type")?);
    let stream: Direction = fields.text("stream")?.unwrap_or("downstream").parse()?;
    let toxicity = fields.toxicity()?.unwrap_or(1.0);
    let kind = catalogue::find(kind.unwrap_or_default()).ok_or(ApiError::InvalidType)?;
    if !kind.fits.fits(medium) {
        let only = match kind.fits {
            Fits::Datagram => "udp",
            Fits::Stream | Fits::Both => "tcp",
        };
        return Err(ApiError::Unfit(kind.name, only));
    }
    let name = match name {
        None | Some("") => format!("{}_{stream}", kind.name),
        Some(name) => name.to_owned(),
    };
    if is_taken(&name) {
        return Err(ApiError::ToxicExists);
    }
    if matches!(kind.acts, Acts::OnListener(_)) && toxicity.fract() != 0.0 {
        let text = format!("toxicity: a listener is shared; {} takes 0 or 1", kind.name);
        return Err(ApiError::BadBody(text));
    }
    let attributes = fields.attributes(&Attributes::defaults(kind.attributes))?;
    Ok(Toxic {
        name,
        kind,
        stream,
        toxicity,
        attributes,
    })
}

/// A toxic with other attributes or another toxicity; the rest stays.
///
/// # Errors
/// What is wrong with them.
pub fn updated_toxic(toxic: &Toxic, value: &Value) -> Result<Toxic, ApiError> {
    let fields = Fields::of(value, "ToxicWrapper")?;
    let mut updated = toxic.clone();
    updated.toxicity = fields.toxicity()?.unwrap_or(toxic.toxicity);
    updated.attributes = fields.attributes(&toxic.attributes)?;
    Ok(updated)
}

/// A link as it is asked for.
#[derive(Clone, Debug)]
pub struct NewLink {
    /// Its name.
    pub name: String,
    /// Where it is to listen, as it was written.
    pub listen: String,
    /// Where it is to connect to.
    pub upstream: String,
    /// Whether it is to be up.
    pub enabled: bool,
    /// What it carries.
    pub medium: Medium,
    /// The toxics that it begins with.
    pub toxics: Vec<Toxic>,
}

/// A new link. `place` is its place in a list, from 1.
///
/// # Errors
/// What is wrong with it.
pub fn new_link(value: &Value, place: Option<usize>) -> Result<NewLink, ApiError> {
    let fields = Fields::of(value, "Proxy")?;
    let missing = |field: &str| {
        let place = place.map(|place| format!(" at proxy {place}"));
        ApiError::Missing(format!("{field}{}", place.unwrap_or_default()))
    };
    let (name, listen) = (fields.text("name")?, fields.text("listen")?);
    let (upstream, enabled) = (fields.text("upstream")?, fields.truth("enabled")?);
    let medium = match fields.text("protocol")? {
        None | Some("tcp") => Medium::Stream,
        Some("udp") => Medium::Datagram,
        Some(other) => {
            let text = format!("protocol: expected \"tcp\" or \"udp\", got {other:?}");
            return Err(ApiError::BadBody(text));
        }
    };
    let filled = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
    let name = filled(name).ok_or_else(|| missing("name"))?;
    let upstream = filled(upstream).ok_or_else(|| missing("upstream"))?;
    let mut toxics: Vec<Toxic> = Vec::new();
    for toxic in fields.list("toxics")? {
        let is_taken = |name: &str| toxics.iter().any(|toxic| toxic.name == name);
        let toxic = new_toxic(toxic, medium, is_taken)?;
        toxics.push(toxic);
    }
    Ok(NewLink {
        name,
        listen: listen.unwrap_or_default().to_owned(),
        upstream,
        enabled: enabled.unwrap_or(true),
        medium,
        toxics,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(value: &Value) -> String {
        new_link(value, Some(2)).unwrap_err().to_string()
    }

    #[test]
    fn bodies_that_are_no_json() {
        let error = |body: &str| decode(body.as_bytes()).unwrap_err().to_string();
        assert_eq!(error(""), "bad request body: EOF");
        assert_eq!(error(" \n"), "bad request body: EOF");
        assert_eq!(error("{\"name\":"), "bad request body: unexpected EOF");
        assert!(error("nonsense").starts_with("bad request body: "));
        assert_eq!(decode(b"{} {}").unwrap(), json!({}));
    }

    #[test]
    fn links_that_are_refused() {
        assert_eq!(
            refused(&json!({"upstream": "a:1"})),
            "missing required field: name at proxy 2"
        );
        assert_eq!(
            refused(&json!({"name": "a", "upstream": ""})),
            "missing required field: upstream at proxy 2"
        );
        assert_eq!(
            refused(&json!({"name": "a", "enabled": "yes"})),
            "bad request body: json: cannot unmarshal string into Go struct field Proxy.enabled of type bool"
        );
        assert_eq!(
            refused(&json!({"name": "a", "upstream": "b:1", "toxics": [{"type": "none"}]})),
            "invalid toxic type"
        );
        assert!(refused(&json!([])).starts_with("bad request body: json: cannot unmarshal array"));
    }

    #[test]
    fn what_clients_send_that_differ() {
        let value = json!({"Name": "a", "LISTEN": null, "upstream": "b:1", "enabled": null,
            "toxics": null, "something": [1]});
        let link = new_link(&value, None).unwrap();
        assert_eq!((link.name.as_str(), link.listen.as_str()), ("a", ""));
        assert!(link.enabled && link.toxics.is_empty());
    }

    #[test]
    fn toxics_that_are_refused() {
        let refused = |value: Value| {
            let taken = |name: &str| name == "taken";
            new_toxic(&value, Medium::Stream, taken)
                .unwrap_err()
                .to_string()
        };
        let cases = [
            (json!({"type": "fever"}), "invalid toxic type"),
            (
                json!({"type": "latency", "stream": "sideways"}),
                "stream was invalid, can be either upstream or downstream",
            ),
            (
                json!({"type": "latency", "name": "taken"}),
                "toxic already exists",
            ),
            (
                json!({"type": "latency", "attributes": {"latency": -1}}),
                "bad request body: latency: expected a whole number from 0 to 31536000000, got -1",
            ),
            (
                json!({"type": "slicer", "attributes": {"average_size": 0}}),
                "bad request body: average_size: expected a whole number from 1 to 1073741824, got 0",
            ),
            (
                json!({"type": "latency", "toxicity": 2}),
                "bad request body: toxicity: expected a number from 0 to 1, got 2",
            ),
            (
                json!({"type": "duplicate"}),
                "invalid toxic type: duplicate is for udp links",
            ),
            (
                json!({"type": "latency", "attributes": {"latency": "1"}}),
                "bad request body: latency: expected a whole number from 0 to 31536000000, got \"1\"",
            ),
        ];
        for (value, expected) in cases {
            assert_eq!(refused(value), expected);
        }
    }

    #[test]
    fn an_update_merges() {
        let value = json!({"type": "latency", "stream": "UPstream",
            "attributes": {"latency": 100, "jitter": 10}});
        let toxic = new_toxic(&value, Medium::Stream, |_| false).unwrap();
        assert_eq!(toxic.name, "latency_upstream");
        let value = json!({"name": "other", "stream": "downstream", "attributes": {"Jitter": 5}});
        let updated = updated_toxic(&toxic, &value).unwrap();
        assert_eq!(
            updated.to_json().to_string(),
            r#"{"attributes":{"latency":100,"jitter":5},"name":"latency_upstream","type":"latency","stream":"upstream","toxicity":1}"#
        );
    }
}
