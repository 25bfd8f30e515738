//! What a run leaves behind: plain data, written as JSON, read back by whoever judges.
//!
//! Times are microseconds (`_us`), seconds (`_s`) or nanoseconds of the host's monotonic
//! clock (`_mono_ns`). Histograms are HdrHistogram V2 with deflate, base64 (`HISTF…`),
//! in nanoseconds, 3 significant digits, from 1 ns to 1 h.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Version of this record. It grows when a field changes its meaning or goes away.
pub const SCHEMA_VERSION: u32 = 1;

/// The record of one run of the load client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoadRecord {
    /// See [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// What was asked for: every flag by its long name, defaults included.
    pub config: BTreeMap<String, serde_json::Value>,
    /// All randomness of the run comes from here.
    pub seed: u64,
    /// `open`, `closed` or `max`.
    pub mode: String,
    /// Whether the figures may be judged.
    pub valid: bool,
    /// Why not: one sentence each.
    pub invalid_reasons: Vec<String>,
    /// What to know when reading the figures, such as that a closed loop hides waiting.
    pub notes: Vec<String>,
    /// Requests per second asked for; none in a closed loop.
    pub target_rate: Option<f64>,
    /// Requests per second sent while measuring.
    pub achieved_rate: f64,
    /// Wall-clock start of measuring.
    pub started_unix_ms: u64,
    /// Monotonic start of measuring.
    pub started_mono_ns: u64,
    /// Time measured, without warm-up.
    pub measured_s: f64,
    /// Time before that, with traffic that was not recorded.
    pub warmup_s: f64,
    /// What happened to the requests.
    pub counts: Counts,
    /// Percentiles.
    pub latency_us: Latencies,
    /// The histograms behind them, by name.
    pub histograms: BTreeMap<String, String>,
    /// The run in slices of time.
    pub intervals: Vec<Interval>,
    /// The load client itself.
    pub client: Client,
    /// A bulk transfer, if that is what was run. Each connection counts as one request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bulk: Option<Bulk>,
    /// Statsd lines, if that is what was sent. Each line counts as one request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statsd: Option<Statsd>,
    /// Datagrams that come back, if that is what was sent. Each counts as one request, and
    /// as acked if it came back in time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub udp: Option<Udp>,
    /// Which part of one schedule this is, if other clients send the rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<Shard>,
    /// The parts, if this is the record of a whole that was put together from them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shards: Vec<ShardFigures>,
}

/// Shard `index` of `count` sends the slots `k ≡ index (mod count)` of the one global
/// schedule, over the connections `c ≡ index (mod count)`. Rates, requests and
/// connections in `config` are those of the whole; `target_rate` is the shard's own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Shard {
    /// Its number, from 0.
    pub index: u64,
    /// How many there are.
    pub count: u64,
    /// Where number and count were read: `--shard`, or variables of the environment such
    /// as `SLURM_PROCID`.
    pub told_by: String,
    /// The name of its machine.
    pub host: String,
    /// When it was to start, nanoseconds of the Unix epoch: slot 0 is due then.
    pub start_unix_ns: u64,
    /// By how much it was ready later than that; 0 if it was in time.
    pub late_ns: u64,
    /// How late it may be: beyond, the run is invalid.
    pub late_allowed_ns: u64,
    /// What the kernel says of its wall clock.
    pub clock: WallClock,
    /// Slots of its share that were due while measuring; none in a closed loop.
    pub slots: Option<u64>,
}

impl Shard {
    /// The name of the record of shard `index` of `count`, both as wide as `count`, so that
    /// names sort as numbers do.
    #[must_use]
    pub fn file_name(index: u64, count: u64) -> String {
        let width = count.to_string().len();
        format!("shard-{index:0width$}-of-{count}.json")
    }
}

/// How far a wall clock can be trusted, as `adjtimex` tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WallClock {
    /// Whether something keeps it in step with other clocks.
    pub synchronised: bool,
    /// How far off it can be at most, in microseconds; none if nobody knows.
    pub max_error_us: Option<u64>,
    /// How far off it is thought to be, in microseconds; none if nobody knows.
    pub estimated_error_us: Option<u64>,
}

/// What one shard contributed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ShardFigures {
    /// Which it was.
    #[serde(flatten)]
    pub shard: Shard,
    /// Its record's file.
    pub file: String,
    /// Requests written.
    pub sent: u64,
    /// Good answers, ACK and NAK.
    pub answered: u64,
    /// Requests that failed or were left without an answer.
    pub failed: u64,
    /// Requests per second sent while measuring.
    pub achieved_rate: f64,
    /// Its response times.
    pub response_us: Percentiles,
    /// How late it came to its due slots.
    pub send_lag_us: Percentiles,
    /// Worker threads.
    pub threads: usize,
    /// Largest share of its core that a worker was busy, spinning apart.
    pub busiest_worker: f64,
}

/// What datagrams came to, warm-up included; `counts` is about those that were due while
/// measuring. `sent = returned + lost` and
/// `received = returned + duplicated + corrupted + misrouted + unexpected` always hold.
///
/// The record of `upstream udp-echo` has the same clients: of those with the number `n`,
/// `sent - distinct` were lost on the way there (and those that it counts as corrupted),
/// `distinct - returned` on the way back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Udp {
    /// How the datagrams name this run, and the server's record as well: 8 hexadecimal
    /// digits.
    pub run: String,
    /// Datagrams handed to the system.
    pub sent: u64,
    /// Their bytes.
    pub bytes_sent: u64,
    /// Datagrams that the system did not take, by kind: `refused` (an earlier one had come
    /// back), `no_buffer`, `would_block`, `too_long`, `unreachable`, `other`. They have
    /// numbers, too.
    pub not_sent: BTreeMap<String, u64>,
    /// Datagrams read.
    pub received: u64,
    /// Different datagrams that came back as they were, in time or late.
    pub returned: u64,
    /// Datagrams that never did: lost on either way, or damaged.
    pub lost: u64,
    /// Of `returned`, those that counted as lost by then.
    pub late: u64,
    /// Of `returned`, those that came after one with a higher number of the same socket
    /// (RFC 4737). That is no failure.
    pub reordered: u64,
    /// Datagrams that had come back before. One that is later than the 65,536 last losses
    /// of its socket is taken for one as well.
    pub duplicated: u64,
    /// Datagrams that were damaged: their check is wrong.
    pub corrupted: u64,
    /// Datagrams of another socket of this run.
    pub misrouted: u64,
    /// Datagrams that were not sent in this run, or are no longer recognised.
    pub unexpected: u64,
    /// Datagrams that the target's host sent back, because nobody listens there: those
    /// that were heard of, which is not all of them. They count as sent.
    pub datagrams_refused: u64,
    /// Answers that the kernel dropped because our sockets had no room. The run is invalid
    /// then.
    pub kernel_drops: u64,
    /// Whether datagrams of one size left in one piece that the kernel cuts up.
    pub segmentation: bool,
    /// By socket, as `RUN.CLIENT`.
    pub clients: BTreeMap<String, UdpClient>,
}

/// The datagrams of one socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UdpClient {
    /// Sequence numbers used: from 0 to one less.
    pub numbers: u64,
    /// Datagrams handed to the system.
    pub sent: u64,
    /// Different ones that came back as they were.
    pub returned: u64,
    /// Of these, those that counted as lost by then.
    pub late: u64,
    /// Of these, those that came after one with a higher number.
    pub reordered: u64,
    /// Datagrams that had come back before.
    pub duplicated: u64,
}

/// What a bulk transfer came to; bytes and rates are those of the time measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Bulk {
    /// `send`, `receive`, `both` or `echo`.
    pub direction: String,
    /// Bytes written.
    pub bytes_sent: u64,
    /// Bytes read.
    pub bytes_received: u64,
    /// Bytes written per second.
    pub sent_bytes_per_s: f64,
    /// Bytes read per second.
    pub received_bytes_per_s: f64,
    /// The same in Gbit/s.
    pub sent_gbit_per_s: f64,
    /// The same in Gbit/s.
    pub received_gbit_per_s: f64,
    /// Bytes read that were not what belongs at their place, warm-up included.
    pub wrong_bytes: u64,
    /// Where the first of them was in its connection's stream.
    pub first_wrong_at: Option<u64>,
    /// Bytes that should have come back and did not before the target ended.
    pub missing_bytes: u64,
}

/// What statsd lines came to. Line number `n` has the value `n`: the sequence numbers of
/// a run are 0 to `numbers - 1`, warm-up included, over all threads, each used once.
/// `lines_total + Σ not_sent = numbers` always holds. The numbers of a shard are those of
/// its slots, so that the numbers of all shards together are 0 to the sum of their `numbers`
/// less one; at the most that a socket takes there are no slots, and only no number is used
/// twice.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Statsd {
    /// What all keys begin with, before the dot.
    pub sender: String,
    /// `udp` or `tcp`.
    pub transport: String,
    /// Lines handed to the system in the whole run, warm-up included.
    pub lines_total: u64,
    /// Datagrams handed to the system in the whole run; none over TCP.
    pub datagrams_total: u64,
    /// Their bytes, line ends included.
    pub bytes_total: u64,
    /// How many sequence numbers were used in the whole run.
    pub numbers: u64,
    /// Lines that the system did not take in the whole run, by kind. UDP: `refused` (an
    /// earlier datagram had come back), `no_buffer`, `would_block`, `too_long`,
    /// `unreachable`, `other`. TCP: `no_connection`, `broken` (the connection ended with
    /// the line unwritten), `no_room` (too much waited, or it was not written by the end).
    pub not_sent: BTreeMap<String, u64>,
    /// Their sequence numbers: first and last of each range, ascending.
    pub not_sent_ranges: Vec<[u64; 2]>,
    /// Whether that is all of them: there may be too many ranges to tell.
    pub not_sent_ranges_complete: bool,
    /// Datagrams that the target's host sent back, because nobody listens there: those
    /// that were heard of, which is not all of them. They count as sent.
    pub datagrams_refused: u64,
    /// Lines in each datagram at most; over TCP, lines that are due together.
    pub lines_per_datagram: u64,
    /// Bytes in each datagram at most.
    pub mtu: u64,
    /// Distinct keys.
    pub keys: u64,
    /// `uniform` or `zipf:S`.
    pub popularity: String,
    /// Types of metric, in turn.
    pub types: Vec<String>,
    /// Datagrams handed to the system while measuring.
    pub datagrams: u64,
    /// Bytes handed to the system while measuring.
    pub bytes: u64,
    /// Lines per second while measuring.
    pub lines_per_s: f64,
    /// Datagrams per second while measuring.
    pub datagrams_per_s: f64,
    /// Bytes per second while measuring.
    pub bytes_per_s: f64,
    /// Whether datagrams of one size left in one piece that the kernel cuts up.
    pub segmentation: bool,
}

/// What happened to the requests of a run.
/// `sent = acked + naked + failed + unanswered + one_way` always holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Requests written.
    pub sent: u64,
    /// Answered as they should be, with ACK.
    pub acked: u64,
    /// Answered as they should be, with NAK.
    pub naked: u64,
    /// Failed, by kind: `lost`, `duplicated`, `reordered`, `misrouted`, `corrupted`,
    /// `unexpected`, `reset`, `closed`, …; kinds that did not occur may be absent.
    pub failed: BTreeMap<String, u64>,
    /// Without an answer when the run ended.
    pub unanswered: u64,
    /// Sent, and nobody answers such: statsd lines.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub one_way: u64,
    /// Due, but never written, because the target left no place for them: every connection
    /// was full, blocked or gone, or the one that was to be opened for them could not be.
    /// One-way load: what the system did not take.
    /// Not part of `sent`.
    #[serde(default)]
    pub never_written: u64,
    /// Answers to requests that were settled already, or to none: not part of the sum.
    pub extra_answers: BTreeMap<String, u64>,
    /// Connections opened.
    pub connections: u64,
    /// Connections that could not be opened, by kind. No request was sent on them.
    pub connect_failed: BTreeMap<String, u64>,
    /// Connections that ended as planned.
    #[serde(default)]
    pub connections_completed: u64,
    /// Connections that the target ended while no request was open: no failure by itself.
    #[serde(default)]
    pub connections_closed_idle: u64,
    /// Connections that were open and failed, by kind: `reset_before_byte`, `reset`,
    /// `closed_before_byte`, `closed_early`, `no_end`, `spoilt`.
    #[serde(default)]
    pub connections_broken: BTreeMap<String, u64>,
    /// Connections that sent nothing during the run, if any were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle: Option<Idle>,
}

/// Connections that were opened before the run and sent nothing during it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Idle {
    /// Connections asked for.
    pub asked: u64,
    /// Opened.
    pub opened: u64,
    /// Those that could not be opened, by kind.
    pub connect_failed: BTreeMap<String, u64>,
    /// Still open when the run ended.
    pub open_at_end: u64,
    /// Checked by an echo at the end, and it came back rightly.
    pub answered: u64,
    /// Lost during the run or wrong when checked, by kind: `reset`, `closed`, `timeout`,
    /// `corrupted`, `unexpected`.
    pub failed: BTreeMap<String, u64>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Counts {
    /// Requests that failed, of any kind.
    #[must_use]
    pub fn failed_total(&self) -> u64 {
        self.failed.values().sum()
    }
}

/// The measured times.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Latencies {
    /// From the moment a request was due to its answer: what a user would have waited.
    pub response: Percentiles,
    /// From the write of a request to its answer.
    pub service: Percentiles,
    /// How late the client itself came to a due request.
    pub send_lag: Percentiles,
    /// From `connect` to an open connection.
    pub connect: Percentiles,
    /// From an open connection to an agreement on TLS.
    #[serde(default)]
    pub handshake: Percentiles,
}

/// Percentiles of one measured time, in microseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Percentiles {
    /// Samples.
    pub count: u64,
    /// Median.
    pub p50: Option<f64>,
    /// 90th percentile.
    pub p90: Option<f64>,
    /// 99th percentile.
    pub p99: Option<f64>,
    /// 99.9th percentile; none with fewer than 10,000 samples.
    pub p99_9: Option<f64>,
    /// Largest sample.
    pub max: Option<f64>,
    /// Mean.
    pub mean: Option<f64>,
}

/// One slice of the run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Monotonic start of the slice.
    pub start_mono_ns: u64,
    /// Length of the slice.
    pub length_s: f64,
    /// Whether this slice belongs to the warm-up, and is not in the totals.
    pub warmup: bool,
    /// Requests written in it.
    pub sent: u64,
    /// Good answers received in it, ACK and NAK.
    pub answered: u64,
    /// Failures seen in it.
    pub failed: u64,
    /// The same by kind, and answers that belong to no open request; kinds that did not
    /// occur are absent. Bulk and statsd tell no kinds.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub failed_kinds: BTreeMap<String, u64>,
    /// Connections opened in it.
    #[serde(default)]
    pub connections_opened: u64,
    /// Connections that ended as planned in it.
    #[serde(default)]
    pub connections_completed: u64,
    /// Connections that could not be opened, or were open and failed, in it.
    #[serde(default)]
    pub connections_failed: u64,
    /// Bytes written in it; bulk and statsd only.
    #[serde(default)]
    pub bytes_sent: u64,
    /// Bytes read in it; bulk only.
    #[serde(default)]
    pub bytes_received: u64,
    /// Median response time of the answers received in it.
    pub p50_us: Option<f64>,
    /// 99th percentile of the same.
    pub p99_us: Option<f64>,
    /// Largest of the same.
    pub max_us: Option<f64>,
    /// Response-time histogram of the slice.
    pub response: String,
}

/// The load client itself: whether it was the limit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Client {
    /// Worker threads.
    pub threads: usize,
    /// CPU time used while measuring, in seconds.
    pub cpu_s: f64,
    /// Largest share of its core that a worker was busy, spinning apart.
    pub busiest_worker: f64,
    /// The pacer in use: `sleep`, `hybrid` or `spin`; `none` in a closed loop.
    pub pacer: String,
    /// Service time of the same load against a built-in echo, just before the run: what
    /// the tool itself and this machine add.
    pub floor_us: Option<Percentiles>,
}

/// A line on `--events-fd`, while the run goes on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum LoadEvent {
    /// Warm-up is over; what follows counts.
    Measuring {
        /// When.
        mono_ns: u64,
    },
    /// A slice is over.
    Interval(Interval),
    /// The run is over; the record follows on `--json`.
    Done {
        /// When.
        mono_ns: u64,
    },
}
