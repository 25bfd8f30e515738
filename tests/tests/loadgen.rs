//! The load client over real processes: its record, its histograms as others read them,
//! and the check that the original client did.

use std::process::Command;

use assert_cmd::assert::OutputAssertExt;
use tests::scenario::read_json;
use tests::{Program, ReservedPort};

const LOADGEN: &str = env!("CARGO_BIN_EXE_test-loadgen");
const HARNESS: &str = env!("CARGO_BIN_EXE_test-harness");

fn upstream(defects: &[&str]) -> Program {
    let mut args = vec!["upstream", "foo", "--listen", "127.0.0.1:0"];
    args.extend(defects.iter().flat_map(|defect| ["--defect", defect]));
    Program::start(HARNESS, &args)
}

/// The load client against this server; the options have no spaces within.
fn load(upstream: &Program, options: &str) -> Command {
    let mut command = Command::new(LOADGEN);
    command.args(["foo", "--connect", &upstream.socket("listen"), "--quiet"]);
    command.args(options.split_whitespace());
    command
}

/// The interpreter that has PyPI's `hdrhistogram`, if there is one.
fn python() -> Option<String> {
    let python = std::env::var("HARNESS_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let found = Command::new(&python)
        .args(["-c", "import hdrh.histogram"])
        .output();
    if found.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "{python} has no hdrhistogram, which CI must have"
    );
    eprintln!("SKIPPED: {python} has no hdrhistogram (pip install hdrhistogram)");
    None
}

#[test]
fn the_record_holds_what_others_rely_on() {
    let upstream = upstream(&[]);
    let directory = tempfile::tempdir().expect("a directory");
    let json = directory.path().join("load.json");
    let options = "--rate 2k/s --duration 1s --warmup 0 --verify digest --json";
    let output = load(&upstream, options)
        .arg(&json)
        .output()
        .expect("the load client");
    // Valid or not is the machine's business here; nothing may have failed.
    assert!(matches!(output.status.code(), Some(0 | 3)), "{output:?}");
    let record = read_json(&json);
    for key in [
        "schema_version",
        "valid",
        "invalid_reasons",
        "target_rate",
        "achieved_rate",
    ] {
        assert!(!record[key].is_null(), "{key}: {record}");
    }
    for time in ["response", "service", "send_lag", "connect"] {
        let percentiles = record["latency_us"][time].as_object().expect(time);
        for key in ["p50", "p90", "p99", "p99_9", "max", "mean"] {
            assert!(percentiles.contains_key(key), "{time}.{key}: {record}");
        }
    }
    let counts = &record["counts"];
    let count = |key: &str| {
        counts[key]
            .as_u64()
            .unwrap_or_else(|| panic!("{key}: {record}"))
    };
    let failed: u64 = counts["failed"]
        .as_object()
        .expect("kinds")
        .values()
        .filter_map(serde_json::Value::as_u64)
        .sum();
    assert_eq!(count("sent"), 2000);
    assert_eq!(
        count("sent"),
        count("acked") + count("naked") + failed + count("unanswered")
    );
    assert_eq!((failed, count("unanswered")), (0, 0));
    let refused = count("naked") as f64 / count("sent") as f64;
    assert!(
        (0.08..0.16).contains(&refused),
        "about 12 % are refused, not {refused}"
    );
}

#[test]
fn another_implementation_reads_the_histograms_and_the_log() {
    let Some(python) = python() else { return };
    let upstream = upstream(&[]);
    let directory = tempfile::tempdir().expect("a directory");
    let (json, hlog) = (
        directory.path().join("load.json"),
        directory.path().join("load.hlog"),
    );
    let options = "--rate 2k/s --duration 1s --warmup 200ms --interval 250ms --json";
    let status = load(&upstream, options)
        .arg(&json)
        .arg("--hlog")
        .arg(&hlog)
        .status()
        .expect("the load client");
    assert!(matches!(status.code(), Some(0 | 3)), "{status}");
    let script = r#"
import json, sys
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader
record = json.load(open(sys.argv[1]))
LOWEST, HIGHEST, DIGITS = 1, 3_600_000_000_000, 3
for name, payload in record["histograms"].items():
    read = HdrHistogram.decode(payload)
    ours = record["latency_us"][name]
    assert read.get_total_count() == ours["count"], (name, read.get_total_count(), ours)
    # Below a thousand samples the two round the rank of a percentile differently.
    keys = [("p50", 50), ("p90", 90), ("p99", 99)] if ours["count"] >= 1000 else []
    for key, percentile in keys + [("max", 100)]:
        if ours[key] is not None:
            theirs = read.get_value_at_percentile(percentile) / 1000
            assert abs(theirs - ours[key]) <= 0.002 * ours[key] + 0.002, (name, key, theirs, ours)
total = sum(HdrHistogram.decode(i["response"]).get_total_count()
            for i in record["intervals"] if not i["warmup"])
assert total == record["latency_us"]["response"]["count"], total
sums = HdrHistogram(LOWEST, HIGHEST, DIGITS)
reader = HistogramLogReader(sys.argv[2], sums)
while reader.get_next_interval_histogram() is not None:
    pass
logged = HdrHistogram(LOWEST, HIGHEST, DIGITS)
reader = HistogramLogReader(sys.argv[2], logged)
count = 0
while (interval := reader.get_next_interval_histogram()) is not None:
    count += interval.get_total_count()
assert count == record["latency_us"]["response"]["count"], (count, record["latency_us"]["response"])
print("agreed")
"#;
    let output = Command::new(python)
        .arg("-c")
        .arg(script)
        .arg(&json)
        .arg(&hlog)
        .output()
        .expect("python");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        said.contains("agreed"),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn the_check_prints_what_the_original_client_printed() {
    let good = upstream(&[]);
    let check = |addr: &str| {
        let mut command = Command::new(LOADGEN);
        command.args(["check", &format!("-connect={addr}")]);
        command
    };
    check(&good.socket("listen"))
        .assert()
        .success()
        .stdout("..........OK!\n");
    let wrong = upstream(&["wrong-reply=corrupted:1/10"]);
    let mut strict = check(&wrong.socket("listen"));
    let output = strict
        .args(["--verify", "digest"])
        .assert()
        .code(1)
        .get_output()
        .clone();
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("FAILED!"),
        "{output:?}"
    );
    let nobody = ReservedPort::take();
    let output = check(nobody.addr()).assert().code(1).get_output().clone();
    let said = [output.stdout, output.stderr].concat();
    assert!(
        String::from_utf8_lossy(&said).contains("refused"),
        "{}",
        String::from_utf8_lossy(&said)
    );
}
