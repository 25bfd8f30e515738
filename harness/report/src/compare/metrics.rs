//! What is compared of two versions, and how much of it matters.

use crate::bound::Metric;

/// What is compared, in the order in which it is shown.
pub const COMPARED: [Metric; 9] = [
    Metric::P50,
    Metric::P99,
    Metric::P99_9,
    Metric::Rate,
    Metric::CpuPerMsg,
    Metric::Throughput,
    Metric::BitsPerCpuSecond,
    Metric::LinesPerCpuSecond,
    Metric::PeakMemory,
];

/// What is judged in an open loop; in a closed one, those of them that are not latency.
pub const JUDGED: [Metric; 8] = [
    Metric::P50,
    Metric::P99,
    Metric::Rate,
    Metric::CpuPerMsg,
    Metric::Throughput,
    Metric::BitsPerCpuSecond,
    Metric::LinesPerCpuSecond,
    Metric::PeakMemory,
];

/// What a load is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadKind {
    /// Messages that are answered.
    Messages,
    /// Bytes as fast as they go.
    Bulk,
    /// Lines of statsd, which nobody answers.
    Lines,
}

/// Whether a figure is known of a load: a bulk transfer has no requests to be counted or
/// timed, and lines have no answers.
#[must_use]
pub fn is_known_of(metric: Metric, kind: LoadKind) -> bool {
    match metric {
        Metric::PeakMemory => true,
        Metric::Throughput | Metric::BitsPerCpuSecond => kind == LoadKind::Bulk,
        Metric::LinesPerCpuSecond => kind == LoadKind::Lines,
        Metric::Rate => kind != LoadKind::Bulk,
        _ => kind == LoadKind::Messages,
    }
}

/// The change that matters: 0.05 means 5 % more, or as much less that 5 % more makes up
/// for it. The tails of a distribution and the memory of a process vary more.
#[must_use]
pub fn margin(metric: Metric) -> f64 {
    match metric {
        Metric::P50
        | Metric::Rate
        | Metric::CpuPerMsg
        | Metric::Throughput
        | Metric::BitsPerCpuSecond
        | Metric::LinesPerCpuSecond => 0.05,
        _ => 0.10,
    }
}

/// Whether a verdict on it counts. One request in a thousand is for information, and a
/// closed loop, in which every slow answer delays the next request, claims no latency.
#[must_use]
pub fn is_judged(metric: Metric, is_open_loop: bool) -> bool {
    JUDGED.contains(&metric) && (is_open_loop || metric.quantile().is_none())
}

/// Whether a larger value is the worse one.
#[must_use]
pub fn more_is_worse(metric: Metric) -> bool {
    !matches!(
        metric,
        Metric::Rate | Metric::Throughput | Metric::BitsPerCpuSecond | Metric::LinesPerCpuSecond
    )
}
