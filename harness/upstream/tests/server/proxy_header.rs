//! `--proxy-protocol`: who the clients were, as the proxy says.

use std::io::Write;
use std::net::Shutdown;

use upstream::record::ProxyHeaders;

use crate::program::{Program, read_all};

const V1: &[u8] = b"PROXY TCP4 192.0.2.1 192.0.2.2 4711 80\r\n";
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\
    \xc0\x00\x02\x07\xc0\x00\x02\x08\x12\x34\x00\x50";

#[test]
fn headers_are_taken_and_counted() {
    let server = Program::serve("echo", &["--proxy-protocol"]);
    for (header, pieces) in [(V1, 1000), (V2, 1000), (V1, 3), (V2, 5)] {
        let mut stream = server.connect();
        for piece in [header, b"hello"].concat().chunks(pieces) {
            stream.write_all(piece).unwrap();
        }
        stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(read_all(&mut stream), (b"hello".to_vec(), None));
    }
    assert_eq!(server.exchange(b"PROXY UNKNOWN\r\nx"), b"x");
    let (received, _) = read_all(&mut {
        let mut stream = server.connect();
        stream.write_all(b"hello, who needs a header").unwrap();
        stream
    });
    assert_eq!(received, b"");
    assert_eq!(server.exchange(&V1[..10]), b"");
    let counts = server.stop().record();
    let wanted = ProxyHeaders {
        v1: 3,
        v2: 2,
        without_source: 1,
        refused: 1,
        cut_short: 1,
    };
    assert_eq!(counts.proxy_headers, wanted);
    let sources = ["192.0.2.1:4711", "192.0.2.7:4660"];
    assert_eq!(counts.proxy_sources, [sources, sources].concat());
}

#[test]
fn a_source_waits_for_the_header() {
    let server = Program::serve("source", &["--proxy-protocol", "--bytes", "10"]);
    assert_eq!(server.exchange(b""), b"");
    assert_eq!(server.exchange(V2).len(), 10);
}
