//! The line account: what became of every line, in a few rows.

use super::{heading, number, table};
use crate::account::{Account, Datagrams, Keeper};
use crate::evidence::Block;
use crate::run::ScenarioRun;

/// Blocks whose accounts are shown one by one; of more the first are.
const MOST: usize = 8;

/// What the columns of [`rows`] hold.
pub(crate) const HEAD: [&str; 4] = ["", "lines", "share", "datagrams"];

/// The section of a scenario; empty if it has no account.
#[must_use]
pub fn section(scenario: &ScenarioRun) -> String {
    let mut out = String::new();
    for (title, account) in accounts(scenario) {
        out.push_str(&heading("ACCOUNT", &title));
        let mut rows = rows(account);
        rows.insert(0, HEAD.map(str::to_owned).to_vec());
        out.push_str(&table::render(
            &rows,
            &[table::LEFT, table::RIGHT, table::RIGHT, table::RIGHT],
        ));
        for line in notes(account) {
            out.push_str(&format!("  {line}\n"));
        }
    }
    out
}

/// The accounts of a scenario that are worth a table each, with their titles: those of a
/// search or of many rounds are in its figures.
pub(crate) fn accounts(scenario: &ScenarioRun) -> Vec<(String, &Account)> {
    let has_account = |block: &&Block| block.account.is_some();
    let is_shown = scenario.header.capacity.is_none()
        && scenario.blocks.iter().filter(has_account).count() <= MOST;
    let blocks = scenario.blocks.iter().filter(|_| is_shown);
    blocks
        .filter_map(|block| {
            let account = block.account.as_ref()?;
            let name = &scenario.header.name;
            let title = format!("{name}: {}, round {}", block.subject, block.round);
            Some((title, account))
        })
        .collect()
}

/// A row for each thing that became of lines; what did not happen is left out, except
/// what everybody wants to see.
pub(crate) fn rows(account: &Account) -> Vec<Vec<String>> {
    let datagrams = &account.datagrams;
    let mut rows = Vec::new();
    let mut row = |what: &str, lines: u64, datagrams: Option<u64>| {
        // Garbage is no share of what was to arrive.
        let share = if account.sent == 0 || what.starts_with("garbage") {
            String::new()
        } else {
            percent(lines as f64 / account.sent as f64)
        };
        let datagrams = datagrams.map_or_else(String::new, number::count);
        rows.push(vec![
            what.to_owned(),
            number::count(lines),
            share,
            datagrams,
        ]);
    };
    row("sent", account.sent, Some(datagrams.sent));
    if account.garbage > 0 {
        row("garbage sent beside them", account.garbage, None);
    }
    row("received", account.received, Some(datagrams.arrived));
    if account.other > 0 {
        row("garbage received", account.other, None);
    }
    for (reason, lines) in &account.dropped {
        row(&format!("dropped by the proxy: {reason}"), *lines, None);
    }
    let some = [
        ("held by the proxy", account.pending, None),
        ("refused by servers", account.refused, datagrams.refused),
        (
            "lost in the kernel before the proxy",
            account.kernel_before,
            datagrams.kernel_before,
        ),
        (
            "lost in the kernel before the servers",
            account.kernel_behind,
            Some(datagrams.kernel_behind),
        ),
        ("lost with a server that was gone", account.died, None),
        ("not sent, the kernel took no more", account.not_sent, None),
        (
            "sent elsewhere than they had waited for",
            account.rerouted,
            None,
        ),
        ("copied to servers that were down", account.mirrored, None),
        ("never sent by anybody", account.unexpected, None),
    ];
    for (what, lines, datagrams) in some {
        if lines > 0 || datagrams.is_some_and(|count| count > 0) {
            row(what, lines, datagrams);
        }
    }
    row("duplicated", account.duplicated, None);
    let share = if account.garbage > 0 {
        String::new()
    } else {
        percent(account.unaccounted as f64 / account.sent.max(1) as f64)
    };
    let sign = if account.unaccounted < 0 { "-" } else { "" };
    let count = number::count(account.unaccounted.unsigned_abs());
    rows.push(vec![
        leftover(account).to_owned(),
        format!("{sign}{count}"),
        share,
        String::new(),
    ]);
    rows
}

/// What is called that nobody tells of.
fn leftover(account: &Account) -> &'static str {
    match account.keeper {
        Keeper::Nobody => "lost (the proxy keeps no account)",
        Keeper::Proxy | Keeper::Direct => "unaccounted for",
    }
}

/// A share, to a thousandth of a per cent; `<100 %` where the rest would round away.
pub(crate) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    // A hundred per cent is all of them.
    if percent > 99.999 && percent < 100.0 {
        return "<100 %".to_owned();
    }
    let shown = format!("{percent:.3}");
    format!("{} %", shown.trim_end_matches('0').trim_end_matches('.'))
}

/// The servers' shares, the keys, and what else there is to know.
pub(crate) fn notes(account: &Account) -> Vec<String> {
    let shares: Vec<String> = account
        .nodes
        .iter()
        .take(MOST)
        .map(|node| {
            let lost = match node.lost_records {
                0 => String::new(),
                1 => " (the record of one of its lives is lost)".to_owned(),
                lost => format!(" (the records of {lost} of its lives are lost)"),
            };
            format!("{} {}{lost}", node.name, number::count(node.received))
        })
        .collect();
    let more = account.nodes.len().saturating_sub(MOST);
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    let mut lines = vec![format!("came to {}{more}", shares.join(", "))];
    if let Some(keys) = &account.keys {
        let at_least = if keys.complete { "" } else { "at least " };
        lines.push(format!(
            "keys: {at_least}{}, of which {} came to more than one server, {} of them without a reason",
            number::count(keys.total),
            number::count(keys.moved),
            number::count(keys.needless)
        ));
    }
    lines.extend(datagrams(account));
    lines.extend(account.notes.iter().cloned());
    lines
}

/// Datagrams at both ends of the way to the proxy.
fn datagrams(account: &Account) -> Option<String> {
    let Datagrams {
        sent,
        received,
        kernel_before,
        forwarded,
        ..
    } = &account.datagrams;
    let read = (*received)?;
    let dropped = kernel_before.unwrap_or(0);
    let gone = sent.saturating_sub(read + dropped);
    let gone = match gone {
        0 => String::new(),
        gone => format!(" + {} of which nobody knows", number::count(gone)),
    };
    Some(format!(
        "datagrams: {} sent = {} read by the proxy + {} dropped by the kernel before it{gone}; it sent {} on",
        number::count(*sent),
        number::count(read),
        number::count(dropped),
        number::count(forwarded.unwrap_or(0))
    ))
}

/// The account in one line: `1,000 sent = 990 received + 10 dropped (no_node 10)`.
#[must_use]
pub fn sentence(account: &Account) -> String {
    let mut parts = vec![format!("{} received", number::count(account.received))];
    for (reason, lines) in &account.dropped {
        parts.push(format!("{} dropped ({reason})", number::count(*lines)));
    }
    let some = [
        (account.pending, "held"),
        (account.refused, "refused"),
        (account.kernel_before, "lost in the kernel before the proxy"),
        (
            account.kernel_behind,
            "lost in the kernel before the servers",
        ),
        (account.died, "lost with a server"),
    ];
    let some = some.into_iter().filter(|(lines, _)| *lines > 0);
    parts.extend(some.map(|(lines, what)| format!("{} {what}", number::count(lines))));
    if account.unaccounted != 0 {
        parts.push(format!("{} {}", account.unaccounted, leftover(account)));
    }
    let garbage = if account.garbage > 0 {
        format!(" and {} of garbage", number::count(account.garbage))
    } else {
        String::new()
    };
    format!(
        "{} lines{garbage} sent = {}",
        number::count(account.sent),
        parts.join(" + ")
    )
}

/// The account of each block, one line each, for forms that have no room for tables.
pub(crate) fn lines(scenario: &ScenarioRun) -> Vec<String> {
    let accounts = accounts(scenario).into_iter();
    accounts
        .map(|(title, account)| format!("{title}: {}", sentence(account)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> Account {
        Account {
            sent: 1_000,
            received: 960,
            missing: 40,
            dropped: [("no_node".to_owned(), 30)].into(),
            kernel_before: 10,
            ..Account::default()
        }
    }

    #[test]
    fn an_account_reads_as_a_sum() {
        assert_eq!(
            sentence(&account()),
            "1,000 lines sent = 960 received + 30 dropped (no_node) + 10 lost in the kernel before the proxy"
        );
        let told_by_nobody = Account {
            keeper: Keeper::Nobody,
            dropped: Default::default(),
            unaccounted: 30,
            ..account()
        };
        let said = sentence(&told_by_nobody);
        assert!(
            said.ends_with("+ 30 lost (the proxy keeps no account)"),
            "{said}"
        );
    }

    #[test]
    fn what_did_not_happen_has_no_row() {
        let first = |rows: Vec<Vec<String>>| {
            rows.into_iter()
                .map(|row| row.join("|"))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            first(rows(&account())),
            [
                "sent|1,000|100 %|0",
                "received|960|96 %|0",
                "dropped by the proxy: no_node|30|3 %|",
                "lost in the kernel before the proxy|10|1 %|",
                "duplicated|0|0 %|",
                "unaccounted for|0|0 %|",
            ]
        );
        assert_eq!(percent(0.999_999_9), "<100 %");
    }
}
