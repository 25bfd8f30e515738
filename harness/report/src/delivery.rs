//! What became of requests that were in flight when something was cut: acked, failed or
//! unknown, and how many of them the upstreams say that they got.
//!
//! A request that was answered was delivered once; one whose fate is unknown may have been
//! or not, and never twice. So what the upstreams counted is at least what was answered and
//! at most what was sent, by anybody: the harness's own probes and garbage are in their
//! counts as well.

use loadgen::record::LoadRecord;
use serde_json::Value;

use crate::evidence::Block;

/// Bytes of a probe of an echo at most.
const PROBE_BYTES: u64 = 128;

/// Bytes of a PROXY header of version 1 at most: that of version 2 has fewer here.
const HEADER_BYTES: u64 = 107;

/// The requests of all loads of a block, warm-up included, and what the upstreams say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Requests written.
    pub sent: u64,
    /// Right answers.
    pub answered: u64,
    /// Failed with their connection intact: wrong or missing answers.
    pub failed: u64,
    /// In flight when their connection was cut, or without an answer at the end.
    pub unknown: u64,
    /// Probes written beside them.
    pub probes: u64,
    /// What the upstreams counted, in this unit.
    pub unit: Unit,
    /// That, as far as it is known.
    pub counted: u64,
    /// What it must at least be.
    pub least: u64,
    /// What it may be at most.
    pub most: u64,
    /// Those that ended without telling, or do not tell.
    pub silent: Vec<String>,
}

/// What upstreams count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unit {
    /// Each request.
    #[default]
    Requests,
    /// The bytes of all of them: an echo knows no messages.
    Bytes,
}

impl Delivery {
    /// What is known of a block; none if it has no load, a load client left no record, or
    /// its requests cannot be counted. `mode` is what the proxy does.
    #[must_use]
    pub fn of(block: &Block, mode: &str) -> Option<Self> {
        let unit = match mode {
            "foo" => Unit::Requests,
            "tcp" => Unit::Bytes,
            _ => return None,
        };
        let mut all = Self {
            unit,
            ..Self::default()
        };
        if block.loads.is_empty() {
            return None;
        }
        for load in &block.loads {
            all.add(load.record.as_ref()?)?;
        }
        all.add_garbage_and_probes(block);
        all.add_counts(block);
        Some(all)
    }

    /// Whether an upstream got a request twice, or somebody else answered one.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.counted > self.most || (self.silent.is_empty() && self.counted < self.least)
    }

    fn add(&mut self, record: &LoadRecord) -> Option<()> {
        let slices = || record.intervals.iter();
        let sent: u64 = slices().map(|slice| slice.sent).sum();
        let answered: u64 = slices().map(|slice| slice.answered).sum();
        let failed: u64 = slices().map(|slice| slice.failed).sum();
        let of_kind = |kind: &str| -> u64 {
            let counts = slices().filter_map(|slice| slice.failed_kinds.get(kind));
            counts.sum()
        };
        let told: u64 = slices().flat_map(|slice| slice.failed_kinds.values()).sum();
        // A slice that tells no kinds tells of connections, too.
        let untold = failed.saturating_sub(told);
        let cut = (CUT.map(of_kind).iter().sum::<u64>() + untold).min(failed);
        let unanswered = sent.saturating_sub(answered + failed);
        self.sent += sent;
        self.answered += answered;
        self.failed += failed - cut;
        self.unknown += cut + unanswered;
        let (shortest, longest) = match self.unit {
            Unit::Requests => (1, 1),
            Unit::Bytes => lengths(record)?,
        };
        let idle = record.counts.idle.as_ref().map_or(0, |idle| idle.asked);
        self.least += answered * shortest;
        self.most += (sent + idle) * longest;
        Some(())
    }

    fn add_garbage_and_probes(&mut self, block: &Block) {
        let bytes_of_a_probe = match self.unit {
            Unit::Requests => 1,
            Unit::Bytes => PROBE_BYTES,
        };
        for (.., process) in block.watched() {
            self.probes += process.probe_requests();
        }
        self.most += self.probes * bytes_of_a_probe;
        for fuzz in block.fuzzes.iter().filter_map(|fuzz| fuzz.record.as_ref()) {
            self.most += match self.unit {
                Unit::Requests => fuzz.lines_sent,
                Unit::Bytes => fuzz.bytes_sent,
            };
        }
    }

    fn add_counts(&mut self, block: &Block) {
        let field = match self.unit {
            Unit::Requests => "/requests",
            Unit::Bytes => "/bytes_in",
        };
        let number = |counts: &Value, path: &str| counts.pointer(path).and_then(Value::as_u64);
        for (name, upstream) in block.upstreams() {
            let counted = upstream.all_counts().map(|counts| number(counts, field));
            let counted: Option<u64> = counted.sum();
            self.counted += counted.unwrap_or(0);
            if counted.is_none() || !upstream.told_all() {
                self.silent.push(name);
            }
            if self.unit == Unit::Bytes {
                let paths = ["/proxy_headers/v1", "/proxy_headers/v2"];
                let headers = upstream.all_counts().flat_map(|counts| {
                    let numbers = paths.into_iter().filter_map(|path| number(counts, path));
                    numbers.collect::<Vec<u64>>()
                });
                self.most += headers.sum::<u64>() * HEADER_BYTES;
            }
        }
        if block.upstream.is_none() {
            self.silent.push("upstream".to_owned());
        }
    }
}

/// Failures of a connection: the request may have been delivered or not.
const CUT: [&str; 2] = ["reset", "closed"];

/// The shortest and the longest message of a load on an echo; none if it sends no messages.
fn lengths(record: &LoadRecord) -> Option<(u64, u64)> {
    if record.bulk.is_some() {
        return None;
    }
    let text = record.config.get("payload")?.as_str()?;
    let (shortest, longest) = text.split_once('-').unwrap_or((text, text));
    Some((shortest.parse().ok()?, longest.parse().ok()?))
}
