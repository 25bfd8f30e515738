//! The table of a tournament.

use super::{heading, number, table};
use crate::run::RunFile;
use crate::tournament::{Cell, Table};

/// The section; empty if the run is no tournament.
#[must_use]
pub fn section(run: &RunFile) -> String {
    let Some(found) = Table::of(run) else {
        return String::new();
    };
    let mut head = vec![String::new(), String::new()];
    head.extend(found.proxies.iter().cloned());
    let mut rows = vec![head];
    let mut suite = "";
    for row in &found.rows {
        let shown = if row.suite == suite { "" } else { &row.suite };
        suite = &row.suite;
        let mut cells = vec![shown.to_owned(), row.figure.clone()];
        cells.extend(row.cells.iter().map(cell));
        rows.push(cells);
    }
    let about = format!(
        "the others beside {}; * no other proxy is better",
        found.proxies[0]
    );
    heading("TOURNAMENT", &about) + &table::render(&rows, &[table::LEFT; 2])
}

fn cell(cell: &Cell) -> String {
    let mut text = cell.text.clone();
    if cell.is_best {
        text.push('*');
    }
    text + &beside(cell)
}

/// What is said of a cell beside its figure: the ratio and the word, with a space before
/// each.
pub(crate) fn beside(cell: &Cell) -> String {
    let ratio = cell.ratio.map(|ratio| number::ratio(Some(ratio)));
    let word = cell.word.map(|word| word.text().to_owned());
    let said = ratio.into_iter().chain(word);
    said.map(|said| format!(" {said}")).collect()
}
