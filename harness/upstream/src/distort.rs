//! Bytes that are not what was answered.

use crate::process::Process;
use crate::record::DefectHits;

/// Makes of the bytes from `from` on what the planted defects make of them. Each defect
/// strikes at every Nth byte that the process answers, on whichever connection.
pub(crate) fn distort(out: &mut Vec<u8>, from: usize, process: &Process, hits: &mut DefectHits) {
    let defects = &process.config.defects;
    let len = out.len() - from;
    let first = process.plan_bytes(len);
    for at in struck(defects.corrupt_byte, first, len) {
        out[from + at] ^= 1 << (at % 8);
        hits.corrupt_byte += 1;
    }
    if defects.drop_byte.is_none() && defects.duplicate_byte.is_none() {
        return;
    }
    let answered = out.split_off(from);
    let is_struck = |every: Option<u64>, at: usize| {
        every.is_some_and(|n| (first + at as u64 + 1).is_multiple_of(n))
    };
    for (at, byte) in answered.into_iter().enumerate() {
        if is_struck(defects.drop_byte, at) {
            hits.drop_byte += 1;
            continue;
        }
        out.push(byte);
        if is_struck(defects.duplicate_byte, at) {
            hits.duplicate_byte += 1;
            out.push(byte);
        }
    }
}

/// Which of `len` bytes, the first of them number `first` of all, are an Nth one.
fn struck(every: Option<u64>, first: u64, len: usize) -> impl Iterator<Item = usize> {
    let every = every.unwrap_or(u64::MAX);
    let next = every - 1 - first % every;
    let step = usize::try_from(every).unwrap_or(usize::MAX);
    (usize::try_from(next).unwrap_or(usize::MAX)..len).step_by(step)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::defect::Defects;
    use crate::server::Config;

    fn sent(defect: &str, pieces: &[usize]) -> (Vec<u8>, DefectHits) {
        let defects = Defects::new(&[defect.parse().unwrap()]);
        let process = Process::new(Config {
            defects,
            ..Config::default()
        });
        let (mut sent, mut hits) = (Vec::new(), DefectHits::default());
        let mut next = 0_u8;
        for &piece in pieces {
            let mut out = b"before".to_vec();
            for _ in 0..piece {
                out.push(next);
                next = next.wrapping_add(1);
            }
            distort(&mut out, 6, &process, &mut hits);
            assert!(out.starts_with(b"before"));
            sent.extend_from_slice(&out[6..]);
        }
        (sent, hits)
    }

    #[test]
    fn every_third_byte_is_struck() {
        assert_eq!(sent("drop-byte=1/3", &[7]).0, [0, 1, 3, 4, 6]);
        assert_eq!(sent("duplicate-byte=1/3", &[4]).0, [0, 1, 2, 2, 3]);
        let (bytes, hits) = sent("corrupt-byte=1/3", &[7]);
        let wrong: Vec<_> = (0..7).filter(|&at| bytes[at] != at as u8).collect();
        assert_eq!((wrong, hits.corrupt_byte), (vec![2, 5], 2));
    }

    proptest! {
        #[test]
        fn it_does_not_depend_on_the_pieces(pieces in prop::collection::vec(0_usize..20, 0..9), n in 1_u64..9) {
            let all: usize = pieces.iter().sum();
            for name in ["drop-byte", "duplicate-byte"] {
                let defect = format!("{name}=1/{n}");
                prop_assert_eq!(sent(&defect, &pieces), sent(&defect, &[all]));
            }
            let (bytes, hits) = sent(&format!("corrupt-byte=1/{n}"), &pieces);
            prop_assert_eq!(hits.corrupt_byte, all as u64 / n);
            let wrong = (0..all).filter(|&at| bytes[at] != at as u8).count();
            prop_assert_eq!(wrong as u64, all as u64 / n);
        }
    }
}
