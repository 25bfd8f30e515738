//! One plot as SVG: axes, bands, lines and marks. It is complete as it is written; the
//! script only adds what follows the pointer.

use super::markup::escape;
use super::scale::Scale;

/// Width of every plot, in its own units.
pub(super) const WIDTH: f64 = 760.0;

/// Where the axes begin: room for `500 µs`, in the larger type of a phone too.
pub(super) const LEFT: f64 = 72.0;

/// Where they end.
pub(super) const RIGHT: f64 = WIDTH - 14.0;

/// Room above the axes.
pub(super) const TOP: f64 = 14.0;

/// Room below the axes, for the figures along them.
pub(super) const BELOW: f64 = 34.0;

/// A plot in the making.
pub(super) struct Plot {
    x: Scale,
    y: Scale,
    units: (&'static str, &'static str),
    height: f64,
    behind: String,
    body: String,
}

impl Plot {
    /// An empty plot. The units are what the script calls them.
    pub(super) fn new(x: (Scale, &'static str), y: (Scale, &'static str), height: f64) -> Self {
        Self {
            x: x.0,
            y: y.0,
            units: (x.1, y.1),
            height,
            behind: String::new(),
            body: String::new(),
        }
    }

    fn bottom(&self) -> f64 {
        self.y.start
    }

    /// Figures along the left, with a line across for each.
    pub(super) fn y_axis(&mut self, ticks: &[f64], text: impl Fn(f64) -> String) {
        for tick in ticks {
            let y = self.y.at(*tick);
            self.behind.push_str(&format!(
                "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{RIGHT}\"/><text class=\"y\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                LEFT - 7.0,
                y + 4.0,
                escape(&text(*tick))
            ));
        }
    }

    /// A figure below the axis, with a line up.
    pub(super) fn x_tick(&mut self, at: f64, text: &str) {
        let (x, bottom) = (self.x.at(at), self.bottom());
        let anchor = if x > RIGHT - 20.0 {
            " style=\"text-anchor:end\""
        } else {
            ""
        };
        self.behind.push_str(&format!(
            "<path class=\"grid\" d=\"M{x:.1} {TOP}V{bottom:.1}\"/><text class=\"x\" x=\"{:.1}\" y=\"{:.1}\"{anchor}>{}</text>",
            x.min(RIGHT + 6.0),
            bottom + 20.0,
            escape(text)
        ));
    }

    /// A span of the axis in which something was the case.
    pub(super) fn band(&mut self, from: f64, to: f64, class: &str, text: &str) {
        let band = self.span((from, to), class, text);
        self.behind.push_str(&band);
    }

    /// Where something is from left to right.
    pub(super) fn x_at(&self, value: f64) -> f64 {
        self.x.at(value)
    }

    /// Words inside the plot, so far above its bottom.
    pub(super) fn name(&mut self, left: f64, above: f64, class: &str, text: &str) {
        let y = self.bottom() - above;
        self.body.push_str(&format!(
            "<text class=\"name {class}\" x=\"{left:.1}\" y=\"{y:.1}\">{}</text>",
            escape(text)
        ));
    }

    /// A span of the axis that belongs to a series, and is switched on and off with it.
    pub(super) fn range(&mut self, series: &Series<'_>, ends: (f64, f64), class: &str, text: &str) {
        let band = self.span(ends, class, text);
        self.behind.push_str(&series.group(&band));
    }

    fn span(&self, (from, to): (f64, f64), class: &str, text: &str) -> String {
        let (left, right) = (self.x.at(from), self.x.at(to));
        format!(
            "<rect class=\"band {class}\" x=\"{left:.1}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{:.1}\"><title>{}</title></rect>",
            (right - left).max(1.0),
            self.bottom() - TOP,
            escape(text)
        )
    }

    /// Something that happened at one moment, or a limit: a line up, with words.
    pub(super) fn mark_x(&mut self, at: f64, class: &str, text: &str) {
        let (x, bottom) = (self.x.at(at), self.bottom());
        let (anchor, dx) = if x > WIDTH / 2.0 {
            ("end", -6.0)
        } else {
            ("start", 6.0)
        };
        let text = escape(text);
        self.body.push_str(&format!(
            "<g class=\"mark {class}\"><title>{text}</title><path d=\"M{x:.1} {TOP}V{bottom:.1}\"/><text x=\"{:.1}\" y=\"{:.1}\" style=\"text-anchor:{anchor}\">{text}</text></g>",
            x + dx,
            TOP + 12.0,
        ));
    }

    /// A limit across the plot, with words.
    pub(super) fn mark_y(&mut self, at: f64, class: &str, text: &str) {
        let y = self.y.at(at);
        self.body.push_str(&format!(
            "<g class=\"mark {class}\"><path d=\"M{LEFT} {y:.1}H{RIGHT}\"/><text x=\"{:.1}\" y=\"{:.1}\">{}</text></g>",
            LEFT + 6.0,
            y - 5.0,
            escape(text)
        ));
    }

    /// A line through points. Points that are far apart in what they stand for are
    /// given as several runs, with a gap between them.
    pub(super) fn line(&mut self, series: &Series<'_>, runs: &[Vec<(f64, f64)>]) {
        let mut path = String::new();
        for run in runs {
            for (at, (x, y)) in run.iter().enumerate() {
                let (x, y) = (self.x.at(*x), self.y.at(*y));
                path.push_str(&format!("{}{x:.1} {y:.1}", if at == 0 { 'M' } else { 'L' }));
            }
            // A run of one point is still to be seen.
            if run.len() == 1 {
                path.push_str("h.1");
            }
        }
        if !path.is_empty() {
            let line = format!("<path class=\"line\" d=\"{path}\"/>");
            self.body.push_str(&series.group(&line));
        }
    }

    /// Points with the shape of their series, each with words.
    pub(super) fn points(&mut self, series: &Series<'_>, points: &[(f64, f64, String)]) {
        let marks: String = points
            .iter()
            .map(|(x, y, text)| {
                format!(
                    "<path class=\"point\" d=\"{}\"><title>{}</title></path>",
                    shape(series.index, self.x.at(*x), self.y.at(*y), 4.0),
                    escape(text)
                )
            })
            .collect();
        if !marks.is_empty() {
            self.body.push_str(&series.group(&marks));
        }
    }

    /// Anything else, in places of the plot.
    pub(super) fn raw(&mut self, markup: &str) {
        self.behind.push_str(markup);
    }

    /// The plot. `id` is unique on the page; `about` says what is to be seen for those
    /// who do not.
    pub(super) fn render(self, id: &str, title: &str, about: &str) -> String {
        let (bottom, height) = (self.bottom(), self.height);
        format!(
            "<svg class=\"plot\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\" data-x=\"{}\" data-y=\"{}\">\
             <title id=\"{id}-t\">{}</title><desc id=\"{id}-d\">{}</desc>\n{}\
             <path class=\"axis\" d=\"M{LEFT} {TOP}V{bottom:.1}H{RIGHT}\"/>\n{}<path class=\"guide\"/></svg>\n",
            self.x.as_data(self.units.0),
            self.y.as_data(self.units.1),
            escape(title),
            escape(about),
            self.behind,
            self.body
        )
    }
}

/// Who a line belongs to.
#[derive(Clone, Copy)]
pub(super) struct Series<'a> {
    /// Its number on the page, which gives its colour and its shape.
    pub(super) index: usize,
    /// What it is called.
    pub(super) name: &'a str,
    /// What this is of the series: `strong` or `faint` where it has several lines.
    pub(super) class: &'a str,
}

/// Colours that the style has.
pub(super) const COLOURS: usize = 8;

impl Series<'_> {
    /// What is switched on and off together.
    fn group(&self, content: &str) -> String {
        format!(
            "<g class=\"series s{} {}\" data-series=\"{}\" data-name=\"{}\">{content}</g>\n",
            self.index % COLOURS,
            self.class,
            self.index,
            escape(self.name),
        )
    }
}

/// The outline of a series' mark: so that nobody has to tell colours apart.
pub(super) fn shape(index: usize, x: f64, y: f64, r: f64) -> String {
    let d = 2.0 * r;
    match index % 4 {
        0 => format!(
            "M{:.1} {y:.1}a{r} {r} 0 1 0 {d} 0a{r} {r} 0 1 0 -{d} 0z",
            x - r
        ),
        1 => format!("M{:.1} {:.1}h{d}v{d}h-{d}z", x - r, y - r),
        2 => format!(
            "M{x:.1} {:.1}l{:.1} {:.1}h-{:.1}z",
            y - 1.2 * r,
            1.2 * r,
            d,
            2.4 * r
        ),
        _ => format!(
            "M{x:.1} {:.1}l{r2} {r2}l-{r2} {r2}l-{r2} -{r2}z",
            y - 1.3 * r,
            r2 = 1.3 * r
        ),
    }
}

/// What can be switched on and off: `(index, name)` of each series.
pub(super) fn legend(series: &[(usize, String)]) -> String {
    let keys: String = series
        .iter()
        .map(|(index, name)| {
            format!(
                "<button type=\"button\" class=\"key s{}\" data-series=\"{index}\" aria-pressed=\"true\">\
                 <svg viewBox=\"0 0 26 12\" aria-hidden=\"true\"><path class=\"line\" d=\"M0 6H26\"/><path class=\"point\" d=\"{}\"/></svg>{}</button>",
                index % COLOURS,
                shape(*index, 13.0, 6.0, 4.0),
                escape(name)
            )
        })
        .collect();
    format!("<div class=\"legend\">{keys}</div>\n")
}

/// A plot with its words above it and its figures below it.
pub(super) fn figure(title: &str, about: &str, content: &str) -> String {
    format!(
        "<figure><figcaption><b>{}</b> {}</figcaption>\n{content}</figure>\n",
        escape(title),
        escape(about)
    )
}

/// Microseconds along an axis: `50 µs`, `2 ms`.
pub(super) fn micros(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let (value, unit) = if value >= 999_999.0 {
        (value / 1e6, "s")
    } else if value >= 999.9 {
        (value / 1e3, "ms")
    } else if value >= 0.999 {
        (value, "µs")
    } else {
        (value * 1e3, "ns")
    };
    // Ticks are round figures: what is behind the third digit is the machine's rounding.
    format!("{} {unit}", (value * 1e3).round() / 1e3)
}

/// A rate along an axis: `20k/s`.
pub(super) fn rate(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let round = |value: f64| (value * 10.0).round() / 10.0;
    if value >= 999_999.0 {
        format!("{}M/s", round(value / 1e6))
    } else if value >= 999.9 {
        format!("{}k/s", round(value / 1e3))
    } else {
        format!("{}/s", round(value))
    }
}
