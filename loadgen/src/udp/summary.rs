//! What datagrams came to, as the record tells it.

use super::ledger::Ledger;
use crate::plan::{Plan, Wire};
use crate::record::{Udp, UdpClient};

/// The part of the record that is about datagrams, if they were what was sent.
pub(crate) fn told(plan: &Plan, ledger: Option<&Ledger>) -> Option<Udp> {
    let (Wire::Datagrams(how), Some(ledger)) = (plan.wire, ledger) else {
        return None;
    };
    let run = format!("{:08x}", how.run);
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
    Some(Udp {
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
    })
}
