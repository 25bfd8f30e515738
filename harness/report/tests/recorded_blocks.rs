//! The judge against real blocks: comparisons drawn from what was recorded on a machine,
//! of a relay with itself and with the same relay after a planted change.
//!
//! To record anew, run each of these several times (with `--out DIR/<scenario>-<what>-<n>`,
//! `what` being `same` or `planted`) and have the test `record` read DIR:
//!
//! ```sh
//! R='cmd:target/debug/test-planted-relay --listen {listen} --forward {forward}'
//! harness compare --baseline "$R" --candidate "$R" --scenario latency
//! harness compare --baseline "$R" --candidate "$R --delay 200us" --scenario latency
//! harness compare --baseline "$R" --candidate "$R" --scenario busy
//! harness compare --baseline "$R" --candidate "$R --burn 15" --scenario busy
//! RECORDED_RUNS=DIR cargo test -p report --test recorded_blocks -- --ignored record
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use report::compare::design::BlockFigures;
use report::compare::{Word, blocks, judge};
use report::run::RunFile;
use serde::{Deserialize, Serialize};

/// Comparisons drawn of each kind.
const DRAWN: usize = 200;

/// Pairs in each of them, and pairs of noise.
const PAIRS: usize = 10;

/// The most that may be called different where nothing is: 5 % are to be expected.
const MOST_FALSE: usize = 20;

/// The least that must be called slower where something is.
const LEAST_FOUND: usize = 180;

/// Where the recorded pairs lie.
const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/blocks.json");

/// Pairs that must have been recorded of each kind: a comparison is drawn from more than it
/// needs.
const LEAST_RECORDED: usize = 15;

/// Pairs that were recorded in one scenario: of the relay with itself, with the planted
/// change, and what the harness called noise.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Recorded {
    is_open_loop: bool,
    same: Vec<(BlockFigures, BlockFigures)>,
    planted: Vec<(BlockFigures, BlockFigures)>,
    noise: Vec<BlockFigures>,
}

impl Recorded {
    /// All pairs of like with like, whatever they were run for.
    fn noise(&self) -> Vec<BlockFigures> {
        let ratios = self.same.iter().map(|(first, second)| {
            let ratio =
                |(metric, value): (&_, &f64)| Some((*metric, (second.get(metric)? / value).ln()));
            first.iter().filter_map(ratio).collect()
        });
        self.noise.iter().cloned().chain(ratios).collect()
    }
}

fn recorded() -> BTreeMap<String, Recorded> {
    let text = fs::read_to_string(DATA).expect("the recorded blocks");
    let recorded: BTreeMap<String, Recorded> = serde_json::from_str(&text).expect("their form");
    assert!(
        recorded.keys().eq(["busy", "latency"]),
        "{:?}",
        recorded.keys()
    );
    for (scenario, recorded) in &recorded {
        let (same, planted) = (recorded.same.len(), recorded.planted.len());
        assert!(
            same.min(planted) >= LEAST_RECORDED,
            "{scenario}: {same} {planted}"
        );
    }
    recorded
}

/// A small generator of our own: the draws are the same wherever the test runs.
struct Draws(u64);

impl Draws {
    /// Below `end`: the step of `SplitMix64`.
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % end as u64) as usize
    }

    /// So many of them, none twice.
    fn some<T: Clone>(&mut self, of: &[T], count: usize) -> Vec<T> {
        let mut left = of.to_vec();
        (0..count)
            .map(|_| left.swap_remove(self.below(left.len())))
            .collect()
    }
}

/// The words of comparisons that are drawn from `pairs`; those of like with like may be
/// turned, since they could as well have been the other way round.
fn words(
    recorded: &Recorded,
    pairs: &[(BlockFigures, BlockFigures)],
    are_turned: bool,
) -> Vec<Word> {
    let mut draws = Draws(7);
    (0..DRAWN)
        .map(|_| {
            let mut drawn = draws.some(pairs, PAIRS);
            for (first, second) in drawn.iter_mut().filter(|_| are_turned) {
                if draws.below(2) == 1 {
                    std::mem::swap(first, second);
                }
            }
            let noise = draws.some(&recorded.noise(), PAIRS);
            judge::word(&judge::pairs(&drawn, &noise, recorded.is_open_loop))
        })
        .collect()
}

#[test]
fn of_two_hundred_comparisons_with_itself_few_are_called_different() {
    for (scenario, recorded) in recorded() {
        for are_turned in [false, true] {
            let words = words(&recorded, &recorded.same, are_turned);
            let is_different = |word: &&Word| matches!(word, Word::Faster | Word::Slower);
            let different = words.iter().filter(is_different).count();
            println!("{scenario}: {different} of {DRAWN} comparisons with itself differ");
            assert!(
                different <= MOST_FALSE,
                "{scenario}: {different} of {DRAWN}"
            );
        }
    }
}

#[test]
fn of_two_hundred_comparisons_with_a_planted_change_nearly_all_are_called_slower() {
    for (scenario, recorded) in recorded() {
        let words = words(&recorded, &recorded.planted, false);
        let found = words.iter().filter(|word| **word == Word::Slower).count();
        println!("{scenario}: {found} of {DRAWN} planted changes are called slower");
        assert!(found >= LEAST_FOUND, "{scenario}: {found} of {DRAWN}");
    }
}

#[test]
#[ignore = "writes the data of the other tests, from run files in $RECORDED_RUNS"]
fn record() {
    let directory = std::env::var("RECORDED_RUNS").expect("RECORDED_RUNS names a directory");
    let mut all: BTreeMap<String, Recorded> = BTreeMap::new();
    let mut entries: Vec<_> = fs::read_dir(Path::new(&directory))
        .expect("a directory")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().and_then(|name| name.to_str());
        let mut words = name.unwrap_or_default().split('-');
        let (Some(scenario), Some(what)) = (words.next(), words.next()) else {
            continue;
        };
        let Ok(text) = fs::read_to_string(path.join("run.json")) else {
            continue;
        };
        let run = RunFile::read(&text).expect("a run file");
        let recorded = all.entry(scenario.to_owned()).or_default();
        recorded.is_open_loop = run.scenarios[0].header.config["load"][0]["closed"] == false;
        let design = run.header.design.as_ref().expect("a comparison");
        let pairs = blocks::paired(&run.scenarios[0], design, &design.candidates[0]);
        let (fit, _) = blocks::fit_pairs(&pairs, usize::MAX);
        match what {
            "same" => recorded.same.extend(fit),
            _ => recorded.planted.extend(fit),
        }
        recorded
            .noise
            .extend(blocks::noise_pairs(&run.scenarios[0]));
    }
    let text = serde_json::to_string(&all).expect("plain data");
    fs::write(DATA, text.replace("],[", "],\n[") + "\n").expect("a file");
}
