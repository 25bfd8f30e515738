//! Response times as the run went on, with what happened meanwhile; send lag below it.

use loadgen::record::{Interval, LoadRecord};

use super::markup::{Align, details, escape, table};
use super::palette::Palette;
use super::plot::{self, BELOW, COLOURS, LEFT, Plot, RIGHT, Series, TOP};
use super::scale::Scale;
use super::track::{Stretch, Track, happenings};
use crate::run::{RunFile, ScenarioRun};
use crate::text::latency::subject_name;
use crate::text::{number, shortened};

/// Height of the plot of response times.
pub(super) const HEIGHT: f64 = 320.0;

const LAG_HEIGHT: f64 = 130.0;

/// Figures below the axis: more would overlap on a phone.
const MOST_TICKS: usize = 9;

/// Deaths whose words have room in the plot; more are told by pointing at them.
const MOST_WORDS: usize = 1;

/// Runs of points, one for each stretch of a track.
type Runs = Vec<Vec<(f64, f64)>>;

/// Both plots, and a table of the blocks.
pub(super) fn figure(run: &RunFile, scenario: &ScenarioRun, id: &str, palette: &Palette) -> String {
    let track = Track::of(scenario);
    if track.stretches.is_empty() {
        return String::new();
    }
    let legend: Vec<_> = scenario
        .figures
        .iter()
        .map(|f| {
            (
                palette.index(scenario, f),
                super::palette::name(scenario, f),
            )
        })
        .collect();
    let has_faults = scenario.blocks.iter().any(|block| !block.faults.is_empty());
    let bands = match (scenario.has_garbage(), has_faults) {
        (true, false) => "; shaded while garbage came in",
        (false, true) => "; shaded while a fault lasted",
        (true, true) => "; shaded while garbage came in or a fault lasted",
        (false, false) => "",
    };
    let about = format!(
        "p50 (strong) and p99 (faint) of each slice of time{bands}. Below the axis: seconds since the run began; \
         pauses between blocks are left out"
    );
    let content = format!(
        "{}{}<p class=\"below\"><b>Send lag</b> p99 of each block: how late the load client itself came to a due request</p>{}{}",
        plot::legend(&legend),
        response(run, scenario, &track, id, palette),
        lag(scenario, &track, id, palette),
        as_table(run, &track),
    );
    plot::figure("Response time as the run went on", &about, &content)
}

/// The plot of response times alone; none if nothing was measured.
pub(super) fn plot(
    run: &RunFile,
    scenario: &ScenarioRun,
    id: &str,
    palette: &Palette,
) -> Option<String> {
    let track = Track::of(scenario);
    let is_there = !track.stretches.is_empty();
    is_there.then(|| response(run, scenario, &track, id, palette))
}

/// The blocks alone, where there is nothing to draw of them in a row.
pub(super) fn blocks(run: &RunFile, scenario: &ScenarioRun) -> String {
    let track = Track::of(scenario);
    if track.stretches.is_empty() {
        return String::new();
    }
    as_table(run, &track)
}

fn slices<'a>(stretch: &'a Stretch<'_>, load: &str) -> impl Iterator<Item = &'a Interval> {
    let of_load = stretch
        .block
        .loads
        .iter()
        .find(|evidence| evidence.name == load);
    let record = of_load.and_then(|evidence| evidence.record.as_ref());
    record.into_iter().flat_map(|record| &record.intervals)
}

/// The points of one load against one subject: each slice at its middle. A slice without
/// answers is a gap.
fn runs(
    track: &Track<'_>,
    subject: &str,
    load: &str,
    figure: fn(&Interval) -> Option<f64>,
) -> Runs {
    let mut runs = Runs::new();
    for stretch in track
        .stretches
        .iter()
        .filter(|s| s.block.subject == subject)
    {
        let mut run = Vec::new();
        for slice in slices(stretch, load) {
            let middle = slice.start_mono_ns + (slice.length_s * 5e8) as u64;
            match figure(slice) {
                Some(value) => run.push((stretch.at(middle), value)),
                None => runs.push(std::mem::take(&mut run)),
            }
        }
        runs.push(run);
    }
    runs.retain(|run| !run.is_empty());
    runs
}

fn response(
    run: &RunFile,
    scenario: &ScenarioRun,
    track: &Track<'_>,
    id: &str,
    palette: &Palette,
) -> String {
    let lines: Vec<(usize, String, Runs, Runs)> = scenario
        .figures
        .iter()
        .map(|f| {
            let runs = |figure| runs(track, &f.subject, &f.load, figure);
            let index = palette.index(scenario, f);
            let name = super::palette::name(scenario, f);
            (
                index,
                name,
                runs(|slice| slice.p50_us),
                runs(|slice| slice.p99_us),
            )
        })
        .collect();
    let values = lines
        .iter()
        .flat_map(|(_, _, p50, p99)| p50.iter().chain(p99).flatten())
        .map(|(_, micros)| *micros);
    let x = Scale::exactly(0.0, track.length, LEFT, RIGHT);
    let y = Scale::log_over(values, HEIGHT - BELOW, TOP);
    let mut plot = Plot::new((x, "track"), (y, "us"), HEIGHT);
    plot.y_axis(&y.ticks(6), plot::micros);
    stretches(&mut plot, run, scenario, track, palette, &x, y.start);
    happened(&mut plot, track);
    for (index, name, p50, p99) in &lines {
        let series = |name: &str, class: &'static str, plot: &mut Plot, runs: &Runs| {
            let series = Series {
                index: *index,
                name,
                class,
            };
            plot.line(&series, runs);
        };
        series(&format!("{name} p50"), "strong", &mut plot, p50);
        series(&format!("{name} p99"), "faint", &mut plot, p99);
    }
    plot.render(
        &format!("{id}-time"),
        "Response time as the run went on",
        "Median and 99th percentile of each slice of time, block after block; the table below sums up each block.",
    )
}

/// Where blocks begin and whose they are: a strip of the subject's colour along the axis.
fn stretches(
    plot: &mut Plot,
    run: &RunFile,
    scenario: &ScenarioRun,
    track: &Track<'_>,
    palette: &Palette,
    x: &Scale,
    bottom: f64,
) {
    let every = track.stretches.len().div_ceil(MOST_TICKS);
    // One long block has ticks of its own.
    if let [only] = track.stretches.as_slice() {
        let since = only.since(run.started_mono_ns);
        for tick in x.ticks(6) {
            plot.x_tick(tick, &format!("{:.1} s", since + tick));
        }
    }
    for (at, stretch) in track.stretches.iter().enumerate() {
        let begin = stretch.since(run.started_mono_ns);
        if at % every == 0 && track.stretches.len() > 1 {
            plot.x_tick(stretch.begin, &format!("{begin:.0} s"));
        }
        let subject = &stretch.block.subject;
        let colour = palette.index_of_subject(scenario, subject) % COLOURS;
        let (left, right) = (x.at(stretch.begin), x.at(stretch.begin + stretch.length()));
        let name = format!(
            "{}, {}, round {}",
            scenario.header.name,
            subject_name(subject),
            stretch.block.round
        );
        plot.raw(&format!(
            "<rect class=\"stretch s{colour}\" x=\"{left:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"4\" \
             data-name=\"{}\" data-begin=\"{begin:.3}\" data-length=\"{:.3}\"/>",
            bottom + 1.0,
            (right - left).max(1.0),
            escape(&name),
            stretch.length(),
        ));
    }
}

/// Bands for what lasted, lines for what happened at one moment.
fn happened(plot: &mut Plot, track: &Track<'_>) {
    let mut deaths = 0;
    let mut names = Names::default();
    for stretch in &track.stretches {
        for what in happenings(stretch.block) {
            let (from, to) = (stretch.at(what.from_ns), stretch.at(what.to_ns));
            if what.is_moment() {
                let class = if deaths < MOST_WORDS {
                    what.class.to_owned()
                } else {
                    format!("{} mute", what.class)
                };
                plot.mark_x(from, &class, &what.text);
                deaths += 1;
            } else {
                let said = match what.more.as_str() {
                    "" => what.text.clone(),
                    more => format!("{}; {more}", what.text),
                };
                plot.band(from, to, what.class, &said);
                if what.class == "fault" {
                    names.write(plot, from, &what.name);
                }
            }
        }
    }
}

/// Names of faults along the bottom of the plot, in lines that do not overlap. A name for
/// which there is no room is told by pointing at its band.
#[derive(Default)]
struct Names {
    /// Where each line is free again.
    free: [f64; NAME_LINES],
}

/// Lines of names above each other.
const NAME_LINES: usize = 4;

/// Height of a line of names.
const NAME_HEIGHT: f64 = 14.0;

/// Width of a character of a name: more than most have.
const NAME_CHAR: f64 = 6.6;

/// Characters of a name that there is room for.
const NAME_CHARS: usize = 44;

impl Names {
    fn write(&mut self, plot: &mut Plot, from: f64, text: &str) {
        let text = shortened(text, NAME_CHARS);
        let width = text.chars().count() as f64 * NAME_CHAR;
        // Towards the end a name reaches back over its band.
        let left = (plot.x_at(from) + 3.0).min(RIGHT - width).max(LEFT);
        let Some(line) = self.free.iter().position(|free| *free <= left) else {
            return;
        };
        self.free[line] = left + width + NAME_CHAR;
        plot.name(left, 6.0 + line as f64 * NAME_HEIGHT, "fault", &text);
    }
}

fn lag_p99(record: &LoadRecord) -> Option<f64> {
    record.latency_us.send_lag.p99
}

fn lag(scenario: &ScenarioRun, track: &Track<'_>, id: &str, palette: &Palette) -> String {
    let mut lines: Vec<(usize, String, Runs)> = Vec::new();
    for figures in &scenario.figures {
        let of_subject = track
            .stretches
            .iter()
            .filter(|s| s.block.subject == figures.subject);
        let runs: Runs = of_subject
            .filter_map(|stretch| {
                let load = stretch
                    .block
                    .loads
                    .iter()
                    .find(|load| load.name == figures.load)?;
                let lag = lag_p99(load.record.as_ref()?)?;
                Some(vec![
                    (stretch.begin, lag),
                    (stretch.begin + stretch.length(), lag),
                ])
            })
            .collect();
        let index = palette.index(scenario, figures);
        lines.push((index, super::palette::name(scenario, figures), runs));
    }
    let values = lines.iter().flat_map(|(_, _, runs)| runs.iter().flatten());
    let most = values.map(|(_, lag)| *lag).fold(0.0, f64::max);
    let x = Scale::exactly(0.0, track.length, LEFT, RIGHT);
    let y = Scale::from_zero(most, LAG_HEIGHT - 12.0, TOP);
    let mut plot = Plot::new((x, "track"), (y, "us"), LAG_HEIGHT);
    plot.y_axis(&y.ticks(2), plot::micros);
    for (index, name, runs) in &lines {
        plot.line(
            &Series {
                index: *index,
                name,
                class: "strong",
            },
            runs,
        );
    }
    plot.render(
        &format!("{id}-lag"),
        "Send lag",
        "99th percentile of how late the load client was, for each block; the table below has the figures.",
    )
}

fn as_table(run: &RunFile, track: &Track<'_>) -> String {
    let heads = [
        ("subject", Align::Text),
        ("round", Align::Number),
        ("load", Align::Text),
        ("began", Align::Number),
        ("rate", Align::Number),
        ("p50", Align::Number),
        ("p99", Align::Number),
        ("max", Align::Number),
        ("send lag p99", Align::Number),
        ("valid", Align::Text),
    ];
    let mut rows = Vec::new();
    for stretch in &track.stretches {
        for load in &stretch.block.loads {
            let Some(record) = &load.record else { continue };
            let times = &record.latency_us.response;
            let valid = if record.valid {
                "yes".to_owned()
            } else {
                format!("no: {}", record.invalid_reasons.join("; "))
            };
            rows.push(vec![
                escape(subject_name(&stretch.block.subject)),
                stretch.block.round.to_string(),
                escape(&load.name),
                format!("{:.1} s", stretch.since(run.started_mono_ns)),
                number::rate(record.achieved_rate),
                number::micros_or_dash(times.p50),
                number::micros_or_dash(times.p99),
                number::micros_or_dash(times.max),
                number::micros_or_dash(lag_p99(record)),
                escape(&valid),
            ]);
        }
    }
    details("Blocks as a table", &table("", &heads, &rows))
}
