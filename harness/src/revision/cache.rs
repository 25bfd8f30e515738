//! What was built, below `.harness/revisions` of the checkout:
//!
//! * `<commit>/<environment>/proxy` and `build.log`: a finished build. It appears by a
//!   rename, so that it is whole or not there.
//! * `<commit>/failed.log`: what cargo said to the last build that failed.
//! * `worktree`: where one is being built; `target`: what all builds share; `lock`: held
//!   by who builds.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::FlockOperation;
use rustix::io::Errno;
use xxhash_rust::xxh3::Xxh3;

use super::RevisionError;
use super::repository::Repository;

/// Variables by which cargo makes another program of the same source, beside
/// `CARGO_PROFILE_*` and `CARGO_TARGET_*_RUSTFLAGS`.
const VARIABLES: [&str; 6] = [
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_INCREMENTAL",
    "RUSTC_BOOTSTRAP",
    "RUSTFLAGS",
];

/// The place of one commit's build.
#[derive(Debug)]
pub(super) struct Cache {
    root: PathBuf,
    /// Of this commit.
    builds: PathBuf,
    /// By this compiler, in this environment.
    build: PathBuf,
}

impl Cache {
    pub(super) fn of(repository: &Repository, commit: &str) -> Result<Self, RevisionError> {
        let root = repository.top().join(".harness/revisions");
        let builds = root.join(commit);
        let build = builds.join(environment(repository.top())?);
        Ok(Self {
            root,
            builds,
            build,
        })
    }

    pub(super) fn program(&self) -> PathBuf {
        self.build.join("proxy")
    }

    pub(super) fn is_built(&self) -> bool {
        self.program().is_file()
    }

    /// Whether cargo said of what it built that it is not optimised.
    pub(super) fn is_unoptimised(&self) -> bool {
        let log = fs::read_to_string(self.build.join("build.log")).unwrap_or_default();
        log.contains("[unoptimized")
    }

    /// Where a build is put together before it is renamed to what it is. Made anew.
    pub(super) fn part(&self) -> Result<PathBuf, RevisionError> {
        let part = self.build.with_extension("part");
        match fs::remove_dir_all(&part) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(RevisionError::file(&part)(error));
            }
            _ => {}
        }
        fs::create_dir_all(&part).map_err(RevisionError::file(&part))?;
        Ok(part)
    }

    /// Makes a finished build of what was put together.
    pub(super) fn finish(&self, part: &Path) -> Result<(), RevisionError> {
        // Whatever is there is not whole, or it would have been taken.
        let _ = fs::remove_dir_all(&self.build);
        fs::rename(part, &self.build).map_err(RevisionError::file(&self.build))
    }

    pub(super) fn failed_log(&self) -> PathBuf {
        self.builds.join("failed.log")
    }

    pub(super) fn worktree(&self) -> PathBuf {
        self.root.join("worktree")
    }

    pub(super) fn target(&self) -> PathBuf {
        self.root.join("target")
    }

    /// The file to lock before building. Makes the directory, of which git is to take no
    /// notice.
    pub(super) fn lock_file(&self) -> Result<File, RevisionError> {
        fs::create_dir_all(&self.root).map_err(RevisionError::file(&self.root))?;
        let ignore = self.root.join(".gitignore");
        fs::write(&ignore, "*\n").map_err(RevisionError::file(&ignore))?;
        let lock = self.root.join("lock");
        File::create(&lock).map_err(RevisionError::file(&lock))
    }
}

/// Locks, unless another harness holds the lock. The kernel takes it back with the file.
pub(super) fn try_lock(file: &File) -> Result<bool, RevisionError> {
    match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK | Errno::INTR) => Ok(false),
        Err(error) => Err(RevisionError::Process(error.into())),
    }
}

/// A short name for everything outside a commit that makes its program what it is: the
/// compiler, variables, and cargo's configuration in the directories above.
fn environment(top: &Path) -> Result<String, RevisionError> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("-vV").current_dir(top).output();
    let compiler = output.map_err(|error| match error.kind() {
        ErrorKind::NotFound => RevisionError::Tool("rustc"),
        _ => RevisionError::Process(error),
    })?;
    let mut hash = Xxh3::new();
    hash.update(&compiler.stdout);
    let mut variables: Vec<_> = std::env::vars_os()
        .filter(|(name, _)| counts(name))
        .collect();
    variables.sort();
    for (name, value) in variables {
        hash.update(name.as_encoded_bytes());
        hash.update(value.as_encoded_bytes());
    }
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let above = top.ancestors().map(|directory| directory.join(".cargo"));
    for directory in above.chain(home) {
        for name in ["config.toml", "config"] {
            hash.update(&fs::read(directory.join(name)).unwrap_or_default());
        }
    }
    Ok(format!("{:016x}", hash.digest()))
}

fn counts(variable: &std::ffi::OsStr) -> bool {
    let name = variable.to_string_lossy();
    VARIABLES.contains(&name.as_ref())
        || name.starts_with("CARGO_PROFILE_")
        || (name.starts_with("CARGO_TARGET_") && name.ends_with("_RUSTFLAGS"))
}
