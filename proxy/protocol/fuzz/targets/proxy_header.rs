//! PROXY headers: what has come of a header decides nothing that the rest would not, and
//! what is told of a header is told again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::proxy_header::{Version, encode, parse};

fuzz_target!(|bytes: &[u8]| {
    let whole = parse(bytes);
    for len in 0..bytes.len().min(300) {
        match (parse(&bytes[..len]), &whole) {
            (Ok(None), _) => {}
            (Ok(Some((_, used))), Ok(Some((_, all)))) => assert_eq!(used, *all),
            (Err(early), Err(late)) => assert_eq!(early.kind(), late.kind()),
            (early, late) => panic!("{len} bytes: {early:?}, all: {late:?}"),
        }
    }
    let Ok(Some((header, used))) = whole else {
        return;
    };
    assert!(used <= bytes.len());
    let mut again = Vec::new();
    encode(Version::V2, &header.addresses, &mut again);
    let (same, used) = parse(&again).expect("we wrote it").expect("and all of it");
    assert_eq!(used, again.len());
    assert_eq!(same.addresses.source(), header.addresses.source());
});
