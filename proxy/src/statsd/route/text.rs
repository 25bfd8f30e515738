//! Routes as tables.

use std::fmt::Write;

use super::moves::{Move, NodeRoute, Routes};

/// The widest that a column is made for a cell; what is wider stands out.
const MAX_WIDTH: usize = 60;

/// How many keys are named in one cell.
const NAMED: usize = 5;

/// Both tables: keys, if there are any, and nodes.
pub(super) fn show(routes: &Routes) -> String {
    let mut shown = String::new();
    if !routes.keys.is_empty() {
        let keys = routes.keys.iter();
        let rows = keys.map(|route| [key(&route.key), route.node.clone()]);
        table(&mut shown, ["KEY", "NODE"], rows.collect());
        shown.push('\n');
    }
    let rows = routes.nodes.iter().flat_map(rows).collect();
    let head = ["IF THIS NODE DIES", "GOES TO", "OF ALL KEYS", "OF THESE"];
    table(&mut shown, head, rows);
    shown
}

/// What there is to say of a node: what it has, who would get it, and what else would move.
fn rows(node: &NodeRoute) -> Vec<[String; 4]> {
    let mut rows = vec![[
        node.name.clone(),
        String::new(),
        percent(node.share),
        node.keys.to_string(),
    ]];
    if node.points_of_others_if_it_dies == 0 {
        rows[0][1] = "nowhere: no node is left".to_owned();
    }
    let (own, others): (Vec<_>, Vec<_>) = node
        .moves_if_it_dies
        .iter()
        .partition(|one| one.from == node.name);
    for one in own {
        rows.push([
            String::new(),
            one.to.clone(),
            percent(one.share),
            named(&one.keys),
        ]);
    }
    if !others.is_empty() {
        rows.push(between_others(node, &others));
    }
    rows
}

/// What moves although its node lives: a row for all of it.
fn between_others(node: &NodeRoute, moves: &[&Move]) -> [String; 4] {
    let keys: Vec<_> = moves
        .iter()
        .flat_map(|one| {
            let (from, to) = (&one.from, &one.to);
            let moved = move |text: &String| format!("{} ({from} to {to})", key(text));
            one.keys.iter().map(moved)
        })
        .collect();
    let (points, left) = (node.points, node.points_of_others_if_it_dies);
    [
        String::new(),
        format!("between others ({left} points each, not {points})"),
        percent(moves.iter().map(|one| one.share).sum()),
        listed(&keys),
    ]
}

fn percent(share: f64) -> String {
    format!("{:.2} %", share * 100.0)
}

fn named(keys: &[String]) -> String {
    let keys: Vec<_> = keys.iter().map(|text| key(text)).collect();
    listed(&keys)
}

/// How many there are, and the first of them.
fn listed(keys: &[String]) -> String {
    if keys.is_empty() {
        return "0".to_owned();
    }
    let first = keys[..keys.len().min(NAMED)].join(", ");
    let more = if keys.len() > NAMED { ", …" } else { "" };
    format!("{}: {first}{more}", keys.len())
}

/// A key can be any text; here it takes one line and changes no terminal.
fn key(text: &str) -> String {
    if text.is_empty() {
        "\"\"".to_owned()
    } else {
        text.escape_debug().to_string()
    }
}

/// Rows below a head, the columns in line.
fn table<const N: usize>(shown: &mut String, head: [&str; N], rows: Vec<[String; N]>) {
    let mut widths = head.map(|name| name.chars().count());
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count().min(MAX_WIDTH));
        }
    }
    let head = head.map(str::to_owned);
    for row in std::iter::once(&head).chain(&rows) {
        let mut line = String::new();
        for (width, cell) in widths.iter().zip(row) {
            write!(line, "{cell:width$}  ").expect("a string takes everything");
        }
        shown.push_str(line.trim_end());
        shown.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables() {
        let names = ["a:1", "b:2", "c:3"].map(str::to_owned);
        let keys = ["foo", "", "tab\there"].map(|key| key.as_bytes().to_vec());
        let shown = show(&Routes::new(&names, &keys));
        let lines: Vec<_> = shown.lines().collect();
        assert_eq!(lines[0], "KEY        NODE");
        assert!(lines[1].starts_with("foo        "), "{shown}");
        assert!(lines[2].starts_with("\"\"         "), "{shown}");
        assert!(lines[3].starts_with("tab\\there  "), "{shown}");
        assert_eq!(lines[4], "");
        let columns: Vec<_> = lines[5].split("  ").map(str::trim).collect();
        let columns: Vec<_> = columns
            .into_iter()
            .filter(|name| !name.is_empty())
            .collect();
        assert_eq!(
            columns,
            ["IF THIS NODE DIES", "GOES TO", "OF ALL KEYS", "OF THESE"]
        );
        // Three nodes, each with what it has and where that would go.
        assert_eq!(lines.len(), 6 + 3 * 3, "{shown}");
        assert!(lines[6].starts_with("a:1 "), "{shown}");
    }

    #[test]
    fn what_else_moves_is_said_and_why() {
        let names: Vec<_> = (0..8).map(|nth| format!("10.0.0.{nth}:8125")).collect();
        let shown = show(&Routes::new(&names, &[]));
        assert!(
            shown.contains("between others (39 points each, not 40)"),
            "{shown}"
        );
        assert!(!shown.contains("KEY  "), "{shown}");
    }

    #[test]
    fn the_last_node_leaves_nothing() {
        let shown = show(&Routes::new(&["a:1".to_owned()], &[b"foo".to_vec()]));
        assert!(shown.contains("nowhere: no node is left"), "{shown}");
        assert!(shown.contains("100.00 %"), "{shown}");
    }
}
