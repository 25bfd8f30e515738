//! What can be put under test: revisions of a repository, installed peers, and the relay
//! with planted changes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;
use tests::peer::End;
use tests::scenario::{Run, read_json};
use tests::{Listener, Peer, Program, ReservedPort, eventually, proc};

const HARNESS: &str = env!("CARGO_BIN_EXE_test-harness");
const PLANTED_RELAY: &str = env!("CARGO_BIN_EXE_test-planted-relay");

/// The smallest proxy that is one.
const RELAY: &str = r#"
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

/// Tells that it runs, and then takes longer than any test.
const HANGING_BUILD: &str = r#"
fn main() {
    if let Some(file) = std::env::var_os("HARNESS_TEST_HANG") {
        std::fs::write(file, "").unwrap();
        std::thread::sleep(std::time::Duration::from_secs(1000));
    }
}
"#;

/// A repository with a package of its own.
struct Repository(TempDir);

impl Repository {
    fn of(package: &str, files: &[(&str, &str)]) -> Self {
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

    fn proxy() -> Self {
        Self::of("proxy", &[("src/main.rs", RELAY)])
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().expect("it is below the top")).expect("a directory");
        fs::write(path, text).expect("a file");
    }

    fn git(&self, args: &[&str]) -> String {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=test", "-c", "user.email=test@localhost"])
            .args(["-c", "commit.gpgsign=false"])
            .args(args)
            .current_dir(self.path());
        let output = git.output().expect("git");
        assert!(output.status.success(), "{git:?}: {output:?}");
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    fn commit(&self) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", "test"]);
    }

    /// A harness that measures this for a moment, to be run here.
    fn bench(&self, proxy: &str, out: &Path) -> Command {
        let mut harness = Command::new(HARNESS);
        harness
            .args(["bench", "--proxy", proxy, "--rate", "200", "--rounds", "1"])
            .args(["--duration", "200ms", "--warmup", "0", "--lenient", "--out"])
            .arg(out)
            .current_dir(self.path());
        harness
    }

    /// Has it run and succeed; returns where its files are, and what it said.
    fn measure(&self, proxy: &str) -> (TempDir, String) {
        let out = tempfile::tempdir().expect("a directory");
        let output = self.bench(proxy, out.path()).output().expect("a harness");
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        (out, String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// Has it run and be refused in one line beside what it tells of building.
    fn refused(&self, proxy: &str, change: impl FnOnce(&mut Command)) -> String {
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
    fn expect_tidy(&self) {
        let worktrees = self.git(&["worktree", "list"]);
        assert_eq!(worktrees.lines().count(), 1, "{worktrees}");
        let status = self.git(&["status", "--porcelain"]);
        assert!(!status.contains(".harness"), "{status}");
    }

    /// Programs that were built, finished or not.
    fn built(&self) -> Vec<PathBuf> {
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

fn said(output: &Output) -> String {
    let [stdout, stderr] =
        [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    format!(
        "{}\n--- stdout\n{stdout}\n--- stderr\n{stderr}",
        output.status
    )
}

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

#[test]
fn envoy_can_be_measured() {
    if !tests::is_installed("envoy") {
        return;
    }
    let args = [
        "bench",
        "--proxy",
        "envoy",
        "--closed",
        "--connections",
        "4",
    ];
    let more = ["--duration", "500ms", "--rounds", "1", "--lenient"];
    let run = Run::of(HARNESS, &[&args[..], &more].concat());
    run.expect_code(0)
        .expect_text("envoy")
        .expect_text("direct");
}

#[test]
fn an_envoy_that_is_not_where_it_should_be_is_named() {
    let output = Command::new(HARNESS)
        .args(["bench", "--proxy", "envoy"])
        .env("HARNESS_ENVOY", "/nowhere/envoy")
        .output()
        .expect("a harness");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(5), "{stderr}");
    assert!(
        stderr.contains("HARNESS_ENVOY: there is no /nowhere/envoy"),
        "{stderr}"
    );
}

/// Starts the relay with a planted change between a client and a server.
fn planted(args: &[&str]) -> (Program, Peer, Peer) {
    let server = Listener::open();
    let port = ReservedPort::take();
    let mut command = Command::new(PLANTED_RELAY);
    command
        .args(["--listen", port.addr(), "--forward", &server.addr()])
        .args(args);
    let relay = Program::spawn(command, None);
    eventually("the relay", || {
        proc::is_listening(port.addr()).then_some(())
    });
    let client = Peer::connect(port.addr());
    (relay, client, server.accept())
}

#[test]
fn the_relay_with_planted_changes_keeps_order_and_ends() {
    for args in [&[][..], &["--delay", "1ms"], &["--burn", "50"]] {
        let (_relay, mut client, mut server) = planted(args);
        for number in 0..100 {
            client.send(format!("ask {number}\n"));
            server.send(format!("answer {number}\n"));
        }
        client.finish();
        let asked: String = (0..100).map(|number| format!("ask {number}\n")).collect();
        server.expect(asked);
        server.expect_end(End::Orderly);
        server.finish();
        let answered: String = (0..100)
            .map(|number| format!("answer {number}\n"))
            .collect();
        client.expect(answered);
        client.expect_end(End::Orderly);
    }
}

#[test]
fn the_relay_holds_replies_back_and_loses_some() {
    let (_relay, mut client, mut server) = planted(&["--delay", "50ms", "--drop-every", "3"]);
    let sent = Instant::now();
    server.send("a\nb\nc\nd\ne\nf\ng");
    client.expect("a\nb\nd\ne\ng");
    assert!(sent.elapsed() >= Duration::from_millis(50));
}
