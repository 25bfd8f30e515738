//! The report as one page of HTML that needs nothing else: no network, no other file.
//!
//! In reading order: `page` is the frame, with `style.css` and `script.js`; `markup`
//! keeps foreign text harmless; `scale` and `plot` draw; `palette` says which colour
//! is whose. Then the sections: `summary`, `suite`, `tournament`, `comparison` with its `forest`,
//! `capacity`, `measured` with `shards`, `percentiles`, `timeline` and the `track` it runs on,
//! `survival`, `curves`, and `repeat`, what it takes to run it again. `picture` is the
//! timeline without a page around it.
//!
//! Everything is there without the script, and on paper; the script shows values under
//! the pointer and switches series on and off.

mod capacity;
mod comparison;
mod curves;
mod forest;
mod markup;
mod measured;
mod page;
mod palette;
mod percentiles;
mod picture;
mod plot;
mod repeat;
mod scale;
mod shards;
mod suite;
mod summary;
mod survival;
mod timeline;
mod tournament;
mod track;

use crate::run::RunFile;
use palette::Palette;
pub use picture::picture;

/// The page. `directory` is where the run's files lie, if that is known.
#[must_use]
pub fn render(run: &RunFile, directory: Option<&str>) -> String {
    let palette = Palette::of(run);
    let mut body = summary::head(run);
    body.push_str(&suite::section(run));
    body.push_str(&tournament::section(run));
    body.push_str(&comparison::section(run));
    body.push_str(&summary::verdicts(run));
    body.push_str(&survival::section(run));
    for (number, scenario) in run.scenarios.iter().enumerate() {
        body.push_str(&measured::section(run, scenario, number, &palette));
    }
    body.push_str(&curves::section(run));
    body.push_str(&repeat::section(run, directory));
    page::page(&run.header.id, &body)
}

#[cfg(test)]
mod tests;
