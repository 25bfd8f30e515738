//! The text of a scenario: from what is wrong in it to a line and a key.

use std::ops::Range;

use super::parse::ScenarioError;

/// The text of a scenario, for finding lines in it.
pub(super) struct Source<'a> {
    pub(super) text: &'a str,
    pub(super) file: &'a str,
}

impl Source<'_> {
    pub(super) fn wrong(&self, line: usize, reason: String) -> ScenarioError {
        ScenarioError::Wrong {
            file: self.file.to_owned(),
            line,
            reason,
        }
    }

    /// From the parser's error to a line of ours.
    pub(super) fn explain(&self, error: &toml::de::Error) -> ScenarioError {
        let span = error.span().unwrap_or(0..0);
        let line = self.line_at(span.start);
        let message = error.message().replace('`', "\"");
        let reason = match message.split_once(", expected ") {
            Some((unknown, accepted)) if unknown.starts_with("unknown field ") => {
                let key = unknown.trim_start_matches("unknown field ");
                let accepted = accepted.trim_start_matches("one of ").replace('"', "");
                format!("unknown key {key}; accepted: {accepted}")
            }
            Some((unknown, accepted)) if unknown.starts_with("unknown variant ") => {
                let word = unknown.trim_start_matches("unknown variant ");
                let accepted = accepted.trim_start_matches("one of ").replace('"', "");
                self.with_key(
                    &span,
                    &format!("unknown value {word}; accepted: {accepted}"),
                )
            }
            _ if message.starts_with("missing field ") => {
                format!(
                    "missing key {}",
                    message.trim_start_matches("missing field ")
                )
            }
            _ => self.with_key(&span, &message.replace('\n', " ")),
        };
        self.wrong(line, reason)
    }

    /// The key on the line of `span`, before the reason.
    fn with_key(&self, span: &Range<usize>, reason: &str) -> String {
        let start = self.text[..span.start.min(self.text.len())]
            .rfind('\n')
            .map_or(0, |at| at + 1);
        let line = self.text[start..].lines().next().unwrap_or("");
        match line.split_once('=') {
            Some((key, _)) if !key.trim().is_empty() => format!("{}: {reason}", key.trim()),
            _ => reason.to_owned(),
        }
    }

    fn line_at(&self, offset: usize) -> usize {
        self.text[..offset.min(self.text.len())]
            .matches('\n')
            .count()
            + 1
    }

    /// The line of the `nth` table of this name, or the first.
    pub(super) fn line_of_table(&self, name: &str, nth: usize) -> usize {
        let is_header = |line: &str| {
            let line = line.trim_start().trim_start_matches('[').trim_start();
            line.strip_prefix(name)
                .is_some_and(|rest| rest.trim_start().starts_with([']', '=', '.']))
        };
        self.numbered()
            .filter(|(_, line)| is_header(line))
            .nth(nth)
            .map_or(1, |(number, _)| number)
    }

    /// The line of a key within the table that starts at `table_line`.
    pub(super) fn line_of_key_below(&self, table_line: usize, key: &str) -> usize {
        self.numbered()
            .skip(table_line)
            .take_while(|(_, line)| !line.trim_start().starts_with('['))
            .find(|(_, line)| {
                line.trim_start()
                    .strip_prefix(key)
                    .is_some_and(|rest| rest.trim_start().starts_with('='))
            })
            .map_or(table_line, |(number, _)| number)
    }

    fn numbered(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text
            .lines()
            .enumerate()
            .map(|(at, line)| (at + 1, line))
    }
}
