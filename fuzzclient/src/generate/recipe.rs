//! What is made: everything that a connection's bytes depend on, its number apart.

use std::sync::Arc;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::corpus::Corpus;
use super::datagrams::{Datagrams, Ragged, Single, Streamed};
use super::garbage::Garbage;
use super::grammar::Grammar;
use super::lines::Lines;
use super::messages::{Joined, Messages};
use super::mutate::Mutate;
use super::random::Random;
use super::rng;
use super::script::Script;
use super::stream::{ByteStream, Generator, Whole};

/// Bytes of a datagram that is cut out of a stream at most: what fits an Ethernet frame
/// with the usual headers.
const DATAGRAM_BYTES: usize = 1432;

/// The purpose of the random numbers that are no strategy's: garbage in datagrams, …
const DATAGRAMS: u8 = 16;

/// … and how connections are conducted.
const SCRIPT: u8 = 32;

/// Whose messages are the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// Lines of requests.
    Foo,
    /// Nobody's in particular: HTTP, PROXY headers, TLS, lines.
    Tcp,
    /// Lines of metrics.
    Statsd,
}

/// What is sent. The numbers are part of what the bytes depend on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Strategy {
    /// Uniformly random bytes
    #[default]
    Random = 0,
    /// Random bytes with newlines at line-like distances
    Lines = 1,
    /// Valid messages, then bits flipped, parts cut, repeated, spliced and swapped, integers
    /// at their limits, lines of 2ᵏ and one more or less, bytes that are no text
    Mutate = 2,
    /// Messages of valid shape with hostile content
    Grammar = 3,
    /// The same, one byte at a time
    Slow = 4,
    /// Connect and go, half-close, reset in the middle
    Churn = 5,
}

/// Everything that a connection's bytes depend on, its number apart.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// Whose messages are the model.
    pub protocol: Protocol,
    /// What is made of them.
    pub strategy: Strategy,
    /// Another seed, other bytes.
    pub seed: u64,
    /// Inputs that are sent first, as they are, one on each connection; then they are the
    /// model of what is mutated.
    pub corpus: Option<Arc<Corpus>>,
}

impl Recipe {
    /// The bytes of a connection, from its first on.
    #[must_use]
    pub fn stream(&self, connection: u64) -> Box<dyn Generator> {
        if let Some(input) = self.input(connection) {
            return Box::new(Whole::new(input));
        }
        let rng = rng(self.seed, connection, self.strategy as u8);
        match self.strategy {
            Strategy::Random => Box::new(Random::new(rng)),
            Strategy::Lines => Box::new(Lines::new(rng)),
            Strategy::Mutate | Strategy::Grammar | Strategy::Slow | Strategy::Churn => {
                Box::new(Joined(self.messages(rng)))
            }
        }
    }

    /// How a connection is conducted beside its bytes.
    #[must_use]
    pub fn script(&self, connection: u64) -> Script {
        let is_input = self.input(connection).is_some();
        Script::of(self.strategy, is_input, rng(self.seed, connection, SCRIPT))
    }

    /// The datagrams of a socket, from its first on.
    #[must_use]
    pub fn datagrams(&self, connection: u64) -> Box<dyn Datagrams> {
        if let Some(input) = self.input(connection) {
            let stream = ByteStream::new(Box::new(Whole::new(input)));
            return Box::new(Streamed::new(stream, DATAGRAM_BYTES, "corpus"));
        }
        let stream = || ByteStream::new(self.stream(connection));
        match self.strategy {
            Strategy::Random => {
                let sizes = rng(self.seed, connection, DATAGRAMS);
                Box::new(Ragged::new(stream(), sizes))
            }
            Strategy::Lines => Box::new(Streamed::new(stream(), DATAGRAM_BYTES, "lines")),
            Strategy::Slow => Box::new(Streamed::new(stream(), 1, "one_byte")),
            Strategy::Grammar if self.protocol == Protocol::Statsd => {
                Box::new(Garbage::new(rng(self.seed, connection, DATAGRAMS)))
            }
            Strategy::Mutate | Strategy::Grammar | Strategy::Churn => {
                let rng = rng(self.seed, connection, self.strategy as u8);
                Box::new(Single(self.messages(rng)))
            }
        }
    }

    /// The input of the corpus that is sent on this connection as it is.
    fn input(&self, connection: u64) -> Option<Arc<[u8]>> {
        self.corpus.as_ref()?.input(connection)
    }

    fn messages(&self, rng: rand::rngs::Xoshiro256PlusPlus) -> Box<dyn Messages> {
        let hostile_only = matches!(self.strategy, Strategy::Grammar | Strategy::Slow);
        if hostile_only && self.corpus.is_none() {
            Box::new(Grammar::new(rng, self.protocol))
        } else {
            Box::new(Mutate::new(rng, self.protocol, self.corpus.clone()))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{ProptestConfig, any, prop_assert, prop_assert_eq, proptest};

    use super::*;
    use crate::generate::More;

    const STRATEGIES: [Strategy; 6] = [
        Strategy::Random,
        Strategy::Lines,
        Strategy::Mutate,
        Strategy::Grammar,
        Strategy::Slow,
        Strategy::Churn,
    ];

    const PROTOCOLS: [Protocol; 3] = [Protocol::Foo, Protocol::Tcp, Protocol::Statsd];

    fn recipe(protocol: Protocol, strategy: Strategy, seed: u64) -> Recipe {
        Recipe {
            protocol,
            strategy,
            seed,
            corpus: None,
        }
    }

    fn bytes(recipe: &Recipe, connection: u64, pieces: &[usize]) -> Vec<u8> {
        let mut stream = ByteStream::new(recipe.stream(connection));
        let mut all = Vec::new();
        for &piece in pieces {
            let mut left = piece;
            while left > 0 {
                let (more, shown) = stream.peek(left).unwrap();
                assert_eq!(more, More::Bytes);
                all.extend_from_slice(shown);
                let n = shown.len();
                left -= n;
                stream.take(n);
            }
        }
        all
    }

    #[test]
    fn the_bytes_of_a_seed_stay_what_they_are() {
        // Recorded sessions are replayed by seed: changing a byte breaks all of them.
        let first = |strategy, connection| {
            let bytes = bytes(&recipe(Protocol::Foo, strategy, 1), connection, &[12]);
            bytes.escape_ascii().to_string()
        };
        let cases = [
            (
                Strategy::Random,
                0,
                r"\xf6w\x8f\xa5\x91\xcd\xed\xc0\x1f\xfb\x84g",
            ),
            (
                Strategy::Random,
                1,
                r"\x88\x16\'\x05\x0bG\x1c\x03\xd3Fr\x91",
            ),
            (Strategy::Lines, 0, r"JTd\xde0\x82\x82}\xc76m\xc5"),
        ];
        for (strategy, connection, expected) in cases {
            assert_eq!(
                first(strategy, connection),
                expected,
                "{strategy:?} {connection}"
            );
        }
    }

    #[test]
    fn the_first_bytes_of_each_kind_stay_what_they_are() {
        // A digest of 100,000 bytes of each; FNV-1a is enough to notice a change.
        let digest = |protocol, strategy| {
            let bytes = bytes(&recipe(protocol, strategy, 7), 3, &[100_000]);
            bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
            })
        };
        let all: Vec<String> = PROTOCOLS
            .into_iter()
            .flat_map(|protocol| {
                STRATEGIES[2..]
                    .iter()
                    .map(move |strategy| digest(protocol, *strategy))
            })
            .map(|digest| format!("{digest:016x}"))
            .collect();
        assert_eq!(all, DIGESTS);
    }

    const DIGESTS: [&str; 12] = [
        "963e78e95fe6e7a3",
        "7508ab5d2061a966",
        "757421a98178f792",
        "a1bd3e5501fbacf5",
        "132ddd121a34a030",
        "e760653d876a4b51",
        "aa3b8ea3c35cc1d0",
        "55ee7cd2d23b5875",
        "851136417afce9de",
        "b29baedc15b9e1d7",
        "d78ec5097539af38",
        "b746e4587bff86c2",
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn bytes_do_not_depend_on_the_pieces(
            seed in any::<u64>(),
            connection in any::<u64>(),
            pieces in proptest::collection::vec(1_usize..50_000, 1..8),
            strategy in 0..STRATEGIES.len(),
            protocol in 0..PROTOCOLS.len(),
        ) {
            let recipe = recipe(PROTOCOLS[protocol], STRATEGIES[strategy], seed);
            let whole = bytes(&recipe, connection, &[pieces.iter().sum()]);
            prop_assert_eq!(&bytes(&recipe, connection, &pieces), &whole);
            let other = bytes(&recipe, connection ^ 1, &pieces);
            prop_assert!(whole.len() < 400 || other != whole);
        }

        #[test]
        fn datagrams_and_scripts_are_a_function_of_seed_and_connection(
            seed in any::<u64>(),
            connection in 0_u64..1_000,
            strategy in 0..STRATEGIES.len(),
            protocol in 0..PROTOCOLS.len(),
        ) {
            let recipe = recipe(PROTOCOLS[protocol], STRATEGIES[strategy], seed);
            let (mut one, mut same) = (recipe.datagrams(connection), recipe.datagrams(connection));
            let (mut a, mut b) = (Vec::new(), Vec::new());
            for _ in 0..20 {
                prop_assert_eq!(one.next(&mut a).unwrap(), same.next(&mut b).unwrap());
                prop_assert_eq!(&a, &b);
                prop_assert!(a.len() <= crate::generate::garbage::LARGEST);
            }
            prop_assert_eq!(recipe.script(connection), recipe.script(connection));
        }
    }
}
