//! CRC-32C (Castagnoli), as RFC 3720 appendix B.4 describes it: reflected, polynomial
//! 0x1EDC6F41. A table of bytes is enough: a header has a few dozen of them.

/// What a sum begins with.
pub(super) const START: u32 = !0;

const TABLE: [u32; 256] = table();

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 0_u32;
    while byte < 256 {
        let mut sum = byte;
        let mut bit = 0;
        while bit < 8 {
            sum = (sum >> 1) ^ (if sum & 1 == 1 { 0x82F6_3B78 } else { 0 });
            bit += 1;
        }
        table[byte as usize] = sum;
        byte += 1;
    }
    table
}

/// Takes more bytes into a sum.
pub(super) fn update(sum: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(sum, |sum, &byte| {
        let [low, ..] = sum.to_le_bytes();
        (sum >> 8) ^ TABLE[usize::from(low ^ byte)]
    })
}

/// The checksum of what a sum has taken in.
pub(super) fn finish(sum: u32) -> u32 {
    !sum
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of RFC 3720 appendix B.4 and the usual check value.
    #[test]
    fn known_sums() {
        let ascending: Vec<u8> = (0..32).collect();
        for (bytes, sum) in [
            (&b"123456789"[..], 0xE306_9283),
            (&[0; 32], 0x8A91_36AA),
            (&[0xFF; 32], 0x62A8_AB43),
            (&ascending, 0x46DD_794E),
        ] {
            assert_eq!(finish(update(START, bytes)), sum);
        }
    }
}
