//! Writing to stderr: lines that stay, and below them lines that are drawn again in
//! place, where stderr is a terminal that can do that.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use rustix::termios::tcgetwinsize;

use super::layout::{Line, NARROWEST, Style};

/// How often the live lines change at most: faster than this nobody reads.
const REFRESH: Duration = Duration::from_millis(100);

/// Back to the first column, and from there on nothing.
const ERASE_BELOW: &str = "\x1b[J";

/// From here to the end of the line nothing.
const ERASE_REST: &str = "\x1b[K";

/// Stderr, and what is drawn on it.
#[derive(Debug)]
pub struct Screen {
    is_live: bool,
    has_colours: bool,
    /// The widths of the live lines that stand there; the cursor is at the end of the
    /// last one.
    drawn: Vec<usize>,
    drawn_at: Option<Instant>,
}

impl Screen {
    /// Looks at what stderr is.
    #[must_use]
    pub fn on_stderr() -> Self {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let is_dumb = set("TERM").is_none_or(|term| term == "dumb");
        Self {
            is_live: io::stderr().is_terminal() && !is_dumb && width().is_some(),
            // https://no-color.org
            has_colours: set("NO_COLOR").is_none(),
            drawn: Vec::new(),
            drawn_at: None,
        }
    }

    /// Whether lines are drawn in place.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.is_live
    }

    /// Writes a line that stays.
    pub fn line(&mut self, text: &str) {
        let mut out = self.erased();
        match width().filter(|_| self.is_live) {
            Some(width) if text.chars().count() > width => {
                out.extend(text.chars().take(width - 1));
                out.push('…');
            }
            Some(_) => out.push_str(text),
            None => out.push_str(text),
        }
        out.push('\n');
        write(&out);
        // What is below it is drawn again at once.
        self.drawn_at = None;
    }

    /// Draws the live lines again, unless that was done just now.
    pub fn redraw(&mut self, lines: impl FnOnce(usize) -> Vec<Line>) {
        let is_due = self.drawn_at.is_none_or(|at| at.elapsed() >= REFRESH);
        if !self.is_live || !is_due {
            return;
        }
        let Some(width) = width() else {
            self.clear();
            return;
        };
        let lines = lines(width);
        let mut out = self.to_first_line();
        for (number, line) in lines.iter().enumerate() {
            if number > 0 {
                out.push('\n');
            }
            for (style, text) in line.pieces() {
                out.push_str(&self.painted(*style, text));
            }
            out.push_str(ERASE_REST);
        }
        out.push_str(ERASE_BELOW);
        write(&out);
        self.drawn = lines.iter().map(Line::width).collect();
        self.drawn_at = Some(Instant::now());
    }

    /// Leaves nothing of the live lines.
    pub fn clear(&mut self) {
        let erased = self.erased();
        if !erased.is_empty() {
            write(&erased);
        }
    }

    fn erased(&mut self) -> String {
        if self.drawn.is_empty() {
            return String::new();
        }
        let out = self.to_first_line() + ERASE_BELOW;
        self.drawn.clear();
        out
    }

    /// To the beginning of the first live line. If the terminal has become narrower, each
    /// of them may take several rows now.
    fn to_first_line(&self) -> String {
        if self.drawn.is_empty() {
            return String::new();
        }
        let columns = width().unwrap_or(NARROWEST) + 1;
        let rows: usize = self
            .drawn
            .iter()
            .map(|width| width.div_ceil(columns).max(1))
            .sum();
        match rows - 1 {
            0 => "\r".to_owned(),
            up => format!("\r\x1b[{up}A"),
        }
    }

    fn painted(&self, style: Style, text: &str) -> String {
        let colour = match style {
            Style::Dim => "2",
            Style::Good => "32",
            Style::Warn => "33",
            Style::Bad => "31",
            Style::Plain => "",
        };
        if colour.is_empty() || text.is_empty() || !self.has_colours {
            return text.to_owned();
        }
        format!("\x1b[{colour}m{text}\x1b[0m")
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Columns that may be written to: all but the last, because a terminal that has got a
/// full line may or may not have gone on to the next. None if that is not known, or too
/// few.
fn width() -> Option<usize> {
    let columns = tcgetwinsize(io::stderr()).ok()?.ws_col;
    usize::from(columns)
        .checked_sub(1)
        .filter(|width| *width >= NARROWEST)
}

/// Whoever watches may stop watching; the run goes on.
fn write(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
    let _ = io::stderr().flush();
}
