//! Lines of a stream, whatever pieces it arrives in.

use super::MAX_LINE_BYTES;

/// A buffer that has held a long line is given back rather than kept for a stream that may
/// be quiet from now on; shorter ones are kept for the next line.
const KEEP_BYTES: usize = 4_096;

/// Puts the lines of one stream together.
///
/// A line that is whole within one piece is handed on without a copy; only what a piece
/// ends in is kept, [`MAX_LINE_BYTES`] of it at most. A longer line is skipped up to its
/// newline, and counted.
#[derive(Debug, Default)]
pub struct Reassembler {
    /// The start of a line whose end has not come yet.
    partial: Vec<u8>,
    /// That line is longer than it may be: what else comes of it is thrown away.
    skipping: bool,
    too_long: u64,
}

impl Reassembler {
    /// Takes the next piece of the stream and hands on each line that it completes, without
    /// the newline; empty lines are skipped.
    pub fn push(&mut self, piece: &[u8], mut line: impl FnMut(&[u8])) {
        let mut rest = piece;
        if !self.partial.is_empty() || self.skipping {
            let Some(end) = memchr::memchr(b'\n', rest) else {
                self.keep(rest);
                return;
            };
            self.keep(&rest[..end]);
            rest = &rest[end + 1..];
            self.finish(&mut line);
        }
        while let Some(end) = memchr::memchr(b'\n', rest) {
            self.whole(&rest[..end], &mut line);
            rest = &rest[end + 1..];
        }
        self.keep(rest);
    }

    /// The stream has ended: what came after its last newline is a line as well, as it is
    /// at the end of a datagram.
    pub fn finish(&mut self, mut line: impl FnMut(&[u8])) {
        if !self.partial.is_empty() {
            line(&self.partial);
        }
        if self.partial.capacity() > KEEP_BYTES {
            self.partial = Vec::new();
        }
        self.partial.clear();
        self.skipping = false;
    }

    /// How many lines were too long.
    #[must_use]
    pub fn too_long(&self) -> u64 {
        self.too_long
    }

    /// A line that is all there.
    fn whole(&mut self, bytes: &[u8], line: &mut impl FnMut(&[u8])) {
        if bytes.len() > MAX_LINE_BYTES {
            self.too_long += 1;
        } else if !bytes.is_empty() {
            line(bytes);
        }
    }

    /// More of a line whose end has not come yet.
    fn keep(&mut self, bytes: &[u8]) {
        if self.skipping {
            return;
        }
        if self.partial.len() + bytes.len() > MAX_LINE_BYTES {
            self.partial = Vec::new();
            self.skipping = true;
            self.too_long += 1;
        } else {
            self.partial.extend_from_slice(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Lines and the count of those too long, of a stream in these pieces.
    fn lines<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Vec<u8>>, u64) {
        let mut reassembler = Reassembler::default();
        let mut lines = Vec::new();
        for piece in pieces {
            reassembler.push(piece, |line| lines.push(line.to_vec()));
            // The growth of a vector is at most twofold.
            assert!(reassembler.partial.capacity() <= 2 * MAX_LINE_BYTES);
            assert!(reassembler.partial.len() <= MAX_LINE_BYTES);
        }
        reassembler.finish(|line| lines.push(line.to_vec()));
        (lines, reassembler.too_long())
    }

    #[test]
    fn a_line_may_be_as_long_as_a_datagram_and_no_longer() {
        for (len, expected) in [
            (MAX_LINE_BYTES - 1, 0),
            (MAX_LINE_BYTES, 0),
            (MAX_LINE_BYTES + 1, 1),
            (10 * MAX_LINE_BYTES, 1),
        ] {
            for ending in [&b"\nb:1|c\n"[..], b"\nb:1|c"] {
                let mut stream = b"a:1|c\n".to_vec();
                stream.resize(stream.len() + len, b'x');
                stream.extend_from_slice(ending);
                for size in [stream.len(), 16_384, 4_095] {
                    let (lines, too_long) = lines(stream.chunks(size));
                    assert_eq!(too_long, expected, "{len} in reads of {size}");
                    let lens: Vec<_> = lines.iter().map(Vec::len).collect();
                    let all: &[usize] = if expected == 0 { &[5, len, 5] } else { &[5, 5] };
                    assert_eq!(lens, all, "{len} in reads of {size}");
                }
            }
        }
        let endless = vec![b'x'; 3 * MAX_LINE_BYTES];
        assert_eq!(lines(endless.chunks(1_000)), (Vec::new(), 1));
    }

    #[test]
    fn a_long_line_leaves_no_memory_behind() {
        let mut reassembler = Reassembler::default();
        reassembler.push(&vec![b'x'; MAX_LINE_BYTES], |_| panic!("not yet"));
        let mut len = 0;
        reassembler.push(b"\n", |line| len = line.len());
        assert_eq!(len, MAX_LINE_BYTES);
        assert_eq!(reassembler.partial.capacity(), 0);
    }

    proptest! {
        #[test]
        fn however_a_stream_is_cut_its_lines_are_the_same(
            stream in prop::collection::vec(
                prop_oneof![4 => any::<u8>(), 1 => Just(b'\n'), 1 => Just(b'\r')], 0..400,
            ),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
        ) {
            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
            cuts.sort_unstable();
            let ends = cuts.iter().copied().chain([stream.len()]);
            let starts = [0].into_iter().chain(cuts.iter().copied());
            let pieces: Vec<_> = starts.zip(ends).map(|(from, to)| &stream[from..to]).collect();
            let expected: Vec<_> = crate::statsd::lines(&stream).map(<[u8]>::to_vec).collect();
            prop_assert_eq!(lines(pieces), (expected, 0));
        }

        #[test]
        fn what_is_kept_is_bounded_and_each_long_line_counted_once(
            lens in prop::collection::vec(
                prop_oneof![0..10usize, MAX_LINE_BYTES - 2..MAX_LINE_BYTES + 3], 0..6,
            ),
            read in 1_000..100_000usize,
        ) {
            let stream: Vec<_> = lens
                .iter()
                .flat_map(|&len| std::iter::repeat_n(b'x', len).chain([b'\n']))
                .collect();
            let (lines, too_long) = lines(stream.chunks(read));
            let fits = |len: &&usize| (1..=MAX_LINE_BYTES).contains(*len);
            let expected: Vec<_> = lens.iter().filter(fits).copied().collect();
            prop_assert_eq!(lines.iter().map(Vec::len).collect::<Vec<_>>(), expected);
            let long = lens.iter().filter(|&&len| len > MAX_LINE_BYTES).count();
            prop_assert_eq!(too_long, long as u64);
        }
    }
}
