//! What is a line of statsd, and what is not.

/// Whether a line is one that a statsd backend can take:
///
/// - `name:value|type`, and `|@rate` after it: the type one of `c g ms h d s m`, the value a
///   number, of a set (`s`) any text;
/// - several of them for one name, `name:1|c:2|ms`, as statsd itself takes them;
/// - DogStatsD: several values of one type, `name:1:2:3|d`, and the fields `|#tags`,
///   `|c:container`, `|e:external data`, `|card:cardinality`, `|T<timestamp>`; events
///   (`_e{…}:…`) and service checks (`_sc|…`).
///
/// One carriage return at the end counts as part of the newline. A name is any text without
/// control characters and `|`; that it is UTF-8 is not asked for.
///
/// Sources: statsd 0.9.0 (`stats.js`, `helpers.is_valid_packet`), and the datagram format
/// in Datadog's documentation. Where statsd would guess (a type it does not know is a
/// counter), this does not.
#[must_use]
pub fn is_well_formed(line: &[u8]) -> bool {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    match line {
        [b'_', b'e', b'{', rest @ ..] => is_event(rest),
        [b'_', b's', b'c', b'|', rest @ ..] => is_service_check(rest),
        _ => is_metric(line),
    }
}

fn is_metric(line: &[u8]) -> bool {
    let Some(colon) = name_len(line) else {
        return false;
    };
    let mut rest = &line[colon + 1..];
    loop {
        let Some(bar) = rest.iter().position(|&byte| byte == b'|') else {
            return false;
        };
        let (values, after) = (&rest[..bar], &rest[bar + 1..]);
        let (type_len, is_text) = match after {
            [b'c' | b'g' | b'h' | b'd', ..] => (1, false),
            [b'm', b's', ..] => (2, false),
            [b'm', ..] => (1, false),
            [b's', ..] => (1, true),
            _ => return false,
        };
        let ok = if is_text {
            !values.is_empty()
        } else {
            values.split(|&byte| byte == b':').all(is_number)
        };
        if !ok {
            return false;
        }
        match fields(&after[type_len..]) {
            Fields::End => return true,
            Fields::Wrong => return false,
            Fields::Value(next) => rest = next,
        }
    }
}

/// How long the name is that a line starts with, if it is one and a colon follows.
fn name_len(line: &[u8]) -> Option<usize> {
    let end = line
        .iter()
        .position(|&byte| matches!(byte, b':' | b'|' | 0x7f) || byte < b' ')?;
    (end > 0 && line[end] == b':').then_some(end)
}

/// What comes after a type.
enum Fields<'a> {
    /// Only what may.
    End,
    /// Another value for the same name, and this is where it starts.
    Value(&'a [u8]),
    Wrong,
}

fn fields(mut rest: &[u8]) -> Fields<'_> {
    loop {
        rest = match rest {
            [] => return Fields::End,
            [b':', rest @ ..] => return Fields::Value(rest),
            [b'|', b'@', rest @ ..] => {
                let is_end = |&byte: &u8| byte == b'|' || byte == b':';
                let end = rest.iter().position(is_end).unwrap_or(rest.len());
                if !is_number(&rest[..end]) || rest[0] == b'-' {
                    return Fields::Wrong;
                }
                &rest[end..]
            }
            [b'|', rest @ ..] => {
                let end = memchr::memchr(b'|', rest).unwrap_or(rest.len());
                if !is_field(&rest[..end]) {
                    return Fields::Wrong;
                }
                &rest[end..]
            }
            _ => return Fields::Wrong,
        }
    }
}

/// A field of DogStatsD. Colons in it are its own.
fn is_field(field: &[u8]) -> bool {
    match field {
        [b'#', ..] | [b'c' | b'e', b':', ..] => true,
        [b'T', digits @ ..] => !digits.is_empty() && digits.iter().all(u8::is_ascii_digit),
        _ => field.starts_with(b"card:"),
    }
}

/// A decimal number, with a sign, a fraction, an exponent or without.
fn is_number(text: &[u8]) -> bool {
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut rest = match text {
        [b'+' | b'-', rest @ ..] => rest,
        _ => text,
    };
    let whole = digits(rest);
    rest = &rest[whole..];
    let mut fraction = 0;
    if let [b'.', after @ ..] = rest {
        fraction = digits(after);
        rest = &after[fraction..];
    }
    if whole + fraction == 0 {
        return false;
    }
    match rest {
        [] => true,
        [b'e' | b'E', b'+' | b'-', power @ ..] | [b'e' | b'E', power @ ..] => {
            !power.is_empty() && digits(power) == power.len()
        }
        _ => false,
    }
}

/// An event after its `_e{`: `5,4}:title|text|…`, with the lengths of title and text in
/// bytes.
fn is_event(rest: &[u8]) -> bool {
    let Some((title_len, rest)) = length(rest, b',') else {
        return false;
    };
    let Some((text_len, rest)) = length(rest, b'}') else {
        return false;
    };
    let Some(rest) = rest.strip_prefix(b":") else {
        return false;
    };
    title_len > 0
        && rest.get(title_len) == Some(&b'|')
        && match rest.get(title_len + 1 + text_len..) {
            Some(fields) => fields.is_empty() || fields[0] == b'|',
            None => false,
        }
}

/// A length, what ends it, and what is after that. Longer ones than any line are none.
fn length(text: &[u8], end: u8) -> Option<(usize, &[u8])> {
    let digits = text.iter().position(|&byte| byte == end)?;
    if !(1..=5).contains(&digits) {
        return None;
    }
    let length = text[..digits].iter().try_fold(0, |length, &byte| {
        byte.is_ascii_digit()
            .then(|| length * 10 + usize::from(byte - b'0'))
    })?;
    Some((length, &text[digits + 1..]))
}

/// A service check after its `_sc|`: `name|status|…`, the status 0 to 3.
fn is_service_check(rest: &[u8]) -> bool {
    let Some(bar) = memchr::memchr(b'|', rest) else {
        return false;
    };
    bar > 0 && matches!(rest[bar + 1..], [b'0'..=b'3'] | [b'0'..=b'3', b'|', ..])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_statsd() {
        for line in [
            "gorets:1|c",
            "gorets:1|c|@0.1",
            "glork:320|ms|@.5",
            "glork:320.5|ms",
            "gaugor:-10|g",
            "gaugor:+4|g",
            "gaugor:333|g",
            "uniques:765|s",
            "uniques:a b%c/é|s",
            "a:1e3|h",
            "a:1.5E-7|d",
            "a:.5|d",
            "a:5.|d",
            "a:1|m",
            "a:1|c\r",
            "cpu%d:1|c",
            "constructor:1|c",
            "with space.日本:1|c",
            "influx,host=a,region=b:1|c",
            "a:1|c:2|ms:3|g",
            "a:1|c|@0.1:2|c|@0.5",
            "a:1:2:3|d",
            "a:1.5:2:-3|d|@0.5|#env:prod",
            "a:1|c|#",
            "a:1|c|#env:prod,just-a-tag",
            "a:1|c|@0.1|#env:prod|c:ci-1234",
            "a:1|g|#env:prod|T1656581400",
            "a:1|c|e:it-false,cn-app|card:low",
            "_e{5,4}:title|text",
            "_e{5,4}:title|text|d:1|#a:b",
            "_e{5,0}:title|",
            "_e{5,4}:ti|le|te|t|p:low",
            "_sc|redis.up|0",
            "_sc|redis.up|2|#env:dev|m:timed out",
            "_e.x:1|c",
            "_sc:1|c",
        ] {
            assert!(is_well_formed(line.as_bytes()), "{line}");
        }
    }

    #[test]
    fn what_is_not() {
        for line in [
            "",
            "\r",
            "a",
            "a:",
            "a:1",
            "a:|c",
            "a:1|",
            "a:1|x",
            "a:1|C",
            "a:1|cc",
            "a:1|mss",
            "a:1|c ",
            ":1|c",
            "a|b:1|c",
            "a\0:1|c",
            "a\tb:1|c",
            "a:x|c",
            "a:1x|c",
            "a: 1|c",
            "a:-|g",
            "a:.|g",
            "a:1e|g",
            "a:1e+|g",
            "a:--1|g",
            "a:0x1|g",
            "a:NaN|g",
            "a:|s",
            "a:1::2|d",
            "a:1:|d",
            "a:1|c|",
            "a:1|c|0.1",
            "a:1|c|@",
            "a:1|c|@x",
            "a:1|c|@-1",
            "a:1|c|x:y",
            "a:1|c|T",
            "a:1|c|Tx",
            "a:1|c:",
            "a:1|c:2",
            "a:1|c\r\r",
            "_e{5,4}:title",
            "_e{5,4}:title|tex",
            "_e{5,4}:title|texts",
            "_e{0,4}:|text",
            "_e{5}:title",
            "_e{x,4}:title|text",
            "_e{,4}:title|text",
            "_e{99999999999999999999,4}:title|text",
            "_e{5,4}title|text",
            "_sc|",
            "_sc|name",
            "_sc|name|",
            "_sc|name|4",
            "_sc|name|00",
            "_sc||0",
        ] {
            assert!(!is_well_formed(line.as_bytes()), "{line}");
        }
        assert!(!is_well_formed(&[b'x'; 65_507]));
        assert!(!is_well_formed(&[0xff; 1_000]));
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_judged(line in prop::collection::vec(
            prop_oneof![
                2 => any::<u8>(),
                6 => prop::sample::select(b"a1:|@#cgsm.-_e{},".as_slice()),
            ],
            0..60,
        )) {
            // That it ends, and does not panic, is the law; and a newline's other half
            // makes no difference.
            let judged = is_well_formed(&line);
            let mut with_return = line.clone();
            with_return.push(b'\r');
            if line.last() != Some(&b'\r') {
                prop_assert_eq!(is_well_formed(&with_return), judged);
            }
        }

        #[test]
        fn what_is_made_by_the_grammar_is_well_formed(
            name in "[a-zA-Z0-9._ %/-]{1,40}",
            values in prop::collection::vec(-1e12..1e12f64, 1..4),
            kind in prop::sample::select(vec!["c", "g", "ms", "h", "d", "s", "m"]),
            rate in prop::option::of(0.0..1.0f64),
            tags in prop::option::of("[a-z:,0-9é]{0,30}"),
        ) {
            // No name of a metric starts as events and service checks do.
            prop_assume!(!name.starts_with("_e{"));
            let values: Vec<_> = values.iter().map(f64::to_string).collect();
            let mut line = format!("{name}:{}|{kind}", values.join(":"));
            if let Some(rate) = rate {
                line += &format!("|@{rate}");
            }
            if let Some(tags) = tags {
                line += &format!("|#{tags}");
            }
            prop_assert!(is_well_formed(line.as_bytes()), "{}", line);
        }
    }
}
