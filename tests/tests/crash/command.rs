//! Servers of somebody's own, in another language.

use crate::hunter::Hunt;

/// Speaks Foo, serves one client after the other, and dies of a number that is none.
const SERVER: &str = r#"
import socket, sys
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    client, _ = server.accept()
    try:
        with client, client.makefile("rwb") as stream:
            for line in stream:
                words = line.decode("latin-1").split(" ")
                number = int(words[1]) if words[0] == "REQ" and len(words) > 1 else 0
                stream.write(b"ACK %d x\n" % number)
                stream.flush()
    except OSError:
        pass
"#;

#[test]
fn a_server_in_python_is_caught_replayed_minimised_and_mended() {
    if !tests::is_installed("python3") {
        return;
    }
    let hunt = Hunt::new();
    hunt.file("server.py", SERVER);
    hunt.file("mended.py", &SERVER.replace("int(words[1]) if", "1 if"));
    let found = hunt.find(&["--target", "cmd:python3 server.py {port}"]);
    found.is("died-exit-1-", "command");
    let top = found.verdict()["finding"]["stack_top"].to_string();
    assert!(
        top.contains("server.py") && top.contains("ValueError"),
        "{top}"
    );
    hunt.run(&["minimize", &found.relative])
        .expect(0)
        .says("nothing more can be left out");
    assert_eq!(
        found.smallest(),
        b"REQ ",
        "{:?}",
        found.smallest().escape_ascii()
    );
    hunt.run(&["replay", &found.relative])
        .expect(4)
        .says("reproduced command ended with exit code 1");
    let mended = [
        "replay",
        &found.relative,
        "--command",
        "python3 mended.py {port}",
    ];
    hunt.run(&mended).expect(0).says("survived");
}
