//! Literal headers of version 2, and laws of both versions.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;

/// PROXY, IPv4 over TCP, 192.0.2.1:56324 to 198.51.100.7:443.
const TCP4: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\
    \xc0\x00\x02\x01\xc6\x33\x64\x07\xdc\x04\x01\xbb";

/// What HAProxy 2.6 sends with `send-proxy-v2-ssl-cn proxy-v2-options
/// crc32c,authority,ssl,cert-cn,ssl-cipher,cert-key,cert-sig`: with a checksum of its own.
const HAPROXY: &[u8] = b"\x0d\x0a\x0d\x0a\x00\x0d\x0aQUIT\x0a!\x11\x00f\
    \x7f\x00\x00\x01\x7f\x00\x00\x01\xcc\xf4\xaew\
    \x03\x00\x0463\x1c\x07\
    \x01\x00\x02h2\
    \x02\x00\x09a.example\
    \x20\x00?\x01\x00\x00\x00\x00\
    !\x00\x07TLSv1.3\
    %\x00\x07RSA2048\
    $\x00\x0aRSA-SHA256\
    #\x00\x16TLS_AES_256_GCM_SHA384";

fn tcp4() -> Addresses {
    Addresses::tcp(
        "192.0.2.1:56324".parse().unwrap(),
        "198.51.100.7:443".parse().unwrap(),
    )
}

fn header(kinds: [u8; 2], block: &[u8]) -> Vec<u8> {
    let len = u16::try_from(block.len()).unwrap();
    [v2::SIGNATURE, &kinds, &len.to_be_bytes(), block].concat()
}

fn addresses(bytes: &[u8]) -> Result<Addresses, HeaderError> {
    let (header, len) = parse(bytes)?.expect("the header is there as a whole");
    assert_eq!(len, bytes.len());
    Ok(header.addresses)
}

#[test]
fn binary_headers_byte_for_byte() {
    let mut out = Vec::new();
    encode(Version::V2, &tcp4(), &mut out);
    assert_eq!(out, TCP4);
    assert_eq!(addresses(TCP4), Ok(tcp4()));

    let mixed = Addresses::tcp(
        "[2001:db8::1]:1".parse().unwrap(),
        "198.51.100.7:443".parse().unwrap(),
    );
    out.clear();
    encode(Version::V2, &mixed, &mut out);
    assert_eq!(
        out,
        b"\r\n\r\n\0\r\nQUIT\n\x21\x21\x00\x24\
          \x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\
          \0\0\0\0\0\0\0\0\0\0\xff\xff\xc6\x33\x64\x07\
          \x00\x01\x01\xbb"
    );
    assert_eq!(addresses(&out), Ok(mixed));

    for (told, kinds) in [
        (Addresses::Local, [0x20, 0]),
        (Addresses::Unknown, [0x21, 0]),
    ] {
        out.clear();
        encode(Version::V2, &told, &mut out);
        assert_eq!(out, header(kinds, b""));
        assert_eq!(addresses(&out), Ok(told));
    }
}

#[test]
fn datagrams_are_told_apart_and_unix_sockets_are_nobody() {
    let udp = addresses(&header([0x21, 0x12], &TCP4[16..])).unwrap();
    let Addresses::Proxied { transport, .. } = udp else {
        panic!("{udp:?}");
    };
    assert_eq!(transport, Transport::Datagram);
    for kinds in [[0x21, 0x31], [0x21, 0x32]] {
        let unix = addresses(&header(kinds, &[7; 216]));
        assert_eq!(unix, Ok(Addresses::Unknown));
        let cut = addresses(&header(kinds, &[7; 215]));
        assert_eq!(cut, Err(HeaderError::BadAddress));
    }
    for kinds in [[0x21, 0x00], [0x21, 0x10], [0x21, 0x01]] {
        let unspecified = addresses(&header(kinds, b"whatever"));
        assert_eq!(unspecified, Ok(Addresses::Unknown));
    }
    let local = addresses(&header([0x20, 0xFF], b"whatever"));
    assert_eq!(local, Ok(Addresses::Local));
}

#[test]
fn binary_headers_that_are_refused_as_soon_as_they_can_be() {
    for (kinds, error) in [
        ([0x11, 0x11], HeaderError::BadVersion),
        ([0x31, 0x11], HeaderError::BadVersion),
        ([0x22, 0x11], HeaderError::BadCommand),
        ([0x21, 0x41], HeaderError::BadFamily),
        ([0x21, 0x13], HeaderError::BadFamily),
    ] {
        let bytes = [v2::SIGNATURE, &kinds].concat();
        assert_eq!(parse(&bytes), Err(error), "{kinds:x?}");
    }
    for (family, len) in [(0x11, 11), (0x21, 35)] {
        let short = header([0x21, family], &vec![0; len]);
        assert_eq!(parse(&short), Err(HeaderError::BadAddress));
    }
    let longest = header([0x20, 0], &vec![0; v2::MAX_BYTES - 16]);
    assert_eq!(addresses(&longest), Ok(Addresses::Local));
    let longer = header([0x20, 0], &vec![0; v2::MAX_BYTES - 15]);
    assert_eq!(parse(&longer[..16]), Err(HeaderError::TooLong));
}

#[test]
fn fields_are_read_and_the_checksum_is_checked() {
    let tlvs = [
        Tlv {
            kind: tlv::kind::NOOP,
            value: b"\0\0",
        },
        Tlv {
            kind: tlv::kind::AUTHORITY,
            value: b"example.org",
        },
        Tlv {
            kind: tlv::kind::ALPN,
            value: b"h2",
        },
        Tlv {
            kind: tlv::kind::UNIQUE_ID,
            value: b"\x01\x02",
        },
        Tlv {
            kind: 0xEA,
            value: b"",
        },
    ];
    let mut out = b"before".to_vec();
    v2::encode(&tcp4(), &tlvs, true, &mut out).unwrap();
    let mut bytes = out.split_off(6);
    let (header, len) = parse(&bytes).unwrap().unwrap();
    assert_eq!(len, bytes.len());
    assert_eq!(header.addresses, tcp4());
    assert_eq!(header.tlvs.authority(), Some("example.org"));
    assert_eq!(header.tlvs.alpn(), Some(&b"h2"[..]));
    assert_eq!(header.tlvs.unique_id(), Some(&b"\x01\x02"[..]));
    assert_eq!(header.tlvs.iter().count(), tlvs.len() + 1);

    bytes[16] ^= 1;
    assert_eq!(parse(&bytes), Err(HeaderError::BadChecksum));
}

#[test]
fn a_header_of_haproxy() {
    const PP2_TYPE_SSL: u8 = 0x20;
    let (header, len) = parse(HAPROXY).unwrap().unwrap();
    assert_eq!(len, HAPROXY.len());
    let source = header.addresses.source().unwrap();
    assert_eq!(source, "127.0.0.1:52468".parse().unwrap());
    assert_eq!(header.tlvs.alpn(), Some(&b"h2"[..]));
    assert_eq!(header.tlvs.authority(), Some("a.example"));
    assert_eq!(header.tlvs.get(PP2_TYPE_SSL).map(<[u8]>::len), Some(63));
    // Another type at byte 28, and there is no checksum any more.
    for at in (16..28).chain(29..HAPROXY.len()) {
        let mut bytes = HAPROXY.to_vec();
        bytes[at] ^= 0x10;
        assert!(parse(&bytes).is_err(), "byte {at}");
    }
}

#[test]
fn fields_that_do_not_add_up_are_refused() {
    let unique_id = [&[5, 0, 129][..], &[0; 129]].concat();
    for fields in [
        &b"\x02"[..],
        b"\x02\x00",
        b"\x02\x00\x02x",
        b"\x03\x00\x03abc",
        &unique_id,
    ] {
        let bytes = header([0x21, 0x11], &[&TCP4[16..], fields].concat());
        assert_eq!(parse(&bytes), Err(HeaderError::BadTlv), "{fields:?}");
    }
    let mut out = b"before".to_vec();
    for bytes in [v2::MAX_BYTES, 70_000] {
        let value = vec![0; bytes];
        let tlvs = [Tlv {
            kind: 0xEA,
            value: &value,
        }];
        let refused = v2::encode(&tcp4(), &tlvs, true, &mut out);
        assert_eq!(refused, Err(HeaderError::TooLong));
        assert_eq!(out, b"before");
    }
}

fn any_addr() -> impl Strategy<Value = SocketAddr> {
    prop_oneof![
        any::<(u32, u16)>().prop_map(|(ip, port)| (Ipv4Addr::from(ip), port).into()),
        any::<(u128, u16)>().prop_map(|(ip, port)| (Ipv6Addr::from(ip), port).into()),
    ]
}

fn any_header() -> impl Strategy<Value = (Version, Addresses, Vec<u8>)> {
    let version = prop_oneof![Just(Version::V1), Just(Version::V2)];
    let told = prop_oneof![
        8 => (any_addr(), any_addr()).prop_map(|(s, d)| Addresses::tcp(s, d)),
        1 => Just(Addresses::Unknown),
        1 => Just(Addresses::Local),
    ];
    (version, told, any::<bool>(), vec(any::<u8>(), 0..40)).prop_map(
        |(version, told, checksum, value)| {
            let mut bytes = Vec::new();
            match version {
                Version::V1 => encode(version, &told, &mut bytes),
                Version::V2 => {
                    let tlvs = [Tlv {
                        kind: tlv::kind::AUTHORITY,
                        value: &value,
                    }];
                    v2::encode(&told, &tlvs, checksum, &mut bytes).unwrap();
                }
            }
            (version, told, bytes)
        },
    )
}

/// The beginnings of headers.
const SIGNATURES: &[&[u8]] = &[
    b"",
    v1::SIGNATURE,
    b"PROXY TCP4 1.2.3.4 ",
    v2::SIGNATURE,
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x21\x00",
];

proptest! {
    #[test]
    fn what_is_written_is_read_back(
        (version, told, bytes) in any_header(),
        behind in vec(any::<u8>(), 0..40),
    ) {
        let stream = [&bytes[..], &behind].concat();
        let (header, len) = parse(&stream).unwrap().unwrap();
        prop_assert_eq!(len, bytes.len());
        let expected = match (version, told) {
            (Version::V1, Addresses::Local) => Addresses::Unknown,
            (_, told) => told,
        };
        prop_assert_eq!(header.addresses, expected);
    }

    #[test]
    fn no_prefix_of_a_header_is_refused((_, _, bytes) in any_header()) {
        for len in 0..bytes.len() {
            prop_assert_eq!(parse(&bytes[..len]), Ok(None));
        }
    }

    /// Whatever follows a signature, a verdict is there at the bound, and stays.
    #[test]
    fn garbage_is_judged_within_the_bound(
        signature in select(SIGNATURES),
        garbage in vec(any::<u8>(), v2::MAX_BYTES),
    ) {
        let bytes = [signature, &garbage].concat();
        let whole = parse(&bytes[..v2::MAX_BYTES]);
        prop_assert!(whole != Ok(None));
        for len in (0..64).chain((64..bytes.len()).step_by(97)) {
            match parse(&bytes[..len]) {
                Ok(None) => prop_assert!(bytes[0] == b'\r' || len < v1::MAX_BYTES),
                verdict => prop_assert_eq!(verdict, parse(&bytes)),
            }
        }
    }

    /// One wrong byte never makes a panic, nor a header that claims more than is there.
    #[test]
    fn a_wrong_byte_is_survived(
        (_, _, mut bytes) in any_header(), at in any::<prop::sample::Index>(), wrong in any::<u8>(),
    ) {
        let at = at.index(bytes.len());
        bytes[at] = wrong;
        if let Ok(Some((header, len))) = parse(&bytes) {
            prop_assert!(len <= bytes.len());
            prop_assert!(header.tlvs.iter().all(|tlv| tlv.value.len() < len));
        }
    }
}
