//! The head of an HTTP/1.1 request: a strict parse, after RFC 9112.
//!
//! What a lenient server would guess about is refused here: bare line feeds, folded
//! headers, space before a colon, two lengths. Proxies that pass such things on have
//! been tricked into seeing other requests than the server behind them.

/// Heads are no longer than this: twice what browsers send at most.
const MAX_HEAD_BYTES: usize = 16 * 1024;

/// What was asked for, as far as the server cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head<'a> {
    pub(super) method: &'a str,
    pub(super) target: &'a str,
    /// Bytes of body that follow.
    pub(super) body: u64,
    /// Whether the client wants to be told to go on before it sends the body.
    pub(super) expects_continue: bool,
    /// Whether another request may follow.
    pub(super) keeps_alive: bool,
}

/// Why a head is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// 400.
    Malformed(&'static str),
    /// 431.
    TooLong,
    /// 501: a body whose length is not said in advance.
    TransferEncoding,
    /// 505.
    Version,
}

/// The head at the start of `bytes` and its length, or `None` if it is not all there.
/// `known` is how many bytes were already looked at in vain.
pub(super) fn parse(bytes: &[u8], known: usize) -> Result<Option<(Head<'_>, usize)>, Refused> {
    // The end may straddle what was looked at and what is new.
    let from = known.saturating_sub(3).min(bytes.len());
    let end = memchr::memmem::find(&bytes[from..], b"\r\n\r\n").map(|at| from + at + 4);
    let Some(end) = end.filter(|end| *end <= MAX_HEAD_BYTES) else {
        if bytes.len() > MAX_HEAD_BYTES {
            return Err(Refused::TooLong);
        }
        return Ok(None);
    };
    let text = std::str::from_utf8(&bytes[..end - 4])
        .map_err(|_| Refused::Malformed("a head that is not text"))?;
    let mut lines = text.split("\r\n");
    let first = lines.next().unwrap_or_default();
    let is_1_0 = first.ends_with("HTTP/1.0");
    let mut head = request_line(first)?;
    let mut seen = Seen::default();
    for line in lines {
        header(line, &mut head, &mut seen)?;
    }
    if seen.transfer_encoding && seen.length {
        return Err(Refused::Malformed("a length and a transfer encoding"));
    }
    if seen.transfer_encoding {
        return Err(Refused::TransferEncoding);
    }
    if seen.hosts > 1 || (seen.hosts == 0 && !is_1_0) {
        return Err(Refused::Malformed("expected one Host"));
    }
    Ok(Some((head, end)))
}

/// Headers that may come once only.
#[derive(Debug, Default)]
struct Seen {
    hosts: u32,
    length: bool,
    transfer_encoding: bool,
}

fn request_line(line: &str) -> Result<Head<'_>, Refused> {
    let mut words = line.split(' ');
    let (method, target, version) = (words.next(), words.next(), words.next());
    let (Some(method), Some(target), Some(version), None) = (method, target, version, words.next())
    else {
        return Err(Refused::Malformed("expected METHOD TARGET VERSION"));
    };
    if method.is_empty() || !method.bytes().all(is_token) {
        return Err(Refused::Malformed("a method that is none"));
    }
    if target.is_empty() || !target.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(Refused::Malformed("a target that is none"));
    }
    let keeps_alive = match version {
        "HTTP/1.1" => true,
        "HTTP/1.0" => false,
        _ if version.starts_with("HTTP/") => return Err(Refused::Version),
        _ => return Err(Refused::Malformed("a version that is none")),
    };
    Ok(Head {
        method,
        target,
        body: 0,
        expects_continue: false,
        keeps_alive,
    })
}

fn header(line: &str, head: &mut Head<'_>, seen: &mut Seen) -> Result<(), Refused> {
    let Some((name, value)) = line.split_once(':') else {
        return Err(Refused::Malformed("a header without a colon"));
    };
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err(Refused::Malformed("a header name that is none"));
    }
    if value.bytes().any(|b| b.is_ascii_control() && b != b'\t') {
        return Err(Refused::Malformed("a control character in a header"));
    }
    let value = value.trim_matches([' ', '\t']);
    if name.eq_ignore_ascii_case("content-length") {
        let is_number = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
        let length = value.parse().ok().filter(|_| is_number && !seen.length);
        head.body = length.ok_or(Refused::Malformed("a Content-Length that is none"))?;
        seen.length = true;
    } else if name.eq_ignore_ascii_case("transfer-encoding") {
        seen.transfer_encoding = true;
    } else if name.eq_ignore_ascii_case("host") {
        seen.hosts += 1;
    } else if name.eq_ignore_ascii_case("connection") {
        for option in value.split(',').map(str::trim) {
            if option.eq_ignore_ascii_case("close") {
                head.keeps_alive = false;
            }
        }
    } else if name.eq_ignore_ascii_case("expect") {
        head.expects_continue = value.eq_ignore_ascii_case("100-continue");
    }
    Ok(())
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_head_says() {
        let bytes = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\
            Expect: 100-continue\r\nConnection: keep-alive, Close\r\n\r\nbody";
        let (head, len) = parse(bytes, 0).unwrap().unwrap();
        let expected = Head {
            method: "POST",
            target: "/echo",
            body: 12,
            expects_continue: true,
            keeps_alive: false,
        };
        assert_eq!((head, &bytes[len..]), (expected, &b"body"[..]));
        let (head, _) = parse(b"GET / HTTP/1.0\r\n\r\n", 0).unwrap().unwrap();
        assert!(!head.keeps_alive);
    }

    #[test]
    fn what_others_would_guess_about_is_refused() {
        let heads = [
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
            "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / \r\nHost: a\r\n\r\n",
            "G(T / HTTP/1.1\r\nHost: a\r\n\r\n",
            "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        ];
        for head in heads {
            let refused = parse(head.as_bytes(), 0);
            assert!(
                matches!(refused, Err(Refused::Malformed(_))),
                "{head:?}: {refused:?}"
            );
        }
        let chunked = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(parse(chunked, 0), Err(Refused::TransferEncoding));
        assert_eq!(parse(b"GET / HTTP/2.0\r\n\r\n", 0), Err(Refused::Version));
        assert_eq!(parse(&[b'x'; MAX_HEAD_BYTES + 1], 0), Err(Refused::TooLong));
        assert_eq!(parse(&[b'x'; MAX_HEAD_BYTES], 0), Ok(None));
    }

    proptest! {
        #[test]
        fn the_end_is_found_wherever_the_pieces_are_cut(cut in 0_usize..40) {
            let whole = b"GET / HTTP/1.1\r\nHost: a\r\nX-Y: z z\r\n\r\n";
            let cut = cut.min(whole.len() - 1);
            prop_assert_eq!(parse(&whole[..cut], 0), Ok(None));
            let (_, len) = parse(whole, cut).unwrap().unwrap();
            prop_assert_eq!(len, whole.len());
        }

        #[test]
        fn nothing_makes_it_panic(bytes: Vec<u8>, known: usize) {
            let _ = parse(&bytes, known);
        }
    }
}
