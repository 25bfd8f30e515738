//! Who died, of what, after what; and who kept answering.

use super::markup::{Align, Tone, chip, escape, notes, table};
use crate::run::RunFile;
use crate::text::survival::{HEAD, Survival, survival};

/// Columns of [`HEAD`] that say what became of a process.
const FATES: [usize; 2] = [4, 5];

/// The table of the terminal report, with colours.
pub(super) fn section(run: &RunFile) -> String {
    let Survival { rows, details } = survival(run);
    if rows.is_empty() {
        return String::new();
    }
    let heads: Vec<(&str, Align)> = HEAD
        .iter()
        .enumerate()
        .map(|(at, head)| match at {
            0 => ("scenario", Align::Text),
            5 => ("proxy’s fate", Align::Text),
            4 => ("upstream’s fate", Align::Text),
            2 | 3 => (*head, Align::Number),
            _ => (*head, Align::Text),
        })
        .collect();
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            let cell = |(at, cell): (usize, &String)| {
                if FATES.contains(&at) {
                    fate(cell)
                } else {
                    escape(cell)
                }
            };
            row.iter().enumerate().map(cell).collect()
        })
        .collect();
    format!(
        "<section><h2 id=\"survival\">Survival</h2>\n{}{}</section>\n",
        table("", &heads, &rows),
        notes(&details)
    )
}

/// What became of a process, in its colour.
pub(super) fn fate(fate: &str) -> String {
    if fate == "-" {
        escape(fate)
    } else {
        chip(tone(fate), fate)
    }
}

/// Whether what became of a process is good news for it. That a scenario may want it to
/// die is the verdict's business.
fn tone(fate: &str) -> Tone {
    match fate.split(' ').next() {
        Some("survived") => Tone::Good,
        Some("not") => Tone::Plain,
        Some("died" | "hung" | "refuses" | "wrong") => Tone::Bad,
        _ => Tone::Open,
    }
}
