//! `http`: literal requests and answers.

use std::io::{Read, Write};

use upstream::pattern;

use crate::program::{Program, read_all};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n";

fn answer(server: &Program, request: &str) -> String {
    String::from_utf8(server.exchange(request.as_bytes())).unwrap()
}

#[test]
fn requests_of_each_kind() {
    let server = Program::serve("http", &[]);
    let empty = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";
    let cases = [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", OK),
        (
            "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n",
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n5\n",
        ),
        (
            "PUT /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        ),
        (
            "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
        ),
        ("GET /status/503 HTTP/1.1\r\nHost: a\r\n\r\n", empty),
        (
            "GET / HTTP/1.0\r\n\r\nGET / HTTP/1.0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n",
        ),
        (
            "GET /a b HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "HTTP/1.1 400 Bad Request\r\nContent-Length: 30\r\nConnection: close\r\n\r\n\
             expected METHOD TARGET VERSION\n",
        ),
    ];
    for (request, expected) in cases {
        let expected = expected.replace("Length: 30", "Length: 31");
        assert_eq!(answer(&server, request), expected, "{request}");
    }
    let counts = server.stop().record();
    assert_eq!((counts.requests, counts.decode_errors), (7, 1));
}

#[test]
fn pipelined_requests_are_answered_in_turn_with_bytes_of_any_length() {
    let server = Program::serve("http", &["--name", "two"]);
    let request = "GET /bytes/700000 HTTP/1.1\r\nHost: a\r\n\r\n\
        POST /bytes/10 HTTP/1.1\r\nHost: a\r\nContent-Length: 400000\r\n\r\n";
    let mut sent = request.as_bytes().to_vec();
    sent.resize(sent.len() + 400_000, b'x');
    sent.extend_from_slice(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let received = server.exchange(&sent);
    let mut rest = received.as_slice();
    for (length, connection) in [(700_000, ""), (10, ""), (3, "Connection: close\r\n")] {
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n{connection}X-Upstream: two\r\n\r\n"
        );
        rest = rest.strip_prefix(head.as_bytes()).unwrap();
        let (body, after) = rest.split_at(length);
        assert!(length == 3 || pattern::mismatch(1, 0, body).is_none());
        rest = after;
    }
    assert_eq!(rest, b"");
}

#[test]
fn a_head_that_never_ends_is_bounded() {
    let server = Program::serve("http", &[]);
    let mut stream = server.connect();
    let _ = stream.write_all(&[b'x'; 20_000]);
    let (received, _) = read_all(&mut stream);
    assert!(received.starts_with(b"HTTP/1.1 431 "), "{received:?}");
    drop(stream);
    assert_eq!(server.stop().record().too_long, 1);
}

#[test]
fn a_connection_is_kept_for_a_slow_next_request() {
    let server = Program::serve("http", &[]);
    let mut stream = server.connect();
    for _ in 0..3 {
        for piece in "GET / HTTP/1.1\r\nHost: a\r\n\r\n".as_bytes().chunks(5) {
            stream.write_all(piece).unwrap();
        }
        let mut received = vec![0; OK.len()];
        stream.read_exact(&mut received).unwrap();
        assert_eq!(String::from_utf8(received).unwrap(), OK);
    }
}
