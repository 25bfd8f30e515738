//! Building: a worktree, cargo, and what is left of both afterwards.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use service::signals::{Stop, StopSignals};

use super::RevisionError;
use super::cache::{Cache, try_lock};
use super::repository::{Repository, outside_a_hook, said};
use crate::supervisor::guard::Guard;
use crate::supervisor::spawn::signal_group;

/// Between two looks at a lock that another harness holds: its build takes a thousand
/// times as long.
const LOCK_PAUSE: Duration = Duration::from_millis(100);

/// How long cargo may take to end itself and its compilers.
const STOP_PATIENCE: Duration = Duration::from_secs(2);

/// What cargo says of a revision that has no proxy to build.
const NO_PROXY: [&str; 2] = ["did not match any packages", "no bin target named `proxy`"];

/// Has rustup take this toolchain, whatever a `rust-toolchain.toml` says.
const TOOLCHAIN_VARIABLE: &str = "RUSTUP_TOOLCHAIN";

/// Builds the proxy of a commit into the cache.
pub(super) fn build(
    repository: &Repository,
    commit: &str,
    cache: &Cache,
    tell: &dyn Fn(&str),
) -> Result<(), RevisionError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(RevisionError::Process)?;
    runtime.block_on(async {
        let mut work = Work {
            stop: StopSignals::listen().map_err(RevisionError::Process)?,
            guard: Guard::start().map_err(RevisionError::Process)?,
        };
        let _lock = work.lock(cache, tell).await?;
        if cache.is_built() {
            // By who held the lock.
            return Ok(());
        }
        let worktree = cache.worktree();
        repository.remove_worktree(&worktree)?;
        let part = cache.part()?;
        tell(&format!("building {}", commit.get(..12).unwrap_or(commit)));
        let started = Instant::now();
        let built = work.build_in(repository, commit, cache, &part).await;
        let removed = repository.remove_worktree(&worktree);
        match built {
            Ok(()) => cache.finish(&part)?,
            Err(error) => {
                // Nothing in it is of use without the rest.
                let _ = fs::remove_dir_all(&part);
                return Err(error);
            }
        }
        tell(&format!("built in {:.0?}", started.elapsed()));
        removed
    })
}

/// Who does the work, and listens to Ctrl-C meanwhile.
struct Work {
    stop: StopSignals,
    guard: Guard,
}

impl Work {
    /// Waits until no other harness builds here.
    async fn lock(&mut self, cache: &Cache, tell: &dyn Fn(&str)) -> Result<File, RevisionError> {
        let file = cache.lock_file()?;
        let mut is_told = false;
        while !try_lock(&file)? {
            if !is_told {
                tell("waiting for another harness that is building");
                is_told = true;
            }
            tokio::select! {
                stop = self.stop.next() => return Err(RevisionError::Stopped(stop)),
                () = tokio::time::sleep(LOCK_PAUSE) => {}
            }
        }
        Ok(file)
    }

    async fn build_in(
        &mut self,
        repository: &Repository,
        commit: &str,
        cache: &Cache,
        part: &Path,
    ) -> Result<(), RevisionError> {
        let worktree = cache.worktree();
        let [log, artifacts] = ["build.log", "artifacts.json"].map(|name| part.join(name));
        let mut git = repository.add_worktree(&worktree, commit);
        git.stderr(create(&log)?);
        if !self.run(git, "git").await?.success() {
            return Err(RevisionError::Git {
                doing: "worktree add",
                said: said(&fs::read(&log).map_err(RevisionError::file(&log))?),
            });
        }
        // Cargo would go on looking above, where the checkout has one.
        if !worktree.join("Cargo.toml").is_file() {
            return Err(RevisionError::NoProxy);
        }
        // What is left of the crates of another revision could make its way into this one's.
        let _ = fs::remove_dir_all(cache.target().join("debug/incremental"));
        let mut cargo = cargo(&worktree, &cache.target());
        if let Some(toolchain) = toolchain(repository.top()) {
            cargo.env(TOOLCHAIN_VARIABLE, toolchain);
        }
        cargo.stdout(create(&artifacts)?).stderr(create(&log)?);
        let status = self.run(cargo, "cargo").await?;
        let said = fs::read(&log).map_err(RevisionError::file(&log))?;
        let said = String::from_utf8_lossy(&said);
        if !status.success() {
            return Err(failure(&said, status, &log, cache));
        }
        let artifacts_said =
            fs::read_to_string(&artifacts).map_err(RevisionError::file(&artifacts))?;
        let program = program(&artifacts_said).ok_or(RevisionError::NoProxy)?;
        let kept = part.join("proxy");
        fs::copy(&program, &kept).map_err(RevisionError::file(&program))?;
        let _ = fs::remove_file(&artifacts);
        Ok(())
    }

    /// Runs a command to its end. If somebody ends us, it ends before us, with all that it
    /// has started; also if we are killed.
    async fn run(
        &mut self,
        mut command: Command,
        name: &'static str,
    ) -> Result<ExitStatus, RevisionError> {
        use std::os::unix::process::CommandExt;
        command.stdin(Stdio::null()).process_group(0);
        let mut command = tokio::process::Command::from(command);
        let mut child = command.spawn().map_err(|error| match error.kind() {
            ErrorKind::NotFound => RevisionError::Tool(name),
            _ => RevisionError::Process(error),
        })?;
        let pid = child.id().unwrap_or_default();
        self.guard.watch(pid);
        let ended: Result<io::Result<ExitStatus>, Stop> = tokio::select! {
            status = child.wait() => Ok(status),
            stop = self.stop.next() => Err(stop),
        };
        if ended.is_err() {
            signal_group(pid, Signal::TERM);
            let _ = tokio::time::timeout(STOP_PATIENCE, child.wait()).await;
            signal_group(pid, Signal::KILL);
            let _ = child.wait().await;
        }
        self.guard.forget(pid);
        ended
            .map_err(RevisionError::Stopped)?
            .map_err(RevisionError::Process)
    }
}

fn create(path: &Path) -> Result<File, RevisionError> {
    File::create(path).map_err(RevisionError::file(path))
}

fn cargo(worktree: &Path, target: &Path) -> Command {
    let mut cargo = Command::new("cargo");
    cargo
        .args(["build", "--package", "proxy", "--bin", "proxy", "--locked"])
        .arg("--message-format=json-render-diagnostics")
        .arg("--target-dir")
        .arg(target)
        .env("CARGO_TERM_COLOR", "never")
        .env("CARGO_TERM_PROGRESS_WHEN", "never")
        .current_dir(worktree);
    outside_a_hook(&mut cargo);
    cargo
}

/// What rustup takes in the checkout. None if there is no rustup, or if it is told already.
fn toolchain(top: &Path) -> Option<String> {
    let is_told = std::env::var_os(TOOLCHAIN_VARIABLE).is_some_and(|name| !name.is_empty());
    if is_told {
        return None;
    }
    let output = Command::new("rustup")
        .args(["show", "active-toolchain"])
        .current_dir(top)
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    active_toolchain(&String::from_utf8_lossy(&output.stdout))
}

/// The name, behind which rustup says in brackets why it is that one.
fn active_toolchain(said: &str) -> Option<String> {
    let name = said.lines().next()?.split(" (").next()?.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

/// Where cargo says that it has put the proxy.
fn program(artifacts: &str) -> Option<PathBuf> {
    let is_proxy = |artifact: &serde_json::Value| {
        artifact["reason"] == "compiler-artifact"
            && artifact["target"]["name"] == "proxy"
            && artifact["executable"].is_string()
    };
    artifacts
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .find(is_proxy)
        .and_then(|artifact| artifact["executable"].as_str().map(PathBuf::from))
}

/// Why cargo failed. All that it said is kept where the next build does not remove it.
fn failure(said: &str, status: ExitStatus, log: &Path, cache: &Cache) -> RevisionError {
    if NO_PROXY.iter().any(|part| said.contains(part)) {
        return RevisionError::NoProxy;
    }
    let kept = cache.failed_log();
    match fs::rename(log, &kept) {
        Ok(()) => RevisionError::DoesNotBuild {
            line: first_error(said).unwrap_or_else(|| format!("cargo ended with {status}")),
            log: kept,
        },
        Err(error) => RevisionError::file(&kept)(error),
    }
}

/// The first error, and where it is.
fn first_error(said: &str) -> Option<String> {
    let mut lines = said.lines().skip_while(|line| !line.starts_with("error"));
    let error = lines.next()?;
    let place = lines
        .next()
        .map(str::trim)
        .filter(|line| line.starts_with("-->"));
    Some(match place {
        Some(place) => format!("{error} {place}"),
        None => error.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_error_is_told_with_its_place() {
        let said = "   Compiling proxy v0.1.0\nwarning: unused\n  --> src/a.rs:1:1\n\
            error[E0308]: mismatched types\n --> src/main.rs:3:5\n  |\nerror: aborting\n";
        let told = first_error(said).unwrap();
        assert_eq!(told, "error[E0308]: mismatched types --> src/main.rs:3:5");
        assert_eq!(first_error("error: no\nmore\n").unwrap(), "error: no");
        assert_eq!(first_error("Killed\n"), None);
    }

    #[test]
    fn the_toolchain_is_what_rustup_names() {
        let said = "stable-x86_64-unknown-linux-gnu (default)\n";
        let name = active_toolchain(said).unwrap();
        assert_eq!(name, "stable-x86_64-unknown-linux-gnu");
        let said = "/opt/my rust (overridden by '/a/rust-toolchain.toml')\n";
        assert_eq!(active_toolchain(said).unwrap(), "/opt/my rust");
        assert_eq!(active_toolchain(""), None);
    }

    #[test]
    fn the_program_is_where_cargo_says() {
        let said = r#"{"reason":"compiler-artifact","target":{"name":"proxy","kind":["lib"]},"executable":null}
{"reason":"compiler-artifact","target":{"name":"build-script","kind":["custom-build"]},"executable":"/t/b"}
{"reason":"compiler-artifact","target":{"name":"proxy","kind":["bin"]},"executable":"/t/debug/proxy"}
{"reason":"build-finished","success":true}"#;
        assert_eq!(program(said), Some("/t/debug/proxy".into()));
        assert_eq!(program(""), None);
    }
}
