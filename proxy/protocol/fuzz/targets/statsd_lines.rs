//! statsd lines: a stream in pieces has the same lines as a datagram that holds it all.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::statsd::{MAX_LINE_BYTES, Reassembler, is_well_formed, key, lines};

fuzz_target!(|input: (Vec<u16>, Vec<u8>)| {
    let (cuts, bytes) = input;
    let whole: Vec<&[u8]> = lines(&bytes).collect();
    for line in &whole {
        assert!(!line.is_empty() && !line.contains(&b'\n'));
        assert!(line.starts_with(key(line)) && !key(line).contains(&b':'));
        let _ = is_well_formed(line);
    }
    if whole.iter().any(|line| line.len() > MAX_LINE_BYTES) {
        return;
    }
    let mut reassembler = Reassembler::default();
    let mut joined: Vec<Vec<u8>> = Vec::new();
    let mut rest = &bytes[..];
    for cut in cuts {
        let (piece, after) = rest.split_at(usize::from(cut).min(rest.len()));
        reassembler.push(piece, |line| joined.push(line.to_vec()));
        rest = after;
    }
    reassembler.push(rest, |line| joined.push(line.to_vec()));
    reassembler.finish(|line| joined.push(line.to_vec()));
    assert_eq!(joined, whole);
    assert_eq!(reassembler.too_long(), 0);
});
