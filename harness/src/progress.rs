//! What is going on, on stderr: one live line on a terminal, plain lines elsewhere.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use report::event::{Event, Role, Stamped};
use report::text::number;

/// How often the live line changes at most: faster than this nobody reads.
const REFRESH: Duration = Duration::from_millis(100);

/// Shows a run while it goes on.
#[derive(Debug)]
pub struct Progress {
    live: bool,
    quiet: bool,
    total: usize,
    done: usize,
    scenario: String,
    block: String,
    load: String,
    fate: String,
    attacked: bool,
    drawn: Option<Instant>,
}

impl Progress {
    /// For a run of so many blocks.
    #[must_use]
    pub fn new(total: usize, quiet: bool) -> Self {
        Self {
            live: io::stderr().is_terminal() && !quiet,
            quiet,
            total,
            done: 0,
            scenario: String::new(),
            block: String::new(),
            load: String::new(),
            fate: String::new(),
            attacked: false,
            drawn: None,
        }
    }

    /// Takes note of an event.
    pub fn show(&mut self, stamped: &Stamped) {
        if self.quiet {
            return;
        }
        match &stamped.event {
            Event::RunStarted(header) => {
                self.line(&format!("run {} · seed {}", header.id, header.seed));
                return;
            }
            Event::ScenarioStarted(header) => {
                self.scenario.clone_from(&header.name);
            }
            Event::BlockStarted { round, subject, .. } => {
                self.block = format!("round {round} {subject}");
                self.load.clear();
                self.fate.clear();
                self.attacked = false;
            }
            Event::LoadInterval { interval, .. } => {
                let rate = interval.answered as f64 / interval.length_s.max(1e-9);
                let p99 = number::micros_or_dash(interval.p99_us);
                self.load = format!(" · {} answered · p99 {p99}", number::rate(rate));
            }
            Event::LoadEnded {
                record: Some(record),
                ..
            } => {
                let response = &record.latency_us.response;
                let [p50, p99] = [response.p50, response.p99].map(number::micros_or_dash);
                // Under attack the client's own timing is nobody's concern.
                let valid = if record.valid || self.attacked {
                    ""
                } else {
                    " · INVALID"
                };
                self.load = format!(
                    " · {} · p50 {p50} p99 {p99}{valid}",
                    number::rate(record.achieved_rate)
                );
            }
            Event::FuzzStarted { .. } => self.attacked = true,
            Event::FuzzEnded {
                record: Some(record),
                ..
            } => {
                self.fate.push_str(&format!(
                    " · {} of garbage sent",
                    number::bytes(record.bytes_sent)
                ));
            }
            Event::Exited { role, exit, .. }
                if !exit.asked && matches!(role, Role::Upstream | Role::Proxy) =>
            {
                self.fate
                    .push_str(&format!(" · the {} died ({})", role.word(), exit.cause()));
            }
            Event::BlockEnded { .. } => {
                self.done += 1;
                let text = self.text();
                self.line(&text);
                return;
            }
            _ => return,
        }
        self.redraw();
    }

    fn text(&self) -> String {
        format!(
            "[{}/{}] {} {}{}{}",
            self.done, self.total, self.scenario, self.block, self.load, self.fate
        )
    }

    fn redraw(&mut self) {
        if self.live && self.drawn.is_none_or(|at| at.elapsed() >= REFRESH) {
            self.drawn = Some(Instant::now());
            write(&format!("\r\x1b[K{}", self.text()));
        }
    }

    fn line(&mut self, text: &str) {
        let clear = if self.live { "\r\x1b[K" } else { "" };
        write(&format!("{clear}{text}\n"));
        self.drawn = None;
    }

    /// Clears the live line.
    pub fn finish(&mut self) {
        if self.live {
            write("\r\x1b[K");
        }
    }
}

/// Writes to stderr. Whoever watches may stop watching; the run goes on.
fn write(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
    let _ = io::stderr().flush();
}
