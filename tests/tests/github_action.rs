//! The GitHub Action for other people's proxies: its script with a harness that only says
//! how it was called, and whether what is documented is what there is.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// A harness that prints its arguments, one on each line, and ends as its last one says
/// after `exit-`; 0 otherwise.
const HARNESS: &str = r#"#!/bin/sh
printf '<%s>\n' "$@"
for last; do :; done
case $last in *exit-[0-9]*) exit "${last##*exit-}" ;; esac
"#;

fn action() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../.github/actions/crash")
}

/// A runner's directory with that harness.
struct Runner(TempDir);

impl Runner {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let harness = directory.path().join("harness");
        fs::write(&harness, HARNESS).expect("a file");
        fs::set_permissions(&harness, fs::Permissions::from_mode(0o755)).expect("a file");
        Self(directory)
    }

    fn attack(&self, inputs: &[(&str, &str)]) -> Output {
        let here = self.0.path();
        let mut command = Command::new(action().join("attack"));
        command
            .current_dir(here)
            .env("CRASH_HARNESS", here.join("harness"))
            .env("RUNNER_TEMP", here)
            .env("GITHUB_OUTPUT", here.join("output"))
            .env("GITHUB_STEP_SUMMARY", here.join("summary"))
            .envs(inputs.iter().copied());
        command.output().expect("bash")
    }

    fn file(&self, name: &str) -> String {
        fs::read_to_string(self.0.path().join(name)).unwrap_or_default()
    }
}

#[test]
fn everything_is_done_and_the_worst_counts() {
    let runner = Runner::new();
    for bundle in ["old exit-0", "bad exit-4"] {
        fs::create_dir(runner.0.path().join(bundle)).expect("a directory");
    }
    let output = runner.attack(&[
        ("CRASH_BUNDLES", "*exit-*"),
        ("CRASH_TARGET", "cmd:python3 my server.py $(touch x)"),
        ("CRASH_ARGS", "--seed=7\n\n--note=two words\nexit-3"),
        ("CRASH_SCENARIOS", "crash-shield\nmine.toml"),
        ("CRASH_PROXY", "./proxy"),
    ]);
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    let said = String::from_utf8_lossy(&output.stdout);
    for arguments in [
        "<replay>\n<bad exit-4>\n",
        "<replay>\n<old exit-0>\n",
        "<crash>\n<--target>\n<cmd:python3 my server.py $(touch x)>\n<--out>\n",
        "<--seed=7>\n<--note=two words>\n<exit-3>\n",
        "<run>\n<crash-shield>\n<mine.toml>\n<--proxy>\n<./proxy>\n<--out>\n",
    ] {
        assert!(said.contains(arguments), "no {arguments} in\n{said}");
    }
    assert!(
        !runner.0.path().join("x").exists(),
        "an input was carried out"
    );
    assert!(runner.file("output").ends_with("code=4\n"));
    assert!(runner.file("summary").contains("harness crash: exit 3"));
}

#[test]
fn nothing_found_is_a_success() {
    let runner = Runner::new();
    let output = runner.attack(&[("CRASH_TARGET", "proxy")]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(runner.file("output").ends_with("code=0\n"));
}

#[test]
fn wrong_inputs_start_nothing() {
    let cases: [(&[(&str, &str)], &str); 4] = [
        (&[], "nothing to do"),
        (&[("CRASH_SCENARIOS", "x")], "scenarios need proxy"),
        (&[("CRASH_BUNDLES", "none/*")], "nothing is called none/*"),
        (
            &[("CRASH_TARGET", "proxy"), ("CRASH_HARNESS", "/none")],
            "there is no harness at /none",
        ),
    ];
    for (inputs, says) in cases {
        let output = Runner::new().attack(inputs);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            said.contains(&format!("::error::{says}")) || said.contains(says),
            "{said}"
        );
        assert!(!said.contains('<'), "{said}");
    }
}

#[test]
fn every_input_is_documented_and_handed_on() {
    let read = |name: &str| fs::read_to_string(action().join(name)).expect("a file");
    let (yaml, readme, script) = (read("action.yml"), read("README.md"), read("attack"));
    let inputs = yaml.split_once("\ninputs:\n").expect("inputs").1;
    let inputs = inputs.split_once("\noutputs:").expect("outputs").0;
    // Two blanks in front and a colon behind are an input's name.
    let names = inputs.lines().filter_map(|line| {
        let name = line.strip_prefix("  ")?.strip_suffix(':')?;
        (!name.starts_with(' ')).then_some(name)
    });
    let names: Vec<&str> = names.collect();
    assert!(names.len() >= 8, "{names:?}");
    for name in names {
        assert!(readme.contains(&format!("| `{name}` |")), "{name}");
        assert!(yaml.contains(&format!("inputs.{name} ")), "{name}");
    }
    for variable in yaml
        .lines()
        .filter_map(|line| line.trim().split_once(": ${{ inputs."))
    {
        let name = variable.0;
        assert!(
            !name.starts_with("CRASH_") || script.contains(name),
            "{name}"
        );
    }
}
