//! The report on stdout.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::chart::{draw, micros};
use crate::histograms::{Histogram, P99_9_SAMPLES};
use crate::plan::{Mode, Plan};
use crate::record::{Bulk, Counts, Idle, LoadRecord, Percentiles, Statsd, Udp};
use crate::stride::Stride;

/// What is about to run, in one line.
pub(crate) fn headline(program: &str, target: &str, plan: &Plan) -> String {
    let load = match plan.mode {
        Mode::Open { rate, .. } => {
            let rate = plan.own_rate().unwrap_or(rate);
            format!("open loop, {} requests/s", grouped(rate as u64))
        }
        Mode::Closed => "closed loop".to_owned(),
        Mode::Max => "as fast as answered".to_owned(),
    };
    let shard = match plan.part {
        Stride { step: 1, .. } => String::new(),
        Stride { first, step } => format!("shard {first} of {step}: "),
    };
    format!(
        "{program} → {target}: {shard}{load}, {} with up to {} open, {}, pacer {}, seed {}",
        plural(plan.own_connections() as u64, "connection"),
        plural(plan.pipeline as u64, "request"),
        plural(plan.threads as u64, "thread"),
        plan.pacer.name(),
        plan.seed,
    )
}

/// The whole report.
pub(crate) fn report(target: &str, record: &LoadRecord, response: &Histogram) -> String {
    let mut text = String::new();
    rate(&mut text, target, record);
    table(&mut text, record);
    counts(&mut text, &record.counts);
    if let Some(udp) = &record.udp {
        datagrams(&mut text, udp);
    }
    let _ = writeln!(text, "\nresponse time, {} answers", grouped(response.len()));
    text.push_str(&draw(response));
    verdict(&mut text, record);
    text
}

/// The whole report of a bulk transfer.
pub(crate) fn bulk_report(target: &str, record: &LoadRecord, bulk: &Bulk) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{target}  bulk {}  for {:.2} s",
        bulk.direction, record.measured_s
    );
    client(&mut text, record);
    for (name, bytes, rate) in [
        ("sent", bulk.bytes_sent, bulk.sent_gbit_per_s),
        ("received", bulk.bytes_received, bulk.received_gbit_per_s),
    ] {
        let bytes = grouped(bytes);
        let _ = writeln!(text, "{name:<9}{bytes:>20} bytes {rate:>9.3} Gbit/s");
    }
    if bulk.wrong_bytes > 0 {
        let _ = writeln!(
            text,
            "{} wrong bytes, the first at {}",
            grouped(bulk.wrong_bytes),
            grouped(bulk.first_wrong_at.unwrap_or(0)),
        );
    }
    if bulk.missing_bytes > 0 {
        let missing = grouped(bulk.missing_bytes);
        let _ = writeln!(text, "{missing} bytes never came");
    }
    counts(&mut text, &record.counts);
    verdict(&mut text, record);
    text
}

/// The whole report of statsd lines.
pub(crate) fn statsd_report(target: &str, record: &LoadRecord, statsd: &Statsd) -> String {
    let mut text = String::new();
    let asked = record
        .target_rate
        .map_or_else(String::new, |rate| format!(" of {}", grouped(rate as u64)));
    let _ = writeln!(
        text,
        "{target}  {} {}  {}{asked} lines/s for {:.2} s  (seed {})",
        statsd.transport,
        record.mode,
        grouped(record.achieved_rate.round() as u64),
        record.measured_s,
        record.seed,
    );
    client(&mut text, record);
    let rates = [
        ("lines", record.counts.sent, statsd.lines_per_s),
        ("datagrams", statsd.datagrams, statsd.datagrams_per_s),
        ("bytes", statsd.bytes, statsd.bytes_per_s),
    ];
    for (name, number, rate) in rates {
        let rate = grouped(rate.round() as u64);
        let _ = writeln!(text, "{name:<12}{:>16} {rate:>14} /s", grouped(number));
    }
    if record.target_rate.is_some() {
        let _ = writeln!(
            text,
            "{:<12}{:>11}{:>11}{:>11}{:>11}{:>11}{:>11}",
            "µs", "p50", "p90", "p99", "p99.9", "max", "mean"
        );
        percentile_row(&mut text, "send lag", &record.latency_us.send_lag);
    }
    let kinds: Vec<_> = statsd
        .not_sent
        .iter()
        .map(|(kind, lines)| format!("{} {kind}", grouped(*lines)))
        .collect();
    let _ = writeln!(
        text,
        "\nwarm-up included: {} numbers = {} sent + {} not sent{}{}",
        grouped(statsd.numbers),
        grouped(statsd.lines_total),
        grouped(statsd.not_sent.values().sum()),
        if kinds.is_empty() { "" } else { ": " },
        kinds.join(", "),
    );
    if statsd.datagrams_refused > 0 {
        let _ = writeln!(
            text,
            "at least {} datagrams came back: nobody listens there",
            grouped(statsd.datagrams_refused)
        );
    }
    for (name, kinds) in [
        ("connections not opened", &record.counts.connect_failed),
        ("connections broken", &record.counts.connections_broken),
    ] {
        named(&mut text, name, kinds);
    }
    verdict(&mut text, record);
    text
}

fn rate(text: &mut String, target: &str, record: &LoadRecord) {
    let asked = record
        .target_rate
        .map_or_else(String::new, |rate| format!(" of {}", grouped(rate as u64)));
    let _ = writeln!(
        text,
        "{target}  {}  {}{asked} requests/s for {:.2} s  (seed {})",
        if record.mode == "max" {
            "as fast as answered".to_owned()
        } else {
            format!("{} loop", record.mode)
        },
        grouped(record.achieved_rate.round() as u64),
        record.measured_s,
        record.seed,
    );
    client(text, record);
}

fn client(text: &mut String, record: &LoadRecord) {
    let client = &record.client;
    let _ = writeln!(
        text,
        "client: {}, pacer {}, busiest worker {:.0} % of a core, {:.2} s CPU\n",
        plural(client.threads as u64, "thread"),
        client.pacer,
        client.busiest_worker * 100.0,
        client.cpu_s,
    );
}

fn table(text: &mut String, record: &LoadRecord) {
    let _ = writeln!(
        text,
        "{:<12}{:>11}{:>11}{:>11}{:>11}{:>11}{:>11}",
        "µs", "p50", "p90", "p99", "p99.9", "max", "mean"
    );
    let latency = &record.latency_us;
    let mut rows = vec![("response", &latency.response)];
    if record.target_rate.is_some() {
        rows.push(("send lag", &latency.send_lag));
    }
    if latency.service != latency.response {
        rows.insert(1, ("service", &latency.service));
    }
    rows.push(("connect", &latency.connect));
    if latency.handshake.count > 0 {
        rows.push(("handshake", &latency.handshake));
    }
    if let Some(floor) = &record.client.floor_us {
        rows.push(("own floor", floor));
    }
    for (name, row) in &rows {
        percentile_row(text, name, row);
    }
    if rows
        .iter()
        .any(|(_, row)| row.count > 0 && row.p99_9.is_none())
    {
        let _ = writeln!(
            text,
            "few: too few samples, at least {} are needed",
            grouped(P99_9_SAMPLES)
        );
    }
}

fn percentile_row(text: &mut String, name: &str, row: &Percentiles) {
    let cell = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |us| micros(us * 1e3));
    let p99_9 = if row.count > 0 && row.p99_9.is_none() {
        "few".to_owned()
    } else {
        cell(row.p99_9)
    };
    let _ = writeln!(
        text,
        "{name:<12}{:>11}{:>11}{:>11}{p99_9:>11}{:>11}{:>11}",
        cell(row.p50),
        cell(row.p90),
        cell(row.p99),
        cell(row.max),
        cell(row.mean),
    );
}

fn counts(text: &mut String, counts: &Counts) {
    let _ = writeln!(
        text,
        "\n{} sent = {} acked + {} naked + {} failed + {} unanswered",
        grouped(counts.sent),
        grouped(counts.acked),
        grouped(counts.naked),
        grouped(counts.failed_total()),
        grouped(counts.unanswered),
    );
    if counts.never_written > 0 {
        let never = grouped(counts.never_written);
        let _ = writeln!(text, "{never} due, but never written");
    }
    for (name, kinds) in [
        ("failed", &counts.failed),
        ("answers to nothing", &counts.extra_answers),
        ("connections not opened", &counts.connect_failed),
        ("connections broken", &counts.connections_broken),
    ] {
        named(text, name, kinds);
    }
    let _ = writeln!(text, "{} opened", plural(counts.connections, "connection"));
    if let Some(idle) = &counts.idle {
        idle_connections(text, idle);
    }
}

/// What datagrams came to, without kinds that did not occur.
fn datagrams(text: &mut String, udp: &Udp) {
    let _ = write!(
        text,
        "warm-up included: {} datagrams sent = {} returned + {} lost",
        grouped(udp.sent),
        grouped(udp.returned),
        grouped(udp.lost),
    );
    for (number, what) in [
        (udp.late, "late"),
        (udp.reordered, "reordered"),
        (udp.duplicated, "duplicated"),
        (udp.corrupted, "corrupted"),
        (udp.misrouted, "misrouted"),
        (udp.unexpected, "unexpected"),
    ] {
        if number > 0 {
            let _ = write!(text, "; {} {what}", grouped(number));
        }
    }
    text.push('\n');
    named(text, "not sent", &udp.not_sent);
    if udp.datagrams_refused > 0 {
        let _ = writeln!(
            text,
            "at least {} datagrams came back: nobody listens there",
            grouped(udp.datagrams_refused)
        );
    }
}

fn named(text: &mut String, name: &str, kinds: &BTreeMap<String, u64>) {
    if kinds.is_empty() {
        return;
    }
    let kinds: Vec<_> = kinds
        .iter()
        .map(|(kind, n)| format!("{} {kind}", grouped(*n)))
        .collect();
    let _ = writeln!(text, "{name}: {}", kinds.join(", "));
}

fn idle_connections(text: &mut String, idle: &Idle) {
    let _ = write!(
        text,
        "{} of {} idle connections opened, {} open at the end, {} answered",
        grouped(idle.opened),
        grouped(idle.asked),
        grouped(idle.open_at_end),
        grouped(idle.answered),
    );
    for (kind, number) in idle.connect_failed.iter().chain(&idle.failed) {
        let _ = write!(text, ", {} {kind}", grouped(*number));
    }
    text.push('\n');
}

fn verdict(text: &mut String, record: &LoadRecord) {
    text.push('\n');
    for note in &record.notes {
        let _ = writeln!(text, "note: {note}");
    }
    if record.valid {
        text.push_str("valid\n");
    }
    for reason in &record.invalid_reasons {
        let _ = writeln!(text, "INVALID: {reason}");
    }
}

/// A number of things.
fn plural(number: u64, thing: &str) -> String {
    format!(
        "{} {thing}{}",
        grouped(number),
        if number == 1 { "" } else { "s" }
    )
}

/// A number with separators between thousands.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
