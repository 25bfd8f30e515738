//! Handshakes, data and ends that go well.

use proptest::prelude::*;

use super::*;

#[test]
fn both_versions_shake_hands_in_pieces_of_any_size() {
    let authority = Authority::new();
    let terminator = Terminator::open(&authority.options()).unwrap();
    for (version, name, cipher) in [
        (
            VERSIONS[0],
            "TLSv1.2",
            "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        ),
        (VERSIONS[1], "TLSv1.3", "TLS13_AES_256_GCM_SHA384"),
    ] {
        for piece in [1, 2, 3, 5, 100, 1460, usize::MAX] {
            let client = Arc::new(authority.client(version));
            let mut pair = Pair::new(&terminator, &client, "a.example");
            assert!(pair.server.is_handshaking());
            pair.talk(piece).unwrap();
            assert!(!pair.server.is_handshaking() && !pair.client.is_handshaking());
            assert_eq!(pair.server.server_name(), Some("a.example"));
            assert_eq!(pair.server.version(), Some(name));
            assert_eq!(pair.server.cipher(), Some(cipher));
            assert_eq!(pair.server.alpn(), None);
            assert!(!pair.server.is_resumed());
            pair.client_writes(b"hello", piece);
            pair.server_writes(b"good morning", piece);
            assert_eq!(pair.server_read, b"hello");
            assert_eq!(pair.client_read, b"good morning");
        }
    }
}

#[test]
fn a_protocol_is_agreed_on_or_the_client_is_told() {
    let authority = Authority::new();
    let mut options = authority.options();
    options.alpn = vec!["h2".to_owned(), "http/1.1".to_owned()];
    let terminator = Terminator::open(&options).unwrap();
    for (offered, agreed) in [
        (&["http/1.1", "h2"][..], Ok(Some(&b"h2"[..]))),
        (&["http/1.1"], Ok(Some(b"http/1.1"))),
        (&[], Ok(None)),
        (&["smtp"], Err("incompatible")),
    ] {
        let mut client = authority.client(VERSIONS[1]);
        client.alpn_protocols = offered.iter().map(|&name| name.into()).collect();
        let mut pair = Pair::new(&terminator, &Arc::new(client), "a.example");
        let shaken = pair.talk(usize::MAX).map_err(|e| e.kind());
        assert_eq!(shaken.map(|()| pair.server.alpn()), agreed);
    }
}

#[test]
fn nothing_is_sent_before_the_handshake_or_after_the_end() {
    let authority = Authority::new();
    let terminator = Terminator::open(&authority.options()).unwrap();
    let client = Arc::new(authority.client(VERSIONS[1]));
    let mut pair = Pair::new(&terminator, &client, "a.example");
    let mut sent = Vec::new();
    assert_eq!(
        pair.server.send(b"early", &mut sent),
        Err(TlsError::NotOpen)
    );
    assert_eq!(sent, b"");
    pair.talk(usize::MAX).unwrap();
    pair.server_writes(b"now", 10);
    assert_eq!(pair.client_read, b"now");
    pair.server.close_notify(&mut sent);
    let len = sent.len();
    assert_eq!(pair.server.send(b"late", &mut sent), Err(TlsError::NotOpen));
    assert_eq!(sent.len(), len);
}

#[test]
fn each_side_closes_on_its_own() {
    for version in VERSIONS {
        // The client has said all, and still gets its answer.
        let mut pair = open(version);
        pair.client_writes(b"question", 7);
        assert!(!pair.server.peer_closed());
        pair.client.send_close_notify();
        let mut last = pair.client_output();
        last.extend_from_slice(b"this comes after the end");
        pair.give_server(last, 1).unwrap();
        assert!(pair.server.peer_closed());
        assert_eq!(pair.server_read, b"question");
        pair.server_writes(b"answer", 3);
        assert_eq!(pair.client_read, b"answer");
        let mut sent = Vec::new();
        pair.server.close_notify(&mut sent);
        let len = sent.len();
        pair.server.close_notify(&mut sent);
        assert_eq!(sent.len(), len, "the end is announced once");
        pair.give_client(&sent).unwrap();
        let state = pair.client.process_new_packets().unwrap();
        assert!(state.peer_has_closed());
    }
    // The server has said all, and still listens; TLS 1.2 clients may stop then.
    let mut pair = open(VERSIONS[1]);
    let mut sent = Vec::new();
    pair.server.close_notify(&mut sent);
    pair.give_client(&sent).unwrap();
    assert!(pair.client.process_new_packets().unwrap().peer_has_closed());
    pair.client_writes(b"still here", 4);
    assert_eq!(pair.server_read, b"still here");
    assert!(!pair.server.peer_closed());
}

#[test]
fn sessions_are_resumed_unless_they_may_not_be() {
    let authority = Authority::new();
    let mut options = authority.options();
    for no_resumption in [false, true] {
        options.no_resumption = no_resumption;
        let terminator = Terminator::open(&options).unwrap();
        for version in VERSIONS {
            let client = Arc::new(authority.client(version));
            for round in 0..3 {
                let mut pair = Pair::new(&terminator, &client, "a.example");
                pair.talk(usize::MAX).unwrap();
                let resumed = round > 0 && !no_resumption;
                assert_eq!(pair.server.is_resumed(), resumed, "{version:?}, {round}");
                pair.client_writes(b"data", usize::MAX);
                assert_eq!(pair.server_read, b"data");
            }
        }
    }
}

#[test]
fn new_keys_are_followed() {
    let mut pair = open(VERSIONS[1]);
    for _ in 0..3 {
        pair.client.refresh_traffic_keys().unwrap();
        pair.talk(1).unwrap();
        pair.client_writes(b"x", 1);
        pair.server_writes(b"y", 1);
    }
    assert_eq!(pair.server_read, b"xxx");
    assert_eq!(pair.client_read, b"yyy");
}

#[test]
fn nothing_is_kept_while_no_message_is_cut() {
    let mut pair = open(VERSIONS[1]);
    pair.client_writes(&[7; 40_000], usize::MAX);
    assert_eq!(pair.server.pending_capacity(), 0);
    pair.client_writes(&[7; 40_000], 1000);
    assert_eq!(pair.server.pending_capacity(), 0);
    assert_eq!(pair.server_read, [7; 80_000]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever is said comes out as it went in, however it is cut.
    #[test]
    fn data_goes_both_ways_in_odd_pieces(
        version in prop_oneof![Just(VERSIONS[0]), Just(VERSIONS[1])],
        turns in prop::collection::vec(
            (any::<bool>(), any::<u8>(), 1..60_000_usize, 1..40_000_usize), 1..8),
    ) {
        let mut pair = open(version);
        let (mut to_server, mut to_client) = (Vec::new(), Vec::new());
        for (from_client, first, len, piece) in turns {
            let data: Vec<u8> = (0..len).map(|i| first.wrapping_add((i % 251) as u8)).collect();
            if from_client {
                pair.client_writes(&data, piece);
                to_server.extend(data);
            } else {
                pair.server_writes(&data, piece);
                to_client.extend(data);
            }
        }
        prop_assert!(pair.server_read == to_server);
        prop_assert!(pair.client_read == to_client);
    }
}
