//! What must not happen in a scenario that goes on for long, watched while it does.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use service::units::{Size, format_duration};

use super::Scenario;

/// Shortest time that a scenario can be given: shorter, there is no time between faults.
pub const SHORTEST: Duration = Duration::from_secs(10);

/// Before its end nothing is done on purpose any more, so that it is seen to recover.
const CALM_END: Duration = Duration::from_secs(5);

/// How much longer than its clients a block may take.
const TIMEOUT_ROOM: Duration = Duration::from_secs(120);

/// The invariants of a scenario. A block ends at the first that is broken. Wrong answers
/// and deaths are among them without a word.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Watch {
    /// How long after a fault a load may still fail.
    #[serde(with = "service::units::duration")]
    pub recovery: Duration,
    /// How long a process may answer no probe, apart from faults.
    #[serde(with = "service::units::duration")]
    pub silent: Duration,
    /// The time of which the lowest use of a process is taken: longer than any fault.
    #[serde(with = "service::units::duration")]
    pub window: Duration,
    /// How much more memory a process may have at its lowest than at its highest in the
    /// first window, beside half as much again.
    pub memory: Size,
    /// The same for descriptors.
    pub descriptors: u64,
    /// The same for threads.
    pub threads: u64,
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            recovery: Duration::from_secs(3),
            silent: Duration::from_secs(5),
            window: Duration::from_secs(30),
            memory: Size(32 << 20),
            descriptors: 64,
            threads: 8,
        }
    }
}

impl Scenario {
    /// What of `[watch]` makes no sense, by its key.
    pub(super) fn check_watch(&self) -> Result<(), (&'static str, String)> {
        let Some(watch) = &self.watch else {
            return Ok(());
        };
        let times = [
            ("recovery", watch.recovery),
            ("silent", watch.silent),
            ("window", watch.window),
        ];
        match times.into_iter().find(|(_, time)| time.is_zero()) {
            Some((key, _)) => Err((key, "expected more than 0".to_owned())),
            None => Ok(()),
        }
    }

    /// The same scenario for so long: loads last longer, faults and garbage come more often.
    ///
    /// # Errors
    /// That it is not made for that, or that the time is too short.
    pub fn lasting(&mut self, duration: Duration) -> Result<(), String> {
        if self.watch.is_none() {
            let name = &self.name;
            return Err(format!(
                "scenario {name:?} has its own duration, and no [watch]"
            ));
        }
        if duration < SHORTEST {
            let (least, got) = (format_duration(SHORTEST), format_duration(duration));
            return Err(format!(
                "expected {least} or more for each scenario, got {got}"
            ));
        }
        let times = |from: Duration, last: Duration, every: Duration| {
            let room = duration.saturating_sub(from + last + CALM_END);
            let more = room.as_millis() / every.as_millis().max(1);
            u32::try_from(more + 1).unwrap_or(u32::MAX)
        };
        for load in &mut self.load {
            load.duration = duration.saturating_sub(load.start + load.warmup);
        }
        for fault in &mut self.fault {
            if fault.nemesis.is_some() {
                fault.lasts = duration.saturating_sub(fault.at + CALM_END);
            } else if !fault.every.is_zero() {
                fault.times = Some(times(fault.at, fault.lasts, fault.every).max(2));
            }
        }
        for fuzz in &mut self.fuzz {
            if !fuzz.every.is_zero() {
                fuzz.times = Some(times(fuzz.start, fuzz.duration, fuzz.every));
            }
            if fuzz.times == Some(1) {
                (fuzz.times, fuzz.every) = (None, Duration::ZERO);
            }
        }
        // What would come after the end does not come.
        let is_in_time = |start: Duration| start + CALM_END < duration;
        self.fuzz.retain(|fuzz| is_in_time(fuzz.start));
        self.timeout = duration + TIMEOUT_ROOM;
        Ok(())
    }

    /// How long its clients and faults take.
    #[must_use]
    pub fn length(&self) -> Duration {
        let loads = self.load.iter();
        let loads = loads.map(|load| load.start + load.warmup + load.duration);
        let fuzzes = self.fuzz.iter();
        let fuzzes = fuzzes.map(|fuzz| {
            let more = fuzz.every * (fuzz.times.unwrap_or(1) - 1);
            fuzz.start + more + fuzz.duration
        });
        loads.chain(fuzzes).max().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    const SOAK: &str = r#"
        name = "a"
        [watch]
        [[load]]
        rate = "1k/s"
        start = "1s"
        warmup = "0"
        duration = "20s"
        [[fuzz]]
        start = "2s"
        duration = "1s"
        every = "10s"
        times = 2
        [[fault]]
        at = "2s"
        for = "10s"
        every = "1s"
        nemesis = "random"
        links = ["client-proxy"]
    "#;

    #[test]
    fn everything_grows_with_the_time() {
        let soak = || parse::text(SOAK, "s.toml").unwrap();
        let mut longer = soak();
        longer.lasting(Duration::from_secs(60)).unwrap();
        assert_eq!(longer.length(), Duration::from_secs(60));
        assert_eq!(longer.fault[0].lasts, Duration::from_secs(53));
        assert_eq!(longer.fuzz[0].times, Some(6));
        let mut shortest = soak();
        shortest.lasting(SHORTEST).unwrap();
        assert_eq!(shortest.fuzz[0].times, None);
        assert!(soak().lasting(Duration::from_secs(9)).is_err());
        let mut other = soak();
        other.watch = None;
        assert!(other.lasting(Duration::from_secs(60)).is_err());
    }

    #[test]
    fn growth_has_bounds_of_its_own() {
        let written = SOAK.replace("[watch]", "[watch]\nmemory = \"1MiB\"");
        let watch = parse::text(&written, "s.toml").unwrap().watch.unwrap();
        assert_eq!((watch.memory, watch.threads), (Size(1 << 20), 8));
        let never = SOAK.replace("[watch]", "[watch]\nwindow = \"0\"");
        let said = parse::text(&never, "s.toml").unwrap_err().to_string();
        assert!(said.contains("window: expected more than 0"), "{said}");
    }
}
