//! What is refused, and what is measured.

use tests::scenario::Run;

use super::{HARNESS, account, scenario};

#[test]
fn what_cannot_be_carried_out_is_refused_before_anything_starts() {
    let good = scenario(2, "", "1s", "");
    let cases = [
        (
            good.replace("rate = \"5k/s\"", "closed = true"),
            "rate: expected exactly one of rate",
        ),
        (good.replace("keys = \"200\"", "keys = \"many\""), "keys: "),
        (
            good.replace(
                "mode = \"statsd\"\n        rate",
                "mode = \"tcp\"\n        rate",
            ),
            "belongs to mode = \"statsd\" only",
        ),
        (
            good.replacen("mode = \"statsd\"", "mode = \"echo\"", 1),
            "mode: a proxy of mode \"statsd\"",
        ),
        (
            good.clone() + &account("gone = 0"),
            "account: unknown metric \"gone\"; accepted: sent",
        ),
        (
            good.clone()
                + "[[fault]]\nat = \"1s\"\nprocess = \"proxy\"\naction = \"drain\"\nbackend = \"upstream.0\"\n",
            "drain needs [proxy] mode = \"tcp\"",
        ),
        (
            good.clone()
                + "[[fault]]\nat = \"1s\"\nprocess = \"proxy\"\naction = \"reload\"\nnodes = [\"upstream.9\"]\n",
            "nodes: there is no \"upstream.9\"",
        ),
    ];
    for (scenario, says) in cases {
        let run = Run::of_text(HARNESS, &scenario, &[]);
        run.expect_code(2).expect_text(says);
        assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
    }
    let run = Run::of_text(HARNESS, &good, &["--proxy", "nginx"]);
    run.expect_code(2)
        .expect_text("nginx is no proxy of mode \"statsd\"");
    let run = Run::of(HARNESS, &["bench", "--mode", "statsd", "--pipeline", "4"]);
    run.expect_code(2).expect_text("nobody answers lines");
}

#[test]
fn proxies_for_statsd_are_benched_by_their_works() {
    let short = ["--rounds", "1", "--duration", "300ms", "--warmup", "100ms"];
    let works = ["--work", "single", "--work", "packed"];
    let args = [
        &[
            "bench",
            "--mode",
            "statsd",
            "--proxy",
            "builtin",
            "--lenient",
        ][..],
        &works,
        &short,
    ];
    let run = Run::of(HARNESS, &args.concat());
    // A busy machine may drop some: that is what is measured, and nothing else goes missing.
    run.expect_text("statsd-single")
        .expect_text("statsd-packed")
        .expect_text("lines/CPU s");
    let record = run.record();
    for scenario in record["scenarios"].as_array().expect("scenarios") {
        let figures = scenario["figures"].as_array().expect("figures");
        let ours = figures.iter().find(|row| row["subject"] == "builtin");
        let per_cpu = ours.and_then(|row| row["lines"]["per_cpu_s"].as_f64());
        assert!(per_cpu.is_some_and(|lines| lines > 0.0), "{per_cpu:?}");
    }
}

#[test]
fn the_highest_rate_without_a_line_missing_is_searched() {
    let args = [
        "bench",
        "--mode",
        "statsd",
        "--proxy",
        "builtin",
        "--find-capacity",
        "missing <= 0",
        "--rate",
        "1k/s",
        "--up-to",
        "4k/s",
        "--rounds",
        "1",
        "--duration",
        "300ms",
        "--warmup",
        "100ms",
        "--resolution",
        "50",
        "--nodes",
        "2",
        "--lenient",
    ];
    let run = Run::of(HARNESS, &args);
    run.expect_text("CAPACITY").expect_text("missing <= 0");
    let found = &run.record()["scenarios"][0]["capacity"];
    assert!(found[0]["points"][0]["value"].is_number(), "{found}");
}
