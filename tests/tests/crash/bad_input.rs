//! What is no finding, and what cannot be read.

use std::fs;

use crate::hunter::Hunt;

#[test]
fn a_target_that_is_dead_already_is_no_finding() {
    let hunt = Hunt::new();
    let nobody = tests::ReservedPort::take();
    let cases: [(&[&str], i32, &str); 9] = [
        (
            &["--target", "cmd:false {port}"],
            5,
            "ended with exit code 1 at its start, before any input",
        ),
        (
            &["--target", "cmd:sh -c 'kill -SEGV $$' {port}"],
            5,
            "died of SIGSEGV at its start",
        ),
        (
            &["--target", &format!("addr:{}", nobody.addr())],
            5,
            "nothing runs at",
        ),
        (
            &["--target", "upstream", "--defect", "accept-then-close"],
            5,
            "gives no valid answer before any garbage",
        ),
        (&["--target", "squid"], 2, "expected proxy, upstream"),
        (
            &["--target", "cmd:no-such-program {port}"],
            2,
            "not installed",
        ),
        (&["--target", "cmd:sleep 1"], 2, "no {listen} and no {port}"),
        (
            &["--target", "upstream", "--defect", "gout"],
            2,
            "unknown defect",
        ),
        (&["--target", "addr:192.0.2.1:80"], 2, "--allow-remote"),
    ];
    for (args, code, says) in cases {
        let said = hunt
            .run(&[&["crash", "--out", "out"], args].concat())
            .expect(code)
            .says(says);
        assert_eq!(
            said.stderr
                .lines()
                .filter(|line| line.starts_with("error"))
                .count(),
            1,
            "{said:?}"
        );
        assert!(!said.stdout.contains("found "), "{said:?}");
    }
}

#[test]
fn a_bundle_that_is_cut_or_edited_is_refused() {
    let hunt = Hunt::new();
    let found = hunt.find(&[
        "--target",
        "upstream",
        "--defect",
        "segfault-after-decode-errors=10",
    ]);
    let session = found.path.join("session.bin");
    let whole = fs::read(&session).expect("the session");
    fs::write(&session, &whole[..whole.len() - 1]).expect("a cut");
    for command in ["replay", "minimize"] {
        hunt.run(&[command, &found.relative])
            .expect(2)
            .says("session.bin: it has")
            .says("cut or edited");
    }
    hunt.run(&["corpus", "add", &found.relative])
        .expect(2)
        .says("cut or edited");
    fs::write(&session, &whole).expect("mended");
    let verdict = found.path.join("verdict.json");
    let text = fs::read_to_string(&verdict).expect("the verdict");
    fs::write(&verdict, text.replace("SIGSEGV", "SIGABRT")).expect("an edit");
    hunt.run(&["replay", &found.relative])
        .expect(2)
        .says("verdict.json");
    hunt.run(&["replay", "nowhere"])
        .expect(2)
        .says("there is no bundle at nowhere");
}

#[test]
fn a_finding_is_said_where_it_cannot_be_written() {
    let hunt = Hunt::new();
    // A file where the directory of bundles should be: as full as a disk can be.
    fs::create_dir(hunt.path("out")).expect("a directory");
    hunt.file("out/crashes", "");
    let args = [
        "crash",
        "--target",
        "upstream",
        "--defect",
        "segfault-after-decode-errors=10",
        "--out",
        "out",
    ];
    hunt.run(&args)
        .expect(4)
        .says("upstream died of SIGSEGV")
        .says("bundle     none: cannot write");
}
