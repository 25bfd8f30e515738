//! The figures of lines of statsd, which nobody answers: how many came, and what they cost.

use serde::{Deserialize, Serialize};

use super::{Cell, cells, median, per_round};
use crate::evidence::Block;

/// What became of the lines of one load against one subject; medians over the blocks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LineFigures {
    /// Lines that came to a server per second.
    pub received_per_s: f64,
    /// Their share of those that were sent, warm-up included: the least of the blocks.
    pub received_share: f64,
    /// Lines that came to a server for each second of CPU time of the proxy's process tree.
    pub per_cpu_s: Option<f64>,
}

/// Of all blocks: that a load client came late changes when lines were sent, and not what
/// became of them.
pub(super) fn lines(cells: &[Cell<'_>]) -> Option<LineFigures> {
    let shares = cells
        .iter()
        .filter_map(|cell| cell.account()?.received_share());
    Some(LineFigures {
        received_per_s: median(cells.iter().filter_map(|cell| lines_per_s(cell)))?,
        received_share: shares.reduce(f64::min)?,
        per_cpu_s: median(cells.iter().filter_map(|cell| lines_per_cpu_s(cell))),
    })
}

/// Lines that came per second.
pub(super) fn lines_per_s(cell: &Cell<'_>) -> Option<f64> {
    let (_, received) = cell.load.lines(cell.account())?;
    Some(received / cell.record.measured_s).filter(|rate| rate.is_finite())
}

/// The same for each second of the proxy's CPU time.
pub(super) fn lines_per_cpu_s(cell: &Cell<'_>) -> Option<f64> {
    cell.load.lines_per_cpu_s(cell.account())
}

/// The median over the rounds of a figure over that of the peer, whether or not the load
/// client was in time.
pub(super) fn of_all_rounds(
    own: &[Cell<'_>],
    blocks: &[Block],
    peer: &str,
    load: &str,
    figure: fn(&Cell<'_>) -> Option<f64>,
) -> Option<f64> {
    let own: Vec<&Cell<'_>> = own.iter().collect();
    let ratio = per_round(&own, &cells(blocks, peer, load), figure, |own, other| {
        own / other
    });
    ratio.filter(|ratio| ratio.is_finite())
}
