//! `loadgen udp`, against echoes in this process that do as they are told.

mod bad_input;
pub(crate) mod echo;
mod integrity;
mod sending;

use std::net::SocketAddr;
use std::process::Output;

use loadgen::record::{LoadRecord, Udp};

use crate::program::{loadgen, record, run, shown};

/// What a run left behind.
pub(crate) struct Ran {
    pub(crate) output: Output,
    pub(crate) record: LoadRecord,
    pub(crate) udp: Udp,
}

impl Ran {
    /// How it ended and what it said.
    pub(crate) fn shown(&self) -> String {
        shown(&self.output)
    }

    /// All went well. A busy machine may make the run invalid; nothing may make it wrong.
    pub(crate) fn assert_went_well(&self) {
        let expected = if self.record.valid { 0 } else { 3 };
        assert_eq!(
            self.output.status.code(),
            Some(expected),
            "{}",
            self.shown()
        );
        assert_eq!(self.record.counts.sent, self.record.counts.acked);
        assert_eq!((self.udp.lost, self.udp.duplicated), (0, 0));
    }

    /// Datagrams that failed in this way.
    pub(crate) fn failed(&self, kind: &str) -> u64 {
        self.record.counts.failed.get(kind).copied().unwrap_or(0)
    }

    /// Datagrams of this kind that answered nothing.
    pub(crate) fn extra(&self, kind: &str) -> u64 {
        let extra = &self.record.counts.extra_answers;
        extra.get(kind).copied().unwrap_or(0)
    }
}

/// Runs `loadgen udp` with these words against `at`, without a warm-up, and reads its
/// record, which must be consistent in itself.
pub(crate) fn ran(at: SocketAddr, words: &str) -> Ran {
    let dir = tempfile::tempdir().expect("a directory");
    let json = dir.path().join("run.json");
    let words = format!("udp --connect {at} --warmup 0 --floor 0 --quiet {words}");
    let output = run(loadgen(&words).arg("--json").arg(&json));
    let record = record(&json);
    let udp = record.udp.clone().expect("what datagrams came to");
    let counts = &record.counts;
    assert_eq!(
        counts.sent,
        counts.acked + counts.failed_total() + counts.unanswered
    );
    assert_eq!(udp.sent, udp.returned + udp.lost);
    let told = udp.returned + udp.duplicated + udp.corrupted + udp.misrouted + udp.unexpected;
    assert_eq!(udp.received, told, "{udp:?}");
    assert_eq!(counts.sent, udp.sent, "there is no warm-up");
    let clients = udp.clients.values();
    let (numbers, sent) = clients.fold((0, 0), |(numbers, sent), client| {
        (numbers + client.numbers, sent + client.sent)
    });
    let not_sent: u64 = udp.not_sent.values().sum();
    assert_eq!((numbers, sent), (udp.sent + not_sent, udp.sent));
    Ran {
        output,
        record,
        udp,
    }
}
