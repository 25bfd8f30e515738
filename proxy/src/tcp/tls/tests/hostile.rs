//! Clients that send what they should not.

use std::sync::LazyLock;

use proptest::collection::vec;
use proptest::prelude::*;
use protocol::client_hello::HelloError;

use super::super::connection::MAX_PENDING_BYTES;
use super::*;

/// One for all cases: keys take their time.
static TERMINATOR: LazyLock<(Terminator, Arc<ClientConfig>)> = LazyLock::new(|| {
    let authority = Authority::new();
    let terminator = Terminator::open(&authority.options()).unwrap();
    (terminator, Arc::new(authority.client(VERSIONS[1])))
});

fn accept() -> Tls {
    TERMINATOR.0.accept()
}

/// Takes bytes; what comes out must be an error, and is returned with the alert.
fn refused(server: &mut Tls, bytes: &[u8]) -> (TlsError, Vec<u8>) {
    let (mut plain, mut answer) = (Vec::new(), Vec::new());
    let error = server
        .receive(&mut bytes.to_vec(), &mut plain, &mut answer)
        .unwrap_err();
    assert_eq!(plain, b"");
    // It stays so, and nothing more is said.
    let len = answer.len();
    let again = server.receive(&mut [22], &mut plain, &mut answer);
    assert_eq!(again, Err(error.clone()));
    assert_eq!(server.send(b"x", &mut answer), Err(error.clone()));
    server.close_notify(&mut answer);
    assert_eq!(answer.len(), len);
    (error, answer)
}

#[test]
fn what_is_no_hello_gets_an_alert() {
    for (bytes, error, alert) in [
        (&b"GET / HTTP/1.1\r\n\r\n"[..], HelloError::NotTls, 10),
        (b"\x80\x2e\x01\x03\x01", HelloError::NotTls, 10),
        (b"\x16\x03\x03\x00\x04\x0e\0\0\0", HelloError::NotHello, 10),
        (
            b"\x16\x03\x01\x40\x00\x01\x10\x00\x00",
            HelloError::TooLong,
            22,
        ),
        (
            b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00",
            HelloError::Malformed,
            50,
        ),
    ] {
        let (failed, answer) = refused(&mut accept(), bytes);
        assert_eq!(failed, TlsError::Hello(error));
        assert_eq!(failed.kind(), error.kind());
        assert_eq!(answer, [21, 3, 3, 0, 2, 2, alert]);
    }
}

/// The next record of a client that has shaken hands.
fn next_record(pair: &mut Pair) -> Vec<u8> {
    use std::io::Write;
    pair.client.writer().write_all(b"data").unwrap();
    pair.client_output()
}

#[test]
fn a_forged_record_gets_an_alert_that_the_client_can_read() {
    for version in VERSIONS {
        let mut pair = open(version);
        let mut record = next_record(&mut pair);
        *record.last_mut().unwrap() ^= 1;
        let (error, answer) = refused(&mut pair.server, &record);
        assert_eq!(error.kind(), "broken_record");
        let told = pair.give_client(&answer).unwrap_err();
        let alert = rustls::AlertDescription::BadRecordMac;
        assert_eq!(told, rustls::Error::AlertReceived(alert));
    }
}

#[test]
fn what_was_said_before_a_forged_record_is_not_lost() {
    let mut pair = open(VERSIONS[1]);
    let mut records = next_record(&mut pair);
    records.extend(next_record(&mut pair));
    *records.last_mut().unwrap() ^= 1;
    pair.give_server(records, usize::MAX).unwrap_err();
    assert_eq!(pair.server_read, b"data");
}

#[test]
fn an_oversized_record_is_refused_by_its_head() {
    for version in VERSIONS {
        let mut pair = open(version);
        let (error, answer) = refused(&mut pair.server, b"\x17\x03\x03\x48\x01");
        assert_eq!(error.kind(), "broken_record");
        pair.give_client(&answer).unwrap_err();
    }
}

#[test]
fn an_alert_of_the_client_is_told() {
    let pair = &mut Pair::new(&TERMINATOR.0, &TERMINATOR.1, "a.example");
    let hello = pair.client_output();
    pair.give_server(hello, usize::MAX).unwrap();
    pair.client_output();
    let (error, answer) = refused(&mut pair.server, b"\x15\x03\x03\x00\x02\x02\x30");
    assert_eq!(error, TlsError::Alert(rustls::AlertDescription::UnknownCA));
    assert_eq!(answer, b"");
}

/// A message in records of one byte, and one that says that it will be too long.
#[test]
fn a_message_that_does_not_end_is_bounded() {
    for (head, kind, limit) in [
        (b"\x10\x00\xFF\xFF", "message_too_long", MAX_PENDING_BYTES),
        (b"\x10\xFF\xFF\xFF", "handshake_failed", 0),
    ] {
        let authority = Authority::new();
        let terminator = Terminator::open(&authority.options()).unwrap();
        let client = Arc::new(authority.client(VERSIONS[0]));
        let mut pair = Pair::new(&terminator, &client, "a.example");
        let hello = pair.client_output();
        pair.give_server(hello, usize::MAX).unwrap();
        let (mut plain, mut answer, mut taken) = (Vec::new(), Vec::new(), 0);
        let mut record = [b"\x16\x03\x03\x00\x04", &head[..]].concat();
        let error = loop {
            match pair.server.receive(&mut record, &mut plain, &mut answer) {
                Ok(()) => taken += record.len(),
                Err(error) => break error,
            }
            record = b"\x16\x03\x03\x00\x01\x00".to_vec();
        };
        assert_eq!(error.kind(), kind);
        assert!(taken <= limit, "{taken} bytes");
        assert_eq!(pair.server.pending_capacity(), 0);
    }
}

/// Feeds anything in any pieces, and looks whether the rules hold.
fn survives(server: &mut Tls, bytes: &[u8], piece: usize) {
    let (mut plain, mut answer) = (Vec::new(), Vec::new());
    let mut failure = None;
    for piece in bytes.chunks(piece) {
        let received = server.receive(&mut piece.to_vec(), &mut plain, &mut answer);
        assert!(failure.is_none() || received.is_err(), "a failure stays");
        failure = received.err();
        assert!(server.pending_capacity() <= 2 * MAX_PENDING_BYTES);
        assert!(answer.len() < 10_000);
        let _ = server.send(b"reply", &mut answer);
    }
    server.close_notify(&mut answer);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn garbage_is_survived(bytes in vec(any::<u8>(), 0..3000), piece in 1..3000_usize) {
        survives(&mut accept(), &bytes, piece);
    }

    /// Records with garbage in them, of the types that there are.
    #[test]
    fn garbage_in_records_is_survived(
        after_hello in any::<bool>(),
        records in vec((20..25_u8, vec(any::<u8>(), 0..200), any::<bool>()), 1..20),
        piece in 1..1000_usize,
    ) {
        let mut pair = Pair::new(&TERMINATOR.0, &TERMINATOR.1, "a.example");
        if after_hello {
            let hello = pair.client_output();
            pair.give_server(hello, usize::MAX).unwrap();
        }
        let mut bytes = Vec::new();
        for (kind, content, is_short) in records {
            let content = if is_short { &content[..content.len().min(2)] } else { &content[..] };
            let len = u16::try_from(content.len()).unwrap().to_be_bytes();
            bytes.extend([kind, 3, 3, len[0], len[1]]);
            bytes.extend(content);
        }
        survives(&mut pair.server, &bytes, piece);
    }

    /// One wrong byte anywhere in what a good client says.
    #[test]
    fn a_wrong_byte_is_survived(
        version in prop_oneof![Just(VERSIONS[0]), Just(VERSIONS[1])],
        turn in 0..3_usize, at in any::<prop::sample::Index>(), wrong in any::<u8>(),
        piece in 1..600_usize,
    ) {
        let authority = Authority::new();
        let terminator = Terminator::open(&authority.options()).unwrap();
        let mut pair = Pair::new(&terminator, &Arc::new(authority.client(version)), "a.example");
        for now in 0..3 {
            let mut sent = if now == 2 { next_record(&mut pair) } else { pair.client_output() };
            if sent.is_empty() {
                continue;
            }
            if now == turn {
                let at = at.index(sent.len());
                sent[at] = wrong;
                survives(&mut pair.server, &sent, piece);
                return Ok(());
            }
            pair.give_server(sent, piece).unwrap();
        }
    }
}
