//! What shards must show beside each other: that they are all the parts of one whole.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use loadgen::record::Shard;
use serde_json::Value;

use crate::part::Part;
use crate::refusal::{Refusal, Why};

/// Flags in which shards may differ: each has its own number and files, and machines differ.
const OWN: [&str; 8] = [
    "shard", "start-at", "out", "json", "hlog", "quiet", "threads", "pacer",
];

/// All that contradicts, in no order. `parts` are in the order of their numbers.
pub(crate) fn refusals(parts: &[Part]) -> Vec<Refusal> {
    let mut found = Vec::new();
    found.extend(twice(parts));
    found.extend(other_count(parts));
    found.extend(missing(parts));
    found.extend(other_configuration(parts));
    found.extend(other_start(parts));
    found.extend(other_slots(parts));
    found.extend(same_clients(parts));
    found
}

fn twice(parts: &[Part]) -> impl Iterator<Item = Refusal> {
    let pairs = parts.windows(2);
    pairs
        .filter(|pair| pair[0].shard.index == pair[1].shard.index)
        .map(|pair| pair[1].refusal(Why::Twice(pair[0].file.clone())))
}

fn other_count(parts: &[Part]) -> impl Iterator<Item = Refusal> {
    let others = most(parts.iter().map(|part| part.shard.count));
    parts.iter().filter_map(move |part| {
        let (count, others) = (part.shard.count, others?);
        (count != others).then(|| part.refusal(Why::Count { count, others }))
    })
}

/// Shards of which there is no file, as many as the most of the others say that there are.
fn missing(parts: &[Part]) -> Vec<Refusal> {
    let Some(count) = most(parts.iter().map(|part| part.shard.count)) else {
        return vec![];
    };
    let own = || parts.iter().filter(|part| part.shard.count == count);
    let there: BTreeSet<u64> = own().map(|part| part.shard.index).collect();
    let directory = own().next().and_then(|part| part.file.parent());
    let directory = directory.unwrap_or(Path::new(""));
    let refusal = |index| Refusal {
        shard: Some(index),
        file: directory.join(Shard::file_name(index, count)),
        why: Why::Missing,
    };
    let absent = (0..count).filter(|index| !there.contains(index));
    absent.take(MOST_MISSING).map(refusal).collect()
}

/// Missing shards that are named at most: a file may say that there are any number.
const MOST_MISSING: usize = 10_000;

fn other_configuration(parts: &[Part]) -> Vec<Refusal> {
    let keys: BTreeSet<&String> = parts
        .iter()
        .flat_map(|part| part.record.config.keys())
        .filter(|key| !OWN.contains(&key.as_str()))
        .collect();
    let mut found = Vec::new();
    for key in keys {
        let of = |part: &Part| part.record.config.get(key).cloned();
        let shown = |value: &Option<Value>| {
            value
                .as_ref()
                .map_or_else(|| "absent".to_owned(), Value::to_string)
        };
        let first = parts.first().and_then(of);
        if parts.iter().all(|part| of(part) == first) {
            continue;
        }
        let others = most(parts.iter().map(|part| shown(&of(part)))).unwrap_or_default();
        for part in parts {
            let value = shown(&of(part));
            if value != others {
                let (key, others) = (key.clone(), others.clone());
                found.push(part.refusal(Why::Configuration { key, value, others }));
            }
        }
    }
    found
}

/// Starts are compared with the middle one: those told "in ten seconds" all differ.
fn other_start(parts: &[Part]) -> Vec<Refusal> {
    let mut starts: Vec<u64> = parts.iter().map(|part| part.shard.start_unix_ns).collect();
    starts.sort_unstable();
    let Some(others) = starts.get(starts.len().saturating_sub(1) / 2).copied() else {
        return vec![];
    };
    let refusal = |part: &Part| {
        let (start, allowed_ns) = (part.shard.start_unix_ns, part.shard.late_allowed_ns);
        let by_ns = start.abs_diff(others);
        (by_ns > allowed_ns).then(|| {
            part.refusal(Why::Start {
                by_ns,
                is_later: start > others,
                allowed_ns,
            })
        })
    };
    parts.iter().filter_map(refusal).collect()
}

/// Slots go to shards in turn: of the same time each has as many as any other, or one more.
fn other_slots(parts: &[Part]) -> Vec<Refusal> {
    let mut slots: Vec<u64> = parts.iter().filter_map(|part| part.shard.slots).collect();
    slots.sort_unstable();
    let Some(others) = slots.get(slots.len().saturating_sub(1) / 2).copied() else {
        return vec![];
    };
    let refusal = |part: &Part| {
        let why = match part.shard.slots {
            None => "it had no slots, the others had".to_owned(),
            Some(slots) if slots.abs_diff(others) > 1 => format!(
                "{slots} slots were due while measuring, of the others {others}: slots go to \
                 shards in turn"
            ),
            Some(_) => return None,
        };
        Some(part.refusal(Why::Sums(why)))
    };
    parts.iter().filter_map(refusal).collect()
}

/// Sockets of datagrams have names of their own.
fn same_clients(parts: &[Part]) -> Vec<Refusal> {
    let mut owners: BTreeMap<&str, &PathBuf> = BTreeMap::new();
    let mut found = Vec::new();
    for part in parts {
        let clients = part.record.udp.iter().flat_map(|udp| udp.clients.keys());
        let taken = clients.filter_map(|client| Some((client, owners.insert(client, &part.file)?)));
        // One of them is enough.
        if let Some((client, other)) = taken.last().filter(|(_, other)| **other != part.file) {
            let why = format!(
                "the client {client} of its datagrams is in {} too",
                other.display()
            );
            found.push(part.refusal(Why::Sums(why)));
        }
    }
    found
}

/// What most say; of several, the one that came first.
fn most<T: PartialEq + Ord + Clone>(values: impl Iterator<Item = T>) -> Option<T> {
    let mut counts: BTreeMap<T, (u64, usize)> = BTreeMap::new();
    for (at, value) in values.enumerate() {
        counts.entry(value).or_insert((0, at)).0 += 1;
    }
    let best = counts
        .iter()
        .max_by_key(|(_, (count, first))| (*count, std::cmp::Reverse(*first)));
    best.map(|(value, _)| value.clone())
}
