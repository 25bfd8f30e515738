//! Everything it takes to run it again and to know what one would compare with.

use super::markup::{Align, details, escape, table};
use crate::run::RunFile;
use crate::text::number;

/// The command, the seed, the machine, the programs, and each scenario as it was read.
pub(super) fn section(run: &RunFile, directory: Option<&str>) -> String {
    let header = &run.header;
    let host = &header.host;
    let mut facts = vec![
        (
            "command",
            format!("<code>{}</code>", escape(&command(&header.command))),
        ),
        ("seed", format!("<code>{}</code>", header.seed)),
        ("harness", escape(&header.version)),
        ("run file", format!("schema version {}", run.schema_version)),
        (
            "machine",
            escape(&format!(
                "{} × {}, {} of memory, {}",
                host.cores,
                host.cpu,
                number::bytes(host.memory_bytes),
                host.kernel
            )),
        ),
    ];
    if let Some(directory) = directory {
        facts.push(("files", format!("<code>{}</code>", escape(directory))));
    }
    if let Some(design) = &header.design {
        facts.push((
            "design",
            escape(&format!(
                "{} pairs, {} to spare, against {}",
                design.pairs, design.spare_pairs, design.baseline
            )),
        ));
    }
    let facts: String = facts
        .iter()
        .map(|(name, value)| format!("<dt>{name}</dt><dd>{value}</dd>"))
        .collect();
    format!(
        "<section><h2 id=\"repeat\">Run it again</h2>\n<dl>{facts}</dl>\n{}{}</section>\n",
        binaries(run),
        scenarios(run)
    )
}

fn binaries(run: &RunFile) -> String {
    let heads = [
        ("program", Align::Text),
        ("file", Align::Text),
        ("size", Align::Number),
        ("XXH3-128", Align::Text),
    ];
    let rows: Vec<Vec<String>> = run
        .header
        .binaries
        .iter()
        .map(|binary| {
            vec![
                escape(&binary.role),
                format!("<code>{}</code>", escape(&binary.path)),
                number::bytes(binary.size_bytes),
                format!("<code>{}</code>", escape(&binary.xxh3_128)),
            ]
        })
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    table("", &heads, &rows)
}

fn scenarios(run: &RunFile) -> String {
    let one = |scenario: &crate::run::ScenarioRun| {
        let header = &scenario.header;
        // A value that was read as JSON can be written as such.
        let config = serde_json::to_string_pretty(&header.config).unwrap_or_default();
        let summary = format!(
            "Scenario {}: {}, seed {}",
            header.name, header.source, header.seed
        );
        details(&summary, &format!("<pre>{}</pre>\n", escape(&config)))
    };
    run.scenarios.iter().map(one).collect()
}

/// A command line that a shell takes as it is.
fn command(words: &[String]) -> String {
    let quote = |word: &String| {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=,@%+".contains(c);
        if !word.is_empty() && word.chars().all(is_plain) {
            word.clone()
        } else {
            format!("'{}'", word.replace('\'', "'\\''"))
        }
    };
    words.iter().map(quote).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::command;

    #[test]
    fn a_command_can_be_pasted() {
        let words = ["harness", "--expect", "p99<2ms", "it's", ""].map(str::to_owned);
        assert_eq!(command(&words), r"harness --expect 'p99<2ms' 'it'\''s' ''");
    }
}
