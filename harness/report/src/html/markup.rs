//! Text that cannot break out of the page, and the tables of it.

/// Text as it may stand between tags and in quoted attributes. Characters that no
/// document may hold become �.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// How a column is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    /// To the left.
    Text,
    /// To the right, in figures of equal width.
    Number,
}

/// A table. Heads are plain text; cells are markup, the first of each row its head.
/// Wide tables scroll on their own, so that the page does not.
pub(super) fn table(class: &str, heads: &[(&str, Align)], rows: &[Vec<String>]) -> String {
    let mut out = format!("<div class=\"scroll\"><table class=\"{class}\"><thead><tr>");
    for (head, align) in heads {
        out.push_str(&format!(
            "<th scope=\"col\"{}>{}</th>",
            set(*align),
            escape(head)
        ));
    }
    out.push_str("</tr></thead><tbody>\n");
    for row in rows {
        out.push_str("<tr>");
        for (at, cell) in row.iter().enumerate() {
            let align = heads.get(at).map_or(Align::Text, |(_, align)| *align);
            let set = set(align);
            out.push_str(&if at == 0 {
                format!("<th scope=\"row\"{set}>{cell}</th>")
            } else {
                format!("<td{set}>{cell}</td>")
            });
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody></table></div>\n");
    out
}

fn set(align: Align) -> &'static str {
    match align {
        Align::Text => "",
        Align::Number => " class=\"n\"",
    }
}

/// Sentences below each other.
pub(super) fn notes(lines: &[String]) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let items: String = lines
        .iter()
        .map(|line| format!("<li>{}</li>", escape(line)))
        .collect();
    format!("<ul class=\"notes\">{items}</ul>\n")
}

/// Something that is shown when asked for.
pub(super) fn details(summary: &str, content: &str) -> String {
    format!(
        "<details><summary>{}</summary>\n{content}</details>\n",
        escape(summary)
    )
}

/// Whether a word is good news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    /// It is.
    Good,
    /// It is bad news.
    Bad,
    /// Nobody knows.
    Open,
    /// It is neither.
    Plain,
}

/// A word with a colour and a sign that says the same without one.
pub(super) fn chip(tone: Tone, word: &str) -> String {
    let (class, sign) = match tone {
        Tone::Good => ("good", "✓"),
        Tone::Bad => ("bad", "✕"),
        Tone::Open => ("open", "?"),
        Tone::Plain => ("plain", ""),
    };
    let space = if sign.is_empty() { "" } else { " " };
    format!(
        "<span class=\"chip {class}\"><span aria-hidden=\"true\">{sign}{space}</span>{}</span>",
        escape(word)
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_text_opens_a_tag_or_ends_an_attribute(text in "\\PC{0,40}|[<>&\"'a\u{0}\n]{0,20}") {
            let escaped = escape(&text);
            let is_harmless = !escaped.contains(['<', '>', '"', '\'', '\u{0}']);
            prop_assert!(is_harmless, "{}", escaped);
            let back = escaped
                .replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"")
                .replace("&#39;", "'").replace("&amp;", "&");
            prop_assert_eq!(back, text.replace('\u{0}', "\u{fffd}"));
        }
    }
}
