//! The harness as a judge: planted defects are found and rightly named, broken proxies
//! are caught, and the exit code says so.

use tests::scenario::Run;

const HARNESS: &str = env!("CARGO_BIN_EXE_test-harness");
const PROXY: &str = env!("CARGO_BIN_EXE_test-proxy");

/// A scenario in which everybody should survive.
fn all_survive(defect: &str, more: &str) -> String {
    format!(
        r#"
        [[upstream]]
        defects = ["{defect}"]

        [[load]]
        rate = "1k/s"
        connections = 8
        pipeline = 4
        warmup = "0"
        duration = "2s"

        {more}

        [[expect]]
        upstream = "survives"

        [[expect]]
        proxy = "survives"
        "#
    )
}

#[test]
fn the_recorded_crash_kills_directly_and_through_a_plain_relay_but_not_through_the_shield() {
    let run = Run::of(
        HARNESS,
        &["run", "crash-direct", "crash-forward", "crash-shield"],
    );
    run.expect_code(0)
        .expect_text("died (SIGSEGV)")
        .expect_text("2,000 decode errors")
        .expect_text("answered during the attack");
    for file in ["run.json", "events.jsonl", "report.txt"] {
        assert!(run.file(file).exists(), "{file}");
    }
}

#[test]
fn a_proxy_without_a_shield_where_one_is_expected_is_exit_code_4() {
    let proxy =
        format!("cmd:{PROXY} foo --on-malformed forward --listen {{listen}} --forward {{forward}}");
    let run = Run::of(HARNESS, &["run", "crash-shield", "--proxy", &proxy]);
    run.expect_code(4).expect_text("died (SIGSEGV)");
}

#[test]
fn a_server_that_hangs_is_named() {
    Run::of(HARNESS, &["run", "hang"])
        .expect_code(0)
        .expect_text("hung");
    let run = Run::of_text(HARNESS, &all_survive("hang-after=500", ""), &[]);
    run.expect_code(4).expect_text("hung");
}

#[test]
fn a_server_that_freezes_is_named() {
    Run::of(HARNESS, &["run", "freeze"])
        .expect_code(0)
        .expect_text("froze");
}

#[test]
fn a_slow_server_is_named() {
    Run::of(HARNESS, &["run", "slow"])
        .expect_code(0)
        .expect_text("slow");
}

#[test]
fn a_server_that_answers_wrongly_is_named() {
    Run::of(HARNESS, &["run", "wrong-reply"])
        .expect_code(0)
        .expect_text("wrong");
    for (kind, named) in [
        ("corrupted", "corrupted"),
        ("duplicated", "duplicated"),
        ("dropped", "lost"),
        ("swapped", "reordered"),
    ] {
        let defect = format!("wrong-reply={kind}:1/50");
        let expect = "[[expect]]\nload = \"failed = 0\"";
        // In full pipelines there is always a next answer to swap one with.
        let scenario = all_survive(&defect, expect).replace("rate = \"1k/s\"", "closed = true");
        let run = Run::of_text(HARNESS, &scenario, &[]);
        assert!(
            run.code == 1 || run.code == 4,
            "{kind}: exit {}\n{}",
            run.code,
            run.stdout
        );
        assert!(
            run.failed(named) > 0,
            "{kind} is not called {named}:\n{}",
            run.stdout
        );
    }
}

#[test]
fn a_server_that_dies_is_named_with_its_last_words() {
    let fuzz = "[[fuzz]]\nduration = \"1s\"\nuntil_crash = true\ntarget = \"upstream\"";
    let run = Run::of_text(
        HARNESS,
        &all_survive("segfault-after-decode-errors=100", fuzz),
        &[],
    );
    run.expect_code(4)
        .expect_text("SIGSEGV")
        .expect_text("Decode error");
    let run = Run::of_text(HARNESS, &all_survive("panic-on-invalid-utf8", fuzz), &[]);
    run.expect_code(4).expect_text("101");
}

#[test]
fn an_expectation_from_the_command_line_can_fail() {
    let bench = [
        "bench",
        "--rate",
        "500",
        "--duration",
        "500ms",
        "--rounds",
        "1",
        "--lenient",
    ];
    Run::of(HARNESS, &[&bench[..], &["--expect", "p50<1h"]].concat()).expect_code(0);
    let run = Run::of(
        HARNESS,
        &[
            &bench[..],
            &["--expect", "failed>0", "--expect", "failed=0"],
        ]
        .concat(),
    );
    run.expect_code(1).expect_text("failed > 0");
}

#[test]
fn peers_can_be_put_in_the_proxys_place() {
    for peer in ["nginx", "haproxy"] {
        if !tests::is_installed(peer) {
            continue;
        }
        let args = [
            "bench",
            "--proxy",
            "builtin",
            "--proxy",
            peer,
            "--closed",
            "--connections",
            "4",
        ];
        let more = ["--duration", "500ms", "--rounds", "1", "--lenient"];
        let run = Run::of(HARNESS, &[&args[..], &more].concat());
        run.expect_code(0).expect_text(peer).expect_text("direct");
    }
}
