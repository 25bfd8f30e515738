//! Which numbers of a sender have come: a bitmap, and its form in a record.

use std::io::{self, Read, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

/// Numbers that share a piece of memory: 8 KiB of it, so that a sender's first line is
/// cheap and its millionth costs no more.
const PAGE_NUMBERS: usize = 65_536;
const PAGE_WORDS: usize = PAGE_NUMBERS / 64;
const PAGE_BYTES: usize = PAGE_NUMBERS / 8;

/// All numbers of 32 bits: what a decoded bitmap may hold at most.
const MOST_PAGES: usize = 65_536;

type Page = Box<[u64; PAGE_WORDS]>;

/// A set of numbers of 32 bits, made for those that come nearly in order and nearly
/// without gaps.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pages: Vec<Option<Page>>,
    count: u64,
}

/// A text that is no bitmap.
#[derive(Debug, thiserror::Error)]
pub enum SeenError {
    /// Not base64.
    #[error("not base64: {0}")]
    Text(#[from] base64::DecodeError),
    /// Not deflated.
    #[error("not deflated: {0}")]
    Stream(#[from] io::Error),
    /// Bits for numbers of more than 32 bits.
    #[error("more than 2^32 bits")]
    TooLong,
}

impl Seen {
    /// Adds a number, and tells whether it is new.
    pub fn insert(&mut self, number: u32) -> bool {
        let (page, word, bit) = place(number);
        if page >= self.pages.len() {
            self.pages.resize(page + 1, None);
        }
        let page = self.pages[page].get_or_insert_with(|| Box::new([0; PAGE_WORDS]));
        let is_new = page[word] & bit == 0;
        page[word] |= bit;
        self.count += u64::from(is_new);
        is_new
    }

    /// Whether a number is in it.
    #[must_use]
    pub fn contains(&self, number: u32) -> bool {
        let (page, word, bit) = place(number);
        let page = self.pages.get(page).and_then(Option::as_ref);
        page.is_some_and(|page| page[word] & bit != 0)
    }

    /// How many numbers are in it.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The highest of them.
    #[must_use]
    pub fn highest(&self) -> Option<u32> {
        let (nth, page) = self.filled().next_back()?;
        let word = page.iter().rposition(|word| *word != 0)?;
        let bit = 63 - page[word].leading_zeros() as usize;
        u32::try_from(nth * PAGE_NUMBERS + word * 64 + bit).ok()
    }

    /// Adds all numbers of another set.
    pub fn unite(&mut self, other: &Self) {
        let pages = self.pages.len().max(other.pages.len());
        self.pages.resize(pages, None);
        for (nth, page) in other.filled() {
            let ours = self.pages[nth].get_or_insert_with(|| Box::new([0; PAGE_WORDS]));
            for (ours, theirs) in ours.iter_mut().zip(page.iter()) {
                self.count += u64::from((theirs & !*ours).count_ones());
                *ours |= theirs;
            }
        }
    }

    /// All numbers in it, from the lowest.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.filled().flat_map(|(nth, page)| {
            let words = page.iter().enumerate().filter(|(_, word)| **word != 0);
            words.flat_map(move |(at, &word)| {
                let bits = (0..64).filter(move |bit| word >> bit & 1 == 1);
                bits.map(move |bit| (nth * PAGE_NUMBERS + at * 64 + bit) as u32)
            })
        })
    }

    fn filled(&self) -> impl DoubleEndedIterator<Item = (usize, &Page)> {
        let pages = self.pages.iter().enumerate();
        pages.filter_map(|(nth, page)| Some((nth, page.as_ref()?)))
    }

    /// The set as text: number n is bit n mod 8, the lowest first, of byte n / 8; the
    /// bytes up to the last that is not zero, as a raw deflate stream, in base64.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut stream = DeflateEncoder::new(Vec::new(), Compression::fast());
        let mut left = self.highest().map_or(0, |number| number as usize / 8 + 1);
        let mut bytes = [0; PAGE_BYTES];
        for page in &self.pages {
            match page {
                Some(page) => {
                    for (bytes, word) in bytes.chunks_exact_mut(8).zip(page.iter()) {
                        bytes.copy_from_slice(&word.to_le_bytes());
                    }
                }
                None => bytes.fill(0),
            }
            let piece = &bytes[..left.min(PAGE_BYTES)];
            stream.write_all(piece).expect("a vector takes everything");
            left -= piece.len();
        }
        let deflated = stream.finish().expect("a vector takes everything");
        STANDARD.encode(deflated)
    }

    /// Reads what [`encode`](Self::encode) has written.
    ///
    /// # Errors
    /// That it is something else.
    pub fn decode(text: &str) -> Result<Self, SeenError> {
        let deflated = STANDARD.decode(text)?;
        let mut stream = DeflateDecoder::new(deflated.as_slice());
        let mut seen = Self::default();
        loop {
            let mut bytes = [0; PAGE_BYTES];
            let mut len = 0;
            while len < PAGE_BYTES {
                match stream.read(&mut bytes[len..])? {
                    0 => break,
                    n => len += n,
                }
            }
            if len == 0 {
                return Ok(seen);
            }
            if seen.pages.len() == MOST_PAGES {
                return Err(SeenError::TooLong);
            }
            seen.push_page(&bytes);
        }
    }

    fn push_page(&mut self, bytes: &[u8; PAGE_BYTES]) {
        let mut page = Box::new([0; PAGE_WORDS]);
        for (word, bytes) in page.iter_mut().zip(bytes.as_chunks::<8>().0) {
            *word = u64::from_le_bytes(*bytes);
            self.count += u64::from(word.count_ones());
        }
        self.pages.push(Some(page));
    }
}

/// Two sets are equal if the same numbers are in them, whatever memory they have.
impl PartialEq for Seen {
    fn eq(&self, other: &Self) -> bool {
        self.count == other.count && self.iter().eq(other.iter())
    }
}

impl Eq for Seen {}

impl FromIterator<u32> for Seen {
    fn from_iter<I: IntoIterator<Item = u32>>(numbers: I) -> Self {
        let mut seen = Self::default();
        for number in numbers {
            seen.insert(number);
        }
        seen
    }
}

/// The page of a number, the word in the page and the bit in the word.
fn place(number: u32) -> (usize, usize, u64) {
    let number = number as usize;
    let word = number % PAGE_NUMBERS / 64;
    (number / PAGE_NUMBERS, word, 1 << (number % 64))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_form_is_the_one_that_is_documented() {
        let seen: Seen = [0, 9, 10].into_iter().collect();
        let deflated = STANDARD.decode(seen.encode()).unwrap();
        let mut bytes = Vec::new();
        DeflateDecoder::new(deflated.as_slice())
            .read_to_end(&mut bytes)
            .unwrap();
        assert_eq!(bytes, [0b1, 0b110]);
        assert_eq!(Seen::decode(&Seen::default().encode()).unwrap().count(), 0);
    }

    #[test]
    fn a_hundred_million_numbers_without_a_gap_are_a_short_text() {
        let mut seen = Seen::default();
        for _ in 0..100_000_000 / PAGE_NUMBERS {
            seen.push_page(&[0xff; PAGE_BYTES]);
        }
        let text = seen.encode();
        assert!(text.len() < 100_000, "{}", text.len());
        assert_eq!(Seen::decode(&text).unwrap().highest(), seen.highest());
    }

    #[test]
    fn what_is_no_bitmap_is_refused() {
        assert!(matches!(Seen::decode("?"), Err(SeenError::Text(_))));
        assert!(matches!(Seen::decode("////"), Err(SeenError::Stream(_))));
    }

    fn numbers() -> impl Strategy<Value = Vec<u32>> {
        let number = prop_oneof![0..200_u32, 60_000..70_000_u32, 0..20_000_000_u32];
        prop::collection::vec(number, 0..300)
    }

    proptest! {
        #[test]
        fn it_is_a_set(numbers in numbers(), others in numbers()) {
            let mut set = BTreeSet::new();
            let mut seen = Seen::default();
            for number in &numbers {
                prop_assert_eq!(seen.insert(*number), set.insert(*number));
            }
            prop_assert_eq!(seen.count(), set.len() as u64);
            prop_assert_eq!(seen.highest(), set.last().copied());
            prop_assert!(seen.iter().eq(set.iter().copied()));
            prop_assert!(others.iter().all(|n| seen.contains(*n) == set.contains(n)));
            prop_assert_eq!(&Seen::decode(&seen.encode()).unwrap(), &seen);
            seen.unite(&others.iter().copied().collect());
            set.extend(others);
            prop_assert_eq!(seen.count(), set.len() as u64);
            prop_assert!(seen.iter().eq(set.iter().copied()));
        }
    }
}
