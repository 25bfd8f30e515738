//! A repository to build revisions of.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::HARNESS;

/// The smallest proxy that is one.
pub(crate) const RELAY: &str = r#"
use std::net::{Shutdown, TcpListener, TcpStream};

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let listener = TcpListener::bind(&args[3]).unwrap();
    for client in listener.incoming().flatten() {
        let Ok(server) = TcpStream::connect(&args[5]) else { continue };
        for (mut from, mut to) in [(&client, &server), (&server, &client)]
            .map(|(from, to)| (from.try_clone().unwrap(), to.try_clone().unwrap()))
        {
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut from, &mut to);
                let _ = to.shutdown(Shutdown::Write);
            });
        }
    }
}
"#;

/// A repository with a package of its own.
pub(crate) struct Repository(TempDir);

impl Repository {
    pub(crate) fn of(package: &str, files: &[(&str, &str)]) -> Self {
        let repository = Self(tempfile::tempdir().expect("a directory"));
        repository.git(&["init", "--quiet", "--initial-branch=main"]);
        let manifest =
            format!("[package]\nname = \"{package}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n");
        let lock =
            format!("version = 4\n\n[[package]]\nname = \"{package}\"\nversion = \"0.1.0\"\n");
        repository.write("Cargo.toml", &manifest);
        repository.write("Cargo.lock", &lock);
        for (name, text) in files {
            repository.write(name, text);
        }
        repository.commit();
        repository
    }

    pub(crate) fn proxy() -> Self {
        Self::of("proxy", &[("src/main.rs", RELAY)])
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().expect("it is below the top")).expect("a directory");
        fs::write(path, text).expect("a file");
    }

    pub(crate) fn git(&self, args: &[&str]) -> String {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=test", "-c", "user.email=test@localhost"])
            .args(["-c", "commit.gpgsign=false"])
            .args(args)
            .current_dir(self.path());
        let output = git.output().expect("git");
        assert!(output.status.success(), "{git:?}: {output:?}");
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    pub(crate) fn commit(&self) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", "test"]);
    }

    /// A harness that measures this for a moment, to be run here.
    pub(crate) fn bench(&self, proxy: &str, out: &Path) -> Command {
        let mut harness = Command::new(HARNESS);
        harness
            .args(["bench", "--proxy", proxy, "--rate", "200", "--rounds", "1"])
            .args(["--duration", "200ms", "--warmup", "0", "--lenient", "--out"])
            .arg(out)
            .current_dir(self.path());
        harness
    }

    /// Has it run and succeed; returns where its files are, and what it said.
    pub(crate) fn measure(&self, proxy: &str) -> (TempDir, String) {
        let out = tempfile::tempdir().expect("a directory");
        let output = self.bench(proxy, out.path()).output().expect("a harness");
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        (out, String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// Has it run and be refused in one line beside what it tells of building.
    pub(crate) fn refused(&self, proxy: &str, change: impl FnOnce(&mut Command)) -> String {
        let out = tempfile::tempdir().expect("a directory");
        let mut harness = self.bench(proxy, out.path());
        change(&mut harness);
        let output = harness.output().expect("a harness");
        assert_eq!(output.status.code(), Some(5), "{}", said(&output));
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        let is_progress = |line: &&str| line.ends_with(|c: char| c.is_ascii_hexdigit());
        let errors: Vec<&str> = stderr
            .lines()
            .skip_while(|line| line.contains(": building ") && is_progress(line))
            .collect();
        assert_eq!(errors.len(), 1, "{}", said(&output));
        assert!(!out.path().join("run.json").exists());
        self.expect_tidy();
        errors[0].to_owned()
    }

    /// Nothing of a build is left where others would see it.
    pub(crate) fn expect_tidy(&self) {
        let worktrees = self.git(&["worktree", "list"]);
        assert_eq!(worktrees.lines().count(), 1, "{worktrees}");
        let status = self.git(&["status", "--porcelain"]);
        assert!(!status.contains(".harness"), "{status}");
    }

    /// Programs that were built, finished or not.
    pub(crate) fn built(&self) -> Vec<PathBuf> {
        let below = |directory: PathBuf| {
            let entries = fs::read_dir(directory).into_iter().flatten().flatten();
            entries.map(|entry| entry.path()).collect::<Vec<_>>()
        };
        below(self.path().join(".harness/revisions"))
            .into_iter()
            .filter(|commit| commit.file_name().is_some_and(|name| name.len() == 40))
            .flat_map(below)
            .filter(|build| build.is_dir())
            .collect()
    }
}

pub(crate) fn said(output: &Output) -> String {
    let [stdout, stderr] =
        [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    format!(
        "{}\n--- stdout\n{stdout}\n--- stderr\n{stderr}",
        output.status
    )
}
