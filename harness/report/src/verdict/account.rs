//! The line account, against what is demanded of it.

use super::{Finding, Outcome};
use crate::account::demand::{Demand, Entry};
use crate::account::{Account, Keeper};
use crate::evidence::Block;
use crate::text::account::sentence;

/// What a figure of a block's account is, and whether that is within the demand.
pub(super) fn figure(block: &Block, demand: &Demand) -> Finding {
    let Some(account) = &block.account else {
        let round = block.round;
        let said = format!("there is no account of the lines in round {round}");
        return (Outcome::Inconclusive, said);
    };
    if account.sent == 0 {
        let said = "no line was sent: there is nothing to account for".to_owned();
        return (Outcome::Inconclusive, said);
    }
    if account.keeper != Keeper::Proxy && demand.entry.is_the_proxys() {
        let said = "the proxy keeps no account".to_owned();
        return (Outcome::Inconclusive, said);
    }
    let Some(value) = demand.figure(account) else {
        let said = format!("nobody tells of {}", demand.entry);
        return (Outcome::Inconclusive, said);
    };
    let mut said = format!("{}; {}", shown(demand, value), sentence(account));
    let holds = demand.op.holds(value, demand.value);
    if let Some(why) = is_blind(account, demand).filter(|_| holds) {
        said.push_str(&format!("; {why}"));
        return (Outcome::Inconclusive, said);
    }
    (if holds { Outcome::Pass } else { Outcome::Fail }, said)
}

/// Why a figure may be larger than it seems: what was seen by somebody who left no record
/// cannot be compared with what others saw.
fn is_blind(account: &Account, demand: &Demand) -> Option<&'static str> {
    let lost_records = account.nodes.iter().any(|node| node.lost_records > 0);
    match demand.entry {
        Entry::KeysMoved | Entry::KeysMovedNeedlessly => {
            let complete = account.keys.is_some_and(|keys| keys.complete);
            // What a server saw before it was killed can only be keys that left it.
            (!complete && !lost_records).then_some("but not every key was kept")
        }
        _ => None,
    }
}

fn shown(demand: &Demand, value: f64) -> String {
    if demand.percent {
        format!("{} is {value:.4} %", demand.entry)
    } else {
        format!("{} is {value}", demand.entry)
    }
}
