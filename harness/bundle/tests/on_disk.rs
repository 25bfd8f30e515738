//! Bundles on disk: written, read, cut, edited, known again, and repeated with `nc`.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use bundle::origin::SCHEMA_VERSION;
use bundle::{
    Asked, Bundle, Connection, Death, Finding, Key, Minimized, Origin, Process, Session, Transport,
    Turn, Verdict, What, Who, store,
};
use fuzzclient::generate::{Ending, Protocol, Strategy};
use fuzzclient::probe::Question;

fn connection(number: u64, bytes: &[u8], ending: Ending) -> Connection {
    Connection {
        number,
        bytes: bytes.into(),
        ending,
    }
}

fn session() -> Session {
    let connections = vec![
        connection(7, b"REQ 1 x\n", Ending::HalfClose),
        connection(8, b"", Ending::Reset),
        connection(9, b"\0\xffboom\n", Ending::HalfClose),
    ];
    Session {
        transport: Transport::Tcp,
        connections,
    }
}

fn bundle(signal: &str, stack_top: Option<&str>) -> Bundle {
    let finding = Finding {
        who: Who::Command,
        what: What::Died(Death::Signal(signal.to_owned())),
        detail: "after\nthe last line".to_owned(),
        stack_top: stack_top.map(str::to_owned),
        after_bytes: 15,
        after_connections: 3,
        after_ms: 7,
    };
    let command: Vec<String> = ["python3", "it's.py", "{listen}"]
        .map(str::to_owned)
        .to_vec();
    let verdict = Verdict::new(finding.clone(), Key::of(&finding, &command), 9);
    let origin = Origin {
        schema_version: SCHEMA_VERSION,
        made_by: "0.1.0".to_owned(),
        protocol: Protocol::Tcp,
        transport: Transport::Tcp,
        strategy: Some(Strategy::Mutate),
        seed: 7,
        from: None,
        turns: vec![Turn {
            first_connection: 0,
            strategy: Strategy::Random,
        }],
        asked: Some(Asked {
            question: Question::Bytes {
                send: b"\xff\n".to_vec(),
                expect: vec![b"up".to_vec()],
            },
            hang_after_ms: 1000,
            slow_after_ms: 100,
            serial: true,
        }),
        processes: vec![Process {
            who: Who::Command,
            command,
        }],
        connections: Origin::opened(&session()),
    };
    let last_words = b"Traceback\n".to_vec();
    Bundle {
        verdict,
        origin,
        session: session(),
        smaller: None,
        last_words,
    }
}

fn minimized(mut of: Bundle, bytes: &[u8]) -> Bundle {
    let session = Session {
        transport: Transport::Tcp,
        connections: vec![connection(9, bytes, Ending::HalfClose)],
    };
    of.minimized(Minimized {
        session,
        tries: 12,
        is_minimal: true,
    });
    of
}

fn names(place: &Path) -> Vec<String> {
    let entries = fs::read_dir(place).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// But for what is only on disk.
fn unsealed(mut bundle: Bundle) -> Bundle {
    bundle.verdict.files.clear();
    bundle.verdict.seal.clear();
    bundle
}

#[test]
fn what_is_written_is_read_again_and_nothing_else_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let first = bundle("SIGSEGV", Some("handle"));
    let place = first.write(dir.path()).unwrap();
    assert!(
        place
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .starts_with("died-sigsegv-")
    );
    let files = [
        "input.bin",
        "repro.sh",
        "session.bin",
        "session.json",
        "stderr.log",
        "verdict.json",
    ];
    assert_eq!(names(&place), files);
    assert_eq!(fs::read(place.join("input.bin")).unwrap(), b"\0\xffboom\n");
    assert_eq!(unsealed(Bundle::read(&place).unwrap()), first);

    let mut smaller = minimized(first, b"boom\n");
    smaller.repeated(3, 5);
    smaller.rewrite(&place).unwrap();
    assert!(names(&place).contains(&"input.min.bin".to_owned()));
    assert_eq!(fs::read(place.join("input.min.bin")).unwrap(), b"boom\n");
    let read = Bundle::read(&place).unwrap();
    assert!(read.verdict.repeats.unwrap().is_flaky());
    assert_eq!(unsealed(read), smaller);
    assert_eq!(names(dir.path()).len(), 1, "no half-written one beside it");
}

#[test]
fn the_same_cause_is_one_finding() {
    let dir = tempfile::tempdir().unwrap();
    let first = bundle("SIGSEGV", Some("handle"));
    let place = minimized(first.clone(), b"boom").write(dir.path()).unwrap();
    let same = |bundle: &Bundle| store::same(dir.path(), &bundle.verdict);
    assert_eq!(same(&first), Some(place.clone()));
    assert_eq!(same(&bundle("SIGABRT", Some("handle"))), None);
    let elsewhere = bundle("SIGSEGV", Some("other"));
    assert_eq!(same(&elsewhere), None);
    assert_eq!(same(&minimized(elsewhere.clone(), b"boom")), Some(place));
    assert_eq!(same(&minimized(elsewhere, b"bang")), None);
    // What is broken, or no bundle at all, is nobody's double.
    fs::create_dir(dir.path().join("hello")).unwrap();
    assert_eq!(store::bundles(dir.path()).len(), 2);
    assert_eq!(store::bundles(&dir.path().join("none")).len(), 0);
}

#[test]
fn whatever_is_cut_or_edited_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let place = minimized(bundle("SIGSEGV", None), b"boom")
        .write(dir.path())
        .unwrap();
    assert!(Bundle::read(&place).is_ok());
    for name in names(&place) {
        let path = place.join(&name);
        let good = fs::read(&path).unwrap();
        let refused = |what: &str| {
            let said = Bundle::read(&place).unwrap_err().to_string();
            assert!(said.contains(&name), "{name} {what}: {said}");
            assert_eq!(said.lines().count(), 1);
        };
        fs::write(&path, &good[..good.len() - 1]).unwrap();
        if name != "verdict.json" {
            // The last byte of that is a newline, which says nothing.
            refused("cut");
        }
        fs::write(&path, &good[..good.len() / 2]).unwrap();
        refused("halved");
        let mut edited = good.clone();
        let digit = edited.iter().rposition(u8::is_ascii_digit).unwrap_or(0);
        edited[digit] = if edited[digit] == b'1' { b'2' } else { b'1' };
        fs::write(&path, &edited).unwrap();
        refused("edited");
        fs::remove_file(&path).unwrap();
        refused("missing");
        fs::write(&path, &good).unwrap();
    }
    assert!(Bundle::read(&place).is_ok());
    let text = fs::read_to_string(place.join("verdict.json")).unwrap();
    fs::write(
        place.join("verdict.json"),
        text.replace("\"schema_version\": 1", "\"schema_version\": 2"),
    )
    .unwrap();
    let said = Bundle::read(&place).unwrap_err().to_string();
    assert!(
        said.contains("version 2") && said.contains("version 1"),
        "{said}"
    );
}

#[test]
fn what_cannot_be_written_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a-file");
    fs::write(&file, b"").unwrap();
    let error = bundle("SIGSEGV", None).write(&file).unwrap_err();
    assert!(error.to_string().contains("a-file"), "{error}");
    // A full disk, if this machine lets us write to one.
    if Path::new("/dev/full").exists() {
        let mut huge = bundle("SIGSEGV", None);
        huge.last_words = vec![0; 10];
        let place = dir.path().join("bundles");
        fs::create_dir(&place).unwrap();
        // A directory in the way of a file: as good as a disk in the way.
        let name = format!(".{}.{}", huge.verdict.key, std::process::id());
        fs::create_dir_all(place.join(name).join("kept")).unwrap();
        huge.write(&place).unwrap();
        assert_eq!(names(&place).len(), 1);
    }
}

#[test]
fn the_script_repeats_it_with_nc_alone() {
    if Command::new("nc").arg("-h").output().is_err() {
        eprintln!("there is no nc on this machine: nothing tested");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let server = dir.path().join("server.py");
    fs::write(&server, SERVER).unwrap();
    let run = |place: &PathBuf, sound: bool| {
        // A port that was free a moment ago, as a user would choose one.
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let mut script = Command::new("sh");
        script
            .arg(place.join("repro.sh"))
            .args(["127.0.0.1", &port.to_string(), "python3"]);
        script
            .arg(&server)
            .arg(port.to_string())
            .arg(if sound { "sound" } else { "broken" });
        let output = script.output().unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
            output.stderr,
        )
    };
    // Both connections are needed: the first says hello.
    let mut of_two = bundle("SIGKILL", None);
    of_two.session.connections[0] = connection(7, b"hello\n", Ending::HalfClose);
    of_two.session.connections[2] = connection(9, b"\0\xffboom\n", Ending::HalfClose);
    let place = of_two.write(dir.path()).unwrap();
    let (code, said, stderr) = run(&place, false);
    assert_eq!(code, Some(4), "{said} {}", String::from_utf8_lossy(&stderr));
    assert!(said.contains("status 7"), "{said}");
    let (code, said, _) = run(&place, true);
    assert_eq!((code, said.as_str()), (Some(0), "it survived\n"));
    // And so does a smaller one.
    let smaller = Session {
        transport: Transport::Tcp,
        connections: vec![connection(9, b"hello\nboom\n", Ending::HalfClose)],
    };
    of_two.minimized(Minimized {
        session: smaller,
        tries: 1,
        is_minimal: false,
    });
    of_two.rewrite(&place).unwrap();
    assert_eq!(run(&place, false).0, Some(4));
}

/// Ends with code 7 at a line that ends with `boom`, once somebody has said `hello`.
const SERVER: &str = r#"
import os, socket, sys
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
hello = False
while True:
    stream, _ = listener.accept()
    for line in stream.makefile("rb"):
        hello = hello or line == b"hello\n"
        if hello and line.endswith(b"boom\n") and sys.argv[2] == "broken":
            os._exit(7)
    stream.close()
"#;
