//! Datagrams that a load client numbers: whoever sends them back can count what has come,
//! and the load client knows its own again.
//!
//! ```text
//! Datagram := Magic Check Run Client Sequence Sent Filler
//! ```
//!
//! All numbers are big-endian. Magic is 4 bytes; Check the low 32 bits of XXH3 over all
//! that follows it, so that a bit that was flipped and bytes that are missing are seen;
//! Run (4 bytes) tells runs apart, Client (4) the sockets of a run; Sequence (8) counts the
//! datagrams of a client from 0; Sent (8) is when it was written, in nanoseconds of the
//! load client's monotonic clock. Filler is as long as was asked for, and other for each
//! datagram.

use xxhash_rust::xxh3::xxh3_64;

/// The shortest datagram: one without filler.
pub const HEADER_BYTES: usize = 32;

const MAGIC: [u8; 4] = *b"LGU1";

/// What the check is calculated over begins here.
const CHECKED_FROM: usize = 8;

/// Who sent a datagram, as which, and when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Probe {
    /// The run.
    pub run: u32,
    /// The socket in the run.
    pub client: u32,
    /// The datagram of the socket, from 0.
    pub sequence: u64,
    /// When it was written: nanoseconds of the sender's monotonic clock.
    pub sent_ns: u64,
}

/// What a datagram is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// A probe, every byte as it was written.
    Sound(Probe),
    /// A probe that was damaged, and what is in its header: that may be damaged as well.
    Corrupted(Probe),
    /// Something else, or a probe that was damaged beyond recognition.
    Foreign,
}

impl Probe {
    /// Appends the datagram of `bytes` bytes in all. It is [`HEADER_BYTES`] long if fewer
    /// are asked for.
    #[inline]
    pub fn write(&self, bytes: usize, out: &mut Vec<u8>) {
        let from = out.len();
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.run.to_be_bytes());
        out.extend_from_slice(&self.client.to_be_bytes());
        out.extend_from_slice(&self.sequence.to_be_bytes());
        out.extend_from_slice(&self.sent_ns.to_be_bytes());
        self.fill(bytes.saturating_sub(HEADER_BYTES), out);
        let check = check(&out[from..]);
        out[from + MAGIC.len()..from + CHECKED_FROM].copy_from_slice(&check);
    }

    /// Weyl's sequence, started from who it is: other in each datagram, and nothing that
    /// repeats within one.
    fn fill(&self, bytes: usize, out: &mut Vec<u8>) {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut word = (u64::from(self.run) << 32 | u64::from(self.client))
            .wrapping_add(self.sequence.wrapping_mul(STEP).rotate_left(17));
        for _ in 0..bytes / 8 {
            word = word.wrapping_add(STEP);
            out.extend_from_slice(&word.to_le_bytes());
        }
        word = word.wrapping_add(STEP);
        out.extend_from_slice(&word.to_le_bytes()[..bytes % 8]);
    }

    /// What a datagram is.
    #[inline]
    #[must_use]
    pub fn read(datagram: &[u8]) -> Read {
        let Some(header) = datagram.first_chunk::<HEADER_BYTES>() else {
            return Read::Foreign;
        };
        if header[..MAGIC.len()] != MAGIC {
            return Read::Foreign;
        }
        let probe = Self {
            run: u32::from_be_bytes(field(header, 8)),
            client: u32::from_be_bytes(field(header, 12)),
            sequence: u64::from_be_bytes(field(header, 16)),
            sent_ns: u64::from_be_bytes(field(header, 24)),
        };
        if field(header, MAGIC.len()) == check(datagram) {
            Read::Sound(probe)
        } else {
            Read::Corrupted(probe)
        }
    }
}

#[inline]
fn field<const N: usize>(header: &[u8; HEADER_BYTES], at: usize) -> [u8; N] {
    *header[at..]
        .first_chunk()
        .expect("the fields are within the header")
}

#[inline]
fn check(datagram: &[u8]) -> [u8; 4] {
    (xxh3_64(&datagram[CHECKED_FROM..]) as u32).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_form_is_the_one_that_is_documented() {
        let probe = Probe {
            run: 0x0102_0304,
            client: 5,
            sequence: 6,
            sent_ns: 7,
        };
        let mut datagram = Vec::new();
        probe.write(0, &mut datagram);
        let fields = b"\x01\x02\x03\x04\0\0\0\x05\0\0\0\0\0\0\0\x06\0\0\0\0\0\0\0\x07";
        let check = (xxh3_64(fields) as u32).to_be_bytes();
        assert_eq!(datagram, [b"LGU1".as_slice(), &check, fields].concat());
    }

    fn probes() -> impl Strategy<Value = Probe> {
        any::<(u32, u32, u64, u64)>().prop_map(|(run, client, sequence, sent_ns)| Probe {
            run,
            client,
            sequence,
            sent_ns,
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(probe in probes(), bytes in 0_usize..300) {
            let mut datagram = b"before".to_vec();
            probe.write(bytes, &mut datagram);
            let datagram = &datagram[6..];
            prop_assert_eq!(datagram.len(), bytes.max(HEADER_BYTES));
            prop_assert_eq!(Probe::read(datagram), Read::Sound(probe));
        }

        #[test]
        fn no_damage_is_taken_for_a_probe(
            probe in probes(), bytes in 0_usize..300, bit in any::<prop::sample::Index>(),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut datagram = Vec::new();
            probe.write(bytes, &mut datagram);
            let cut = cut.index(datagram.len());
            prop_assert!(!matches!(Probe::read(&datagram[..cut]), Read::Sound(_)));
            let bit = bit.index(datagram.len() * 8);
            datagram[bit / 8] ^= 1 << (bit % 8);
            match Probe::read(&datagram) {
                Read::Sound(_) => prop_assert!(false, "bit {bit} was flipped"),
                Read::Corrupted(told) => prop_assert!(bit >= 32 && (told == probe || bit < 256)),
                Read::Foreign => prop_assert!(bit < 32),
            }
        }

        #[test]
        fn anything_may_come(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            prop_assert!(!matches!(Probe::read(&bytes), Read::Sound(_)));
        }
    }
}
