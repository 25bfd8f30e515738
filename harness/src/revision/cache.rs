//! What was built, below `.harness/revisions` of the checkout:
//!
//! * `<commit>/<environment>/proxy` and `build.log`: a finished build. It appears by a
//!   rename, so that it is whole or not there.
//! * `<commit>/failed.log`: what cargo said to the last build that failed.
//! * `worktree`: where one is being built; `target`: what all builds share; `lock`: held
//!   by who builds.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::FlockOperation;
use rustix::io::Errno;
use xxhash_rust::xxh3::Xxh3;

use super::RevisionError;
use super::repository::Repository;

/// Variables by which cargo, or the C compiler that a build script calls, makes another
/// program of the same source.
const VARIABLES: [&str; 13] = [
    "AR",
    "CARGO_BUILD_TARGET",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_INCREMENTAL",
    "CC",
    "CFLAGS",
    "CXX",
    "CXXFLAGS",
    "RUSTC",
    "RUSTC_BOOTSTRAP",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_WRAPPER",
    "RUSTFLAGS",
];

/// The same, where only the beginning of a name is fixed: `CARGO_BUILD_RUSTC_WRAPPER`,
/// `CARGO_TARGET_<TRIPLE>_LINKER`, `CFLAGS_<triple>`.
const VARIABLE_STARTS: [&str; 8] = [
    "AR_",
    "CARGO_BUILD_RUSTC",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_PROFILE_",
    "CC_",
    "CFLAGS_",
    "CXXFLAGS_",
    "CXX_",
];

/// The same for `CARGO_TARGET_<TRIPLE>_…`.
const TARGET_VARIABLE_ENDS: [&str; 2] = ["_LINKER", "_RUSTFLAGS"];

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
    // In the order in which cargo asks them.
    let rustc = ["RUSTC", "CARGO_BUILD_RUSTC"]
        .into_iter()
        .find_map(std::env::var_os);
    let output = Command::new(rustc.unwrap_or_else(|| "rustc".into()))
        .arg("-vV")
        .current_dir(top)
        .output();
    let compiler = output.map_err(|error| match error.kind() {
        ErrorKind::NotFound => RevisionError::Tool("rustc"),
        _ => RevisionError::Process(error),
    })?;
    let mut hash = Xxh3::new();
    take_in(&mut hash, &compiler.stdout);
    let mut variables: Vec<_> = std::env::vars_os()
        .filter(|(name, _)| counts(&name.to_string_lossy()))
        .collect();
    variables.sort();
    for (name, value) in variables {
        take_in(&mut hash, name.as_encoded_bytes());
        take_in(&mut hash, value.as_encoded_bytes());
    }
    // No variable is called so: here they end.
    take_in(&mut hash, b"");
    let above = top.ancestors().map(|directory| directory.join(".cargo"));
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    for directory in above.chain(cargo_home(set("CARGO_HOME"), set("HOME"))) {
        for name in ["config.toml", "config"] {
            let content = fs::read(directory.join(name)).unwrap_or_default();
            take_in(&mut hash, &content);
        }
    }
    Ok(format!("{:016x}", hash.digest()))
}

/// Takes something into a hash so that it cannot pass for a part of its neighbours.
fn take_in(hash: &mut Xxh3, bytes: &[u8]) {
    hash.update(&(bytes.len() as u64).to_le_bytes());
    hash.update(bytes);
}

/// Where cargo has the user's configuration.
fn cargo_home(cargo_home: Option<OsString>, home: Option<OsString>) -> Option<PathBuf> {
    let by_default = || home.map(|home| Path::new(&home).join(".cargo"));
    cargo_home.map(PathBuf::from).or_else(by_default)
}

fn counts(variable: &str) -> bool {
    VARIABLES.contains(&variable)
        || VARIABLE_STARTS
            .iter()
            .any(|start| variable.starts_with(start))
        || (variable.starts_with("CARGO_TARGET_")
            && TARGET_VARIABLE_ENDS
                .iter()
                .any(|end| variable.ends_with(end)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_that_make_another_program_count() {
        for name in [
            "RUSTFLAGS",
            "RUSTC_WRAPPER",
            "CARGO_BUILD_RUSTC_WORKSPACE_WRAPPER",
            "CARGO_PROFILE_DEV_OPT_LEVEL",
            "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER",
            "CC",
            "CFLAGS_x86_64_unknown_linux_gnu",
        ] {
            assert!(counts(name), "{name}");
        }
        for name in ["PATH", "CARGO_TARGET_DIR", "CARGO_TERM_COLOR"] {
            assert!(!counts(name), "{name}");
        }
    }

    #[test]
    fn the_users_configuration_is_where_cargo_looks() {
        let [named, home] = ["/c", "/h"].map(|path| Some(OsString::from(path)));
        assert_eq!(cargo_home(named, home.clone()), Some("/c".into()));
        assert_eq!(cargo_home(None, home), Some("/h/.cargo".into()));
        assert_eq!(cargo_home(None, None), None);
    }

    #[test]
    fn neighbours_in_a_hash_are_told_apart() {
        let digest = |parts: [&str; 2]| {
            let mut hash = Xxh3::new();
            for part in parts {
                take_in(&mut hash, part.as_bytes());
            }
            hash.digest()
        };
        assert_ne!(digest(["ab", "c"]), digest(["a", "bc"]));
    }
}
