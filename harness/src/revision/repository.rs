//! What git knows.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::RevisionError;

/// Set while git runs a hook: they would lead git, or a build that asks it, to another
/// repository, or have us write to the index of the checkout.
const LEADING_ASTRAY: [&str; 7] = [
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_COMMON_DIR",
];

/// A checkout.
#[derive(Debug)]
pub(super) struct Repository {
    top: PathBuf,
}

impl Repository {
    /// The checkout that the current directory is in.
    pub(super) fn around_here() -> Result<Self, RevisionError> {
        let output = output(git().args(["rev-parse", "--show-toplevel"]))?;
        if !output.status.success() {
            return Err(RevisionError::NoRepository(said(&output.stderr)));
        }
        let top = PathBuf::from(line(&output.stdout));
        Ok(Self { top })
    }

    /// Its uppermost directory.
    pub(super) fn top(&self) -> &Path {
        &self.top
    }

    /// The full hash of the commit that `revision` names.
    pub(super) fn commit(&self, revision: &str) -> Result<String, RevisionError> {
        let object = format!("{revision}^{{commit}}");
        let output = output(
            self.git()
                .args(["rev-parse", "--verify", "--quiet", &object]),
        )?;
        if output.status.success() {
            return Ok(line(&output.stdout));
        }
        match said(&output.stderr) {
            // It says nothing of what is simply not there.
            said if said.is_empty() => Err(RevisionError::Unknown(self.top.clone())),
            said => Err(RevisionError::Git {
                doing: "rev-parse",
                said,
            }),
        }
    }

    /// Checks a commit out into a directory that is not there yet.
    pub(super) fn add_worktree(&self, directory: &Path, commit: &str) -> Command {
        let mut git = self.git();
        // A hook of the user's is not meant for this.
        git.args(["-c", "core.hooksPath=/dev/null"])
            .args(["worktree", "add", "--detach", "--quiet"])
            // Twice: git locks one while it makes it, and who is killed then leaves it so.
            .args(["--force", "--force"])
            .arg(directory)
            .arg(commit);
        git
    }

    /// Removes a worktree, also one that was left behind half made.
    pub(super) fn remove_worktree(&self, directory: &Path) -> Result<(), RevisionError> {
        use std::os::unix::process::CommandExt;
        let mut git = self.git();
        git.args(["worktree", "remove", "--force", "--force"])
            .arg(directory)
            // Ctrl-C is for us: what was begun is to be cleared away.
            .process_group(0);
        // What it does not know is no worktree, and may still be a directory.
        output(&mut git)?;
        match std::fs::remove_dir_all(directory) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(RevisionError::file(directory)(error))
            }
            _ => Ok(()),
        }
    }

    fn git(&self) -> Command {
        let mut git = git();
        git.arg("-C").arg(&self.top);
        git
    }
}

fn git() -> Command {
    let mut git = Command::new("git");
    outside_a_hook(&mut git);
    git
}

/// Has a command find the repository by where it runs.
pub(super) fn outside_a_hook(command: &mut Command) {
    for variable in LEADING_ASTRAY {
        command.env_remove(variable);
    }
}

fn output(git: &mut Command) -> Result<Output, RevisionError> {
    git.output().map_err(|error| match error.kind() {
        ErrorKind::NotFound => RevisionError::Tool("git"),
        _ => RevisionError::Process(error),
    })
}

fn line(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end().to_owned()
}

/// The first thing that git found wrong.
pub(super) fn said(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let first = text.lines().find(|line| !line.trim().is_empty());
    first.unwrap_or_default().to_owned()
}
