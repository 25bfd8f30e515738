//! Shards that are made from a record.

use std::error::Error;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use loadgen::histograms::{empty, encode, percentiles};
use loadgen::record::{Interval, LoadRecord, Percentiles, Shard};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use shards::sparse::{Count, Decoder, SLOTS, value_of};

/// Histograms that shards put together their intervals from: so many that no two files are
/// alike, so few that drawing them takes a moment.
const DRAWN: usize = 4_096;

/// Nanoseconds of an interval.
const SECOND: u64 = 1_000_000_000;

/// Of every so many intervals, one is checked slot by slot.
const CHECKED: u64 = 100;

/// What is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) shards: u64,
    pub(crate) intervals: u64,
    pub(crate) seed: u64,
}

/// Histograms drawn from a record.
pub(crate) struct Pool {
    samples: u64,
    drawn: Vec<Drawn>,
}

struct Drawn {
    counts: Vec<Count>,
    text: String,
    percentiles: Percentiles,
}

/// What the merged record must hold.
pub(crate) struct Expected {
    pub(crate) bytes: u64,
    samples: u64,
    shape: Shape,
    total: Vec<u64>,
    /// Every [`CHECKED`]th interval.
    intervals: Vec<Vec<u64>>,
}

impl Pool {
    /// Draws `samples` from one of the record's intervals, again and again. Machines differ in
    /// speed: each time all are longer, or shorter, by up to a half.
    pub(crate) fn drawn(
        record: &LoadRecord,
        samples: u64,
        seed: u64,
    ) -> Result<Self, Box<dyn Error>> {
        let mut decoder = Decoder::default();
        let mut recorded = Vec::new();
        for interval in record.intervals.iter().filter(|one| !one.warmup) {
            let mut counts = Vec::new();
            decoder.decode(&interval.response, &mut counts)?;
            let values: Vec<u64> = counts
                .iter()
                .flat_map(|(slot, count)| (0..*count).map(|_| value_of(*slot)))
                .collect();
            if !values.is_empty() {
                recorded.push(values);
            }
        }
        if recorded.is_empty() {
            return Err("the record has no interval with response times".into());
        }
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut histogram = empty();
        let mut draw = || -> Result<Drawn, Box<dyn Error>> {
            histogram.reset();
            let values = &recorded[rng.random_range(0..recorded.len())];
            let speed = rng.random_range(0.67..1.5_f64);
            for _ in 0..samples {
                let value = values[rng.random_range(0..values.len())];
                histogram.record((value as f64 * speed) as u64)?;
            }
            let text = encode(&histogram);
            let mut counts = Vec::new();
            decoder.decode(&text, &mut counts)?;
            Ok(Drawn {
                counts,
                percentiles: percentiles(&histogram),
                text,
            })
        };
        let drawn = (0..DRAWN).map(|_| draw()).collect::<Result<_, _>>()?;
        Ok(Self { samples, drawn })
    }

    pub(crate) fn len(&self) -> usize {
        self.drawn.len()
    }

    pub(crate) fn mean_bytes(&self) -> usize {
        let bytes: usize = self.drawn.iter().map(|one| one.text.len()).sum();
        bytes / self.len()
    }

    /// Writes all shards, and says what their sum is.
    pub(crate) fn write(
        &self,
        record: &LoadRecord,
        shape: Shape,
        directory: &Path,
    ) -> io::Result<Expected> {
        let expected = Mutex::new(Expected::of(shape, self.samples));
        let next = AtomicU64::new(0);
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let work = || -> io::Result<()> {
            let mut own = Expected::of(shape, self.samples);
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= shape.shards {
                    break;
                }
                self.write_one(record, index, directory, &mut own)?;
            }
            let mut all = expected.lock().expect("no thread panics while it adds");
            all.add(&own);
            Ok(())
        };
        std::thread::scope(|scope| -> io::Result<()> {
            let tasks: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            for task in tasks {
                task.join().expect("no thread panics")?;
            }
            Ok(())
        })?;
        Ok(expected.into_inner().expect("no thread panicked"))
    }

    fn write_one(
        &self,
        record: &LoadRecord,
        index: u64,
        directory: &Path,
        expected: &mut Expected,
    ) -> io::Result<()> {
        let mut rng = ChaCha8Rng::seed_from_u64(expected.shape.seed);
        rng.set_stream(index + 1);
        let mut total = vec![0; SLOTS];
        let begin = record.started_mono_ns;
        let intervals = (0..expected.shape.intervals).map(|at| {
            let drawn = &self.drawn[rng.random_range(0..self.drawn.len())];
            add(&mut total, &drawn.counts);
            if at % CHECKED == 0 {
                add(
                    &mut expected.intervals[(at / CHECKED) as usize],
                    &drawn.counts,
                );
            }
            Interval {
                start_mono_ns: begin + at * SECOND,
                length_s: 1.0,
                sent: self.samples,
                answered: self.samples,
                p50_us: drawn.percentiles.p50,
                p99_us: drawn.percentiles.p99,
                max_us: drawn.percentiles.max,
                response: drawn.text.clone(),
                ..Interval::default()
            }
        });
        let intervals = intervals.collect();
        let shard = self.shard(record, index, expected.shape, intervals, &total);
        for (sum, own) in expected.total.iter_mut().zip(&total) {
            *sum += own;
        }
        let name = Shard::file_name(index, expected.shape.shards);
        let mut file = BufWriter::with_capacity(1 << 20, File::create(directory.join(name))?);
        serde_json::to_writer(&mut file, &shard)?;
        file.flush()?;
        expected.bytes += file.get_ref().metadata()?.len();
        Ok(())
    }

    fn shard(
        &self,
        record: &LoadRecord,
        index: u64,
        shape: Shape,
        intervals: Vec<Interval>,
        total: &[u64],
    ) -> LoadRecord {
        let mut response = empty();
        for (slot, count) in total.iter().enumerate().filter(|(_, count)| **count > 0) {
            let value = value_of(slot as u32);
            response
                .record_n(value, *count)
                .expect("every slot has a value");
        }
        let sent = self.samples * shape.intervals;
        let mut made = LoadRecord {
            intervals,
            valid: true,
            invalid_reasons: vec![],
            target_rate: Some(self.samples as f64),
            achieved_rate: self.samples as f64,
            measured_s: shape.intervals as f64,
            warmup_s: 0.0,
            shard: Some(Shard {
                index,
                count: shape.shards,
                told_by: "simulation".to_owned(),
                host: format!("node-{index}"),
                start_unix_ns: record.started_unix_ms * 1_000_000,
                late_allowed_ns: 100_000_000,
                slots: Some(sent),
                ..Shard::default()
            }),
            ..record.clone()
        };
        made.latency_us.response = percentiles(&response);
        made.histograms
            .insert("response".to_owned(), encode(&response));
        made.counts.sent = sent;
        (made.counts.acked, made.counts.naked) = (sent, 0);
        (made.counts.unanswered, made.counts.never_written) = (0, 0);
        made.counts.failed.clear();
        for (key, value) in [
            ("shard", json!(format!("{index}/{}", shape.shards))),
            ("rate", json!((self.samples * shape.shards) as f64)),
            ("duration", json!(format!("{}s", shape.intervals))),
            ("interval", json!("1s")),
            ("warmup", json!("0s")),
        ] {
            made.config.insert(key.to_owned(), value);
        }
        made
    }
}

fn add(sum: &mut [u64], counts: &[Count]) {
    for (slot, count) in counts {
        sum[*slot as usize] += count;
    }
}

impl Expected {
    fn of(shape: Shape, samples: u64) -> Self {
        let checked = shape.intervals.div_ceil(CHECKED);
        Self {
            bytes: 0,
            samples,
            shape,
            total: vec![0; SLOTS],
            intervals: (0..checked).map(|_| vec![0; SLOTS]).collect(),
        }
    }

    fn add(&mut self, other: &Self) {
        self.bytes += other.bytes;
        let others = other.intervals.iter().chain([&other.total]);
        let own = self.intervals.iter_mut().chain([&mut self.total]);
        for (own, other) in own.zip(others) {
            for (sum, count) in own.iter_mut().zip(other) {
                *sum += count;
            }
        }
    }

    /// Whether a merged record is the sum of the shards.
    pub(crate) fn check(&self, record: &LoadRecord) -> Result<(), Box<dyn Error>> {
        let Shape {
            shards, intervals, ..
        } = self.shape;
        let each = shards * self.samples;
        let mut decoder = Decoder::default();
        let mut counts = Vec::new();
        let mut same = |text: &str, sum: &[u64]| -> Result<bool, Box<dyn Error>> {
            decoder.decode(text, &mut counts)?;
            let mut own = vec![0; SLOTS];
            add(&mut own, &counts);
            Ok(own == sum)
        };
        if !same(&record.histograms["response"], &self.total)? {
            return Err("the merged histogram is not the sum".into());
        }
        if record.intervals.len() as u64 != intervals || record.shards.len() as u64 != shards {
            return Err("intervals or shards are missing".into());
        }
        for (at, sum) in self.intervals.iter().enumerate() {
            let at = at * CHECKED as usize;
            if !same(&record.intervals[at].response, sum)? {
                return Err(format!("the merged interval {at} is not the sum").into());
            }
        }
        let is_right = |interval: &Interval| interval.sent == each && interval.answered == each;
        if record.counts.sent != each * intervals || !record.intervals.iter().all(is_right) {
            return Err("the merged counts are not the sums".into());
        }
        Ok(())
    }
}
