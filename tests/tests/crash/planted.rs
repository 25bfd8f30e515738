//! Every planted defect is found, rightly named, and the right process is blamed.

use tests::scenario::read_json;

use crate::hunter::{Found, Hunt};

/// Finds a defect of the reference server.
fn planted(hunt: &Hunt, defect: &str, more: &[&str]) -> Found {
    let args = ["--target", "upstream", "--defect", defect];
    hunt.find(&[&args[..], more].concat())
}

/// The same behind our proxy, which passes everything on.
fn behind_the_proxy(hunt: &Hunt, defect: &str) -> Found {
    let args = [
        "--target",
        "proxy",
        "--on-malformed",
        "forward",
        "--defect",
        defect,
    ];
    hunt.find(&args)
}

fn minimised(hunt: &Hunt, found: &Found) -> Vec<u8> {
    hunt.run(&["minimize", &found.relative])
        .expect(0)
        .says("nothing more can be left out");
    found.smallest()
}

#[test]
fn the_recorded_crash_behind_the_proxy_becomes_so_many_empty_lines() {
    let hunt = Hunt::new();
    let found = behind_the_proxy(&hunt, "segfault-after-decode-errors=40");
    found.is("died-sigsegv-", "upstream");
    assert_eq!(minimised(&hunt, &found), [b'\n'; 40]);
    hunt.run(&["replay", &found.relative])
        .expect(4)
        .says("5 of 5 times");
    hunt.run(&["corpus", "add", &found.relative])
        .expect(0)
        .says("40 bytes");
    let corpus: Vec<_> = std::fs::read_dir(hunt.path("corpus"))
        .expect("a corpus")
        .collect();
    assert_eq!(corpus.len(), 1);
    // What is known is found again, and said to be known.
    let again = [
        "crash",
        "--target",
        "proxy",
        "--on-malformed",
        "forward",
        "--defect",
        "segfault-after-decode-errors=40",
        "--corpus",
        "corpus",
        "--out",
        "out",
    ];
    hunt.run(&again).expect(4).says("known as   out/crashes/");
    // Behind the shield the upstream survives.
    let sound = "harness proxy foo --listen {listen} --forward {forward}";
    let verdict = found.verdict();
    assert_eq!(verdict["finding"]["who"], "upstream");
    hunt.run(&[
        "crash",
        "--target",
        &format!("cmd:{sound}"),
        "--defect",
        "segfault-after-decode-errors=40",
        "--duration",
        "3s",
        "--out",
        "sound",
    ])
    .expect(0)
    .says("found      nothing");
}

#[test]
fn crashes_are_found_with_any_seed() {
    for seed in ["1", "2", "3"] {
        for (defect, name) in [
            ("segfault-after-decode-errors=1000", "died-sigsegv-"),
            ("abort-on-long-line=3000", "died-sigabrt-"),
            ("panic-on-invalid-utf8", "died-exit-101-"),
            ("exit-after=100", "died-exit-1-"),
        ] {
            for target in ["upstream", "proxy --on-malformed forward"] {
                let hunt = Hunt::new();
                let found = hunt.find_with(seed, &["--target", target, "--defect", defect]);
                found.is(name, "upstream");
                let record = read_json(&hunt.path("out/crash.json"));
                assert_eq!(record["exit_code"], 4, "{record}");
                assert_eq!(
                    record["findings"][0]["key"],
                    found.name.as_str(),
                    "{record}"
                );
                let junit = std::fs::read_to_string(hunt.path("out/junit.xml"));
                let junit = junit.expect("what a CI server reads");
                assert!(junit.contains("failures=\"1\""), "{junit}");
            }
        }
    }
}

#[test]
fn a_line_that_is_too_long_becomes_just_too_long() {
    let hunt = Hunt::new();
    let found = planted(&hunt, "abort-on-long-line=3000", &[]);
    found.is("died-sigabrt-", "upstream");
    assert_eq!(minimised(&hunt, &found), [b'x'; 3000]);
}

#[test]
fn a_line_that_is_no_text_becomes_one_byte() {
    let hunt = Hunt::new();
    let found = planted(&hunt, "panic-on-invalid-utf8", &[]);
    found.is("died-exit-101-", "upstream");
    let smallest = minimised(&hunt, &found);
    assert!(smallest.len() <= 2 && smallest[0] >= 0x80, "{smallest:?}");
}

#[test]
fn a_count_of_connections_is_one() {
    let hunt = Hunt::new();
    planted(&hunt, "exit-after=25", &[]).is("died-exit-1-", "upstream");
}

#[test]
fn a_server_that_hangs_is_no_crash() {
    let hunt = Hunt::new();
    planted(&hunt, "hang-after=400", &["--hang-after", "300ms"]).is("hung-", "upstream");
}

#[test]
fn a_server_that_accepts_no_more_refuses() {
    let hunt = Hunt::new();
    planted(&hunt, "stop-accepting=40", &["--hang-after", "300ms"]).is("refuses-", "upstream");
}

#[test]
fn answers_that_are_wrong_are_the_upstreams_also_behind_the_proxy() {
    let hunt = Hunt::new();
    behind_the_proxy(&hunt, "wrong-reply=1/20").is("wrong-", "upstream");
}

#[test]
fn a_server_that_is_slow_is_slow_without_load() {
    let hunt = Hunt::new();
    planted(&hunt, "slow=200ms", &[]).is("slow-", "upstream");
}

#[test]
fn descriptors_that_are_kept_are_a_leak() {
    let hunt = Hunt::new();
    planted(&hunt, "leak-descriptors", &["--strategy", "churn"])
        .is("leaked-descriptors-", "upstream");
}

#[test]
fn memory_that_is_kept_is_a_leak() {
    let hunt = Hunt::new();
    planted(&hunt, "leak-memory=4KiB", &["--strategy", "mutate"]).is("leaked-memory-", "upstream");
}
