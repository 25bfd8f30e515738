//! Other modes than Foo: statsd in datagrams and over connections, and plain TCP.

use std::process::{Command, Stdio};

use tests::eventually;

use crate::hunter::Hunt;

/// Takes metrics in datagrams, and dies of a value that is no number.
const SINK: &str = r#"
import socket, sys
host, port = sys.argv[1].rsplit(":", 1)
sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sink.bind((host, int(port)))
print(sink.getsockname()[1], flush=True)
while True:
    for line in sink.recv(65536).split(b"\n"):
        if b":" in line and b"|" in line:
            float(line.split(b":", 1)[1].split(b"|")[0])
"#;

#[test]
fn our_proxies_stand_up_to_garbage_of_every_mode() {
    let hunt = Hunt::new();
    for (mode, transport) in [("statsd", "udp"), ("statsd", "tcp"), ("tcp", "tcp")] {
        for target in ["proxy", "upstream"] {
            let way = if mode == "statsd" {
                vec!["--transport", transport]
            } else {
                Vec::new()
            };
            let args = [
                "crash",
                "--target",
                target,
                "--mode",
                mode,
                "--duration",
                "2s",
                "--seed",
                "1",
                "--out",
                "out",
            ];
            hunt.run(&[&args[..], &way].concat())
                .expect(0)
                .says("found      nothing");
        }
    }
}

#[test]
fn a_sink_that_closes_its_ports_is_blamed_also_behind_the_proxy() {
    let hunt = Hunt::new();
    let args = ["--target", "proxy", "--mode", "statsd"];
    let found = hunt.find(&[&args[..], &["--defect", "flap=1s/2s", "--repeat", "0"]].concat());
    let finding = found.verdict()["finding"].clone();
    assert_eq!(finding["who"], "upstream", "{finding}");
    assert_eq!(finding["what"], "refuses", "{finding}");
}

#[test]
fn a_relay_of_tcp_with_a_defect_behind_it_is_not_to_blame() {
    let hunt = Hunt::new();
    let args = ["--target", "proxy", "--mode", "tcp"];
    let defect = ["--defect", "segfault-after-bytes=3MB", "--repeat", "3"];
    hunt.find(&[&args[..], &defect].concat())
        .is("died-sigsegv-", "upstream");
}

#[test]
fn a_sink_in_python_is_caught_replayed_and_minimised() {
    if !tests::is_installed("python3") || !tests::is_installed("nc") {
        return;
    }
    let hunt = Hunt::new();
    hunt.file("sink.py", SINK);
    let target = "cmd:python3 sink.py {listen}";
    let found = hunt.find(&["--target", target, "--mode", "statsd"]);
    found.is("died-exit-1-", "command");
    hunt.run(&["minimize", &found.relative])
        .expect(0)
        .says("nothing more can be left out");
    assert_eq!(found.smallest(), b":|");
    // The script knows datagrams as well.
    let mut sink = Command::new("python3")
        .args(["sink.py", "127.0.0.1:0"])
        .current_dir(hunt.path("."))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("python3");
    let mut port = String::new();
    let stdout = sink.stdout.take().expect("it is piped");
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut port).expect("a port");
    let script = found.path.join("repro.sh");
    let output = Command::new("sh")
        .arg(script)
        .args(["127.0.0.1", port.trim()])
        .output()
        .expect("a shell");
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    let status = eventually("the sink dies", || sink.try_wait().expect("it is ours"));
    assert_eq!(status.code(), Some(1));
}
