//! The attributes of a toxic: declared once, checked once.

use serde_json::{Map, Number, Value};

/// What an attribute may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Range {
    /// A whole number from the first to the second.
    Whole(u64, u64),
    /// A number from 0 to 1.
    Share,
}

/// An attribute that a kind of toxic has.
#[derive(Clone, Copy, Debug)]
pub struct Attribute {
    /// Its name in JSON.
    pub name: &'static str,
    /// What it may be.
    pub range: Range,
    /// What it is when nothing is said.
    pub default: f64,
    /// What it means, with its unit.
    pub about: &'static str,
    /// Whether it is told only when it is not as by default: the original's toxic of this
    /// name has no such attribute.
    pub is_extra: bool,
}

/// The largest delay: a year in milliseconds. More would overflow when counted in
/// nanoseconds, and nobody waits for it.
pub const MOST_MS: u64 = 365 * 24 * 3_600 * 1_000;

/// The largest number that is the same in every JSON reader: 2^53.
pub const MOST_WHOLE: u64 = 1 << 53;

impl Attribute {
    /// A number of milliseconds, 0 when nothing is said.
    #[must_use]
    pub const fn ms(name: &'static str, about: &'static str) -> Self {
        Self::whole(name, 0, MOST_MS, about)
    }

    /// A number of bytes or other things, 0 when nothing is said.
    #[must_use]
    pub const fn count(name: &'static str, about: &'static str) -> Self {
        Self::whole(name, 0, MOST_WHOLE, about)
    }

    /// A whole number in a range, by default the least.
    #[must_use]
    pub const fn whole(name: &'static str, least: u64, most: u64, about: &'static str) -> Self {
        let range = Range::Whole(least, most);
        Self {
            name,
            range,
            default: least as f64,
            about,
            is_extra: false,
        }
    }

    /// A share from 0 to 1.
    #[must_use]
    pub const fn share(name: &'static str, default: f64, about: &'static str) -> Self {
        Self {
            name,
            range: Range::Share,
            default,
            about,
            is_extra: false,
        }
    }

    /// The same, told only when it is not as by default.
    #[must_use]
    pub const fn unknown_to_original(self) -> Self {
        Self {
            is_extra: true,
            ..self
        }
    }

    /// The same with another default.
    #[must_use]
    pub const fn by_default(self, default: f64) -> Self {
        Self { default, ..self }
    }

    /// Checks a value; `null` is as if nothing was said.
    fn check(&self, value: &Value) -> Result<f64, AttributeError> {
        let error = |expected| AttributeError {
            attribute: self.name,
            expected,
            got: value.to_string(),
        };
        let number = match value {
            Value::Null => return Ok(self.default),
            Value::Number(number) => number.as_f64().unwrap_or(f64::NAN),
            _ => return Err(error(self.expected())),
        };
        let fits = match self.range {
            Range::Whole(least, most) => {
                number.fract() == 0.0 && (least as f64..=most as f64).contains(&number)
            }
            Range::Share => (0.0..=1.0).contains(&number),
        };
        if fits {
            Ok(number)
        } else {
            Err(error(self.expected()))
        }
    }

    /// What is accepted, in words.
    #[must_use]
    pub fn expected(&self) -> String {
        match self.range {
            Range::Whole(least, most) => format!("a whole number from {least} to {most}"),
            Range::Share => "a number from 0 to 1".to_owned(),
        }
    }
}

/// An attribute that cannot be so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{attribute}: expected {expected}, got {got}")]
pub struct AttributeError {
    attribute: &'static str,
    expected: String,
    got: String,
}

/// The attributes of one toxic, each within its range.
#[derive(Clone, Debug)]
pub struct Attributes {
    declared: &'static [Attribute],
    values: Vec<f64>,
}

impl PartialEq for Attributes {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.declared, other.declared) && self.values == other.values
    }
}

impl Attributes {
    /// What there is when nothing is said.
    #[must_use]
    pub fn defaults(declared: &'static [Attribute]) -> Self {
        let values = declared.iter().map(|attribute| attribute.default).collect();
        Self { declared, values }
    }

    /// The same with what `given` says; what it does not name stays, what is not known is
    /// passed over, as the original does.
    ///
    /// # Errors
    /// Names the first attribute that is out of its range.
    pub fn merged(&self, given: &Map<String, Value>) -> Result<Self, AttributeError> {
        let mut merged = self.clone();
        for (attribute, value) in self.declared.iter().zip(&mut merged.values) {
            if let Some(given) = given.get(attribute.name) {
                *value = attribute.check(given)?;
            }
        }
        Ok(merged)
    }

    /// The attributes as JSON; whole numbers without a fraction.
    #[must_use]
    pub fn to_json(&self) -> Map<String, Value> {
        let pairs = self.declared.iter().zip(&self.values);
        pairs
            .filter(|(attribute, value)| !attribute.is_extra || attribute.default != **value)
            .map(|(attribute, value)| {
                let whole = value.fract() == 0.0;
                let number = if whole {
                    Some(Number::from(*value as u64))
                } else {
                    Number::from_f64(*value)
                };
                let value = number.map_or(Value::Null, Value::Number);
                (attribute.name.to_owned(), value)
            })
            .collect()
    }

    fn value(&self, name: &str) -> f64 {
        let pairs = self.declared.iter().zip(&self.values);
        let mut found = pairs.filter(|(attribute, _)| attribute.name == name);
        let (_, value) = found
            .next()
            .expect("a stage asks for what its kind declares");
        *value
    }

    /// A whole number.
    #[must_use]
    pub fn whole(&self, name: &str) -> u64 {
        self.value(name) as u64
    }

    /// A number of milliseconds, in nanoseconds.
    #[must_use]
    pub fn ms_as_ns(&self, name: &str) -> u64 {
        self.whole(name) * 1_000_000
    }

    /// A share.
    #[must_use]
    pub fn share(&self, name: &str) -> f64 {
        self.value(name)
    }
}
