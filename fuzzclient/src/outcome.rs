//! From what a run has counted to its record.

use std::time::Duration;

use crate::observed::Observed;
use crate::plan::Plan;
use crate::record::{Datagrams, FuzzRecord, Probes, SCHEMA_VERSION};

/// What a run has counted, and why it may have ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) started_mono_ns: u64,
    pub(crate) elapsed: Duration,
    pub(crate) interrupted: bool,
    /// Time was up.
    pub(crate) over: bool,
    pub(crate) source_ended: bool,
    pub(crate) bytes_sent: u64,
    pub(crate) lines_sent: u64,
    pub(crate) bytes_received: u64,
    pub(crate) replies: u64,
    pub(crate) probes: Option<Probes>,
    pub(crate) datagrams: Option<Datagrams>,
}

impl Outcome {
    pub(crate) fn into_record(self, plan: Plan, observed: Observed) -> FuzzRecord {
        let stopped_by = self.stopped_by(&plan, &observed).to_owned();
        FuzzRecord {
            schema_version: SCHEMA_VERSION,
            config: plan.config,
            seed: plan.seed,
            started_mono_ns: self.started_mono_ns,
            elapsed_s: self.elapsed.as_secs_f64(),
            stopped_by,
            bytes_sent: self.bytes_sent,
            lines_sent: self.lines_sent,
            bytes_received: self.bytes_received,
            replies: self.replies,
            sessions: observed.sessions(),
            observations: observed.counts,
            target_gone: observed.target_gone,
            findings: observed.findings,
            probes: self.probes,
            datagrams: self.datagrams,
        }
    }

    fn stopped_by(&self, plan: &Plan, observed: &Observed) -> &'static str {
        let is_unreachable = self.datagrams.is_none() && !observed.was_connected();
        if self.interrupted {
            "interrupted"
        } else if is_unreachable {
            "unreachable"
        } else if let Some(finding) = observed.ended_by {
            if observed.target_gone {
                "crash"
            } else {
                finding
            }
        } else if plan.bytes.is_some_and(|bytes| self.bytes_sent >= bytes) {
            "bytes"
        } else if observed.target_gone {
            "crash"
        } else if self.over {
            "duration"
        } else if self.source_ended {
            "source_ended"
        } else {
            "closed_by_target"
        }
    }
}
