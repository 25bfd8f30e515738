//! What a process said last, in characters that do no harm.

use crate::event::Exit;

/// What a process said about its death: the first line that sounds like it, else the
/// last one. None if it only said that all is well.
#[must_use]
pub fn last_words(exit: &Exit) -> Option<String> {
    let lines: Vec<String> = exit
        .stderr_tail
        .iter()
        .map(|line| printable(line))
        .filter(|line| !line.contains(" INFO "))
        .collect();
    let sounds_fatal = |line: &&String| {
        let line = line.to_lowercase();
        ["panicked", "fatal", "assert", "abort", "signal"]
            .iter()
            .any(|word| line.contains(word))
            && !line.contains("decode error")
    };
    let line = lines.iter().find(sounds_fatal).or(lines.last())?.trim();
    let cut: String = line.chars().take(WORDS_CHARS).collect();
    Some(if cut.len() < line.len() {
        format!("{cut}…")
    } else {
        cut
    })
}

/// Characters of a process's last words that a table has room for.
const WORDS_CHARS: usize = 90;

/// Begins most of what a terminal takes as a command.
const ESCAPE: char = '\u{1b}';

/// Begins a control sequence, as `ESC [` does.
const SEQUENCE: char = '\u{9b}';

/// What may end a string for the terminal, beside `ESC \`.
const ENDS: [char; 2] = ['\u{7}', '\u{9c}'];

/// Text as it may stand on a terminal, line by line. What would colour it, move the cursor or
/// name the window is left out (control sequences and strings of ECMA-48); of any other
/// control character a replacement character shows that it was there.
#[must_use]
pub(crate) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        rest = match (c, after.chars().next()) {
            (SEQUENCE, _) => after_sequence(after),
            (ESCAPE, Some('[')) => after_sequence(&after[1..]),
            (ESCAPE, Some(']')) => after_string(&after[1..]),
            _ => {
                out.push(match c {
                    '\t' => ' ',
                    c if c.is_control() && c != '\n' => char::REPLACEMENT_CHARACTER,
                    c => c,
                });
                after
            }
        };
    }
    out
}

/// What follows the parameters and the final character of a control sequence.
fn after_sequence(text: &str) -> &str {
    let last = text.trim_start_matches(|c: char| (' '..='?').contains(&c));
    let is_final = |c: char| ('@'..='~').contains(&c);
    last.strip_prefix(is_final).unwrap_or(last)
}

/// What follows a string for the terminal. One without an end is no such string.
fn after_string(text: &str) -> &str {
    let Some(at) = text.find([ESCAPE, ENDS[0], ENDS[1]]) else {
        return text;
    };
    let end = &text[at..];
    let after = end.strip_prefix("\u{1b}\\").or(end.strip_prefix(ENDS));
    after.unwrap_or(end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(lines: &[&str]) -> Option<String> {
        let stderr_tail = lines.iter().map(|line| (*line).to_owned()).collect();
        last_words(&Exit {
            stderr_tail,
            ..Exit::default()
        })
    }

    #[test]
    fn the_line_that_names_the_crash_is_chosen() {
        let panic = [
            "x INFO listening",
            "thread 'main' panicked at a.rs:1:2:",
            "boom",
            "   0: std::panicking",
        ];
        assert_eq!(
            words(&panic).as_deref(),
            Some("thread 'main' panicked at a.rs:1:2:")
        );
        let go = [
            "a: Decode error: fatal",
            "fatal error: unexpected signal",
            "goroutine 37 [running]:",
        ];
        assert_eq!(
            words(&go).as_deref(),
            Some("fatal error: unexpected signal")
        );
        assert_eq!(words(&["a", "b"]).as_deref(), Some("b"));
        assert_eq!(words(&["x INFO listening"]), None);
        assert_eq!(
            words(&[&"x".repeat(500)]).map(|cut| cut.chars().count()),
            Some(WORDS_CHARS + 1)
        );
    }

    #[test]
    fn colours_are_left_out_and_do_not_hide_what_a_line_is() {
        let coloured = "\u{1b}[2m12:00\u{1b}[0m \u{1b}[32m INFO\u{1b}[0m listening";
        assert_eq!(words(&[coloured]), None);
        let red = "\u{1b}[1;31mfatal:\u{1b}[0m \u{9b}5mno\tmemory";
        assert_eq!(words(&[red]).as_deref(), Some("fatal: no memory"));
    }

    #[test]
    fn what_commands_a_terminal_is_left_out() {
        let cases = [
            ("a\u{1b}]0;title\u{7}b", "ab"),
            ("a\u{1b}]0;title\u{1b}\\b", "ab"),
            ("a\u{1b}]0;title\u{1b}[31mb", "ab"),
            ("a\u{1b}]0;title", "a0;title"),
            ("a\u{1b}[", "a"),
            ("a\u{1b}[1;é", "aé"),
            (
                "a\u{1b}cb\r\u{8}\u{7f}\nc",
                "a\u{fffd}cb\u{fffd}\u{fffd}\u{fffd}\nc",
            ),
            ("ein Fehler: größer als 7 µs", "ein Fehler: größer als 7 µs"),
        ];
        for (text, left) in cases {
            assert_eq!(printable(text), left, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn no_control_character_is_left(text in "[\u{1b}\u{9b}\u{9c}\u{7}\\[\\]\\\\0;mé\n]{0,20}|.{0,20}") {
            let is_harmful = |c: char| c.is_control() && c != '\n';
            prop_assert!(!printable(&text).contains(is_harmful));
        }
    }
}
