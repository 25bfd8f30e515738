//! Which colour and shape stand for whom, the same all over the page.

use crate::figures::Figures;
use crate::run::{RunFile, ScenarioRun};
use crate::text::latency::{subject_name, with_load};

/// What rows of figures are called, in the order of their first appearance. A subject has
/// the same colour in all scenarios, whatever its load is called there.
pub(super) struct Palette(Vec<String>);

impl Palette {
    /// That of a run.
    pub(super) fn of(run: &RunFile) -> Self {
        let mut names: Vec<String> = Vec::new();
        for scenario in &run.scenarios {
            let rows = scenario
                .figures
                .iter()
                .map(|figures| name(scenario, figures));
            let searched = scenario
                .capacity
                .iter()
                .map(|c| subject_name(&c.subject).to_owned());
            for name in rows.chain(searched) {
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        Self(names)
    }

    /// The number of this row of figures.
    pub(super) fn index(&self, scenario: &ScenarioRun, figures: &Figures) -> usize {
        self.find(&name(scenario, figures))
    }

    /// The number of a subject: that of its first row, where it has several.
    pub(super) fn index_of_subject(&self, scenario: &ScenarioRun, subject: &str) -> usize {
        let row = scenario
            .figures
            .iter()
            .find(|figures| figures.subject == subject);
        row.map_or_else(
            || self.find(subject_name(subject)),
            |figures| self.index(scenario, figures),
        )
    }

    fn find(&self, name: &str) -> usize {
        self.0.iter().position(|known| known == name).unwrap_or(0)
    }
}

/// What a row of figures is called: the subject, and the load if there are several.
pub(super) fn name(scenario: &ScenarioRun, figures: &Figures) -> String {
    let subject = subject_name(&figures.subject).to_owned();
    with_load(scenario, figures, subject)
}
