//! Running the harness on a scenario and looking at what it left behind.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// One run of the harness, over.
#[derive(Debug)]
pub struct Run {
    /// Its exit code.
    pub code: i32,
    /// What it printed.
    pub stdout: String,
    /// What it logged.
    pub stderr: String,
    directory: TempDir,
}

impl Run {
    /// Runs `harness run FILE ARGS` on a scenario of this text; its first line is a name.
    #[must_use]
    pub fn of_text(harness: &str, scenario: &str, args: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("scenario.toml");
        let scenario = format!("name = \"test\"\n{scenario}");
        std::fs::write(&file, scenario).expect("a file");
        Self::in_directory(
            directory,
            harness,
            &[&["run", file.to_str().expect("UTF-8")], args].concat(),
        )
    }

    /// Runs the harness with these arguments.
    #[must_use]
    pub fn of(harness: &str, args: &[&str]) -> Self {
        Self::in_directory(tempfile::tempdir().expect("a directory"), harness, args)
    }

    /// Runs the harness again, in the directory of the last run. Its files stay, apart from
    /// those of the new run.
    #[must_use]
    pub fn again(self, harness: &str, args: &[&str]) -> Self {
        Self::in_directory(self.directory, harness, args)
    }

    /// Runs the harness with these arguments in a directory that holds what they name.
    #[must_use]
    pub fn in_directory(directory: TempDir, harness: &str, args: &[&str]) -> Self {
        let out = directory.path().join("out");
        let mut command = Command::new(harness);
        command
            .args(args)
            .arg("--out")
            .arg(&out)
            .current_dir(directory.path());
        let Output {
            status,
            stdout,
            stderr,
        } = command.output().expect("the harness");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let code = status
            .code()
            .unwrap_or_else(|| panic!("{command:?}: {status}"));
        Self {
            code,
            stdout: text(stdout),
            stderr: text(stderr),
            directory,
        }
    }

    /// A file in the directory in which it ran.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A file that it left behind.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join("out").join(name)
    }

    /// Its run file.
    #[must_use]
    pub fn record(&self) -> Value {
        read_json(&self.file("run.json"))
    }

    /// Fails with everything it said unless it ended with `code`.
    pub fn expect_code(&self, code: i32) -> &Self {
        let (stdout, stderr) = (&self.stdout, &self.stderr);
        assert_eq!(
            self.code, code,
            "--- stdout\n{stdout}\n--- stderr\n{stderr}"
        );
        self
    }

    /// Fails unless it printed this.
    pub fn expect_text(&self, text: &str) -> &Self {
        let (stdout, stderr) = (&self.stdout, &self.stderr);
        let said = stdout.contains(text) || stderr.contains(text);
        assert!(
            said,
            "no {text:?} in\n--- stdout\n{stdout}\n--- stderr\n{stderr}"
        );
        self
    }

    /// How often answers were wrong in this way, over all blocks and loads.
    #[must_use]
    pub fn failed(&self, kind: &str) -> u64 {
        let record = self.record();
        // A request that was answered twice was answered: the second is an extra answer.
        let counts = ["failed", "extra_answers"]
            .map(|key| find_all(&record, key))
            .concat();
        counts
            .iter()
            .filter_map(|failed| failed.get(kind)?.as_u64())
            .sum()
    }
}

/// Reads a JSON file.
#[must_use]
pub fn read_json(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Every value under this key, at any depth.
fn find_all<'a>(value: &'a Value, key: &str) -> Vec<&'a Value> {
    match value {
        Value::Object(map) => map
            .iter()
            .flat_map(|(k, v)| if k == key { vec![v] } else { find_all(v, key) })
            .collect(),
        Value::Array(items) => items.iter().flat_map(|item| find_all(item, key)).collect(),
        _ => Vec::new(),
    }
}
