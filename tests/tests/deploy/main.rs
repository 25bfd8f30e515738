//! The manifests of Kubernetes: sound by its schemas, and what they run does what it should
//! where a pod's variables say which shard it is. No cluster is needed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tests::Program;
use tests::scenario::read_json;

const HARNESS: &str = env!("CARGO_BIN_EXE_test-harness");

/// Each manifest's file and the arguments of its container, or why it is not sound; none
/// where there is nothing to check it with.
fn checked(manifests: &[PathBuf]) -> Option<Result<BTreeMap<String, Vec<String>>, String>> {
    let python = std::env::var("HARNESS_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let has = Command::new(&python)
        .args(["-c", "import kubernetes_validate, yaml"])
        .output();
    if !has.is_ok_and(|output| output.status.success()) {
        assert!(
            std::env::var_os("CI").is_none(),
            "{python} has no kubernetes-validate, which CI must have"
        );
        eprintln!("SKIPPED: {python} has no kubernetes-validate (pip install kubernetes-validate)");
        return None;
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/deploy/manifests.py");
    let output = Command::new(python).arg(script).args(manifests).output();
    let output = output.expect("python");
    Some(if output.status.success() {
        Ok(serde_json::from_slice(&output.stdout).expect("arguments"))
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    })
}

fn manifests() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/kubernetes");
    let names = ["load.yaml", "merge.yaml", "volume.yaml"];
    names.map(|name| directory.join(name)).into()
}

/// The arguments of a container, with a directory of the test's for its volume, and these in
/// place of those that begin alike.
fn here(args: &[String], results: &Path, others: &[String]) -> Vec<String> {
    let results = results.to_str().expect("UTF-8");
    let flag = |arg: &str| arg.split('=').next().unwrap_or_default().to_owned();
    let of_ours = |arg: &String| others.iter().find(|other| flag(other) == flag(arg));
    let args = args.iter().map(|arg| of_ours(arg).unwrap_or(arg));
    args.map(|arg| arg.replace("/results", results)).collect()
}

fn describe(output: &Output) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    format!(
        "{}\n{}\n{}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    )
}

#[test]
fn what_the_pods_run_makes_shards_that_can_be_merged() {
    let Some(args) = checked(&manifests()) else {
        return;
    };
    let args = args.unwrap_or_else(|why| panic!("{why}"));
    let server = Program::start(HARNESS, &["upstream", "foo", "--listen", "127.0.0.1:0"]);
    let directory = tempfile::tempdir().expect("a directory");
    // A load that no busy machine makes invalid.
    let connect = format!("--connect={}", server.socket("listen"));
    let others = [&connect, "--rate=max", "--duration=1s"].map(str::to_owned);
    let mut load = here(&args["load.yaml"], directory.path(), &others);
    load.push("--start-within=10s".to_owned());
    let pods: Vec<_> = (0..4)
        .map(|index| {
            let mut pod = Command::new(HARNESS);
            pod.args(&load)
                // All that a pod without a service account and service links has.
                .env_clear()
                .env("JOB_COMPLETION_INDEX", index.to_string());
            Program::spawn(pod, None)
        })
        .collect();
    for mut pod in pods {
        assert_eq!(pod.wait().code(), Some(0), "{}", pod.describe());
    }
    let results = directory.path().join("1");
    let shard = read_json(&results.join("shard-3-of-4.json"));
    assert_eq!(shard["shard"]["told_by"], "JOB_COMPLETION_INDEX");

    // Whether the target is fast enough is not for this test to say.
    let others = ["--expect=failed = 0".to_owned()];
    let merge = here(&args["merge.yaml"], directory.path(), &others);
    let output = Command::new(HARNESS).args(merge).env_clear().output();
    let output = output.expect("the harness");
    assert_eq!(output.status.code(), Some(0), "{}", describe(&output));
    let run = read_json(&results.join("run.json"));
    let record = &run["scenarios"][0]["blocks"][0]["loads"][0]["record"];
    assert_eq!(record["shards"].as_array().map(Vec::len), Some(4));
}

#[test]
fn a_manifest_that_kubernetes_would_not_take_is_found() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("load.yaml");
    let sound = fs::read_to_string(&manifests()[0]).expect("the manifest");
    let breaks = [
        (
            "backoffLimit: 0",
            "backoffLimit: none",
            "'none' is not of type",
        ),
        ("completionMode:", "completionMod:", "completionMod"),
        (
            "restartPolicy: Never",
            "restartPolicy: [Never]",
            "is not of type",
        ),
    ];
    for (from, to, says) in breaks {
        let broken = sound.replace(from, to);
        assert_ne!(broken, sound, "{from}");
        fs::write(&path, broken).expect("a file");
        let Some(args) = checked(std::slice::from_ref(&path)) else {
            return;
        };
        let why = args.expect_err(to);
        assert!(why.contains(says), "{to}: {why}");
    }
}
