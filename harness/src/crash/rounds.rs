//! Which strategy's turn it is: all of them, again and again.

use std::time::Duration;

use fuzzclient::generate::Strategy;

/// Connections at the same time in every other round: what goes wrong between two of them
/// cannot with one.
const MANY: u64 = 8;

/// A strategy's turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Whose.
    pub strategy: Strategy,
    /// Connections at the same time.
    pub connections: u64,
    /// Bytes at most: what one life of a target was sent is to be kept as a whole.
    pub bytes: u64,
    /// How long.
    pub duration: Duration,
}

/// All strategies, those first that find most.
pub const ALL: [Strategy; 6] = [
    Strategy::Mutate,
    Strategy::Random,
    Strategy::Grammar,
    Strategy::Lines,
    Strategy::Churn,
    Strategy::Slow,
];

/// Rounds of a life at most.
const MOST_ROUNDS: u32 = 64;

/// How many rounds a target lives, if nothing happens: 1, 2, 4 …, so that what goes wrong soon
/// is found with everything that was sent since the start, and what goes wrong late is found.
#[must_use]
pub fn of_life(nth: u32) -> u32 {
    1_u32
        .checked_shl(nth)
        .unwrap_or(MOST_ROUNDS)
        .min(MOST_ROUNDS)
}

/// The turns of a round.
#[must_use]
pub fn turns(strategies: &[Strategy], round: u32, connections: Option<u64>) -> Vec<Turn> {
    let usual = if round.is_multiple_of(2) { 1 } else { MANY };
    let turn = |strategy: &Strategy| {
        // One byte in a millisecond is little, and connections that come and go have pauses.
        let (at_least, kib, ms) = match strategy {
            Strategy::Mutate => (1, 6 * 1024, 600),
            Strategy::Random | Strategy::Grammar => (1, 4 * 1024, 400),
            Strategy::Lines => (1, 2 * 1024, 300),
            Strategy::Churn => (4, 4 * 1024, 500),
            Strategy::Slow => (32, 1024, 500),
        };
        Turn {
            strategy: *strategy,
            connections: connections.unwrap_or(usual.max(at_least)),
            bytes: kib * 1024,
            duration: Duration::from_millis(ms),
        }
    };
    strategies.iter().map(turn).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_strategy_has_its_turn_and_lives_grow() {
        let turns = turns(&ALL, 0, None);
        assert_eq!(turns.len(), ALL.len());
        assert!(turns.iter().map(|turn| turn.duration).sum::<Duration>() < Duration::from_secs(4));
        let lives: Vec<u32> = [0, 1, 2, 6, 7, 99].map(of_life).to_vec();
        assert_eq!(lives, [1, 2, 4, 64, 64, 64]);
    }
}
