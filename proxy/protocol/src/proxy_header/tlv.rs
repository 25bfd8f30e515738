//! The fields (type, length, value) that may follow the addresses of a version 2
//! header.

use super::{HeaderError, crc32c};

/// The types that are told apart here; all others are passed over.
pub mod kind {
    /// The protocol that was agreed on by ALPN.
    pub const ALPN: u8 = 0x01;
    /// The host name that the client asked for, such as TLS's server name.
    pub const AUTHORITY: u8 = 0x02;
    /// A CRC-32C of the whole header.
    pub const CRC32C: u8 = 0x03;
    /// Padding.
    pub const NOOP: u8 = 0x04;
    /// An opaque name of the connection.
    pub const UNIQUE_ID: u8 = 0x05;
}

/// The longest unique id, after the specification.
pub const MAX_UNIQUE_ID_BYTES: usize = 128;

/// Type and length.
const HEAD_BYTES: usize = 3;

/// One field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tlv<'a> {
    /// Its type, see [`kind`].
    pub kind: u8,
    /// Its value.
    pub value: &'a [u8],
}

/// The fields of a header, all found to be whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tlvs<'a>(&'a [u8]);

impl<'a> Tlvs<'a> {
    /// Checks the fields of a header, which begin at `start`.
    pub(super) fn check(header: &'a [u8], start: usize) -> Result<Self, HeaderError> {
        let mut rest = &header[start..];
        while !rest.is_empty() {
            let (tlv, behind) = split(rest).ok_or(HeaderError::BadTlv)?;
            let value_end = header.len() - behind.len();
            match tlv.kind {
                kind::CRC32C => {
                    let sum: [u8; 4] = tlv.value.try_into().map_err(|_| HeaderError::BadTlv)?;
                    let before = crc32c::update(crc32c::START, &header[..value_end - 4]);
                    let zeroed = crc32c::update(before, &[0; 4]);
                    let all = crc32c::update(zeroed, &header[value_end..]);
                    if crc32c::finish(all) != u32::from_be_bytes(sum) {
                        return Err(HeaderError::BadChecksum);
                    }
                }
                kind::UNIQUE_ID if tlv.value.len() > MAX_UNIQUE_ID_BYTES => {
                    return Err(HeaderError::BadTlv);
                }
                _ => {}
            }
            rest = behind;
        }
        Ok(Self(&header[start..]))
    }

    /// The fields, in their order.
    pub fn iter(&self) -> impl Iterator<Item = Tlv<'a>> + use<'a> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let (tlv, behind) = split(rest)?;
            rest = behind;
            Some(tlv)
        })
    }

    /// The value of the first field of a type.
    #[must_use]
    pub fn get(&self, kind: u8) -> Option<&'a [u8]> {
        self.iter()
            .find(|tlv| tlv.kind == kind)
            .map(|tlv| tlv.value)
    }

    /// The host name that the client asked for, if it is text.
    #[must_use]
    pub fn authority(&self) -> Option<&'a str> {
        self.get(kind::AUTHORITY)
            .and_then(|value| str::from_utf8(value).ok())
    }

    /// The protocol that was agreed on by ALPN.
    #[must_use]
    pub fn alpn(&self) -> Option<&'a [u8]> {
        self.get(kind::ALPN)
    }

    /// The opaque name of the connection.
    #[must_use]
    pub fn unique_id(&self) -> Option<&'a [u8]> {
        self.get(kind::UNIQUE_ID)
    }
}

/// Takes the first field.
fn split(bytes: &[u8]) -> Option<(Tlv<'_>, &[u8])> {
    let (&[kind, high, low], rest) = bytes.split_first_chunk::<HEAD_BYTES>()?;
    let len = usize::from(u16::from_be_bytes([high, low]));
    let (value, behind) = rest.split_at_checked(len)?;
    Some((Tlv { kind, value }, behind))
}

/// Appends fields and, if wanted, the place of a checksum. A value that is too long for
/// its length field leaves more bytes behind than any header may have.
pub(super) fn encode(tlvs: &[Tlv<'_>], checksum: bool, out: &mut Vec<u8>) {
    for tlv in tlvs {
        let len = u16::try_from(tlv.value.len()).unwrap_or(u16::MAX);
        out.push(tlv.kind);
        out.extend_from_slice(&len.to_be_bytes());
        out.extend_from_slice(tlv.value);
    }
    if checksum {
        out.extend_from_slice(&[kind::CRC32C, 0, 4, 0, 0, 0, 0]);
    }
}

/// Fills in the checksum, for which a header ends with a place.
pub(super) fn seal(header: &mut [u8]) {
    let sum = crc32c::finish(crc32c::update(crc32c::START, header));
    let place = header.len() - 4;
    header[place..].copy_from_slice(&sum.to_be_bytes());
}
