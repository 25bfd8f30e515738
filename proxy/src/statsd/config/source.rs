//! The text of a configuration file, and where in it things stand.

use std::path::{Path, PathBuf};

use jsonc_parser::ast::{Object, Value};
use jsonc_parser::errors::{ParseError, ParseErrorKind};
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};

use super::ConfigError;
use crate::file;

/// Larger files are not configurations: tens of thousands of nodes fit.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// What a file may be, for errors about its text.
const ACCEPTED: &str =
    "accepted is an object of plain values in JSON, JSON5 or JavaScript, which is not evaluated";

/// A file as it was read.
#[derive(Clone, Debug)]
pub(super) struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    /// Reads a file.
    ///
    /// # Errors
    /// Names it and what the system said, or the line that is not UTF-8.
    pub(super) fn read(path: &Path) -> Result<Self, ConfigError> {
        let bytes = file::read(path, MAX_BYTES).map_err(|error| ConfigError::Read {
            path: path.to_owned(),
            error,
        })?;
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Self::new(path, text)),
            Err(error) => {
                let end = error.utf8_error().valid_up_to();
                let before = &error.as_bytes()[..end];
                Err(ConfigError::Wrong {
                    path: path.to_owned(),
                    line: 1 + before.iter().filter(|&&byte| byte == b'\n').count(),
                    key: String::new(),
                    what: format!("bytes that are not UTF-8; {ACCEPTED}"),
                })
            }
        }
    }

    /// A text that came from this file.
    pub(super) fn new(path: &Path, mut text: String) -> Self {
        // What editors and habit put around an object; blanks, so that places stay.
        if text.starts_with('\u{feff}') {
            text.replace_range(..'\u{feff}'.len_utf8(), "   ");
        }
        let end = text.trim_end().len();
        if text[..end].ends_with(';') {
            text.replace_range(end - 1..end, " ");
        }
        Self {
            path: path.to_owned(),
            text,
        }
    }

    /// The object that the file is.
    ///
    /// # Errors
    /// That it is none, and where it stops being one.
    pub(super) fn object(&self) -> Result<Object<'_>, ConfigError> {
        let options = ParseOptions {
            // JavaScript would refuse it, and the value before may not be what was meant.
            allow_missing_commas: false,
            ..ParseOptions::default()
        };
        let parsed = parse_to_ast(&self.text, &CollectOptions::default(), &options)
            .map_err(|error| self.unreadable(&error))?;
        match parsed.value {
            Some(Value::Object(object)) => Ok(object),
            Some(_) => Err(self.wrong(0, "", &format!("not an object; {ACCEPTED}"))),
            None => Err(self.wrong(0, "", &format!("there is nothing in it; {ACCEPTED}"))),
        }
    }

    /// Something is wrong at a place.
    pub(super) fn wrong(&self, at: usize, key: &str, what: &str) -> ConfigError {
        ConfigError::Wrong {
            path: self.path.clone(),
            line: self.line(at),
            key: one_line(key),
            what: what.to_owned(),
        }
    }

    /// The line that a place is on, from 1.
    pub(super) fn line(&self, at: usize) -> usize {
        let before = self.text.get(..at).unwrap_or(&self.text);
        1 + before.matches('\n').count()
    }

    /// What is written at a place, short enough for an error.
    pub(super) fn quoted(&self, from: usize, to: usize) -> String {
        const MAX_CHARS: usize = 40;
        let text = self.text.get(from..to).unwrap_or_default();
        match text.char_indices().nth(MAX_CHARS) {
            Some((end, _)) => one_line(&text[..end]) + "…",
            None => one_line(text),
        }
    }

    /// The text is not an object.
    fn unreadable(&self, error: &ParseError) -> ConfigError {
        let at = error.range().start;
        let what = match error.kind() {
            ParseErrorKind::UnterminatedObject => "the object does not end, } is missing".into(),
            ParseErrorKind::UnterminatedArray => "the array does not end, ] is missing".into(),
            ParseErrorKind::UnexpectedWord | ParseErrorKind::UnexpectedToken => {
                let line_end = self.text[at..]
                    .find('\n')
                    .map_or(self.text.len(), |n| at + n);
                format!("cannot read {}", self.quoted(at, line_end))
            }
            kind => {
                let text = kind.to_string();
                text[..1].to_lowercase() + &text[1..]
            }
        };
        self.wrong(at, self.key_before(at), &format!("{what}; {ACCEPTED}"))
    }

    /// The last key before a place, if it is on the same line.
    fn key_before(&self, at: usize) -> &str {
        let before = self.text.get(..at).unwrap_or_default();
        let line = before.rsplit('\n').next().unwrap_or_default();
        let Some((key, _)) = line.rsplit_once(':') else {
            return "";
        };
        let is_key = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
        let key = key.trim_end().trim_end_matches(['"', '\'']);
        let start = key.rfind(|c| !is_key(c)).map_or(0, |nth| {
            nth + key[nth..].chars().next().map_or(1, char::len_utf8)
        });
        &key[start..]
    }
}

/// Keys and values can be any text; an error is one line, and changes no terminal.
fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '\'' | '\\' => line.push(c),
            c => line.extend(c.escape_debug()),
        }
    }
    line
}
