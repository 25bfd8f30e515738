//! Hellos as `openssl s_client` (3.0) sends them, hellos built to be wrong, and laws.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;

/// `-servername Www.Example.ORG -alpn h2,http/1.1`
const TLS13: &[u8] = include_bytes!("testdata/openssl_tls13.bin");
/// `-servername example.org -tls1_2`
const TLS12: &[u8] = include_bytes!("testdata/openssl_tls12.bin");
/// `-noservername`
const NO_SNI: &[u8] = include_bytes!("testdata/openssl_no_sni.bin");
/// `-servername split.example.org -alpn protocol-000,...,protocol-059 -max_send_frag 512`:
/// three records.
const SPLIT: &[u8] = include_bytes!("testdata/openssl_split.bin");

fn seen(bytes: &[u8]) -> Result<Option<Hello>, HelloError> {
    peek(bytes, DEFAULT_MAX_BYTES)
}

fn hello(server_name: Option<&str>, alpn: &[&str]) -> Hello {
    Hello {
        server_name: server_name.map(str::to_owned),
        alpn: alpn.iter().map(|name| name.as_bytes().to_vec()).collect(),
    }
}

fn vector8(content: &[u8]) -> Vec<u8> {
    [&[u8::try_from(content.len()).unwrap()], content].concat()
}

fn vector16(content: &[u8]) -> Vec<u8> {
    let len = u16::try_from(content.len()).unwrap();
    [&len.to_be_bytes(), content].concat()
}

fn extension(kind: u16, value: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &vector16(value)].concat()
}

/// The extension with one entry of type host name.
fn sni(name: &[u8]) -> Vec<u8> {
    let entry = [&[0][..], &vector16(name)].concat();
    extension(0, &vector16(&entry))
}

fn alpn(protocols: &[Vec<u8>]) -> Vec<u8> {
    let list: Vec<u8> = protocols.iter().flat_map(|name| vector8(name)).collect();
    extension(16, &vector16(&list))
}

/// The message with these extensions, without records around it.
fn message(extensions: &[u8]) -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.extend(vector8(&[9; 32]));
    body.extend(vector16(&[0x13, 0x01]));
    body.extend(vector8(&[0]));
    body.extend(vector16(extensions));
    let len = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[1, len[1], len[2], len[3]], &body[..]].concat()
}

/// The records that carry a message in pieces of at most this size.
fn records(message: &[u8], piece: usize) -> Vec<u8> {
    message
        .chunks(piece)
        .flat_map(|piece| [&[22, 3, 1][..], &vector16(piece)].concat())
        .collect()
}

fn whole(extensions: &[u8]) -> Vec<u8> {
    records(&message(extensions), 1 << 14)
}

#[test]
fn hellos_of_openssl() {
    let name = Some("www.example.org");
    assert_eq!(seen(TLS13), Ok(Some(hello(name, &["h2", "http/1.1"]))));
    assert_eq!(seen(TLS12), Ok(Some(hello(Some("example.org"), &[]))));
    assert_eq!(seen(NO_SNI), Ok(Some(hello(None, &[]))));
    let split = seen(SPLIT).unwrap().unwrap();
    assert_eq!(split.server_name.as_deref(), Some("split.example.org"));
    assert_eq!(split.alpn.len(), 60);
    assert_eq!(split.alpn[59], b"protocol-059");
}

#[test]
fn their_prefixes_are_incomplete_and_what_follows_them_does_not_matter() {
    for bytes in [TLS13, TLS12, NO_SNI, SPLIT] {
        for len in 0..bytes.len() {
            assert_eq!(seen(&bytes[..len]), Ok(None), "{len} bytes");
        }
        let followed = [bytes, b"\x17\x03\x03 early data"].concat();
        assert_eq!(seen(&followed), seen(bytes));
        assert_eq!(peek(bytes, bytes.len()), seen(bytes));
        assert_eq!(peek(bytes, bytes.len() - 1), Err(HelloError::TooLong));
    }
}

#[test]
fn a_hello_may_end_before_its_extensions() {
    let mut bare = message(&[]);
    bare.truncate(bare.len() - 2);
    bare[3] -= 2;
    assert_eq!(seen(&records(&bare, 100)), Ok(Some(Hello::default())));
}

#[test]
fn server_names_are_put_into_one_form() {
    let longest = [&"a".repeat(63); 4].map(String::as_str).join(".")[..253].to_owned();
    for (sent, name) in [
        ("EXAMPLE.org", Some("example.org")),
        ("example.org.", Some("example.org")),
        (
            "a_b.xn--bcher-kva.example",
            Some("a_b.xn--bcher-kva.example"),
        ),
        ("localhost", Some("localhost")),
        (&longest, Some(&longest)),
        ("192.0.2.1", None),
        ("2001:db8::1", None),
    ] {
        let expected = Ok(Some(hello(name, &[])));
        assert_eq!(seen(&whole(&sni(sent.as_bytes()))), expected, "{sent}");
    }
    let long_label = "a".repeat(64);
    let long_name = format!("{longest}a");
    for sent in [
        "",
        ".",
        "a..b",
        "a.b..",
        ".a",
        "a b",
        "a/b",
        "bücher.example",
        "a\0b",
        "*.example.org",
        &long_label,
        &long_name,
    ] {
        let refused = seen(&whole(&sni(sent.as_bytes())));
        assert_eq!(refused, Err(HelloError::BadServerName), "{sent:?}");
    }
    let no_text = seen(&whole(&sni(b"a\xFF")));
    assert_eq!(no_text, Err(HelloError::BadServerName));
}

#[test]
fn what_is_not_tls_is_told_by_its_first_bytes() {
    for bytes in [
        &b"G"[..],
        b"\x80\x2e\x01",
        b"\x16\x02",
        b"\x15\x03\x01\x00\x02",
        b"\0",
    ] {
        assert_eq!(seen(bytes), Err(HelloError::NotTls), "{bytes:x?}");
    }
    let server_hello = b"\x16\x03\x03\x00\x40\x02";
    assert_eq!(seen(server_hello), Err(HelloError::NotHello));
}

#[test]
fn a_hello_that_will_be_too_long_is_refused_by_its_length() {
    // 4 + 5 + 16,375 bytes are as many as it may have.
    assert_eq!(seen(b"\x16\x03\x01\x40\x00\x01\x00\x3f\xf7"), Ok(None));
    let longer = seen(b"\x16\x03\x01\x40\x00\x01\x00\x3f\xf8");
    assert_eq!(longer, Err(HelloError::TooLong));
    // In tiny records it is their heads that make it too long.
    let tiny = records(&message(&[0; 3000]), 1);
    assert_eq!(seen(&tiny[..DEFAULT_MAX_BYTES - 1]), Ok(None));
    assert_eq!(seen(&tiny[..DEFAULT_MAX_BYTES]), Err(HelloError::TooLong));
}

#[test]
fn contradictions_are_refused() {
    let host = sni(b"a.example");
    let http = alpn(&[b"h2".to_vec()]);
    let two_hosts = vector16(&[&[0, 0, 1, b'a'], &[0, 0, 1, b'b'][..]].concat());
    for (what, extensions) in [
        ("two server names", [&host[..], &host].concat()),
        ("two ALPNs", [&http[..], &http].concat()),
        ("two hosts in a list", extension(0, &two_hosts)),
        ("an empty list of names", extension(0, &[0, 0])),
        ("an empty server name extension", extension(0, &[])),
        (
            "bytes behind the list",
            extension(0, &[0, 4, 0, 0, 1, b'a', 0]),
        ),
        ("an empty list of protocols", extension(16, &[0, 0])),
        ("an empty protocol", extension(16, &[0, 1, 0])),
        (
            "a name beyond its list",
            extension(0, &[0, 4, 0, 0, 2, b'a']),
        ),
        ("an extension beyond the end", vec![0, 0, 0, 9, 0]),
        ("half an extension head", vec![0, 0, 0]),
    ] {
        let refused = seen(&whole(&extensions));
        assert_eq!(refused, Err(HelloError::Malformed), "{what}");
    }
    let empty_record = [b"\x16\x03\x01\x00\x00", TLS12].concat();
    assert_eq!(seen(&empty_record), Err(HelloError::Malformed));
    let mut interleaved = SPLIT.to_vec();
    interleaved[5 + 512] = 23;
    assert_eq!(seen(&interleaved), Err(HelloError::Malformed));
    let mut behind = message(&host);
    behind.extend([0; 3]);
    behind[3] += 3;
    assert_eq!(seen(&records(&behind, 100)), Err(HelloError::Malformed));
}

fn any_alpn() -> impl Strategy<Value = Vec<Vec<u8>>> {
    vec(vec(any::<u8>(), 1..20), 1..6)
}

/// The beginnings of records and messages.
const HEADS: &[&[u8]] = &[
    b"",
    b"\x16\x03\x01\x02\x00",
    b"\x16\x03\x01\x02\x00\x01\x00\x01",
];

proptest! {
    #[test]
    fn what_is_asked_for_is_seen_however_it_is_split(
        name in "[a-z0-9_-]{1,20}(\\.[a-z][a-z0-9-]{0,20}){0,3}",
        protocols in any_alpn(),
        other in vec(any::<u8>(), 0..300),
        order in Just([0, 1, 2]).prop_shuffle(),
        piece in 1..400_usize,
    ) {
        let parts = [sni(name.as_bytes()), alpn(&protocols), extension(51, &other)];
        let extensions = order.map(|i| parts[i].clone()).concat();
        let bytes = records(&message(&extensions), piece);
        let expected = Hello { server_name: Some(name), alpn: protocols };
        prop_assert_eq!(seen(&bytes), Ok(Some(expected)));
        for len in (0..bytes.len()).step_by(13) {
            prop_assert_eq!(seen(&bytes[..len]), Ok(None));
        }
    }

    /// Whatever comes, a verdict is there at the bound, and stays.
    #[test]
    fn garbage_is_judged_within_the_bound(
        head in select(HEADS),
        more in 0..700_usize,
        garbage in vec(any::<u8>(), 2000),
    ) {
        const MAX_BYTES: usize = 1500;
        let bytes = [head, &SPLIT[head.len()..][..more], &garbage].concat();
        prop_assert!(peek(&bytes[..MAX_BYTES], MAX_BYTES) != Ok(None));
        for len in (0..bytes.len()).step_by(37) {
            match peek(&bytes[..len], MAX_BYTES) {
                Ok(None) => prop_assert!(len < MAX_BYTES),
                verdict => prop_assert_eq!(verdict, peek(&bytes, MAX_BYTES)),
            }
        }
    }

    #[test]
    fn a_wrong_byte_is_survived(at in 0..SPLIT.len(), wrong in any::<u8>()) {
        let mut bytes = SPLIT.to_vec();
        bytes[at] = wrong;
        // The verdict is free, but must be there: nothing in it makes a hello longer
        // than what is here, except lengths.
        let _ = seen(&bytes);
        bytes.resize(DEFAULT_MAX_BYTES, 0);
        prop_assert!(seen(&bytes) != Ok(None));
    }
}
