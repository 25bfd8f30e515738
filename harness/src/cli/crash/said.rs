//! What is said: while it runs, and of what was found.

use std::fmt::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use bundle::verdict::Seen;
use bundle::{Transport, Who};
use fuzzclient::probe::Question;
use service::units::format_duration;

use crate::cli::say;
use crate::crash::evidence::{Kept, Reported};
use crate::crash::hunt::{Plan, Progress, Sums};
use crate::crash::target::Named;

/// Between two lines that say how far it is.
const SHOW_EVERY: Duration = Duration::from_secs(1);

/// Says what happens, on stderr.
pub(super) fn tell(progress: &Progress<'_>, plan: &Plan, shown: &mut Instant) {
    match progress {
        Progress::Aimed(protocol, asked) => {
            let how = match &asked.question {
                Question::Foo => "asked in Foo whether it lives".to_owned(),
                Question::Connect => "which lives as long as it takes connections".to_owned(),
                Question::End => "which lives as long as it ends what we have ended".to_owned(),
                Question::Bytes { send, .. } => {
                    format!("asked \"{}\" whether it lives", send.escape_ascii())
                }
                Question::Datagram(_) => {
                    "which lives as long as nobody refuses datagrams".to_owned()
                }
            };
            let name = format!("{protocol:?}").to_lowercase();
            say(&format!(
                "attacking {} as {name}, {how}; seed {}",
                target(plan),
                plan.seed
            ));
            if asked.serial {
                say(
                    "it serves one connection after the other, so it is sent no more than one at a time",
                );
            }
        }
        Progress::Turn(strategy, sums) => {
            if shown.elapsed() >= SHOW_EVERY {
                *shown = Instant::now();
                let name = format!("{strategy:?}").to_lowercase();
                say(&format!(
                    "{name}: so far {} on {} connections",
                    size(sums.bytes),
                    sums.connections
                ));
            }
        }
        Progress::Suspicious => say("it keeps something; another load will tell whether it leaks"),
        Progress::Found(reported, true) => {
            say(&format!("found: {}", reported.sentence()));
        }
        Progress::Found(reported, false) => {
            say(&format!(
                "again: {} ({} times)",
                reported.bundle.verdict.finding.what, reported.times
            ));
        }
        Progress::Repeated(reported) => {
            if let Some(seen) = reported.bundle.verdict.repeats {
                say(&format!("sent again: {}", shown_repeats(seen)));
            }
        }
    }
}

/// What is attacked, in words.
pub(super) fn target(plan: &Plan) -> String {
    match &plan.named {
        Named::Upstream(_) => "the reference server".to_owned(),
        Named::Proxy(_) => "our proxy, with the reference server behind it".to_owned(),
        Named::Command(words) => words.join(" "),
        Named::Running(addr) => addr.to_string(),
    }
}

/// What was found, and what to do with it.
pub(super) fn report(reported: &Reported) -> String {
    let verdict = &reported.bundle.verdict;
    let finding = &verdict.finding;
    let mut text = String::new();
    let _ = writeln!(text, "found      {}", reported.sentence());
    if !finding.detail.is_empty() {
        let _ = writeln!(text, "because    {}", finding.detail);
    }
    let blamed = match finding.who {
        Who::Upstream => "the upstream: what stood before it is not to blame",
        Who::Proxy => "the proxy: the upstream behind it is sound",
        Who::Command => "the command",
    };
    let _ = writeln!(text, "to blame   {blamed}");
    if let Some(seen) = verdict.repeats {
        let _ = writeln!(text, "sent again {}", shown_repeats(seen));
    }
    if let Some(reason) = &reported.not_repeated {
        let _ = writeln!(text, "sent again not: {reason}");
    }
    if reported.times > 1 {
        let _ = writeln!(text, "seen       {} times", reported.times);
    }
    match &reported.kept {
        Kept::Written(place) => text.push_str(&next_steps("bundle", place)),
        Kept::Known(place) => text.push_str(&next_steps("known as", place)),
        Kept::Lost(reason) => {
            let _ = writeln!(text, "bundle     none: {reason}");
            let _ = writeln!(
                text,
                "           the same seed sends the same bytes: --seed {}",
                reported.bundle.origin.seed
            );
        }
    }
    text
}

fn next_steps(word: &str, place: &Path) -> String {
    let place = place.display();
    format!(
        "{word:<10} {place}\n\
         next       harness replay {place}\n           \
         harness minimize {place}\n           \
         harness corpus add {place}\n"
    )
}

/// Such as `5 of 5 times`.
pub(in crate::cli) fn shown_repeats(seen: Seen) -> String {
    let Seen { failed, tried } = seen;
    let hint = match seen {
        _ if failed == 0 => ": it may need its time, or what was sent before",
        seen if seen.is_flaky() => ": flaky",
        _ => "",
    };
    format!("the same came of it {failed} of {tried} times{hint}")
}

/// What was done.
pub(super) fn sums(sums: &Sums, plan: &Plan) -> String {
    let unit = match plan.transport {
        Transport::Tcp => "connections",
        Transport::Udp => "datagrams",
    };
    format!(
        "sent       {} on {} {unit} in {}, seed {}\n\
         watched    {} valid requests, the slowest took {}; the target was started {} times\n",
        size(sums.bytes),
        sums.connections,
        format_duration(Duration::from_millis(sums.elapsed.as_millis() as u64)),
        plan.seed,
        sums.probes,
        format_duration(Duration::from_micros(sums.slowest.as_micros() as u64)),
        sums.lives,
    )
}

/// Bytes as people read them.
fn size(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} bytes"),
        10_000..10_000_000 => format!("{:.0} kB", bytes as f64 / 1e3),
        _ => format!("{:.0} MB", bytes as f64 / 1e6),
    }
}
