//! Joining the first handshake message out of the records that carry it.

use std::borrow::Cow;

use super::HelloError;

/// Type, version and length of a record.
const RECORD_HEAD_BYTES: usize = 5;

/// What a record may carry in the clear, RFC 8446 section 5.1.
const MAX_FRAGMENT_BYTES: usize = 1 << 14;

/// Type and length of a handshake message.
const MESSAGE_HEAD_BYTES: usize = 4;

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;

/// The body of the client hello that `bytes` begin with; copied only where it is split.
pub(super) fn message(bytes: &[u8], max: usize) -> Result<Option<Cow<'_, [u8]>>, HelloError> {
    let mut joined: Cow<'_, [u8]> = Cow::Borrowed(&[]);
    let mut rest = bytes;
    while !rest.is_empty() {
        // Only the first bytes can tell that this is not TLS at all.
        let foreign = if rest.len() == bytes.len() {
            HelloError::NotTls
        } else {
            HelloError::Malformed
        };
        let (fragment, behind) = record(rest, foreign)?;
        rest = behind;
        if joined.is_empty() {
            joined = Cow::Borrowed(fragment);
        } else {
            joined.to_mut().extend_from_slice(fragment);
        }
        // The length is known, and may be too much, long before the message is there.
        let Some(len) = message_len(&joined)? else {
            continue;
        };
        if RECORD_HEAD_BYTES + len > max {
            return Err(HelloError::TooLong);
        }
        if let Some(surplus) = joined.len().checked_sub(len) {
            let used = bytes.len() - rest.len() - surplus;
            return if used > max {
                Err(HelloError::TooLong)
            } else {
                Ok(Some(cut(joined, MESSAGE_HEAD_BYTES, len)))
            };
        }
    }
    if bytes.len() < max {
        Ok(None)
    } else {
        Err(HelloError::TooLong)
    }
}

/// What is there of the first record's content, and what is behind the record.
fn record(bytes: &[u8], foreign: HelloError) -> Result<(&[u8], &[u8]), HelloError> {
    let major = bytes.get(1).copied().unwrap_or(3);
    if bytes[0] != HANDSHAKE || major != 3 {
        return Err(foreign);
    }
    // The minor version is whatever the client's library thinks most compatible.
    let Some((&[_, _, _, high, low], content)) = bytes.split_first_chunk::<RECORD_HEAD_BYTES>()
    else {
        return Ok((&[], &[]));
    };
    let len = usize::from(u16::from_be_bytes([high, low]));
    if len == 0 || len > MAX_FRAGMENT_BYTES {
        return Err(HelloError::Malformed);
    }
    Ok(content.split_at_checked(len).unwrap_or((content, &[])))
}

/// How long the message is that begins here, with its head, once that can be known.
fn message_len(joined: &[u8]) -> Result<Option<usize>, HelloError> {
    match joined {
        [kind, ..] if *kind != CLIENT_HELLO => Err(HelloError::NotHello),
        [_, high, middle, low, ..] => {
            let body = u32::from_be_bytes([0, *high, *middle, *low]) as usize;
            Ok(Some(MESSAGE_HEAD_BYTES + body))
        }
        _ => Ok(None),
    }
}

fn cut(joined: Cow<'_, [u8]>, start: usize, end: usize) -> Cow<'_, [u8]> {
    match joined {
        Cow::Borrowed(joined) => Cow::Borrowed(&joined[start..end]),
        Cow::Owned(mut joined) => {
            joined.truncate(end);
            joined.drain(..start);
            Cow::Owned(joined)
        }
    }
}
