//! `git:REV`: what is built, from what, by what, and what is left behind.

use std::fs;
use std::path::PathBuf;

use rustix::process::Signal;
use tests::scenario::read_json;
use tests::{Program, eventually, proc};

use crate::repository::{RELAY, Repository, said};

/// Tells that it runs, and then takes longer than any test.
const HANGING_BUILD: &str = r#"
fn main() {
    if let Some(file) = std::env::var_os("HARNESS_TEST_HANG") {
        std::fs::write(file, "").unwrap();
        std::thread::sleep(std::time::Duration::from_secs(1000));
    }
}
"#;

/// Does not build where git would be led to the repository of a hook.
const BUILD_OUTSIDE_A_HOOK: &str = r#"
fn main() {
    for name in ["GIT_DIR", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES"] {
        assert!(std::env::var_os(name).is_none(), "{name} is set");
    }
}
"#;

#[test]
fn a_revision_is_built_once_from_what_is_committed() {
    let repository = Repository::proxy();
    repository.git(&["branch", "branch/name"]);
    repository.git(&["tag", "v0.1"]);
    repository.write("src/main.rs", "this does not build");
    let (out, stderr) = repository.measure("git:HEAD");
    assert!(stderr.contains("git:HEAD: building"), "{stderr}");
    assert!(stderr.contains("git:HEAD: built in"), "{stderr}");
    assert!(stderr.contains("not optimised"), "{stderr}");
    let record = read_json(&out.path().join("run.json"));
    let binaries = record["binaries"].as_array().expect("a list");
    let ours = binaries.iter().find(|binary| binary["role"] == "git:HEAD");
    let commit = repository.git(&["rev-parse", "HEAD"]);
    assert_eq!(ours.expect("it takes part")["commit"], commit.trim());
    repository.expect_tidy();
    for same in ["git:HEAD", "git:branch/name", "git:v0.1", "git:@{0}"] {
        let (_, stderr) = repository.measure(same);
        assert!(!stderr.contains("building"), "{same}: {stderr}");
    }
    // Its name means another commit now.
    let second = RELAY.replace("fn main() {", "fn main() { eprintln!(\"the second\");");
    repository.write("src/main.rs", &second);
    repository.commit();
    let (_, stderr) = repository.measure("git:HEAD");
    assert!(stderr.contains("git:HEAD: building"), "{stderr}");
    let says_so = |build: &PathBuf| {
        let program = fs::read(build.join("proxy")).expect("a program");
        program.windows(10).any(|part| part == b"the second")
    };
    let built = repository.built();
    assert_eq!(built.len(), 2);
    assert_eq!(built.iter().filter(|build| says_so(build)).count(), 1);
    let (_, stderr) = repository.measure("git:HEAD~1");
    assert!(!stderr.contains("building"), "{stderr}");
    repository.expect_tidy();
}

#[test]
fn what_cannot_be_built_is_one_line() {
    let repository = Repository::of("proxy", &[("src/main.rs", "fn main() { surprise() }")]);
    let error = repository.refused("git:HEAD", |_| {});
    assert!(error.contains("git:HEAD: does not build"), "{error}");
    assert!(error.contains("cannot find function `surprise`"), "{error}");
    assert!(error.contains("src/main.rs:1"), "{error}");
    let log = error.split("all of it: ").nth(1).expect("a log");
    let log = fs::read_to_string(log.trim_end_matches(')')).expect("the log");
    assert!(log.contains("surprise"), "{log}");
    assert_eq!(repository.built(), Vec::<PathBuf>::new());

    let error = repository.refused("git:nosuch", |_| {});
    assert!(error.contains("git:nosuch: no such revision"), "{error}");
    let elsewhere = tempfile::tempdir().expect("a directory");
    let error = repository.refused("git:HEAD", |harness| {
        harness.current_dir(&elsewhere);
    });
    assert!(error.contains("git:HEAD: needs a checkout"), "{error}");
    let error = repository.refused("git:HEAD", |harness| {
        harness.env("PATH", elsewhere.path());
    });
    assert!(error.contains("git:HEAD: needs git"), "{error}");

    let other = Repository::of("other", &[("src/main.rs", "fn main() {}")]);
    let error = other.refused("git:HEAD", |_| {});
    assert!(error.contains("no package \"proxy\""), "{error}");
}

#[test]
fn a_revision_without_a_manifest_does_not_find_that_of_the_checkout() {
    let repository = Repository::proxy();
    let manifest = fs::read_to_string(repository.path().join("Cargo.toml")).expect("a manifest");
    repository.git(&["rm", "--quiet", "Cargo.toml"]);
    repository.commit();
    repository.write("Cargo.toml", &manifest);
    let error = repository.refused("git:HEAD", |_| {});
    assert!(error.contains("no package \"proxy\""), "{error}");
}

#[test]
fn the_compiler_of_the_checkout_builds_every_revision() {
    // Nobody has this one. Without rustup nobody asks for it either.
    let toolchain = "[toolchain]\nchannel = \"nightly-2001-01-01\"\n";
    let files = [("src/main.rs", RELAY), ("rust-toolchain.toml", toolchain)];
    let repository = Repository::of("proxy", &files);
    repository.git(&["rm", "--quiet", "rust-toolchain.toml"]);
    repository.commit();
    let out = tempfile::tempdir().expect("a directory");
    let mut harness = repository.bench("git:HEAD~1", out.path());
    harness
        .env_remove("RUSTUP_TOOLCHAIN")
        .env("RUSTUP_AUTO_INSTALL", "0");
    let output = harness.output().expect("a harness");
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
}

#[test]
fn a_hook_of_another_repository_leads_nobody_astray() {
    let files = [("src/main.rs", RELAY), ("build.rs", BUILD_OUTSIDE_A_HOOK)];
    let repository = Repository::of("proxy", &files);
    let other = Repository::of("other", &[("src/main.rs", "fn main() {}")]);
    let objects = other.path().join(".git/objects");
    let out = tempfile::tempdir().expect("a directory");
    let mut harness = repository.bench("git:HEAD", out.path());
    harness
        .env("GIT_DIR", other.path().join(".git"))
        .env("GIT_OBJECT_DIRECTORY", &objects)
        .env("GIT_ALTERNATE_OBJECT_DIRECTORIES", &objects);
    let output = harness.output().expect("a harness");
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    repository.expect_tidy();
}

#[test]
fn a_worktree_that_was_left_half_made_is_no_hindrance() {
    let repository = Repository::proxy();
    let worktree = repository.path().join(".harness/revisions/worktree");
    let at = worktree.to_str().expect("UTF-8");
    // Git keeps it locked until it is made, and is killed before that.
    repository.git(&["worktree", "add", "--quiet", "--detach", "--lock", at]);
    fs::remove_file(worktree.join(".git")).expect("it leads to the repository");
    let (_, stderr) = repository.measure("git:HEAD");
    assert!(stderr.contains("git:HEAD: built in"), "{stderr}");
    repository.expect_tidy();
}

#[test]
fn two_at_once_build_once() {
    let repository = Repository::proxy();
    let outs = [(); 2].map(|()| tempfile::tempdir().expect("a directory"));
    let harnesses = outs.each_ref().map(|out| {
        let command = repository.bench("git:HEAD", out.path());
        Program::spawn(command, None)
    });
    let said = harnesses.map(|mut harness| {
        let status = harness.wait();
        assert_eq!(status.code(), Some(0), "{}", harness.describe());
        harness.stderr()
    });
    let built = said.iter().filter(|stderr| stderr.contains(": built in"));
    assert_eq!(built.count(), 1, "{said:?}");
    repository.expect_tidy();
}

#[test]
fn a_build_that_is_interrupted_leaves_nothing_that_looks_finished() {
    let files = [("src/main.rs", RELAY), ("build.rs", HANGING_BUILD)];
    let repository = Repository::of("proxy", &files);
    for (signal, code) in [(Signal::INT, Some(130)), (Signal::KILL, None)] {
        let out = tempfile::tempdir().expect("a directory");
        let mark = format!("building-{signal:?}-{}", std::process::id());
        let hangs = out.path().join("hangs");
        let mut command = repository.bench("git:HEAD", out.path());
        command
            .env("HARNESS_TEST_MARK", &mark)
            .env("HARNESS_TEST_HANG", &hangs);
        let mut harness = Program::spawn(command, None);
        eventually("the build to hang", || hangs.exists().then_some(()));
        harness.signal(signal);
        assert_eq!(harness.wait().code(), code, "{}", harness.describe());
        eventually("no process to be left", || {
            proc::marked(&mark).is_empty().then_some(())
        });
        let is_finished = |build: &PathBuf| build.extension().is_none();
        assert!(!repository.built().iter().any(is_finished));
        if code.is_some() {
            assert!(
                harness.stderr().contains("interrupted"),
                "{}",
                harness.describe()
            );
            repository.expect_tidy();
        }
    }
    // What the killed one could not clear away is no hindrance.
    let (_, stderr) = repository.measure("git:HEAD");
    assert!(stderr.contains("git:HEAD: built in"), "{stderr}");
    repository.expect_tidy();
}
