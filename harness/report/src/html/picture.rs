//! The run as it went on, as one picture: what a page of somebody else can show.

use super::markup::escape;
use super::palette::Palette;
use super::timeline;
use crate::run::RunFile;

/// How plots look, on the page and without it.
pub(super) const STYLE: &str = include_str!("plot.css");

/// Width of the picture: that of a plot.
const WIDTH: f64 = super::plot::WIDTH;

/// Room for the name of a scenario above its plot.
const TITLE_HEIGHT: f64 = 28.0;

/// Response times of every scenario as the run went on, with its faults, one below the
/// other. A run without any is an empty picture.
#[must_use]
pub fn picture(run: &RunFile) -> String {
    let palette = Palette::of(run);
    let mut body = String::new();
    let mut height = 0.0;
    for (number, scenario) in run.scenarios.iter().enumerate() {
        let id = format!("scenario-{}", number + 1);
        let Some(plot) = timeline::plot(run, scenario, &id, &palette) else {
            continue;
        };
        let name = escape(&scenario.header.name);
        let baseline = height + TITLE_HEIGHT - 10.0;
        height += TITLE_HEIGHT;
        // Where it stands within the picture.
        let placed = format!(
            "<svg y=\"{height:.0}\" width=\"{WIDTH}\" height=\"{}\" ",
            timeline::HEIGHT
        );
        let plot = plot.replacen("<svg ", &placed, 1);
        body.push_str(&format!(
            "<text class=\"title\" x=\"14\" y=\"{baseline:.0}\">{name}: p50 (strong) and p99 (faint) of each slice of time</text>\n{plot}\n"
        ));
        height += timeline::HEIGHT;
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" width=\"{WIDTH}\" height=\"{height:.0}\">\n\
         <style>\n{STYLE}svg {{ font-family: system-ui, \"DejaVu Sans\", sans-serif; }}\n.title {{ font-size: 14px; fill: var(--ink); }}\n</style>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"var(--page)\"/>\n{body}</svg>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{Story, load_record};

    #[test]
    fn faults_are_drawn_and_named_without_a_page() {
        let story = Story::new(Vec::new())
            .block("builtin")
            .fault("upstream.1", "kill", 310, 580);
        let run = RunFile::from_events(&story.load(load_record(100, 90)).end().0);
        let picture = picture(&run);
        assert!(picture.starts_with("<svg xmlns="), "{picture}");
        assert!(picture.contains("band fault"), "{picture}");
        assert!(picture.contains("kill upstream.1"), "{picture}");
        assert_eq!(
            picture.matches("<svg").count(),
            picture.matches("</svg>").count()
        );
        assert!(!picture.contains("<script"), "{picture}");
    }
}
