//! What datagrams came to, as the record tells it.

use super::ledger::Ledger;
use crate::mix::mix;
use crate::plan::Plan;
use crate::record::{Udp, UdpClient};

/// How the datagrams of a run name it.
pub(crate) fn run_of(plan: &Plan) -> u32 {
    (mix(plan.seed, 0x7564_7020_7275_6e00) >> 32) as u32
}

/// The part of the record that is about datagrams.
pub(crate) fn told(plan: &Plan, ledger: &Ledger) -> Udp {
    let run = format!("{:08x}", run_of(plan));
    let returns = ledger.returns();
    let clients = ledger.clients.iter().map(|one| {
        let told = UdpClient {
            numbers: one.numbers,
            sent: one.sent,
            returned: one.returns.returned,
            late: one.returns.late,
            reordered: one.returns.reordered,
            duplicated: one.returns.duplicated,
        };
        (format!("{run}.{}", one.client), told)
    });
    Udp {
        clients: clients.collect(),
        run,
        sent: ledger.sent,
        bytes_sent: ledger.bytes_sent,
        not_sent: ledger.unsent.kinds(),
        received: ledger.received,
        returned: returns.returned,
        lost: ledger.sent - returns.returned,
        late: returns.late,
        reordered: returns.reordered,
        duplicated: returns.duplicated,
        corrupted: ledger.corrupted,
        misrouted: ledger.misrouted,
        unexpected: ledger.unexpected,
        datagrams_refused: ledger.refused,
        kernel_drops: ledger.kernel_drops,
        segmentation: ledger.segments,
    }
}
