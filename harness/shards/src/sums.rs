//! What the threads add to while they read: histograms, in total and for each slice of time.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use loadgen::histograms::{self, Histogram, encode, percentiles};
use loadgen::record::{Interval, LoadRecord, Percentiles};

use crate::add::add;
use crate::pages::Pages;
use crate::sparse::{Count, Decoder, SparseError};

/// The sums over all shards, which all threads share: one copy for each would be several
/// times the memory.
#[derive(Debug, Default)]
pub(crate) struct Sums {
    totals: Mutex<BTreeMap<String, Pages>>,
    slices: RwLock<Vec<Mutex<Slice>>>,
}

/// A slice of time, summed.
#[derive(Debug, Default)]
struct Slice {
    /// All but the histogram; times are relative to the first slice.
    interval: Interval,
    response: Pages,
}

/// Samples in the histograms of one record.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Samples {
    /// In the total of the response times.
    pub(crate) total: u64,
    /// In the slices that count.
    pub(crate) slices: u64,
}

/// What one thread reads histograms with.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    decoder: Decoder,
    counts: Vec<Count>,
}

impl Sums {
    /// Adds a record's histograms and slices, which are taken out of it.
    pub(crate) fn add(
        &self,
        record: &mut LoadRecord,
        reader: &mut Reader,
    ) -> Result<Samples, String> {
        let mut samples = Samples::default();
        let counted = |counts: &[Count]| counts.iter().map(|(_, count)| count).sum::<u64>();
        for (name, text) in std::mem::take(&mut record.histograms) {
            let counts = reader.read(&text).map_err(|error| told(&name, error))?;
            if name == "response" {
                samples.total = counted(counts);
            }
            locked(&self.totals).entry(name).or_default().add(counts);
        }
        let intervals = std::mem::take(&mut record.intervals);
        self.make_room(intervals.len());
        let begin = intervals.first().map_or(0, |first| first.start_mono_ns);
        let slices = self.slices.read().unwrap_or_else(PoisonError::into_inner);
        for (at, interval) in intervals.iter().enumerate() {
            let counts = reader
                .read(&interval.response)
                .map_err(|error| told(&format!("interval {at}"), error))?;
            if !interval.warmup {
                samples.slices += counted(counts);
            }
            locked(&slices[at]).add(interval, begin, counts);
        }
        Ok(samples)
    }

    fn make_room(&self, slices: usize) {
        let is_short = |of: &Vec<Mutex<Slice>>| of.len() < slices;
        if is_short(&self.slices.read().unwrap_or_else(PoisonError::into_inner)) {
            let mut all = self.slices.write().unwrap_or_else(PoisonError::into_inner);
            if is_short(&all) {
                all.resize_with(slices, Mutex::default);
            }
        }
    }

    /// The sums as a record has them: the histograms in total with their percentiles, and
    /// the slices, the first of which begins at `begin`.
    pub(crate) fn finish(self, begin: u64, threads: usize) -> Finished {
        let totals = self.totals.into_inner();
        let mut dense = histograms::empty();
        let totals = totals.unwrap_or_else(PoisonError::into_inner);
        let totals = totals.into_iter().map(|(name, pages)| {
            pages.fill(&mut dense);
            let total = Total {
                percentiles: percentiles(&dense),
                text: encode(&dense),
                histogram: dense.clone(),
            };
            (name, total)
        });
        let totals = totals.collect();
        let slices = self.slices.into_inner();
        let mut slices = slices.unwrap_or_else(PoisonError::into_inner);
        let share = slices.len().div_ceil(threads).max(1);
        let mut shares = Vec::new();
        while !slices.is_empty() {
            shares.push(slices.split_off(slices.len().saturating_sub(share)));
        }
        let intervals = std::thread::scope(|scope| {
            let shares = shares.into_iter().rev();
            let tasks: Vec<_> = shares
                .map(|share| scope.spawn(move || finished(share, begin)))
                .collect();
            let tasks = tasks.into_iter();
            tasks
                .flat_map(|task| task.join().expect("nothing in it panics"))
                .collect()
        });
        Finished { totals, intervals }
    }
}

/// The sums at the end.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) totals: BTreeMap<String, Total>,
    pub(crate) intervals: Vec<Interval>,
}

/// A histogram of the whole run.
#[derive(Debug)]
pub(crate) struct Total {
    pub(crate) percentiles: Percentiles,
    pub(crate) text: String,
    pub(crate) histogram: Histogram,
}

/// One dense histogram serves all slices of a thread; each slice's pages are freed with it.
fn finished(slices: Vec<Mutex<Slice>>, begin: u64) -> Vec<Interval> {
    let mut dense = histograms::empty();
    slices
        .into_iter()
        .map(|slice| {
            let slice = slice.into_inner().unwrap_or_else(PoisonError::into_inner);
            slice.response.fill(&mut dense);
            let percentiles = percentiles(&dense);
            Interval {
                start_mono_ns: begin.saturating_add(slice.interval.start_mono_ns),
                p50_us: percentiles.p50,
                p99_us: percentiles.p99,
                max_us: percentiles.max,
                response: encode(&dense),
                ..slice.interval
            }
        })
        .collect()
}

fn told(what: &str, error: SparseError) -> String {
    format!("the histogram of {what}: {error}")
}

/// What a thread that panicked leaves is never used: the panic is passed on.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Reader {
    fn read(&mut self, text: &str) -> Result<&[Count], SparseError> {
        self.decoder.decode(text, &mut self.counts)?;
        Ok(&self.counts)
    }
}

impl Slice {
    fn add(&mut self, interval: &Interval, begin: u64, counts: &[Count]) {
        self.response.add(counts);
        let sum = &mut self.interval;
        // All begin when the schedule says, the last apart, which begins when the first of
        // them is done with what is measured.
        let start = interval.start_mono_ns.saturating_sub(begin);
        let is_first = sum.length_s == 0.0;
        if is_first || start < sum.start_mono_ns {
            sum.start_mono_ns = start;
        }
        sum.length_s = sum.length_s.max(interval.length_s);
        sum.warmup = interval.warmup;
        for (sum, own) in [
            (&mut sum.sent, interval.sent),
            (&mut sum.answered, interval.answered),
            (&mut sum.failed, interval.failed),
            (&mut sum.connections_opened, interval.connections_opened),
            (
                &mut sum.connections_completed,
                interval.connections_completed,
            ),
            (&mut sum.connections_failed, interval.connections_failed),
            (&mut sum.bytes_sent, interval.bytes_sent),
            (&mut sum.bytes_received, interval.bytes_received),
        ] {
            add(sum, own);
        }
        for (kind, own) in &interval.failed_kinds {
            add(sum.failed_kinds.entry(kind.clone()).or_default(), *own);
        }
    }
}
