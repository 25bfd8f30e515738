//! What is shown of a state: lines that fit into a width.

use std::time::Duration;

use report::text::{capacity::short_rate, number};

use super::state::State;

/// Least width that anything can be told in.
pub const NARROWEST: usize = 24;

/// Width of the bar where there is room for it.
const BAR: usize = 30;

/// How a piece of text looks, where there are colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// As the terminal has it.
    #[default]
    Plain,
    /// What is less important.
    Dim,
    /// What goes on.
    Good,
    /// What disturbs.
    Warn,
    /// What went wrong.
    Bad,
}

/// A line in pieces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line(Vec<(Style, String)>);

impl Line {
    fn with(mut self, style: Style, text: impl Into<String>) -> Self {
        self.0.push((style, text.into()));
        self
    }

    /// Its pieces.
    #[must_use]
    pub fn pieces(&self) -> &[(Style, String)] {
        &self.0
    }

    /// Columns that it takes: everything in it is one column wide.
    #[must_use]
    pub fn width(&self) -> usize {
        self.0.iter().map(|(_, text)| text.chars().count()).sum()
    }

    /// Cut to so many columns, with a sign that it was.
    fn cut(self, width: usize) -> Self {
        if self.width() <= width {
            return self;
        }
        let mut room = width.saturating_sub(1);
        let mut kept = Self::default();
        for (style, text) in self.0 {
            let text: String = text.chars().take(room).collect();
            room -= text.chars().count();
            kept.0.push((style, text));
        }
        kept.with(Style::Plain, if width > 0 { "…" } else { "" })
    }
}

/// The line that stays when a block is over.
#[must_use]
pub fn finished(state: &State) -> String {
    let block = &state.block;
    let done = format!("[{}/{}]", state.done, state.total);
    format!("{done} {}{}{}", what(state), block.outcome, block.fate)
}

/// The same where no live lines tell how much time is left.
#[must_use]
pub fn finished_with_time(state: &State) -> String {
    finished(state) + &left(state)
}

/// The lines that are drawn again and again, none wider than `width`.
#[must_use]
pub fn live(state: &State, width: usize) -> Vec<Line> {
    let mut lines = vec![
        bar(state, width),
        Line::default().with(Style::Plain, what(state)),
    ];
    lines.extend(load(state, width));
    lines.extend(trouble(state));
    lines.into_iter().map(|line| line.cut(width)).collect()
}

fn bar(state: &State, width: usize) -> Line {
    let count = format!(" {}/{}", state.done, state.total);
    let left = left(state);
    let taken = count.chars().count() + left.chars().count();
    let room = width.saturating_sub(taken).min(BAR);
    let full = room * state.done / state.total.max(1);
    Line::default()
        .with(Style::Good, "█".repeat(full))
        .with(Style::Dim, "░".repeat(room - full))
        .with(Style::Plain, count)
        .with(Style::Plain, left)
}

/// Scenario, round, subject, part and rate.
fn what(state: &State) -> String {
    let block = &state.block;
    if block.subject.is_empty() {
        return plain(&state.scenario);
    }
    let mut what = format!(
        "{} round {} {}",
        plain(&state.scenario),
        block.round,
        plain(&block.subject)
    );
    if let Some(arm) = block.arm {
        what.push_str(&format!(" ({arm})"));
    }
    if let Some(rate) = block.rate {
        what.push_str(&format!(" at {}", short_rate(rate)));
    }
    what
}

/// What the running slice shows.
fn load(state: &State, width: usize) -> Option<Line> {
    let block = &state.block;
    let slice = block.slice.as_ref()?;
    let [p50, p99] = [slice.p50_us, slice.p99_us].map(number::micros_or_dash);
    let phase = if block.is_measuring {
        ""
    } else {
        "warm-up · "
    };
    let rate = number::rate(slice.rate);
    let figures = format!("{phase}{rate} answered · p50 {p50} · p99 {p99} · ");
    let failed = match (block.failed, state.failed) {
        (0, 0) => "0 errors".to_owned(),
        (own, all) if own == all => format!("{} errors", number::count(all)),
        (own, all) => format!(
            "{} errors, {} in all",
            number::count(own),
            number::count(all)
        ),
    };
    let style = if block.failed > 0 {
        Style::Bad
    } else {
        Style::Plain
    };
    let line = Line::default()
        .with(Style::Plain, figures)
        .with(style, failed);
    let room = width.saturating_sub(line.width() + 6);
    if room < 8 {
        return Some(line);
    }
    let skipped = block.p99s.len().saturating_sub(room);
    let shown: Vec<Option<f64>> = block.p99s.iter().skip(skipped).copied().collect();
    Some(
        line.with(Style::Plain, "  p99 ")
            .with(Style::Good, sparkline(&shown)),
    )
}

/// What disturbs, and what has gone wrong for good.
fn trouble(state: &State) -> Option<Line> {
    let block = &state.block;
    let mut line = Line::default();
    if !block.garbage.is_empty() {
        let names: Vec<String> = block.garbage.iter().map(|name| plain(name)).collect();
        line = line.with(Style::Warn, format!("garbage now: {}", names.join(", ")));
    }
    if let Some(fault) = &block.fault {
        let apart = if line.width() > 0 { " · " } else { "" };
        line = line.with(Style::Warn, format!("{apart}fault now: {}", plain(fault)));
    }
    let fate = block.fate.trim_start_matches(" · ");
    if !fate.is_empty() {
        let apart = if line.width() > 0 { " · " } else { "" };
        line = line.with(Style::Bad, format!("{apart}{}", plain(fate)));
    }
    (line.width() > 0).then_some(line)
}

/// Heights from nothing to the most among them.
fn sparkline(values: &[Option<f64>]) -> String {
    const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = values
        .iter()
        .flatten()
        .copied()
        .fold(f64::MIN_POSITIVE, f64::max);
    let height = |value: f64| (value / most * 8.0).ceil().clamp(1.0, 8.0) as usize;
    values
        .iter()
        .map(|value| value.map_or(' ', |value| HEIGHTS[height(value) - 1]))
        .collect()
}

/// What follows on how far a run is, if that is known.
fn left(state: &State) -> String {
    let left = state.left();
    left.map_or_else(String::new, |left| format!(" · {}", time_left(left)))
}

fn time_left(left: Duration) -> String {
    let seconds = left.as_secs_f64().ceil() as u64;
    match seconds {
        0..60 => format!("about {seconds} s left"),
        60..3600 => format!("about {} min {:02} s left", seconds / 60, seconds % 60),
        _ => format!(
            "about {} h {:02} min left",
            seconds / 3600,
            seconds / 60 % 60
        ),
    }
}

/// Text from elsewhere: without what moves a cursor, or takes two columns.
fn plain(text: &str) -> String {
    let is_plain = |char: char| !char.is_control() && (char < '\u{300}' || "–·…µ×".contains(char));
    text.chars()
        .map(|char| if is_plain(char) { char } else { '?' })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::state::tests::{block, busy, slice};
    use super::*;

    fn text(lines: &[Line]) -> Vec<String> {
        lines
            .iter()
            .map(|line| line.0.iter().map(|(_, text)| text.as_str()).collect())
            .collect()
    }

    #[test]
    fn everything_is_told_where_there_is_room() {
        let lines = text(&live(&busy(), 120));
        assert_eq!(
            lines[..2],
            [
                format!("{}{} 1/4 · about 10 s left", "█".repeat(7), "░".repeat(23)),
                "crash-shield round 3 builtin (candidate) at 41.2k/s".to_owned(),
            ]
        );
        let start =
            "warm-up · 40,000/s answered · p50 70.0 µs · p99 179 µs · 50 errors, 55 in all  p99 ";
        let drawn = lines[2]
            .strip_prefix(start)
            .unwrap_or_else(|| panic!("{}", lines[2]));
        assert!(drawn.starts_with('▇') && drawn.ends_with('█'), "{drawn}");
        assert_eq!(
            lines[3..],
            ["garbage now: noise · the upstream died (SIGSEGV)"]
        );
    }

    #[test]
    fn a_finished_block_is_one_line() {
        let line = finished(&busy());
        assert_eq!(
            line,
            "[1/4] crash-shield round 3 builtin (candidate) at 41.2k/s · the upstream died (SIGSEGV)"
        );
        assert_eq!(finished_with_time(&busy()), line + " · about 10 s left");
    }

    #[test]
    fn times_that_are_left_read_well() {
        let of = |seconds| time_left(Duration::from_secs(seconds));
        assert_eq!(
            [5, 65, 3_700].map(of),
            [
                "about 5 s left",
                "about 1 min 05 s left",
                "about 1 h 01 min left"
            ]
        );
    }

    #[test]
    fn heights_are_shares_of_the_most() {
        assert_eq!(sparkline(&[Some(1.0), None, Some(4.0), Some(8.0)]), "▁ ▄█");
        assert_eq!(sparkline(&[Some(0.0), None]), "▁ ");
    }

    proptest! {
        #[test]
        fn no_line_is_wider_than_the_terminal(
            width in 0_usize..200,
            subject in ".{0,80}",
            p99 in 0.0_f64..1e9,
            failed in 0_u64..u64::from(u32::MAX),
        ) {
            let mut state = busy();
            block(&mut state, 8_000, &subject);
            slice(&mut state, 9_000, failed, p99);
            for line in live(&state, width) {
                prop_assert!(line.width() <= width, "{line:?} in {width}");
                let has_control = line.0.iter().any(|(_, text)| text.contains(char::is_control));
                prop_assert!(!has_control, "{line:?}");
            }
        }
    }
}
