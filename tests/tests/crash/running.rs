//! Something that runs already, and a bundle in the hands of somebody who has only `nc`.

use std::process::Command;

use tests::Program;

use crate::hunter::{HARNESS, Hunt};

const DEFECT: &str = "segfault-after-decode-errors=200";

fn server(defects: &[&str]) -> Program {
    let args = ["upstream", "foo", "--listen", "127.0.0.1:0"];
    Program::start(HARNESS, &[&args[..], defects].concat())
}

#[test]
fn what_runs_already_is_watched_by_its_process_and_replayed_with_a_command() {
    let hunt = Hunt::new();
    let server = server(&["--defect", DEFECT]);
    let target = format!("addr:{}", server.socket("listen"));
    let pid = server.pid().to_string();
    let found = hunt.find(&["--target", &target, "--pid", &pid]);
    let verdict = found.verdict();
    assert_eq!(verdict["finding"]["what"]["died"], "unknown", "{verdict}");
    hunt.run(&["replay", &found.relative])
        .expect(5)
        .says("it holds no command");
    let defective = format!("harness upstream foo --listen {{listen}} --defect {DEFECT}");
    let sound = "harness upstream foo --listen {listen}";
    let replay = |command: &str| {
        let args = ["replay", &found.relative, "-n", "2", "--command", command];
        hunt.run(&args)
    };
    replay(&defective).expect(4).says("2 of 2 times");
    replay(sound).expect(0).says("survived");
    // Minimised with a command, the bundle knows it, and can be replayed without.
    let minimize = |command: &str| {
        let args = ["minimize", &found.relative, "--command", command];
        hunt.run(&args)
    };
    minimize(sound).expect(3).says("does not reproduce");
    minimize(&defective).expect(0).says("to 200 bytes");
    hunt.run(&["replay", &found.relative, "-n", "2"])
        .expect(4)
        .says("2 of 2 times");
}

#[test]
fn without_a_process_it_is_known_that_it_refuses() {
    let hunt = Hunt::new();
    let server = server(&["--defect", DEFECT]);
    let target = format!("addr:{}", server.socket("listen"));
    let found = hunt.find(&["--target", &target]);
    assert_eq!(found.verdict()["finding"]["what"], "refuses");
}

#[test]
fn the_script_of_a_bundle_needs_only_nc() {
    if !tests::is_installed("nc") {
        return;
    }
    let hunt = Hunt::new();
    let found = hunt.find(&["--target", "upstream", "--defect", DEFECT]);
    let script = found.path.join("repro.sh");
    let send = |server: &Program| {
        let listen = server.socket("listen");
        let (host, port) = listen.rsplit_once(':').expect("HOST:PORT");
        let output = Command::new("sh")
            .arg(&script)
            .args([host, port])
            .output()
            .expect("a shell");
        (output.status.code(), output)
    };
    // As it was found, and as small as it can be.
    for _ in 0..2 {
        let (code, output) = send(&server(&[]));
        assert_eq!(code, Some(0), "{output:?}");
        let mut victim = server(&["--defect", DEFECT]);
        let (code, output) = send(&victim);
        assert_eq!(code, Some(4), "{output:?}");
        assert!(!victim.wait().success());
        hunt.run(&["minimize", &found.relative]).expect(0);
    }
}
