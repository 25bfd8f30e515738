//! The form of a line that is accounted for one by one.

/// The longest name of a sender: `load` and a few digits are what there is.
const LONGEST_SENDER: usize = 64;

/// Types of such a line; none begins as another.
const TYPES: [&[u8]; 6] = [b"c", b"g", b"ms", b"h", b"s", b"d"];

/// A line of the form `<sender>.k<digits>:<number>|<type>…`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Numbered<'a> {
    /// Sender and key, with the dot between them.
    pub(super) key: &'a [u8],
    /// The sender alone, without a dot.
    pub(super) sender: &'a [u8],
    /// The number of the key.
    pub(super) key_number: u32,
    /// The number that no other line of this sender has.
    pub(super) number: u32,
}

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// One to account for.
    Numbered(Numbered<'a>),
    /// Statsd, but of somebody else.
    Foreign,
    /// Not statsd.
    Malformed,
}

impl<'a> Line<'a> {
    /// Looks at a line, which is given without its end.
    pub(super) fn of(line: &'a [u8]) -> Self {
        let numbered = numbered(line);
        // Nearly all lines end with their type, and need no second look.
        if let Some((numbered, b"")) = numbered {
            return Self::Numbered(numbered);
        }
        if !protocol::statsd::is_well_formed(line) {
            return Self::Malformed;
        }
        match numbered {
            Some((numbered, [b'|' | b'\r', ..])) => Self::Numbered(numbered),
            _ => Self::Foreign,
        }
    }
}

/// The numbered line that this begins as, and what follows its type.
fn numbered(line: &[u8]) -> Option<(Numbered<'_>, &[u8])> {
    let dot = line
        .iter()
        .take(LONGEST_SENDER + 1)
        .position(|b| *b == b'.')?;
    let sender = &line[..dot];
    let key = line[dot + 1..].strip_prefix(b"k")?;
    let key_digits = digits(key);
    let value = key[key_digits..].strip_prefix(b":")?;
    let value_digits = digits(value);
    let rest = value[value_digits..].strip_prefix(b"|")?;
    let rest = TYPES.iter().find_map(|name| rest.strip_prefix(*name))?;
    if dot == 0 {
        return None;
    }
    let line = Numbered {
        key: &line[..dot + 2 + key_digits],
        sender,
        key_number: decimal(&key[..key_digits])?,
        number: decimal(&value[..value_digits])?,
    };
    Some((line, rest))
}

fn digits(text: &[u8]) -> usize {
    let digits = text.iter().take_while(|b| b.is_ascii_digit());
    digits.count()
}

fn decimal(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u32, |number, digit| {
        number.checked_mul(10)?.checked_add(u32::from(digit - b'0'))
    })
}

/// Whether this can be the name of a sender in a record.
pub(super) fn is_sender(name: &[u8]) -> bool {
    name.iter()
        .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbered_lines() {
        let cases: [(&str, &str, &str, u32, u32); 5] = [
            ("load.k000017:4711|c", "load.k000017", "load", 17, 4711),
            ("a-1.k0:0|ms|@0.1", "a-1.k0", "a-1", 0, 0),
            (
                "load.k1:4294967295|d|#a:b,c",
                "load.k1",
                "load",
                1,
                u32::MAX,
            ),
            ("load.k1:007|g", "load.k1", "load", 1, 7),
            ("load.k1:1|s\r", "load.k1", "load", 1, 1),
        ];
        for (line, key, sender, key_number, number) in cases {
            let expected = Numbered {
                key: key.as_bytes(),
                sender: sender.as_bytes(),
                key_number,
                number,
            };
            assert_eq!(
                Line::of(line.as_bytes()),
                Line::Numbered(expected),
                "{line}"
            );
        }
    }

    #[test]
    fn lines_of_others_and_no_lines() {
        for foreign in [
            "page.views:1|c",
            "kittens:1|c",
            "load.k:1|c",
            ".k1:1|c",
            "load.k1:-1|g",
            "load.k1:4294967296|c",
            "load.k1:1.5|ms",
            "load.k1:1|c:2|ms",
            "load.k1:1:2|c",
        ] {
            assert_eq!(Line::of(foreign.as_bytes()), Line::Foreign, "{foreign}");
        }
        for malformed in [
            "load.k1:17",
            "load.k1:17|",
            "load.k1:17|cc",
            "load.k1:|c",
            "load.k1",
            "%d",
            "\0",
        ] {
            assert_eq!(
                Line::of(malformed.as_bytes()),
                Line::Malformed,
                "{malformed}"
            );
        }
    }
}
