//! What a line costs as something grows.

use super::markup::{Align, escape, table};
use crate::run::RunFile;
use crate::text::curves;

/// The tables of the terminal report.
pub(super) fn section(run: &RunFile) -> String {
    let tables = curves::tables(run).into_iter().map(|(name, rows)| {
        let mut heads = curves::HEAD.map(|head| (head, Align::Number));
        heads[0].0 = &name;
        let cells = |row: &Vec<String>| row.iter().map(|cell| escape(cell)).collect();
        table("", &heads, &rows.iter().map(cells).collect::<Vec<_>>())
    });
    let tables: String = tables.collect();
    if tables.is_empty() {
        return tables;
    }
    format!("<section><h2 id=\"curves\">What a line costs</h2>\n{tables}</section>\n")
}
