//! TLS against a server in this process.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::server::{right_echo, serve};
use crate::program::{files, loadgen, record, run, shown};
use loadgen::record::LoadRecord;

/// An echo over TLS with a certificate for `example.test`, and that in a file.
fn tls_echo(dir: &tempfile::TempDir) -> (SocketAddr, PathBuf) {
    let made = rcgen::generate_simple_self_signed(["example.test".to_owned()]).expect("a key");
    let file = dir.path().join("ca.pem");
    std::fs::write(&file, made.cert.pem()).expect("a file");
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("a certificate and its key");
    let config = Arc::new(config);
    let target = serve(move |_, connection| {
        connection.set_nodelay(true).ok()?;
        let session = ServerConnection::new(config.clone()).ok()?;
        let mut stream = StreamOwned::new(session, connection);
        let mut piece = [0; 4_096];
        loop {
            match stream.read(&mut piece) {
                Ok(0) => {
                    stream.conn.send_close_notify();
                    return stream.flush().ok();
                }
                Ok(bytes) => stream.write_all(&piece[..bytes]).ok()?,
                Err(_) => return None,
            }
        }
    });
    (target, file)
}

fn recorded(words: &str) -> (LoadRecord, Option<i32>) {
    let files = files();
    let output = run(loadgen(&format!("{words} --quiet --floor 0 --json")).arg(&files.json));
    assert!(files.json.exists(), "{}", shown(&output));
    (record(&files.json), output.status.code())
}

#[test]
fn messages_and_bulk_go_over_tls_and_handshakes_are_timed() {
    let dir = tempfile::tempdir().expect("a directory");
    let (target, ca) = tls_echo(&dir);
    let ca = ca.display();
    let trusted = format!("--connect {target} --tls --tls-ca {ca} --tls-server-name example.test");
    let load = "--closed --connections 3 --requests 300 --pipeline 4 --payload 10-20000";
    let loads = [
        format!("tcp {trusted} {load}"),
        format!("tcp {trusted} {load} --requests-per-connection 5"),
        format!("tcp {trusted} {load} --requests-per-connection 5 --half-close"),
        format!("tcp --connect {target} --tls --tls-insecure {load} --read-rate 20MB/s"),
        format!("tcp {trusted} {load} --idle 4 --idle-check"),
    ];
    for words in loads {
        let (record, code) = recorded(&words);
        assert_eq!(record.counts.acked, 300, "{words}: {:?}", record.counts);
        assert_eq!(code, Some(0), "{words}: {:?}", record.counts);
        let handshakes = record.latency_us.handshake.count;
        assert_eq!(handshakes, record.counts.connections, "{words}");
        assert!(record.histograms["handshake"].starts_with("HISTF"));
    }
    let words = format!("tcp {trusted} --bulk echo --bytes 3000001 --connections 2");
    let (record, code) = recorded(&words);
    let bulk = record.bulk.expect("a bulk transfer");
    assert_eq!((bulk.bytes_received, bulk.wrong_bytes), (6_000_002, 0));
    assert_eq!((record.counts.acked, code), (2, Some(0)));
}

#[test]
fn a_target_that_is_not_trusted_is_a_failed_connection() {
    let dir = tempfile::tempdir().expect("a directory");
    let (target, ca) = tls_echo(&dir);
    let (_, other) = tls_echo(&tempfile::tempdir_in(dir.path()).expect("a directory"));
    let _gone = other;
    let wrong_name = format!(
        "tcp --connect {target} --tls --tls-ca {} --tls-server-name other.test --connections 2",
        ca.display()
    );
    let no_tls = format!(
        "tcp --connect {} --tls --tls-insecure --connections 2",
        right_echo()
    );
    for words in [wrong_name, no_tls] {
        let (record, code) = recorded(&format!("{words} --connect-timeout 2s"));
        assert_eq!(
            record.counts.connect_failed.values().sum::<u64>(),
            2,
            "{words}"
        );
        assert_eq!(code, Some(1), "{words}");
    }
}
