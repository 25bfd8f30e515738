//! The start of TLS: what has come of it decides nothing that the rest would not.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::client_hello::{DEFAULT_MAX_BYTES, peek};

fuzz_target!(|bytes: &[u8]| {
    let whole = peek(bytes, DEFAULT_MAX_BYTES);
    for len in 0..bytes.len().min(600) {
        match (peek(&bytes[..len], DEFAULT_MAX_BYTES), &whole) {
            (Ok(None), _) => {}
            (Ok(Some(early)), Ok(Some(late))) => assert_eq!(&early, late),
            (Err(early), Err(late)) => assert_eq!(early.kind(), late.kind()),
            (early, late) => panic!("{len} bytes: {early:?}, all: {late:?}"),
        }
    }
    // With less room it is refused or told the same, and never waited for beyond the room.
    for max in [16, 64, 256] {
        if bytes.len() >= max {
            assert!(!matches!(peek(bytes, max), Ok(None)));
        }
    }
});
