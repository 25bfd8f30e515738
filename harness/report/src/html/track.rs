//! The blocks of a scenario one after the other on one axis, in the order in which they
//! ran, with the pauses between them left out.

use crate::evidence::{Block, FaultEvidence};
use crate::run::ScenarioRun;
use crate::text::number;

/// Room between two blocks, as a share of all the time on the track.
const GAP: f64 = 0.006;

/// A stretch of the axis with one block on it.
pub(super) struct Stretch<'a> {
    pub(super) block: &'a Block,
    from_ns: u64,
    to_ns: u64,
    /// Where it begins on the axis, in seconds.
    pub(super) begin: f64,
}

impl Stretch<'_> {
    /// Its length in seconds.
    pub(super) fn length(&self) -> f64 {
        (self.to_ns - self.from_ns) as f64 / 1e9
    }

    /// Where on the axis a moment of this block is.
    pub(super) fn at(&self, mono_ns: u64) -> f64 {
        let within = mono_ns.clamp(self.from_ns, self.to_ns) - self.from_ns;
        self.begin + within as f64 / 1e9
    }

    /// Seconds from `start_ns` to the beginning of the block's load.
    pub(super) fn since(&self, start_ns: u64) -> f64 {
        self.from_ns.saturating_sub(start_ns) as f64 / 1e9
    }
}

/// All stretches.
pub(super) struct Track<'a> {
    pub(super) stretches: Vec<Stretch<'a>>,
    /// The length of the axis in seconds.
    pub(super) length: f64,
}

impl<'a> Track<'a> {
    /// That of the blocks with something measured.
    pub(super) fn of(scenario: &'a ScenarioRun) -> Self {
        let spans: Vec<_> = scenario
            .blocks
            .iter()
            .filter_map(|block| Some((block, span(block)?)))
            .collect();
        let total: f64 = spans
            .iter()
            .map(|(_, (from, to))| (to - from) as f64 / 1e9)
            .sum();
        let gap = total * GAP;
        let mut stretches = Vec::new();
        let mut begin = 0.0;
        for (block, (from_ns, to_ns)) in spans {
            let stretch = Stretch {
                block,
                from_ns,
                to_ns,
                begin,
            };
            begin += stretch.length() + gap;
            stretches.push(stretch);
        }
        Self {
            stretches,
            length: (begin - gap).max(0.0),
        }
    }
}

/// From the first slice of load to the last, with the attack and the deaths around it.
fn span(block: &Block) -> Option<(u64, u64)> {
    let records = || block.loads.iter().filter_map(|load| load.record.as_ref());
    let slices = || records().flat_map(|record| &record.intervals);
    let mut from = slices().map(|slice| slice.start_mono_ns).min()?;
    let ends = slices().map(|slice| slice.start_mono_ns + (slice.length_s * 1e9) as u64);
    let mut to = ends.max()?;
    for happening in happenings(block) {
        from = from.min(happening.from_ns);
        to = to.max(happening.to_ns);
    }
    Some((from, to))
}

/// Something that was going on in a block, or happened at one moment of it.
pub(super) struct Happening {
    pub(super) from_ns: u64,
    pub(super) to_ns: u64,
    /// What the style calls it.
    pub(super) class: &'static str,
    /// In words.
    pub(super) text: String,
    /// In as few, for a plot.
    pub(super) name: String,
    /// More of them, for who points at it.
    pub(super) more: String,
}

impl Happening {
    /// Whether it is a moment rather than a span.
    pub(super) fn is_moment(&self) -> bool {
        self.from_ns == self.to_ns
    }
}

/// What happened in a block beside its load.
pub(super) fn happenings(block: &Block) -> Vec<Happening> {
    let mut all = Vec::new();
    for fuzz in &block.fuzzes {
        let Some(record) = &fuzz.record else { continue };
        let last = record
            .sessions
            .iter()
            .map(|session| session.end_mono_ns)
            .max();
        let from_ns = record.started_mono_ns;
        all.push(Happening {
            from_ns,
            to_ns: last.unwrap_or(from_ns).max(from_ns + 1),
            class: "garbage",
            text: format!("garbage from {}", fuzz.name),
            name: fuzz.name.clone(),
            more: String::new(),
        });
    }
    for fault in &block.faults {
        let to = fault.ended_mono_ns.or(block.ended_mono_ns);
        let from_ns = fault.began_mono_ns;
        all.push(Happening {
            from_ns,
            to_ns: to.unwrap_or(from_ns).max(from_ns + 1),
            class: "fault",
            text: fault.words(),
            name: fault.name(),
            more: of_fault(fault),
        });
    }
    for (_, name, process) in block.watched() {
        if let Some(death) = process.death() {
            all.push(Happening {
                from_ns: death.mono_ns,
                to_ns: death.mono_ns,
                class: "death",
                text: format!("{name} died ({})", death.exit.cause()),
                name: format!("{name} died"),
                more: String::new(),
            });
        }
    }
    all
}

/// Connections that are named one by one.
const MOST_NAMED: usize = 12;

/// What a fault touched, with the first of the connections.
fn of_fault(fault: &FaultEvidence) -> String {
    let Some(mut said) = fault.touched_words() else {
        return String::new();
    };
    let named: Vec<String> = fault
        .touched
        .iter()
        .flat_map(|touch| &touch.named)
        .map(|one| format!("{} #{}", one.link, one.connection))
        .collect();
    if !named.is_empty() {
        said.push_str(&format!(
            ": {}",
            number::first_few(&named, MOST_NAMED).join(", ")
        ));
    }
    said
}
