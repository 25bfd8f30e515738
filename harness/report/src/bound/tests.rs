//! Bounds as they are written.

use super::*;

#[test]
fn bounds() {
    let cases = [
        ("p99 < 2ms", Metric::P99, Op::Less, 2_000.0),
        ("p99.9<=250us", Metric::P99_9, Op::AtMost, 250.0),
        ("throughput > 10Gbit/s", Metric::Throughput, Op::More, 10.0),
        (
            "bits_per_cpu_second >= 500 Mbit",
            Metric::BitsPerCpuSecond,
            Op::AtLeast,
            0.5,
        ),
        ("rate >= 20k/s", Metric::Rate, Op::AtLeast, 20_000.0),
        ("failed == 0", Metric::Failed, Op::Equal, 0.0),
        ("lost=0", Metric::Lost, Op::Equal, 0.0),
        (
            "peak_memory < 64MiB",
            Metric::PeakMemory,
            Op::Less,
            67_108_864.0,
        ),
        ("cpu_per_msg < 5us", Metric::CpuPerMsg, Op::Less, 5.0),
        ("error_rate < 1 %", Metric::ErrorRate, Op::Less, 1.0),
        ("lost_there<=0.5%", Metric::LostThere, Op::AtMost, 0.5),
        ("lost_back > 3", Metric::LostBack, Op::More, 3.0),
    ];
    for (text, metric, op, value) in cases {
        let bound: Bound = text.parse().unwrap();
        assert_eq!((bound.metric, bound.op), (metric, op), "{text}");
        assert!(
            (bound.value - value).abs() < 1e-9,
            "{text}: {}",
            bound.value
        );
        assert_eq!(bound.to_string().parse::<Bound>().unwrap(), bound);
    }
}

#[test]
fn what_is_wrong_is_named_with_what_is_accepted() {
    let cases = [
        ("p99", "METRIC OP VALUE"),
        ("p98 < 2ms", "accepted: p50, p90"),
        ("p99 < 2", "a duration such as"),
        ("p99 < 2 parsecs", "\"2 parsecs\""),
        ("failed = 1.5", "a whole number"),
        ("error_rate < 0.01", "a share such as"),
        ("lost < 101 %", "from 0 % to 100 %"),
        ("failed_connections < 1 %", "a whole number"),
        ("rate > fast", "20k/s"),
        ("peak_memory < 3 furlongs", "64KiB"),
    ];
    for (text, says) in cases {
        let error = text.parse::<Bound>().unwrap_err().to_string();
        assert!(error.contains(says), "{text}: {error}");
    }
}
