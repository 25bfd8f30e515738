//! A whole suite in one table.

use super::markup::{Align, Tone, chip, escape, notes, table};
use crate::run::RunFile;
use crate::text::suite;

/// The table of the terminal report, with colours.
pub(super) fn section(run: &RunFile) -> String {
    let Some(title) = suite::title(run) else {
        return String::new();
    };
    let heads: Vec<(&str, Align)> = suite::HEAD
        .iter()
        .enumerate()
        .map(|(at, head)| {
            let is_number = (3..8).contains(&at);
            let align = if is_number {
                Align::Number
            } else {
                Align::Text
            };
            (*head, align)
        })
        .collect();
    let rows: Vec<Vec<String>> = suite::rows(run)
        .iter()
        .map(|row| {
            let cell = |(at, cell): (usize, &String)| match at {
                2 => verdict(cell),
                _ => escape(cell),
            };
            row.iter().enumerate().map(cell).collect()
        })
        .collect();
    format!(
        "<section><h2 id=\"suite\">Suite {}</h2>\n{}{}</section>\n",
        escape(&title),
        table("", &heads, &rows),
        notes(&[suite::NOTE.to_owned()])
    )
}

fn verdict(word: &str) -> String {
    let tone = match word {
        "pass" => Tone::Good,
        "FAIL" | "BROKEN" => Tone::Bad,
        "????" => Tone::Open,
        _ => return escape(word),
    };
    chip(tone, word)
}
