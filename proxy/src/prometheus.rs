//! Metrics in the text format of Prometheus.

use std::fmt::{Display, Write};

/// A text that grows by families and their samples.
#[derive(Debug, Default)]
pub(crate) struct Prometheus(String);

impl Prometheus {
    /// Begins a family: its samples follow.
    pub(crate) fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// Adds a sample. Whatever stands in a label's value is escaped.
    pub(crate) fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.0.push_str(name);
        for (position, (label, value)) in labels.iter().enumerate() {
            let opening = if position == 0 { '{' } else { ',' };
            let value = value.replace('\\', "\\\\").replace('"', "\\\"");
            let value = value.replace('\n', "\\n");
            let _ = write!(self.0, "{opening}{label}=\"{value}\"");
        }
        let closing = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.0, "{closing} {value}");
    }

    /// A family with one sample.
    pub(crate) fn single(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }

    /// Everything so far.
    pub(crate) fn into_text(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped() {
        let mut text = Prometheus::default();
        text.family("a_total", "counter", "As.");
        text.sample("a_total", &[("x", "a\\b\"c\nd"), ("y", "")], 7);
        let expected = "# HELP a_total As.\n# TYPE a_total counter\n\
            a_total{x=\"a\\\\b\\\"c\\nd\",y=\"\"} 7\n";
        assert_eq!(text.into_text(), expected);
    }
}
