//! The parts of a load that several clients sent.

use super::markup::{Align, details, escape, table};
use crate::run::ScenarioRun;
use crate::text::shards;

/// Shards that are shown without being asked for: about as many as a screen has lines.
const MOST_SHOWN: usize = 32;

/// All shards in a table, folded if they are many.
pub(super) fn section(scenario: &ScenarioRun) -> String {
    let all = shards::all(scenario);
    if all.is_empty() {
        return String::new();
    }
    let heads = shards::HEAD.map(|head| match head {
        "host" | "clock" => (head, Align::Text),
        head => (head, Align::Number),
    });
    let cells = |row: [String; 8]| row.iter().map(|cell| escape(cell)).collect();
    let rows: Vec<Vec<String>> = all.iter().map(|one| cells(shards::row(one))).collect();
    let table = table("shards", &heads, &rows);
    let table = if all.len() > MOST_SHOWN {
        details("All of them", &table)
    } else {
        table
    };
    let summary = escape(&shards::summary(&all));
    format!("<h3>Shards</h3>\n<p>{summary}.</p>\n{table}")
}
