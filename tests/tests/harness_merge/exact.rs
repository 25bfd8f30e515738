//! Whatever is split into shards, merged it is the whole again, count for count.

use loadgen::record::LoadRecord;
use proptest::prelude::*;

use crate::made::{End, Request, SLICES, calm, record, write};

fn merged(requests: &[Request], shards: u64) -> LoadRecord {
    let directory = tempfile::tempdir().expect("a directory");
    for index in 0..shards {
        write(directory.path(), &record(requests, Some((index, shards))));
    }
    let files = shards::find(&[directory.path().to_owned()]).expect("files");
    assert_eq!(files.len() as u64, shards);
    shards::merge(&files).unwrap_or_else(|refusals| panic!("{refusals}"))
}

/// Asserts that the merged record is that of the whole, apart from what each shard has of its
/// own.
fn assert_whole(requests: &[Request], shards: u64) {
    let mut merged = merged(requests, shards);
    let mut whole = record(requests, None);
    assert_eq!(merged.shards.len() as u64, shards);
    let sent: u64 = merged.shards.iter().map(|one| one.sent).sum();
    assert_eq!(sent, whole.counts.sent);
    merged.shards.clear();
    assert_eq!(merged.client.threads as u64, shards);
    assert!((merged.client.cpu_s - 0.25 * shards as f64).abs() < 1e-9);
    assert!((merged.achieved_rate - whole.achieved_rate).abs() < 1e-6);
    whole.client = merged.client.clone();
    whole.achieved_rate = merged.achieved_rate;
    whole.counts.connections = shards;
    // The whole is judged by rules of its own.
    (whole.valid, whole.invalid_reasons) = (merged.valid, merged.invalid_reasons.clone());
    if shards == 1 {
        merged
            .config
            .retain(|key, _| whole.config.contains_key(key));
    }
    assert_eq!(merged, whole);
}

#[test]
fn four_shards_are_the_whole() {
    assert_whole(&calm(), 4);
}

#[test]
fn a_hundred_shards_are_the_whole() {
    assert_whole(&calm(), 100);
}

#[test]
fn a_closed_loop_has_no_slots_and_no_rate() {
    let directory = tempfile::tempdir().expect("a directory");
    for index in 0..3 {
        let mut shard = record(&calm(), Some((index, 3)));
        shard.mode = "closed".to_owned();
        shard.target_rate = None;
        shard
            .config
            .insert("rate".to_owned(), serde_json::Value::Null);
        shard.shard.as_mut().expect("a shard").slots = None;
        // Each ends when it has sent its share, not when the others have.
        if index == 1 {
            shard.intervals.truncate(4);
        }
        write(directory.path(), &shard);
    }
    let files = shards::find(&[directory.path().to_owned()]).expect("files");
    let merged = shards::merge(&files).unwrap_or_else(|refusals| panic!("{refusals}"));
    assert_eq!((merged.target_rate, merged.counts.sent), (None, 3_000));
}

fn request() -> impl Strategy<Value = Request> {
    let end = prop_oneof![
        6 => Just(End::Acked),
        2 => Just(End::Naked),
        1 => Just(End::Lost),
        1 => Just(End::Reset),
        1 => Just(End::Unanswered),
        1 => Just(End::NeverWritten),
    ];
    let times = (0..3_600_000_000_000_u64, 0..40_u32, 0..100_000_u64);
    (0..SLICES, times, end).prop_map(|(slice, (response_ns, shift, lag_ns), end)| Request {
        slice,
        response_ns: response_ns >> shift,
        lag_ns,
        end,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_shards_of_any_load_are_the_whole(
        mut requests in proptest::collection::vec(request(), 0..120), shards in 1_u64..9,
    ) {
        // Slots follow each other in time.
        requests.sort_by_key(|request| request.slice);
        assert_whole(&requests, shards);
    }
}
