//! Run files as they were written, by this version of the harness or an earlier one.
//!
//! Version 2 only added to version 1, and what it added has defaults: the same types read
//! both. Where a later version changes the meaning of a field, `read` is the place that
//! converts it.

use serde_json::error::Category;
use serde_json::{Map, Value};

use crate::run::{RunFile, SCHEMA_VERSION};

/// Why a text cannot be read as a run file. Each is one line, meant to follow the name
/// of the file and a colon.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// It ends before it is complete.
    #[error("is cut short: it ends in line {line}, in the middle of the run")]
    Cut {
        /// Where.
        line: usize,
    },
    /// It is something else.
    #[error("is not a run file: {reason}")]
    NotARun {
        /// What is wrong with it.
        reason: String,
    },
    /// A later harness wrote it.
    #[error(
        "is of a later harness: schema_version {version} is newer than {SCHEMA_VERSION}, which this harness reads"
    )]
    Newer {
        /// Its version.
        version: u64,
    },
}

impl RunFile {
    /// Reads a run file of this or an earlier version, and judges it anew: what it means
    /// follows from its evidence.
    ///
    /// # Errors
    /// Says why it cannot be read.
    pub fn read(text: &str) -> Result<Self, ReadError> {
        // The version alone first: a later one may look different in everything else.
        let fields: Map<String, Value> = serde_json::from_str(text).map_err(why)?;
        let schema_version = fields.get("schema_version").and_then(Value::as_u64);
        let schema_version = schema_version.ok_or_else(|| ReadError::NotARun {
            reason: "it has no schema_version".to_owned(),
        })?;
        if schema_version > u64::from(SCHEMA_VERSION) {
            return Err(ReadError::Newer {
                version: schema_version,
            });
        }
        if schema_version == 0 {
            return Err(ReadError::NotARun {
                reason: "schema_version is 0".to_owned(),
            });
        }
        let mut run: Self = serde_json::from_str(text).map_err(why)?;
        run.schema_version = SCHEMA_VERSION;
        run.conclude();
        Ok(run)
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "it is what map_err hands over"
)]
fn why(error: serde_json::Error) -> ReadError {
    match error.classify() {
        Category::Eof => ReadError::Cut { line: error.line() },
        _ => ReadError::NotARun {
            reason: error.to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{csv, hgrm, hlog, html, junit, markdown, text};

    /// A run of the first version, shortened: fewer blocks, probes and slices.
    const V1: &str = include_str!("../tests/data/run-v1.json");

    #[test]
    fn a_run_file_of_the_first_version_still_renders_in_every_form() {
        assert!(V1.contains("\"schema_version\":1,"));
        let run = RunFile::read(V1).unwrap();
        assert_eq!(run.schema_version, SCHEMA_VERSION);
        assert_eq!(run.scenarios.len(), 3);
        let written: RunFile = serde_json::from_str(V1).unwrap();
        assert_eq!(run.exit_code, written.exit_code, "it means what it meant");
        let forms = [
            (text::render(&run, None), "died (SIGSEGV)"),
            (markdown::render(&run), "| direct | 15,000/s |"),
            (junit::render(&run), "<testsuite name=\"crash-shield\""),
            (html::render(&run, None), "<h2 id=\"survival\">"),
            (csv::render(&run), "latency,1,builtin,"),
            (hlog::render(&run), "Tag=latency.builtin.load,"),
        ];
        for (form, part) in forms {
            assert!(form.contains(part), "{part:?} is not in\n{form}");
        }
        let files = hgrm::render(&run);
        assert_eq!(files[0].name, "latency.direct.load.hgrm");
        assert!(files[0].text.contains("#[Mean    ="), "{}", files[0].text);
    }

    #[test]
    fn what_is_read_is_what_was_written() {
        let run = RunFile::read(V1).unwrap();
        let text = serde_json::to_string(&run).unwrap();
        assert_eq!(RunFile::read(&text), Ok(run));
    }

    #[test]
    fn a_cut_file_is_refused_wherever_it_was_cut() {
        let text = serde_json::to_string_pretty(&RunFile::from_events(&[])).unwrap();
        for at in 0..text.trim_end().len() {
            let error = RunFile::read(&text[..at]).unwrap_err();
            assert!(matches!(error, ReadError::Cut { .. }), "{at}: {error}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused_in_one_line() {
        let cases = [
            ("[]", "is not a run file: invalid type"),
            ("hello", "is not a run file: expected value"),
            ("{\"a\": 1}", "it has no schema_version"),
            (
                "{\"schema_version\": 1}",
                "is not a run file: missing field",
            ),
            ("{\"schema_version\": 0}", "schema_version is 0"),
            (
                "{\"schema_version\": 3, \"scenarios\": 7}",
                "schema_version 3 is newer than 2, which this harness reads",
            ),
        ];
        for (text, says) in cases {
            let error = RunFile::read(text).unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }
}
