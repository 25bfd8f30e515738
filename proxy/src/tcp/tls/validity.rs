//! From when until when a certificate is valid, read from its DER (RFC 5280 section
//! 4.1): the TLS library looks at this in others' certificates only.

/// Seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Validity {
    pub(super) not_before: i64,
    pub(super) not_after: i64,
}

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const VERSION: u8 = 0xA0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

impl Validity {
    /// Of a certificate in DER; `None` if it is none.
    pub(super) fn of(certificate: &[u8]) -> Option<Self> {
        let (mut outer, _) = expect(certificate, SEQUENCE)?;
        let mut fields = next(&mut outer, SEQUENCE)?;
        if fields.first() == Some(&VERSION) {
            next(&mut fields, VERSION)?;
        }
        let _serial = next(&mut fields, INTEGER)?;
        let _algorithm = next(&mut fields, SEQUENCE)?;
        let _issuer = next(&mut fields, SEQUENCE)?;
        let mut validity = next(&mut fields, SEQUENCE)?;
        Some(Self {
            not_before: time(&mut validity)?,
            not_after: time(&mut validity)?,
        })
    }
}

/// Takes the next element, which must have this tag, and gives its content.
fn next<'a>(rest: &mut &'a [u8], tag: u8) -> Option<&'a [u8]> {
    let (content, behind) = expect(rest, tag)?;
    *rest = behind;
    Some(content)
}

fn expect(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&[found, short], rest) = bytes.split_first_chunk()?;
    if found != tag {
        return None;
    }
    // A length below 128 is one byte; else that byte says how many bytes it has.
    let (len, rest) = match short {
        0..=0x7F => (usize::from(short), rest),
        0x81..=0x83 => {
            let (digits, rest) = rest.split_at_checked(usize::from(short & 0x7F))?;
            let len = digits
                .iter()
                .fold(0, |len, &digit| len << 8 | usize::from(digit));
            (len, rest)
        }
        _ => return None,
    };
    rest.split_at_checked(len)
}

/// `YYMMDDhhmmssZ` or `YYYYMMDDhhmmssZ`.
fn time(rest: &mut &[u8]) -> Option<i64> {
    let (year, text) = match rest.first()? {
        &UTC_TIME => {
            let text = next(rest, UTC_TIME)?;
            let (year, text) = text.split_at_checked(2)?;
            let year = number(year)?;
            (if year < 50 { 2000 + year } else { 1900 + year }, text)
        }
        _ => {
            let text = next(rest, GENERALIZED_TIME)?;
            let (year, text) = text.split_at_checked(4)?;
            (number(year)?, text)
        }
    };
    let &[a, b, c, d, e, f, g, h, i, j, b'Z'] = text else {
        return None;
    };
    let (month, day) = (number(&[a, b])?, number(&[c, d])?);
    let (hour, minute, second) = (number(&[e, f])?, number(&[g, h])?, number(&[i, j])?);
    if !(1..=12).contains(&month) {
        return None;
    }
    Some(((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second)
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |number, digit| {
        digit
            .is_ascii_digit()
            .then(|| number * 10 + i64::from(digit - b'0'))
    })
}

/// Days since 1970, after Howard Hinnant's "chrono-compatible low-level date algorithms"
/// (`days_from_civil`), for years from 0 on.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(tag: u8, text: &[u8]) -> Option<i64> {
        let element = [&[tag, u8::try_from(text.len()).unwrap()], text].concat();
        time(&mut &element[..])
    }

    #[test]
    fn times_of_both_forms() {
        assert_eq!(read(UTC_TIME, b"700101000000Z"), Some(0));
        assert_eq!(read(UTC_TIME, b"000229120000Z"), Some(951_825_600));
        assert_eq!(
            read(GENERALIZED_TIME, b"20500101000000Z"),
            Some(2_524_608_000)
        );
        assert_eq!(
            read(GENERALIZED_TIME, b"99991231235959Z"),
            Some(253_402_300_799)
        );
        for text in [
            &b"7001010000Z"[..],
            b"70010100000xZ",
            b"701301000000Z",
            b"700101000000",
            b"",
        ] {
            assert_eq!(read(UTC_TIME, text), None);
        }
    }

    #[test]
    fn a_certificate_and_its_prefixes() {
        let made = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap();
        let der = made.cert.der();
        // The generator's own limits: 1975 and 4096.
        let validity = Validity::of(der).unwrap();
        assert_eq!(validity.not_before, 157_766_400);
        assert_eq!(validity.not_after, 67_090_118_400);
        for len in 0..der.len() {
            // No part of it makes a panic.
            assert_eq!(Validity::of(&der[..len]), None);
        }
    }
}
