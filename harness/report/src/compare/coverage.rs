//! Whether the interval covers the truth as often as it says, by simulation.

use std::f64::consts::TAU;

use loadgen::mix::mix;

use super::design::BlockFigures;
use super::{Word, judge, metrics, signed_rank};
use crate::bound::Metric;

/// A stream of random numbers, the same in each run of the test.
struct Random {
    seed: u64,
    drawn: u64,
}

impl Random {
    fn new(seed: u64) -> Self {
        Self { seed, drawn: 0 }
    }

    /// Above 0, and 1 at most.
    fn unit(&mut self) -> f64 {
        self.drawn += 1;
        ((mix(self.seed, self.drawn) >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        // Box and Muller 1958.
        (-2.0 * self.unit().ln()).sqrt() * (TAU * self.unit()).cos()
    }

    /// Student's t with three degrees of freedom: some blocks are far off.
    fn heavy(&mut self) -> f64 {
        let squares: f64 = (0..3).map(|_| self.normal().powi(2)).sum();
        self.normal() / (squares / 3.0).sqrt()
    }

    /// One skewed block beside another: latencies are skewed, their differences are not.
    fn skewed(&mut self) -> f64 {
        self.normal().exp() - self.normal().exp()
    }
}

/// Draws the noise of one pair.
type NoiseOf = fn(&mut Random) -> f64;

/// How often the interval covers the true difference.
fn coverage(pairs: usize, level: f64, noise: NoiseOf) -> f64 {
    const REPETITIONS: usize = 4_000;
    const TRUTH: f64 = 0.3;
    let mut random = Random::new(pairs as u64);
    let covered = (0..REPETITIONS)
        .filter(|_| {
            let differences: Vec<f64> = (0..pairs).map(|_| TRUTH + noise(&mut random)).collect();
            let (low, high) = signed_rank::interval(&differences, level).unwrap();
            low <= TRUTH && TRUTH <= high
        })
        .count();
    covered as f64 / REPETITIONS as f64
}

#[test]
fn the_interval_covers_the_truth_as_often_as_it_says() {
    let noises: [(&str, NoiseOf); 3] = [
        ("normal", Random::normal),
        ("heavy", Random::heavy),
        ("skewed", Random::skewed),
    ];
    // With so few pairs not every share is possible: exactly 0.961 and 0.951 are.
    for (pairs, exact) in [(8, 1.0 - 10.0 / 256.0), (10, 1.0 - 50.0 / 1_024.0)] {
        for (name, noise) in noises {
            let seen = coverage(pairs, 0.05, noise);
            println!("{pairs} pairs, {name} noise: {seen}");
            assert!(seen >= 0.93, "{pairs} pairs, {name} noise: {seen}");
            assert!(
                (seen - exact).abs() < 0.012,
                "{pairs} pairs, {name} noise: {seen}"
            );
        }
    }
    // At the level of five tests together.
    let seen = coverage(10, 0.01, Random::heavy);
    assert!(seen >= 0.985, "{seen}");
}

/// One block's figures, each off by its own noise.
fn block(random: &mut Random, spread: f64, factor: f64) -> BlockFigures {
    let of_messages = metrics::COMPARED.iter();
    let of_messages =
        of_messages.filter(|metric| metrics::is_known_of(**metric, metrics::LoadKind::Messages));
    let figures = of_messages.map(|metric| {
        let noise = (spread * random.heavy()).exp();
        let changed = matches!(metric, Metric::P50 | Metric::CpuPerMsg);
        (*metric, 100.0 * noise * if changed { factor } else { 1.0 })
    });
    figures.collect()
}

fn words(pairs: usize, spread: f64, factor: f64) -> Vec<Word> {
    let mut random = Random::new(99);
    (0..1_000)
        .map(|_| {
            let blocks: Vec<_> = (0..pairs)
                .map(|_| {
                    (
                        block(&mut random, spread, 1.0),
                        block(&mut random, spread, factor),
                    )
                })
                .collect();
            judge::word(&judge::pairs(&blocks, &[], true))
        })
        .collect()
}

#[test]
fn like_beside_like_is_seldom_called_different() {
    for spread in [0.005, 0.02, 0.08] {
        let words = words(10, spread, 1.0);
        let wrong = words
            .iter()
            .filter(|word| matches!(word, Word::Slower | Word::Faster))
            .count();
        assert!(wrong <= 50, "{wrong} of 1,000 with a spread of {spread}");
    }
}

#[test]
fn what_is_slower_by_far_is_called_slower() {
    let words = words(10, 0.01, 1.15);
    let right = words.iter().filter(|word| **word == Word::Slower).count();
    assert!(right >= 950, "{right} of 1,000");
}
