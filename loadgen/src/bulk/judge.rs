//! What became of each connection of a bulk transfer. Each counts as one request.

use super::BulkPlan;
use super::stream::{COUNT, Stream};
use crate::args::BulkArg;
use crate::tally::{Breakage, ConnectTally, Extra, Failure, Tally};

/// What became of the connections so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Judged {
    pub(super) tally: Tally,
    pub(super) wrong: u64,
    pub(super) first_wrong: Option<u64>,
    pub(super) missing: u64,
}

impl Judged {
    /// Adds another worker's.
    pub(super) fn add(&mut self, other: &Self) {
        self.tally.add(&other.tally);
        self.wrong += other.wrong;
        self.missing += other.missing;
        self.first_wrong = match (self.first_wrong, other.first_wrong) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }
}

/// Judges `stream` when it is over, or the run is.
pub(super) fn judge(
    plan: &BulkPlan,
    stream: &Stream,
    judged: &mut Judged,
    connects: &mut ConnectTally,
) {
    let tally = &mut judged.tally;
    let incoming = &stream.incoming;
    tally.sent += 1;
    let expected = match plan.direction {
        BulkArg::Send => taken_by_sink(&incoming.said).map_or(0, |_| stream.sent),
        BulkArg::Receive | BulkArg::Both => plan.bytes.unwrap_or(0),
        BulkArg::Echo => stream.sent,
    };
    let come = taken_by_sink(&incoming.said).unwrap_or(incoming.bytes);
    let missing = expected.saturating_sub(come);
    judged.wrong += incoming.wrong;
    judged.first_wrong = match (judged.first_wrong, incoming.first_wrong) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    };
    judged.missing += missing;
    let more = plan.direction == BulkArg::Echo && incoming.bytes > stream.sent
        || plan.direction == BulkArg::Send
            && !incoming.said.is_empty()
            && incoming.said.len() != COUNT;
    if more {
        tally.extra(Extra::Unexpected);
    }
    // A source need not notice that we have enough; what takes our bytes must.
    let owes_an_end = matches!(plan.direction, BulkArg::Send | BulkArg::Echo);
    let nothing_came = incoming.bytes == 0 && incoming.said.is_empty();
    let unsent = !stream.has_sent_all();
    if stream.reset {
        tally.fail(Failure::Reset);
        connects.breaks(if nothing_came {
            Breakage::ResetBeforeByte
        } else {
            Breakage::Reset
        });
    } else if incoming.wrong > 0 {
        tally.fail(Failure::Corrupted);
    } else if stream.ended && (missing > 0 || unsent) {
        tally.fail(if unsent {
            Failure::Closed
        } else {
            Failure::Lost
        });
        connects.breaks(Breakage::ClosedEarly);
    } else if !stream.is_over() && (missing > 0 || owes_an_end || nothing_came) {
        tally.unanswered += 1;
        connects.breaks(Breakage::NoEnd);
    } else {
        tally.acked += 1;
        connects.completed += 1;
    }
}

/// The count that a sink may answer with.
fn taken_by_sink(said: &[u8]) -> Option<u64> {
    let bytes: [u8; COUNT] = said.try_into().ok()?;
    Some(u64::from_be_bytes(bytes))
}
