//! A run of `harness crash` and what it left behind.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;
use tests::scenario::read_json;

/// The executable.
pub(crate) const HARNESS: &str = env!("CARGO_BIN_EXE_test-harness");

/// What a command said, and how it ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Said {
    /// Fails with everything that was said unless it ended so.
    pub(crate) fn expect(self, code: i32) -> Self {
        let Self { stdout, stderr, .. } = &self;
        assert_eq!(
            self.code, code,
            "--- stdout\n{stdout}\n--- stderr\n{stderr}"
        );
        self
    }

    /// Fails unless this was said.
    pub(crate) fn says(self, text: &str) -> Self {
        let Self { stdout, stderr, .. } = &self;
        let said = stdout.contains(text) || stderr.contains(text);
        assert!(
            said,
            "no {text:?} in\n--- stdout\n{stdout}\n--- stderr\n{stderr}"
        );
        self
    }
}

/// A directory in which the harness runs.
pub(crate) struct Hunt {
    directory: TempDir,
}

impl Hunt {
    pub(crate) fn new() -> Self {
        Self {
            directory: tempfile::tempdir().expect("a directory"),
        }
    }

    /// A file or directory in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a file into it.
    pub(crate) fn file(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("a file");
    }

    /// Runs the harness there.
    pub(crate) fn run(&self, args: &[&str]) -> Said {
        let mut command = Command::new(HARNESS);
        command.args(args).current_dir(self.directory.path());
        let output = command.output().expect("the harness");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let status = output.status;
        Said {
            code: status
                .code()
                .unwrap_or_else(|| panic!("{command:?}: {status}")),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// Runs `harness crash`, which finds something.
    pub(crate) fn find(&self, args: &[&str]) -> Found {
        self.find_with("1", args)
    }

    /// The same, with this seed.
    pub(crate) fn find_with(&self, seed: &str, args: &[&str]) -> Found {
        let fixed = ["crash", "--out", "out", "--seed", seed, "--duration", "45s"];
        let repeat = ["--repeat", "3"];
        let repeat = &repeat[..if args.contains(&"--repeat") { 0 } else { 2 }];
        let said = self
            .run(&[&fixed[..], repeat, args].concat())
            .expect(4)
            .says("next       harness replay out/crashes/");
        let crashes: Vec<PathBuf> = std::fs::read_dir(self.path("out/crashes"))
            .expect("bundles")
            .map(|entry| entry.expect("an entry").path())
            .collect();
        assert_eq!(crashes.len(), 1, "{said:?}");
        let name = crashes[0]
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        Found {
            path: crashes[0].clone(),
            relative: format!("out/crashes/{name}"),
            name,
        }
    }
}

/// A bundle.
pub(crate) struct Found {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// The same from where the harness runs.
    pub(crate) relative: String,
    /// What it is called.
    pub(crate) name: String,
}

impl Found {
    pub(crate) fn verdict(&self) -> Value {
        read_json(&self.path.join("verdict.json"))
    }

    /// Fails unless it is called so, that process is blamed, and it came every time.
    pub(crate) fn is(&self, name: &str, who: &str) -> &Self {
        let verdict = self.verdict();
        assert!(
            self.name.starts_with(name),
            "{} is not {name}: {verdict}",
            self.name
        );
        assert_eq!(verdict["finding"]["who"], who, "{verdict}");
        assert_eq!(
            verdict["repeats"]["failed"], verdict["repeats"]["tried"],
            "{verdict}"
        );
        self
    }

    /// What is left of it.
    pub(crate) fn smallest(&self) -> Vec<u8> {
        read(&self.path.join("input.min.bin"))
    }
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
