//! All proxies over all suites, in one table.

use super::markup::{Align, chip, escape, table};
use super::{forest, survival};
use crate::run::RunFile;
use crate::text::number;
use crate::tournament::{Cell, Row, Table};

/// The table; nothing if the run is no tournament.
pub(super) fn section(run: &RunFile) -> String {
    let Some(found) = Table::of(run) else {
        return String::new();
    };
    let mut heads = vec![("suite", Align::Text), ("figure", Align::Text)];
    heads.extend(
        found
            .proxies
            .iter()
            .map(|proxy| (proxy.as_str(), Align::Text)),
    );
    let rows: Vec<Vec<String>> = found.rows.iter().map(row).collect();
    format!(
        "<section>\n<h2 id=\"tournament\">Tournament</h2>\n{}\
         <p class=\"below\">Ratios and words are those of the others beside <code>{}</code>, round by round. \
         ★ no other proxy is better.</p>\n</section>\n",
        table("tournament", &heads, &rows),
        escape(&found.proxies[0])
    )
}

fn row(row: &Row) -> Vec<String> {
    let mut cells = vec![escape(&row.suite), escape(&row.figure)];
    cells.extend(row.cells.iter().map(|cell| {
        if row.is_fate {
            survival::fate(&cell.text)
        } else {
            figure(cell)
        }
    }));
    cells
}

fn figure(cell: &Cell) -> String {
    let text = escape(&cell.text);
    let mut out = if cell.is_best {
        format!("<b>{text} ★</b>")
    } else {
        text
    };
    if let Some(ratio) = cell.ratio {
        out.push_str(&format!(" <small>{}</small>", number::ratio(Some(ratio))));
    }
    if let Some(word) = cell.word {
        out.push_str(&format!("<br>{}", chip(forest::tone(word), word.text())));
    }
    out
}
