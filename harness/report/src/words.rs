//! What a process said last.

use crate::event::Exit;

/// What a process said about its death: the first line that sounds like it, else the
/// last one. None if it only said that all is well.
#[must_use]
pub fn last_words(exit: &Exit) -> Option<String> {
    let lines = || {
        exit.stderr_tail
            .iter()
            .filter(|line| !line.contains(" INFO "))
    };
    let sounds_fatal = |line: &&String| {
        let line = line.to_lowercase();
        ["panicked", "fatal", "assert", "abort", "signal"]
            .iter()
            .any(|word| line.contains(word))
            && !line.contains("decode error")
    };
    let line = lines()
        .find(sounds_fatal)
        .or_else(|| lines().next_back())?
        .trim();
    let cut: String = line.chars().take(WORDS_CHARS).collect();
    Some(if cut.len() < line.len() {
        format!("{cut}…")
    } else {
        cut
    })
}

/// Characters of a process's last words that a table has room for.
const WORDS_CHARS: usize = 90;

#[cfg(test)]
mod tests {
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
}
