//! What is kept of a shard once its histograms are added.

use std::path::{Path, PathBuf};

use loadgen::record::{LoadRecord, Shard, ShardFigures};

use crate::own;
use crate::read::read;
use crate::refusal::{Refusal, Why};
use crate::sums::{Reader, Sums};

/// A shard, without its histograms.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) file: PathBuf,
    pub(crate) shard: Shard,
    /// Its record; histograms and slices are empty.
    pub(crate) record: LoadRecord,
    /// When its first slice began.
    pub(crate) began_mono_ns: u64,
    /// What it must not be merged for.
    pub(crate) refused: Vec<Why>,
}

impl Part {
    /// Reads a file and adds what it holds to the sums. Once anything is refused they are of
    /// no use any more, so nothing is ever taken out of them.
    pub(crate) fn take(file: &Path, sums: &Sums, reader: &mut Reader) -> Result<Self, Why> {
        let (mut record, shard) = read(file)?;
        let mut refused = own::said(&record, &shard);
        if refused.is_empty() {
            let found = own::counts(&record, &shard);
            refused.extend(found.or_else(|| own::slices(&record)));
        }
        let began_mono_ns = record
            .intervals
            .first()
            .map_or(record.started_mono_ns, |first| first.start_mono_ns);
        if refused.is_empty() {
            let samples = sums.add(&mut record, reader).map_err(Why::NotARecord)?;
            refused.extend(own::samples(&record, samples));
        }
        record.histograms.clear();
        record.intervals.clear();
        Ok(Self {
            file: file.to_owned(),
            shard,
            record,
            began_mono_ns,
            refused,
        })
    }

    pub(crate) fn refusal(&self, why: Why) -> Refusal {
        Refusal {
            shard: Some(self.shard.index),
            file: self.file.clone(),
            why,
        }
    }

    /// What it contributed.
    pub(crate) fn figures(&self) -> ShardFigures {
        let (record, counts) = (&self.record, &self.record.counts);
        ShardFigures {
            shard: self.shard.clone(),
            file: self.file.display().to_string(),
            sent: counts.sent,
            answered: counts.acked + counts.naked,
            failed: counts.failed_total() + counts.unanswered,
            achieved_rate: record.achieved_rate,
            response_us: record.latency_us.response.clone(),
            send_lag_us: record.latency_us.send_lag.clone(),
            threads: record.client.threads,
            busiest_worker: record.client.busiest_worker,
        }
    }
}
