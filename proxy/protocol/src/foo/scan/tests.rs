use proptest::prelude::*;

use super::*;
use crate::foo::MAX_LINE_BYTES;

type Verdict = Result<(Kind, i64), Malformed>;
type Case = (&'static [u8], Verdict);

fn verdict(line: &[u8], grammar: Grammar) -> Verdict {
    let mut scanner = Scanner::new(grammar, MAX_LINE_BYTES);
    let scanned = scanner.scan(line).expect("a whole line");
    assert_eq!(scanned.len, line.len(), "{}", line.escape_ascii());
    scanned.verdict.map(|head| (head.kind, head.seq))
}

#[test]
fn strict_takes_what_the_original_server_takes() {
    use Kind::{Ack, Nak, Req};
    use Malformed as M;
    let cases: &[Case] = &[
        (b"REQ 1 abc\n", Ok((Req, 1))),
        (b"REQ 1\n", Ok((Req, 1))),
        (b"REQ 1 \n", Ok((Req, 1))),
        (b"REQ 1 abc\r\n", Ok((Req, 1))),
        (b"REQ 1\r\n", Ok((Req, 1))),
        (b"ACK 7 x\n", Ok((Ack, 7))),
        (b"NAK 7 x\n", Ok((Nak, 7))),
        (b"REQ -1 a\n", Ok((Req, -1))),
        (b"REQ +1 a\n", Ok((Req, 1))),
        (b"REQ 0 a\n", Ok((Req, 0))),
        (b"REQ 0000000000000000000000000012 a\n", Ok((Req, 12))),
        (b"REQ 9223372036854775807 a\n", Ok((Req, i64::MAX))),
        (b"REQ -9223372036854775808 a\n", Ok((Req, i64::MIN))),
        (b"REQ 9223372036854775808 a\n", Err(M::BadSeq)),
        (b"REQ -9223372036854775809 a\n", Err(M::BadSeq)),
        (b"REQ 18446744073709551616 a\n", Err(M::BadSeq)),
        (b"REQ 1\r a\n", Err(M::BadSeq)),
        (b"REQ 1 \xff\xfe\n", Ok((Req, 1))),
        (b"REQ 1 a b\n", Err(M::TooManyFields)),
        (b"req 1 a b\n", Err(M::TooManyFields)),
        (b"REQ  1 a\n", Err(M::TooManyFields)),
        (b"REQ  1\n", Err(M::BadSeq)),
        (b"REQ\t1\n", Err(M::NotEnoughFields)),
        (b"req 1 a\n", Err(M::BadType)),
        (b"REQQ 1 a\n", Err(M::BadType)),
        (b" 1 a\n", Err(M::BadType)),
        (b"REQ x a\n", Err(M::BadSeq)),
        (b"REQ - a\n", Err(M::BadSeq)),
        (b"REQ 1_0 a\n", Err(M::BadSeq)),
        (b"REQ\n", Err(M::NotEnoughFields)),
        (b"REQ \n", Err(M::BadSeq)),
        (b"\r\n", Err(M::NotEnoughFields)),
        (b"\n", Err(M::NotEnoughFields)),
    ];
    for (line, expected) in cases {
        assert_eq!(
            verdict(line, Grammar::Strict),
            *expected,
            "{}",
            line.escape_ascii()
        );
    }
}

#[test]
fn spec_separates_at_runs_and_lets_data_hold_spaces() {
    use Malformed as M;
    let cases: &[Case] = &[
        (b"REQ 1 a b  c\n", Ok((Kind::Req, 1))),
        (b"REQ \t 1 \t a\n", Ok((Kind::Req, 1))),
        (b"REQ 1   \n", Ok((Kind::Req, 1))),
        (b"REQ\t1\r\n", Ok((Kind::Req, 1))),
        (b"REQ   \n", Err(M::NotEnoughFields)),
        (b" REQ 1\n", Err(M::BadType)),
        (b"REQ 1a b\n", Err(M::BadSeq)),
    ];
    for (line, expected) in cases {
        assert_eq!(
            verdict(line, Grammar::Spec),
            *expected,
            "{}",
            line.escape_ascii()
        );
    }
}

#[test]
fn a_line_may_have_max_line_bytes_and_no_more() {
    for (bytes, expected) in [(10, None), (11, Some(Malformed::TooLong))] {
        let mut line = b"REQ 1 ".to_vec();
        line.resize(bytes, b'x');
        line.push(b'\n');
        for step in [1, 3, line.len()] {
            let mut scanner = Scanner::new(Grammar::Strict, 10);
            let found = line.chunks(step).find_map(|piece| scanner.scan(piece));
            assert_eq!(
                found.expect("a line").verdict.err(),
                expected,
                "{bytes} by {step}"
            );
        }
    }
}

#[test]
fn an_unterminated_tail_is_malformed_and_nothing_is_not() {
    let mut scanner = Scanner::new(Grammar::Strict, MAX_LINE_BYTES);
    assert_eq!(scanner.scan(b"REQ 1 a"), None);
    assert_eq!(scanner.finish(), Some(Malformed::Unterminated));
    assert_eq!(scanner.finish(), None);
}

/// Bytes that make lines which are nearly right.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        Just(b"REQ".to_vec()),
        Just(b"ACK".to_vec()),
        Just(b"NAK".to_vec()),
        Just(b"1".to_vec()),
        Just(b"12345678901234567890".to_vec()),
        Just(b" ".to_vec()),
        Just(b"\t".to_vec()),
        Just(b"\r".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"REQ 1 a\n".to_vec()),
        Just(b"-".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..12),
    ];
    proptest::collection::vec(word, 0..40).prop_map(|words| words.concat())
}

fn all_verdicts<'a>(
    pieces: impl Iterator<Item = &'a [u8]>,
    grammar: Grammar,
    max_line: usize,
) -> Vec<Result<(Kind, i64), Malformed>> {
    let mut scanner = Scanner::new(grammar, max_line);
    let mut verdicts = Vec::new();
    for mut piece in pieces {
        while let Some(scanned) = scanner.scan(piece) {
            verdicts.push(scanned.verdict.map(|head| (head.kind, head.seq)));
            piece = &piece[scanned.len..];
        }
    }
    verdicts.extend(scanner.finish().map(Err));
    verdicts
}

proptest! {
    #[test]
    fn verdicts_do_not_depend_on_the_pieces(
        bytes in hostile(),
        step in 1_usize..9,
        max_line in 5_usize..40,
        spec in any::<bool>(),
    ) {
        let grammar = if spec { Grammar::Spec } else { Grammar::Strict };
        let whole = all_verdicts(std::iter::once(&bytes[..]), grammar, max_line);
        let pieces = all_verdicts(bytes.chunks(step), grammar, max_line);
        prop_assert_eq!(&whole, &pieces);
        let lines = bytes.iter().filter(|&&b| b == b'\n').count();
        let tail = usize::from(bytes.last().is_some_and(|&b| b != b'\n'));
        prop_assert_eq!(whole.len(), lines + tail);
    }

    #[test]
    fn strict_agrees_with_a_plain_reading_of_the_rules(bytes in hostile()) {
        let lines: Vec<&[u8]> = bytes.split_inclusive(|&b| b == b'\n').collect();
        for line in lines.iter().filter(|l| l.ends_with(b"\n")) {
            prop_assert_eq!(verdict(line, Grammar::Strict), plain_reading(line));
        }
    }
}

/// The original server's decoder, written down as plainly as possible.
fn plain_reading(line: &[u8]) -> Result<(Kind, i64), Malformed> {
    let line = line.strip_suffix(b"\n").expect("a line");
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let fields: Vec<&[u8]> = line.split(|&b| b == b' ').collect();
    if fields.len() > 3 {
        return Err(Malformed::TooManyFields);
    }
    if fields.len() < 2 {
        return Err(Malformed::NotEnoughFields);
    }
    let kind = match fields[0] {
        b"REQ" => Kind::Req,
        b"ACK" => Kind::Ack,
        b"NAK" => Kind::Nak,
        _ => return Err(Malformed::BadType),
    };
    let seq = std::str::from_utf8(fields[1])
        .ok()
        .and_then(|s| s.parse().ok());
    seq.map(|seq| (kind, seq)).ok_or(Malformed::BadSeq)
}
