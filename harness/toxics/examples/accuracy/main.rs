//! How exactly the toxics keep what they promise: delays, rates and shares, over TCP and
//! UDP, measured through links of this process and printed as a table.
//!
//! ```text
//! cargo run --release -p toxics --example accuracy [delay] [rate] [share]
//! ```
//!
//! Times depend on the machine, so this is no test. It fails (exit 1) if something is
//! outside of its bounds: delays ±2 ms from p1 to p99, rates ±5 %, shares within four
//! standard deviations of a binomial share.

mod delay;
mod links;
mod rate;
mod share;

use std::process::ExitCode;

use links::Links;

/// Measures some of it, and tells each line of the table.
type Measure = fn(&Links, &mut dyn FnMut(Line));

/// A line of the table.
pub(crate) struct Line {
    what: String,
    wanted: String,
    measured: String,
    is_within: bool,
}

impl Line {
    pub(crate) fn new(what: String, wanted: String, measured: String, is_within: bool) -> Self {
        Self {
            what,
            wanted,
            measured,
            is_within,
        }
    }
}

fn main() -> ExitCode {
    service::limits::raise_descriptors();
    let chosen: Vec<String> = std::env::args().skip(1).collect();
    let is_chosen = |name: &str| chosen.is_empty() || chosen.iter().any(|wanted| wanted == name);
    let links = Links::start();
    let mut is_fine = true;
    let suites: [(&str, Measure); 3] = [
        ("delay", delay::measure),
        ("rate", rate::measure),
        ("share", share::measure),
    ];
    println!("{:<44} {:<22} {:<44} within", "toxic", "wanted", "measured");
    for (name, measure) in suites {
        if is_chosen(name) {
            measure(&links, &mut |line| {
                is_fine &= line.is_within;
                let verdict = if line.is_within { "yes" } else { "NO" };
                println!(
                    "{:<44} {:<22} {:<44} {verdict}",
                    line.what, line.wanted, line.measured
                );
            });
        }
    }
    ExitCode::from(u8::from(!is_fine))
}
