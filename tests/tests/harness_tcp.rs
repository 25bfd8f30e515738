//! The harness on balancers: several servers, faults on a timeline, and what the proxy made
//! of them. Short forms of the built-in scenarios, and proxies that fail them.

use tests::scenario::Run;

const HARNESS: &str = env!("CARGO_BIN_EXE_test-harness");
const RELAY: &str = env!("CARGO_BIN_EXE_test-planted-relay");

/// Servers, and a load of new connections for so long.
fn scenario(servers: usize, duration: &str, more: &str) -> String {
    let servers = "[[upstream]]\nmode = \"echo\"\n".repeat(servers);
    format!(
        r#"
        {servers}
        [proxy]
        mode = "tcp"
        ARGS
        [[load]]
        mode = "tcp"
        rate = "500/s"
        connections = 8
        requests_per_connection = 1
        warmup = "0"
        duration = "{duration}"

        {more}
        "#
    )
}

/// The same for our own proxy, with health checks that take notice soon.
fn ours(servers: usize, duration: &str, more: &str) -> String {
    let args =
        r#"args = ["--health-interval", "100ms", "--health-rise", "1", "--eject-time", "200ms"]"#;
    scenario(servers, duration, more).replace("ARGS", args)
}

/// The same for any proxy.
fn any(servers: usize, duration: &str, more: &str) -> String {
    scenario(servers, duration, more).replace("ARGS", "")
}

const KILLED: &str = r#"
    [[fault]]
    at = "500ms"
    for = "500ms"
    process = "upstream.1"
    action = "kill"

    [[expect]]
    load = "failed <= 20"

    [[expect]]
    load = "failed = 0"
    phase = "after"

    [[expect]]
    load = "wrong = 0"

    [[expect]]
    backend = "upstream.1"
    ejected = "< 10s"

    [[expect]]
    backend = "upstream.1"
    readmitted = "< 10s"
"#;

#[test]
fn one_of_three_servers_is_killed_and_comes_back() {
    let run = Run::of_text(HARNESS, &ours(3, "2500ms", KILLED), &[]);
    run.expect_code(0)
        .expect_text("upstream.1 ejected within 10s")
        .expect_text("every fault was done")
        .expect_text("kill upstream.1");
    let record = run.record();
    let block = &record["scenarios"][0]["blocks"][0];
    assert_eq!(block["more_upstreams"].as_array().map(Vec::len), Some(2));
    let fault = &block["faults"][0];
    let [began, ended] = ["began_mono_ns", "ended_mono_ns"].map(|key| fault[key].as_u64());
    assert!(began < ended, "{fault}");
    let page = std::fs::read_to_string(run.file("report.html")).unwrap();
    assert!(page.contains("band fault"), "no band for the fault");
    let junit = std::fs::read_to_string(run.file("junit.xml")).unwrap();
    assert!(junit.contains("<system-out>"), "{junit}");
}

#[test]
fn a_proxy_that_does_not_go_elsewhere_fails_for_it() {
    let relay = format!("cmd:{RELAY} --listen {{listen}} --forward {{forward}}");
    let killed = r#"
        [[fault]]
        at = "300ms"
        for = "600ms"
        process = "upstream.0"
        action = "kill"

        [[expect]]
        load = "failed = 0"
        phase = "during"
    "#;
    let run = Run::of_text(HARNESS, &any(2, "1500ms", killed), &["--proxy", &relay]);
    run.expect_code(1)
        .expect_text("1 faults were done")
        .expect_text("FAIL  test  failed = 0 during the faults");
}

#[test]
fn a_proxy_that_tells_nothing_of_its_backends_cannot_be_judged_by_that() {
    let relay = format!("cmd:{RELAY} --listen {{listen}} --forward {{forward}}");
    let killed = r#"
        [[fault]]
        at = "300ms"
        for = "300ms"
        process = "upstream.1"
        action = "kill"

        [[expect]]
        backend = "upstream.1"
        ejected = "< 1s"
    "#;
    let run = Run::of_text(HARNESS, &any(2, "1s", killed), &["--proxy", &relay]);
    run.expect_code(3).expect_text("does not tell");
}

#[test]
fn drain_reload_and_upgrade_break_no_connection() {
    let orders = r#"
        [[fault]]
        at = "300ms"
        for = "300ms"
        process = "proxy"
        action = "drain"
        backend = "upstream.0"

        [[fault]]
        at = "900ms"
        process = "proxy"
        action = "reload"

        [[fault]]
        at = "1200ms"
        every = "600ms"
        times = 2
        process = "proxy"
        action = "upgrade"

        [[expect]]
        load = "failed = 0"

        [[expect]]
        load = "failed_connections = 0"

        [[expect]]
        backend = "upstream.0"
        ejected = "< 10s"

        [[expect]]
        proxy = "survives"
    "#;
    let run = Run::of_text(HARNESS, &ours(2, "3s", orders), &[]);
    run.expect_code(0).expect_text("4 faults were done");
    let events = std::fs::read_to_string(run.file("events.jsonl")).unwrap();
    let started = events
        .lines()
        .filter(|line| line.contains("\"child_started\"") && line.contains("\"proxy\""));
    assert_eq!(started.count(), 3, "the first and two successors");
}

#[test]
fn a_proxy_that_dies_of_its_upgrade_did_not_survive() {
    let relay = format!("cmd:{RELAY} --listen {{listen}} --forward {{forward}}");
    let upgrade = r#"
        [[fault]]
        at = "300ms"
        process = "proxy"
        action = "upgrade"
    "#;
    let run = Run::of_text(HARNESS, &any(1, "1s", upgrade), &["--proxy", &relay]);
    run.expect_code(4)
        .expect_text("died (SIGUSR2)")
        .expect_text("was to start its successor and ended");
}

#[test]
fn a_frozen_proxy_thaws_and_is_not_blamed() {
    let frozen = r#"
        [[fault]]
        at = "300ms"
        for = "400ms"
        process = "proxy"
        action = "freeze"

        [[expect]]
        load = "max > 100ms"
        phase = "during"

        [[expect]]
        load = "failed = 0"

        [[expect]]
        proxy = "survives"
    "#;
    Run::of_text(HARNESS, &ours(1, "1500ms", frozen), &[]).expect_code(0);
}

#[test]
fn descriptors_are_limited_for_the_proxy_alone() {
    let scenario = ours(1, "1s", "[[expect]]\nproxy = \"survives\"")
        .replace(
            "mode = \"tcp\"\n        args",
            "mode = \"tcp\"\n        descriptors = 48\n        args",
        )
        .replace(
            "rate = \"500/s\"\n        connections = 8\n        requests_per_connection = 1",
            "closed = true\n        drain = \"300ms\"\n        connections = 100",
        );
    let run = Run::of_text(HARNESS, &scenario, &["--lenient"]);
    run.expect_code(0);
    let record = run.record();
    let block = &record["scenarios"][0]["blocks"][0];
    let most = |who: &str| {
        let samples = block[who]["samples"].as_array().expect("samples");
        let open = samples
            .iter()
            .filter_map(|sample| sample["descriptors"].as_u64());
        open.max().expect("a look at it")
    };
    // What was passed on to it may have a number beyond the limit.
    assert!(most("proxy") <= 56, "{}", most("proxy"));
}

#[test]
fn what_cannot_be_carried_out_is_refused_before_anything_starts() {
    let fault = |rest: &str| format!("[[fault]]\nat = \"1s\"\n{rest}");
    let cases = [
        (
            any(
                2,
                "1s",
                &fault("process = \"upstream.2\"\naction = \"kill\""),
            ),
            "accepted: upstream.0, upstream.1, proxy",
        ),
        (
            any(2, "1s", &fault("process = \"proxy\"\naction = \"drain\"")),
            "drain needs one, such as",
        ),
        (
            any(
                2,
                "1s",
                &fault("process = \"upstream.0\"\naction = \"upgrade\""),
            ),
            "only \"proxy\" can upgrade",
        ),
        (
            any(
                2,
                "1s",
                "[[expect]]\nbackend = \"upstream.7\"\nejected = \"< 1s\"",
            ),
            "there is no upstream \"upstream.7\"",
        ),
        (
            any(2, "1s", "").replace("connections = 8", "payload = \"lots\""),
            "payload: ",
        ),
    ];
    for (scenario, says) in cases {
        let run = Run::of_text(HARNESS, &scenario, &[]);
        run.expect_code(2).expect_text(says);
        assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
    }
    let upgrade = fault("process = \"proxy\"\naction = \"upgrade\"");
    let run = Run::of_text(HARNESS, &any(1, "1s", &upgrade), &["--proxy", "direct"]);
    run.expect_code(2)
        .expect_text("cannot be done where direct is under test");
}

#[test]
fn balancers_are_benched_by_their_works() {
    let short = ["--rounds", "1", "--duration", "300ms", "--warmup", "100ms"];
    let works = ["--work", "64x1", "--work", "churn", "--work", "bulk-8"];
    let args = [
        &["bench", "--mode", "tcp", "--proxy", "builtin", "--lenient"][..],
        &works,
        &short,
    ];
    let run = Run::of(HARNESS, &args.concat());
    run.expect_code(0);
    for part in [
        "tcp-64x1",
        "tcp-churn",
        "tcp-bulk-8",
        "throughput",
        "per CPU second",
    ] {
        run.expect_text(part);
    }
    let record = run.record();
    let figures = record["scenarios"][2]["figures"]
        .as_array()
        .expect("figures");
    let ours = figures.iter().find(|row| row["subject"] == "builtin");
    let per_cpu = ours.and_then(|row| row["gbit_per_cpu_s"].as_f64());
    assert!(per_cpu.is_some_and(|gbit| gbit > 0.0), "{per_cpu:?}");
}
