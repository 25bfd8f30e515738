//! Bytes as text with escapes.

/// The bytes that a text with escapes stands for.
///
/// # Errors
/// Which escape is none.
pub fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let wrong =
        |what: &str| format!("{what:?} is no escape; \\r, \\n, \\t, \\0, \\xNN and \\\\ are");
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        bytes.extend_from_slice(before.as_bytes());
        let mut chars = after.chars();
        let simple = match chars.next() {
            Some('r') => b'\r',
            Some('n') => b'\n',
            Some('t') => b'\t',
            Some('0') => 0,
            Some('\\') => b'\\',
            Some('"') => b'"',
            Some('\'') => b'\'',
            Some('x') => {
                let digits = after
                    .get(1..3)
                    .ok_or_else(|| wrong(&format!("\\{after}")))?;
                let byte = u8::from_str_radix(digits, 16);
                bytes.push(byte.map_err(|_| wrong(&format!("\\x{digits}")))?);
                rest = &after[3..];
                continue;
            }
            other => {
                return Err(wrong(&format!(
                    "\\{}",
                    other.map_or(String::new(), String::from)
                )));
            }
        };
        bytes.push(simple);
        rest = chars.as_str();
    }
    bytes.extend_from_slice(rest.as_bytes());
    Ok(bytes)
}

/// Some bytes, for serde.
pub(super) mod one {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(in crate::probe) fn serialize<S: Serializer>(
        bytes: &[u8],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_str(&bytes.escape_ascii())
    }

    pub(in crate::probe) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<u8>, D::Error> {
        super::unescape(&String::deserialize(from)?).map_err(D::Error::custom)
    }
}

/// Several of them, for serde.
pub(super) mod many {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(in crate::probe) fn serialize<S: Serializer>(
        all: &[Vec<u8>],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_seq(all.iter().map(|bytes| bytes.escape_ascii().to_string()))
    }

    pub(in crate::probe) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<Vec<u8>>, D::Error> {
        let texts = Vec::<String>::deserialize(from)?;
        let bytes = texts.iter().map(|text| super::unescape(text));
        bytes.collect::<Result<_, _>>().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes() {
        assert_eq!(
            unescape(r"a\r\n\t\0\\\x41\xffz").unwrap(),
            b"a\r\n\t\0\\A\xffz"
        );
        assert_eq!(unescape("plain").unwrap(), b"plain");
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(unescape(&all.escape_ascii().to_string()).unwrap(), all);
        for wrong in [r"\q", r"\", r"\x4", r"\xzz"] {
            assert!(unescape(wrong).is_err(), "{wrong}");
        }
    }
}
