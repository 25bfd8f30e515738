//! A command line as words, and the holes in them.

use std::net::SocketAddr;

use crate::scenario::statsd;

/// Splits as a shell would where there is nothing but words and quotes.
///
/// # Errors
/// That a quote is not closed.
pub fn split(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in text.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => word.get_or_insert_default().push(c),
            None if c == '\'' || c == '"' => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            None if c.is_whitespace() => words.extend(word.take()),
            None => word.get_or_insert_default().push(c),
        }
    }
    if let Some(open) = quote {
        return Err(format!("a quote ({open}) is not closed"));
    }
    words.extend(word);
    Ok(words)
}

/// What is put into the holes of a command.
#[derive(Clone, Copy, Debug)]
pub struct Holes {
    /// Where it is to listen.
    pub listen: SocketAddr,
    /// Where it is to be asked how it is.
    pub management: SocketAddr,
    /// Where the process before it listens.
    pub forward: Option<SocketAddr>,
    /// Where the process before it is asked how it is.
    pub forward_management: Option<SocketAddr>,
}

impl Holes {
    /// A word with its holes filled.
    #[must_use]
    pub fn fill(&self, word: &str) -> String {
        let mut filled = word
            .replace("{listen}", &self.listen.to_string())
            .replace("{host}", &self.listen.ip().to_string())
            .replace("{port}", &self.listen.port().to_string())
            .replace("{management}", &self.management.to_string());
        if let Some(forward) = self.forward {
            filled = filled
                .replace("{forward}", &forward.to_string())
                .replace("{forward_host}", &forward.ip().to_string())
                .replace("{forward_port}", &forward.port().to_string())
                .replace(
                    "{node}",
                    &statsd::node_argument(forward, self.forward_management),
                );
        }
        filled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_by_a_shell() {
        for (text, expected) in [
            ("a b  c", vec!["a", "b", "c"]),
            ("sh -c 'x  \"y\"' \"\"", vec!["sh", "-c", "x  \"y\"", ""]),
            ("a'b c'd", vec!["ab cd"]),
            (" ", vec![]),
        ] {
            assert_eq!(split(text).unwrap(), expected, "{text}");
        }
        assert!(split("a 'b").unwrap_err().contains("not closed"));
    }
}
