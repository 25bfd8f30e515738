//! What makes no sense is refused before anything starts, with the list of what exists.

use tests::scenario::Run;

use super::{HARNESS, scenario};

#[test]
fn faults_that_cannot_be_are_refused_with_what_exists() {
    let cases = [
        (
            "link = \"client-moon\"\ntoxic = \"latency\"",
            "link: there is no link \"client-moon\"; accepted: client-proxy, proxy-upstream",
        ),
        (
            "link = \"client-proxy\"\ntoxic = \"gremlin\"",
            "toxic: there is no toxic \"gremlin\"; accepted: latency, bandwidth, slow_close",
        ),
        (
            "link = \"client-proxy\"\ntoxic = \"latency\"\ntoxicity = 2",
            "toxicity: ",
        ),
        (
            "link = \"client-proxy\"\ntoxic = \"latency\"\nattributes = { latency = -1 }",
            "attributes: ",
        ),
        ("link = \"client-proxy\"\ntoxic = \"reorder\"", "toxic: "),
        (
            "process = \"upstream.3\"\naction = \"kill\"",
            "process: there is no \"upstream.3\"; accepted: upstream, proxy",
        ),
    ];
    for (fault, says) in cases {
        let text = scenario(&format!("[[fault]]\nat = \"1s\"\n{fault}\n"));
        let run = Run::of_text(HARNESS, &text, &[]);
        run.expect_code(2).expect_text(says);
        assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
        assert!(!run.file("events.jsonl").exists(), "something was started");
    }
}

#[test]
fn garbage_that_the_fuzz_client_refuses_is_refused() {
    for (fuzz, says) in [
        ("rate = \"soon\"", "rate: "),
        (
            "strategy = \"polite\"",
            "strategy: unknown value \"polite\"; accepted: ",
        ),
        ("mode = \"statsd\"", "mode: expected foo or tcp"),
        ("every = \"1s\"", "times: expected 2 or more"),
    ] {
        let text = scenario(&format!("[[fuzz]]\n{fuzz}\n"));
        let run = Run::of_text(HARNESS, &text, &[]);
        run.expect_code(2).expect_text(says);
    }
}

#[test]
fn a_time_is_for_what_is_watched() {
    let run = Run::of_text(HARNESS, &scenario(""), &["--duration", "1m"]);
    run.expect_code(2)
        .expect_text("--duration: scenario \"test\" has its own duration");
    let soak = ["run", "--suite", "soak", "--duration", "20s"];
    Run::of(HARNESS, &soak)
        .expect_code(2)
        .expect_text("--duration: expected 10s or more for each scenario");
}
