//! The search against made-up subjects: what it finds, and that it ends.

use proptest::prelude::*;

use super::search::{Search, Showed, most_blocks, rounded};
use super::{CapacityPlan, Limit};
use crate::figures::median;

/// A subject of this capacity, with noise that is drawn anew for each block.
struct Subject {
    capacity: f64,
    /// The capacity in a block lies within this share of it, on a logarithmic scale.
    noise: f64,
    /// Where the load client comes to its limit.
    client: f64,
    random: u64,
}

impl Subject {
    fn of(capacity: f64) -> Self {
        Self {
            capacity,
            noise: 0.0,
            client: f64::INFINITY,
            random: 1,
        }
    }

    fn show(&mut self, rate: f64) -> Showed {
        // SplitMix64 (Steele, Lea and Flood, 2014).
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let share = ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64;
        let capacity = self.capacity * (1.0 + self.noise).powf(2.0 * share - 1.0);
        if rate <= capacity.min(self.client) {
            Showed::Holds
        } else if rate > self.client {
            Showed::Client("busy".to_owned())
        } else {
            Showed::Fails("slow".to_owned())
        }
    }
}

fn plan() -> CapacityPlan {
    CapacityPlan {
        bound: "p99 < 2ms".parse().unwrap(),
        first_rate: 5_000.0,
        resolution: 0.05,
        rounds: 5,
        most: 10_000_000.0,
    }
}

/// Searches to the end; gives the search, and the rates that it tried.
fn searched(plan: &CapacityPlan, mut show: impl FnMut(f64) -> Showed) -> (Search<'_>, Vec<f64>) {
    let mut search = Search::new(plan);
    let mut tried = Vec::new();
    while let Some(rate) = search.asks() {
        assert!(rate > 0.0 && rate <= plan.most, "{rate} of {}", plan.most);
        tried.push(rate);
        assert!(tried.len() <= most_blocks(plan), "{tried:?}");
        search.take(rate, show(rate));
    }
    (search, tried)
}

fn rate(search: &Search<'_>) -> Option<f64> {
    median(search.found.iter().map(|finding| finding.rate))
}

fn limits(search: &Search<'_>) -> Vec<Limit> {
    search.found.iter().map(|finding| finding.limit).collect()
}

#[test]
fn a_search_takes_about_as_many_blocks_as_it_says() {
    let plan = plan();
    let mut subject = Subject::of(41_200.0);
    let (search, tried) = searched(&plan, |rate| subject.show(rate));
    assert_eq!(
        tried[..5],
        [5_000.0, 10_000.0, 20_000.0, 40_000.0, 80_000.0]
    );
    assert!(tried.len() <= super::usual_blocks(&plan) + 3, "{tried:?}");
    assert_eq!(limits(&search), [Limit::Bound; 5]);
    let rounds: Vec<f64> = search.found.iter().map(|finding| finding.rate).collect();
    assert!(
        rounds.windows(2).any(|two| two[0] != two[1]),
        "rounds that try the same rates are one round: {rounds:?}"
    );
    assert!(
        search.found[0].why.starts_with("at 4"),
        "{:?}",
        search.found[0]
    );
}

#[test]
fn a_first_rate_that_is_too_high_is_no_hindrance() {
    let plan = plan();
    let mut subject = Subject::of(90.0);
    let (search, _) = searched(&plan, |rate| subject.show(rate));
    let found = rate(&search).unwrap();
    assert!((85.0..=90.0).contains(&found), "{found}");
}

#[test]
fn where_no_rate_holds_there_is_none() {
    let plan = plan();
    let (search, tried) = searched(&plan, |_| Showed::Fails("slow".to_owned()));
    assert_eq!((rate(&search), search.climb.clone()), (None, None));
    assert_eq!(search.least.unwrap().limit, Limit::Bound);
    assert_eq!(tried.len(), 22, "each twice");
}

#[test]
fn where_every_rate_holds_it_is_the_most_that_was_to_be_tried() {
    let plan = CapacityPlan {
        most: 33_000.0,
        ..plan()
    };
    let (search, tried) = searched(&plan, |_| Showed::Holds);
    assert_eq!(rate(&search), Some(33_000.0));
    assert_eq!(limits(&search), [Limit::Most; 5]);
    assert!(tried.len() <= 4 + 5 * 2, "{tried:?}");
}

#[test]
fn a_load_client_at_its_limit_is_asked_twice() {
    let plan = plan();
    let mut subject = Subject {
        client: 30_000.0,
        ..Subject::of(50_000.0)
    };
    let (search, tried) = searched(&plan, |rate| subject.show(rate));
    let found = rate(&search).unwrap();
    assert!((28_500.0..=30_000.0).contains(&found), "{found}");
    assert_eq!(limits(&search), [Limit::LoadClient; 5]);
    assert_eq!(tried[3..5], [40_000.0, 40_000.0]);
    let mut was_late = false;
    let mut subject = Subject::of(50_000.0);
    let (search, _) = searched(&plan, |rate| {
        if rate > 30_000.0 && !was_late {
            was_late = true;
            return Showed::Client("late once".to_owned());
        }
        subject.show(rate)
    });
    assert_eq!(limits(&search), [Limit::Bound; 5]);
    assert!(rate(&search).unwrap() > 47_500.0);
}

/// A search that somebody disturbs while it climbs, so that the climb ends far too early.
fn disturbed<'a>(plan: &'a CapacityPlan, subject: &mut Subject) -> Search<'a> {
    let mut blocks = 0;
    let (search, _) = searched(plan, |rate| {
        blocks += 1;
        if (2..=3).contains(&blocks) {
            return Showed::Fails("somebody else was using the machine".to_owned());
        }
        subject.show(rate)
    });
    assert!(search.climb.as_ref().unwrap().rate < 10_000.0);
    search
}

#[test]
fn a_climb_that_ends_too_early_does_not_mislead_the_rounds() {
    let plan = plan();
    let mut subject = Subject::of(80_000.0);
    let search = disturbed(&plan, &mut subject);
    let found = rate(&search).unwrap();
    assert!((76_000.0..=80_000.0).contains(&found), "{found}");
}

#[test]
fn a_round_that_begins_far_off_still_closes_in() {
    let plan = CapacityPlan {
        resolution: 0.01,
        ..plan()
    };
    let mut subject = Subject::of(80_000.0);
    let search = disturbed(&plan, &mut subject);
    assert_eq!(limits(&search), [Limit::Bound; 5]);
    for finding in &search.found {
        let rate = finding.rate;
        assert!((79_000.0..=80_000.0).contains(&rate), "{rate}");
    }
}

#[test]
fn a_round_that_runs_out_of_blocks_says_so() {
    let plan = plan();
    // So far above what the climb finds that the first round spends its blocks on the way.
    let mut subject = Subject::of(18e6);
    let plan = CapacityPlan { most: 1e9, ..plan };
    let mut blocks = 0;
    let (search, _) = searched(&plan, |rate| {
        blocks += 1;
        if (2..=3).contains(&blocks) {
            return Showed::Fails("somebody else was using the machine".to_owned());
        }
        subject.show(rate)
    });
    let [first, others @ ..] = &search.found[..] else {
        panic!("{:?}", search.found);
    };
    assert_eq!(first.limit, Limit::Unfinished, "{first:?}");
    assert!(first.why.contains("did not close it in"), "{first:?}");
    assert!(
        others.iter().all(|one| one.limit == Limit::Bound),
        "{others:?}"
    );
    let found = rate(&search).unwrap();
    assert!((17e6..=18e6).contains(&found), "{found}");
}

#[test]
fn a_round_that_finds_none_is_counted() {
    let plan = plan();
    let mut subject = Subject::of(41_200.0);
    let mut blocks = 0;
    let (search, _) = searched(&plan, |rate| {
        blocks += 1;
        // The climb takes 14 blocks.
        if blocks > 14 {
            return Showed::Fails("somebody else is using the machine".to_owned());
        }
        subject.show(rate)
    });
    assert!(search.climb.is_some(), "{search:?}");
    assert_eq!((search.found.len(), search.found_none()), (0, 5));
}

#[test]
fn a_block_that_was_disturbed_is_repeated_and_one_that_was_overloaded_is_not() {
    let plan = plan();
    let mut subject = Subject::of(80_000.0);
    let mut blocks = 0;
    let (search, tried) = searched(&plan, |rate| {
        blocks += 1;
        // Every third block is disturbed, whatever its rate.
        if blocks % 3 == 0 {
            return Showed::Fails("disturbed".to_owned());
        }
        match subject.show(rate) {
            Showed::Fails(why) => Showed::Overloaded(why),
            other => other,
        }
    });
    assert_eq!(tried[2..4], [20_000.0, 20_000.0]);
    assert_eq!(
        tried.iter().filter(|rate| **rate == 160_000.0).count(),
        1,
        "{tried:?}"
    );
    let found = rate(&search).unwrap();
    assert!((76_000.0..=80_000.0).contains(&found), "{found}");
}

#[test]
fn who_dies_is_not_asked_again() {
    let plan = plan();
    let (search, tried) = searched(&plan, |rate| {
        if rate < 30_000.0 {
            Showed::Holds
        } else {
            Showed::Down("the proxy died (SIGSEGV)".to_owned())
        }
    });
    assert_eq!(tried.len(), 4);
    assert_eq!(search.cut.unwrap(), "at 40,000/s the proxy died (SIGSEGV)");
}

proptest! {
    #[test]
    fn what_is_found_is_the_capacity_within_resolution_and_noise(
        capacity in 20.0_f64..5e6,
        noise in 0.0_f64..0.1,
        resolution in 0.01_f64..0.1,
        random: u64,
    ) {
        let plan = CapacityPlan { resolution, ..plan() };
        let mut subject = Subject { noise, random, ..Subject::of(capacity) };
        let (search, _) = searched(&plan, |rate| subject.show(rate));
        prop_assert_eq!(search.found.len(), 5);
        for finding in &search.found {
            let off = (finding.rate / capacity).ln();
            let (least, most) = (-(resolution + 0.002).ln_1p() - noise.ln_1p(), noise.ln_1p());
            prop_assert!(off >= least - 1e-9 && off <= most + 1e-9, "{} for {capacity}", finding.rate);
        }
    }

    #[test]
    fn more_capacity_is_found_to_be_more(capacity in 100.0_f64..1e6, more in 1.0_f64..10.0) {
        let plan = plan();
        let found = |capacity: f64| {
            let mut subject = Subject::of(capacity);
            rate(&searched(&plan, |rate| subject.show(rate)).0).unwrap()
        };
        // Two that both lie within the resolution may come out in any order.
        prop_assert!(found(capacity * more) >= found(capacity) / (1.0 + plan.resolution + 0.001));
    }

    #[test]
    fn any_story_ends_and_never_contradicts_itself(
        story in proptest::collection::vec(0_u8..5, 200),
        first_rate in 1.0_f64..1e6,
        rounds in 1_u32..8,
        most in 10.0_f64..1e7,
    ) {
        let plan = CapacityPlan { first_rate, rounds, most, ..plan() };
        let mut story = story.into_iter().cycle();
        let (search, _) = searched(&plan, |_| match story.next() {
            Some(0) => Showed::Holds,
            Some(1) => Showed::Client("busy".to_owned()),
            Some(2) => Showed::Nothing("no samples".to_owned()),
            Some(3) => Showed::Overloaded("slow".to_owned()),
            _ => Showed::Fails("slow".to_owned()),
        });
        prop_assert!(search.found.len() <= rounds as usize);
    }

    #[test]
    fn rates_have_four_digits(rate in 0.5_f64..1e8) {
        let short = rounded(rate);
        prop_assert!((short / rate - 1.0).abs() <= 0.000_51);
    }
}
