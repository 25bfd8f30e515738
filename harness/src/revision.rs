//! `git:REV`: the proxy of the repository around us, as it was at some revision.
//!
//! In reading order: `repository` asks git, `cache` keeps what was built, `build` builds.
//!
//! What is built, and why so:
//!
//! * What `cargo run -p proxy` would run: package and program `proxy`, default features,
//!   `--locked`, the profile `dev` *of that revision*. A profile is a part of a revision as
//!   its code is: who changes it changes what users run, and a comparison is to show that.
//!   This workspace's `dev` is optimised; where a revision's is not, that is said.
//! * Both sides of a comparison by one compiler with one environment: what is kept of an
//!   earlier build is taken only if both are still the same. The compiler is that of the
//!   checkout: a `rust-toolchain.toml` of the revision's own has no say.
//! * Always in the same directory, without what an earlier build left behind of the
//!   workspace's own crates. The paths in a program are so the same on both sides, and two
//!   revisions with the same code give the same program to the byte.
//! * In a git worktree, so that what is not committed plays no part, but for what cargo
//!   looks for in the directories above, of which the checkout is one: its
//!   `.cargo/config.toml` holds for every revision, below that of the revision itself. And
//!   a revision whose package is in no workspace does not build where the checkout is one.

mod build;
mod cache;
mod repository;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use service::signals::Stop;

use cache::Cache;
use repository::Repository;

/// A revision, as git takes it: `HEAD~1`, `v0.1`, `branch/name`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision(String);

/// A proxy that was built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// The full hash of the commit.
    pub commit: String,
    /// The program.
    pub program: PathBuf,
}

/// Why there is no proxy of a revision.
#[derive(Debug, thiserror::Error)]
pub enum RevisionError {
    /// A program is missing.
    #[error("needs {0}, and there is no such program in PATH")]
    Tool(&'static str),
    /// We are not within a checkout.
    #[error("needs a checkout of the repository around the current directory; git said: {0}")]
    NoRepository(String),
    /// The repository has no such revision.
    #[error("no such revision in {}", .0.display())]
    Unknown(PathBuf),
    /// The revision knows no proxy.
    #[error("this revision has no package \"proxy\" with a program \"proxy\"")]
    NoProxy,
    /// Cargo failed.
    #[error("does not build: {line} (all of it: {})", .log.display())]
    DoesNotBuild {
        /// The first error.
        line: String,
        /// Where the rest can be read.
        log: PathBuf,
    },
    /// Git failed.
    #[error("git {doing}: {said}")]
    Git {
        /// What it was to do.
        doing: &'static str,
        /// Its words.
        said: String,
    },
    /// A file cannot be had.
    #[error("{}: {error}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A process cannot be started or waited for.
    #[error("cannot build: {0}")]
    Process(io::Error),
    /// Somebody ended the harness.
    #[error("interrupted while it was built")]
    Stopped(Stop),
}

impl RevisionError {
    fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::File { path, error }
    }
}

impl Revision {
    /// Takes a revision by its name. Whether there is one is not looked at.
    ///
    /// # Errors
    /// That git would not take this for a revision, as the end of a sentence.
    pub fn named(name: &str) -> Result<Self, String> {
        // Git would take it for an option.
        if name.is_empty() || name.starts_with('-') {
            return Err(", which names no revision".to_owned());
        }
        Ok(Self(name.to_owned()))
    }

    /// Builds the proxy of this revision, or finds it built, and `tell`s what takes long.
    /// Must not be called within a tokio runtime: it has one of its own, for Ctrl-C.
    ///
    /// # Errors
    /// Why there is none, in one line.
    pub fn build(&self, tell: &dyn Fn(&str)) -> Result<Built, RevisionError> {
        let tell = |text: &str| tell(&format!("{self}: {text}"));
        let repository = Repository::around_here()?;
        let commit = repository.commit(&self.0)?;
        let cache = Cache::of(&repository, &commit)?;
        if !cache.is_built() {
            build::build(&repository, &commit, &cache, &tell)?;
        }
        if cache.is_unoptimised() {
            tell("its profile dev is not optimised");
        }
        Ok(Built {
            commit,
            program: cache.program(),
        })
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "git:{}", self.0)
    }
}
