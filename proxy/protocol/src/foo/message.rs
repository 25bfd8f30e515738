//! Whole messages: reading one from a buffer, writing one to it.

use super::{Grammar, Kind, MAX_LINE_BYTES, Malformed, Scanner};

/// A message that lies in a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// Its type.
    pub kind: Kind,
    /// Its sequence number.
    pub seq: i64,
    /// Its data, without the line end; empty if it has none.
    pub data: &'a [u8],
}

impl<'a> Message<'a> {
    /// Reads the first line of `buffer` and says how many bytes it takes, or `None`
    /// while its end is not there. Strict grammar, lines of the original's length.
    #[inline]
    #[must_use]
    pub fn next(buffer: &'a [u8]) -> Option<(Result<Self, Malformed>, usize)> {
        let mut scanner = Scanner::new(Grammar::Strict, MAX_LINE_BYTES);
        let scanned = scanner.scan(buffer)?;
        let message = scanned.verdict.map(|head| {
            let line = &buffer[..scanned.len - 1];
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let data = line.get(head.data_start..).unwrap_or_default();
            Self {
                kind: head.kind,
                seq: head.seq,
                data,
            }
        });
        Some((message, scanned.len))
    }
}

/// Appends a message to `out`. `data` must hold neither space nor newline.
#[inline]
pub fn encode(kind: Kind, seq: i64, data: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(kind.word().as_bytes());
    out.push(b' ');
    out.extend_from_slice(itoa::Buffer::new().format(seq).as_bytes());
    if !data.is_empty() {
        out.push(b' ');
        out.extend_from_slice(data);
    }
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_the_first_line_only() {
        let buffer = b"ACK 3 0123\r\nNAK 4\nREQ 5 unfin";
        let (first, len) = Message::next(buffer).unwrap();
        assert_eq!(
            first,
            Ok(Message {
                kind: Kind::Ack,
                seq: 3,
                data: b"0123"
            })
        );
        let (second, more) = Message::next(&buffer[len..]).unwrap();
        assert_eq!(
            second,
            Ok(Message {
                kind: Kind::Nak,
                seq: 4,
                data: b""
            })
        );
        assert_eq!(Message::next(&buffer[len + more..]), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            kind in prop_oneof![Just(Kind::Req), Just(Kind::Ack), Just(Kind::Nak)],
            seq in any::<i64>(),
            data in proptest::collection::vec(
                any::<u8>().prop_filter("a data byte", |b| !b" \n\r".contains(b)), 0..80),
        ) {
            let mut line = Vec::new();
            encode(kind, seq, &data, &mut line);
            let expected = Some((Ok(Message { kind, seq, data: &data }), line.len()));
            prop_assert_eq!(Message::next(&line), expected);
        }
    }
}
