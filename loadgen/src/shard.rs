//! A part of a load that several machines send together: every n-th slot of one schedule,
//! over every n-th connection, from one moment on.
//!
//! [`engine`] says which part this is, `rendezvous` agrees on the moment if that is wanted,
//! `clock` says how far it can be trusted; what came of all is entered in the record here.

mod clock;
pub(crate) mod engine;
mod rendezvous;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use service::units::format_duration;

use self::clock::wall_clock;
use self::engine::Place;
use crate::args::StartAt;
use crate::plan::nanos;
use crate::record::{LoadRecord, Shard};
use crate::stop::StopFlag;
use crate::stride::Stride;

/// A shard.
#[derive(Clone, Debug)]
pub(crate) struct ShardPlan {
    /// Which it is.
    pub(crate) place: Place,
    /// When it starts, as it was asked for.
    pub(crate) start_at: StartAt,
    /// The same in nanoseconds of the Unix epoch.
    pub(crate) start_unix_ns: u64,
    /// How late it may be.
    pub(crate) start_within: Duration,
    /// Where its record goes.
    pub(crate) out: PathBuf,
}

impl ShardPlan {
    /// What of the whole it does.
    pub(crate) fn part(&self) -> Stride {
        Stride::ALL.part(self.place.index, self.place.count)
    }

    /// Agrees with the others on the start, if they are to start together. False if it was
    /// asked to stop before.
    ///
    /// # Errors
    /// That not all came, or what the system said.
    pub(crate) fn meet(&mut self, stop: &StopFlag) -> io::Result<bool> {
        let StartAt::Together(ahead) = self.start_at else {
            return Ok(true);
        };
        let longest = rendezvous::LONGEST;
        let moment = rendezvous::meet(&self.place, &self.out, ahead, longest, stop)?;
        self.start_unix_ns = moment.unwrap_or(self.start_unix_ns);
        Ok(moment.is_some())
    }

    /// Whether the others are to be waited for.
    pub(crate) fn awaits_others(&self) -> bool {
        matches!(self.start_at, StartAt::Together(_))
    }

    /// The file of its record.
    pub(crate) fn file(&self) -> PathBuf {
        self.out
            .join(Shard::file_name(self.place.index, self.place.count))
    }

    /// Enters it in the record of its run, which came `late_ns` too late to its start and
    /// had so many `slots`; a run that `stopped` early is no part of the whole.
    pub(crate) fn enter(
        &self,
        record: &mut LoadRecord,
        late_ns: u64,
        slots: Option<u64>,
        stopped: bool,
    ) {
        let shard = Shard {
            index: self.place.index,
            count: self.place.count,
            told_by: self.place.told_by.clone(),
            host: host(),
            start_unix_ns: self.start_unix_ns,
            late_ns,
            late_allowed_ns: nanos(self.start_within),
            clock: wall_clock(),
            slots,
        };
        record.notes.extend(self.notes(&shard));
        record.invalid_reasons.extend(self.invalid_reasons(&shard));
        if stopped {
            record
                .invalid_reasons
                .push("stopped early: the other shards went on".to_owned());
        }
        record.valid = record.invalid_reasons.is_empty();
        record.shard = Some(shard);
    }

    fn notes(&self, shard: &Shard) -> Vec<String> {
        let mut notes = vec![];
        if (1..=shard.late_allowed_ns).contains(&shard.late_ns) {
            notes.push(format!(
                "ready {} after the start: what was due until then was sent at once",
                rounded(shard.late_ns)
            ));
        }
        match shard.clock.max_error_us {
            None => notes.push(format!(
                "nothing keeps the wall clock of {} in step: on other machines the start may \
                 have been at another moment",
                shard.host
            )),
            Some(error) if error.saturating_mul(1_000) > shard.late_allowed_ns => {
                notes.push(format!(
                    "the wall clock of {} may be off by {}: on other machines the start may have \
                     been as much earlier or later",
                    shard.host,
                    rounded(error.saturating_mul(1_000))
                ));
            }
            Some(_) => {}
        }
        notes
    }

    fn invalid_reasons(&self, shard: &Shard) -> Option<String> {
        (shard.late_ns > shard.late_allowed_ns).then(|| {
            format!(
                "ready {} after the start at {}: at most {} are allowed (--start-within)",
                rounded(shard.late_ns),
                StartAt::Unix(self.start_unix_ns),
                format_duration(self.start_within),
            )
        })
    }
}

/// A time with the digits that say something.
fn rounded(nanos: u64) -> String {
    let time = Duration::from_nanos(nanos);
    if time < Duration::from_secs(1) {
        format!("{:.3} ms", time.as_secs_f64() * 1e3)
    } else {
        format!("{:.2} s", time.as_secs_f64())
    }
}

/// The name of this machine.
fn host() -> String {
    let name = rustix::system::uname();
    name.nodename().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(index: u64, count: u64) -> ShardPlan {
        ShardPlan {
            place: Place {
                index,
                count,
                told_by: "--shard".to_owned(),
            },
            start_at: StartAt::Unix(1_500_000_000),
            start_unix_ns: 1_500_000_000,
            start_within: Duration::from_millis(100),
            out: PathBuf::from("out"),
        }
    }

    #[test]
    fn files_sort_by_number() {
        let name = |index, count| shard(index, count).file().display().to_string();
        assert_eq!(name(2, 4), "out/shard-2-of-4.json");
        assert_eq!(name(7, 1_000), "out/shard-0007-of-1000.json");
        assert_eq!(name(999, 1_000), "out/shard-0999-of-1000.json");
    }

    #[test]
    fn a_shard_may_be_late_only_so_much() {
        let told = |late_ns| {
            let shard = shard(1, 4);
            let seen = Shard {
                late_ns,
                late_allowed_ns: 100_000_000,
                clock: crate::record::WallClock {
                    synchronised: true,
                    max_error_us: Some(5),
                    estimated_error_us: Some(1),
                },
                ..Shard::default()
            };
            (shard.notes(&seen), shard.invalid_reasons(&seen))
        };
        assert_eq!(told(0), (vec![], None));
        let (notes, reason) = told(100_000_000);
        assert!(
            notes[0].contains("ready 100.000 ms after the start"),
            "{notes:?}"
        );
        assert_eq!(reason, None);
        let (notes, reason) = told(1_210_000_000);
        assert_eq!(notes, [""; 0]);
        assert_eq!(
            reason.as_deref(),
            Some("ready 1.21 s after the start at 1.5: at most 100ms are allowed (--start-within)")
        );
    }

    #[test]
    fn a_clock_that_nobody_keeps_is_told() {
        let shard = shard(1, 4);
        let mut seen = Shard {
            host: "node-7".to_owned(),
            late_allowed_ns: 100_000_000,
            ..Shard::default()
        };
        assert!(shard.notes(&seen)[0].contains("nothing keeps the wall clock of node-7"));
        seen.clock.max_error_us = Some(250_000);
        assert!(shard.notes(&seen)[0].contains("node-7 may be off by 250.000 ms"));
    }
}
