//! What is going on, on stderr: a few live lines on a terminal, plain lines elsewhere.
//!
//! [`state`] knows what has happened, [`layout`] makes lines of it, both without looking
//! at anything but events; [`screen`] is the only part that writes.

pub mod layout;
pub mod screen;
pub mod state;

use report::event::{Event, Stamped};

use screen::Screen;
use state::State;

/// Shows a run while it goes on.
#[derive(Debug)]
pub struct Progress {
    state: State,
    /// None where nothing is to be shown.
    screen: Option<Screen>,
}

impl Progress {
    /// For a run of so many blocks.
    #[must_use]
    pub fn new(total: usize, quiet: bool) -> Self {
        Self {
            state: State::new(total),
            screen: (!quiet).then(Screen::on_stderr),
        }
    }

    /// Takes note of an event.
    pub fn show(&mut self, stamped: &Stamped) {
        let Some(screen) = &mut self.screen else {
            return;
        };
        self.state.take(stamped);
        match &stamped.event {
            Event::RunStarted(header) => {
                screen.line(&format!("run {} · seed {}", header.id, header.seed));
            }
            Event::BlockEnded { .. } => screen.line(&if screen.is_live() {
                layout::finished(&self.state)
            } else {
                layout::finished_with_time(&self.state)
            }),
            Event::RunEnded => return,
            _ => {}
        }
        screen.redraw(|width| layout::live(&self.state, width));
    }

    /// Clears the live lines.
    pub fn finish(&mut self) {
        if let Some(screen) = &mut self.screen {
            screen.clear();
        }
    }
}
