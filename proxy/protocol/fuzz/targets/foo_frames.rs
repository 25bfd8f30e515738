//! Foo frames: however a stream is cut, its lines and their verdicts are the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::foo::{Grammar, Message, Scanner, encode};

/// What a stream is made of: each line's length and verdict, without where Data starts,
/// which only a line in one piece tells. And what is left at the end.
type Told = (Vec<(usize, Result<(u8, i64), &'static str>)>, Option<&'static str>);

fn told(grammar: Grammar, max_line: usize, pieces: &[&[u8]]) -> Told {
    let mut scanner = Scanner::new(grammar, max_line);
    let (mut lines, mut begun) = (Vec::new(), 0);
    for piece in pieces {
        let mut rest = *piece;
        while !rest.is_empty() {
            match scanner.scan(rest) {
                Some(scanned) => {
                    assert!(scanned.len > 0 && scanned.len <= rest.len());
                    let verdict = scanned.verdict.map(|head| (head.kind as u8, head.seq));
                    lines.push((begun + scanned.len, verdict.map_err(|reason| reason.kind())));
                    begun = 0;
                    rest = &rest[scanned.len..];
                }
                None => {
                    begun += rest.len();
                    rest = &[];
                }
            }
        }
    }
    assert_eq!(scanner.within_line(), begun > 0);
    (lines, scanner.finish().map(|reason| reason.kind()))
}

fuzz_target!(|input: (bool, u8, Vec<u8>, Vec<u8>)| {
    let (strict, max_line, cuts, bytes) = input;
    let grammar = if strict { Grammar::Strict } else { Grammar::Spec };
    // Both what no line exceeds and what most do.
    let max_line = if max_line == 255 { 65_535 } else { usize::from(max_line) };
    let mut pieces = Vec::new();
    let mut rest = &bytes[..];
    for cut in cuts {
        let (piece, after) = rest.split_at(usize::from(cut).min(rest.len()));
        pieces.push(piece);
        rest = after;
    }
    pieces.push(rest);
    let whole = told(grammar, max_line, &[&bytes]);
    assert_eq!(told(grammar, max_line, &pieces), whole);
    let total: usize = whole.0.iter().map(|(len, _)| len).sum();
    assert_eq!(total, bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1));

    let mut rest = &bytes[..];
    while let Some((message, len)) = Message::next(rest) {
        if let Ok(message) = message {
            let mut again = Vec::new();
            encode(message.kind, message.seq, message.data, &mut again);
            let (same, _) = Message::next(&again).expect("it ends with a newline");
            assert_eq!(same.map(|same| (same.kind, same.seq)), Ok((message.kind, message.seq)));
        }
        rest = &rest[len..];
    }
});
