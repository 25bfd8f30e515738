//! What the programs that a scenario starts would refuse, so that it can be refused
//! before anything starts.

use std::time::Duration;

use loadgen::config::{MOST_PIPELINE, MOST_THREADS, SHORTEST_INTERVAL, most_connections};
use rustix::process::{Resource, getrlimit};
use service::units::format_duration;

use super::{Fuzz, Load, Scenario, fault};

/// Longest time that a block may take: the clock can always be set to its end.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(24 * 3600);

/// Most connections of a fuzz client.
const MOST_FUZZ_CONNECTIONS: u64 = 20_000;

/// A key, and what is accepted for it.
pub type Refused = (&'static str, String);

/// The first key of `load` that cannot be carried out.
///
/// # Errors
/// The key, and what is accepted.
pub fn load(load: &Load) -> Result<(), Refused> {
    let positive = [
        ("connections", u64::from(load.connections)),
        ("pipeline", u64::from(load.pipeline)),
        ("threads", load.threads.map_or(1, |threads| threads as u64)),
        (
            "requests_per_connection",
            load.requests_per_connection.map_or(1, u64::from),
        ),
    ];
    refuse_zero(&positive)?;
    refuse_no_time(&[("duration", load.duration), ("interval", load.interval)])?;
    at_most("pipeline", load.pipeline.into(), MOST_PIPELINE as u64)?;
    at_most("connections", load.connections.into(), descriptors_for())?;
    if let Some(threads) = load.threads {
        at_most("threads", threads as u64, MOST_THREADS as u64)?;
        if threads > load.connections as usize {
            return Err((
                "threads",
                format!(
                    "expected at most one for each of the {} connections, got {threads}",
                    load.connections
                ),
            ));
        }
    }
    if load.interval < SHORTEST_INTERVAL {
        return Err((
            "interval",
            format!(
                "expected at least {}, got {}",
                format_duration(SHORTEST_INTERVAL),
                format_duration(load.interval)
            ),
        ));
    }
    Ok(())
}

/// The first key of `fuzz` that cannot be carried out.
///
/// # Errors
/// The key, and what is accepted.
pub fn fuzz(fuzz: &Fuzz) -> Result<(), Refused> {
    refuse_zero(&[("connections", u64::from(fuzz.connections))])?;
    refuse_no_time(&[("duration", fuzz.duration)])?;
    let most = MOST_FUZZ_CONNECTIONS.min(descriptors_for());
    at_most("connections", fuzz.connections.into(), most)
}

/// Whether `threads` is a number of threads that any machine can run.
///
/// # Errors
/// What is accepted.
pub fn threads(threads: usize) -> Result<(), Refused> {
    refuse_zero(&[("threads", threads as u64)])?;
    at_most("threads", threads as u64, MOST_THREADS as u64)
}

/// Whether a block can come to its end within its timeout.
///
/// # Errors
/// Who takes longer, or what is accepted for the timeout.
pub fn timeout(scenario: &Scenario) -> Result<(), String> {
    let timeout = scenario.timeout;
    if timeout.is_zero() {
        return Err("timeout: expected more than 0".to_owned());
    }
    if timeout > LONGEST_TIMEOUT {
        let most = format_duration(LONGEST_TIMEOUT);
        return Err(format!("timeout: expected at most {most}"));
    }
    let sum = |parts: &[Duration]| {
        let add = |sum: Duration, part: &Duration| sum.saturating_add(*part);
        parts.iter().fold(Duration::ZERO, add)
    };
    let loads = scenario.load.iter().map(|load| {
        let parts = [load.start, load.floor, load.warmup, load.duration];
        (format!("load {:?}", load.name), sum(&parts))
    });
    let fuzzes = scenario.fuzz.iter().flat_map(Fuzz::each_time);
    let fuzzes = fuzzes.map(|fuzz| {
        let parts = [fuzz.start, fuzz.duration];
        (format!("fuzz client {:?}", fuzz.name), sum(&parts))
    });
    let faults = fault::timeline(&scenario.fault)
        .into_iter()
        .map(|step| (format!("fault {}", step.id), step.at));
    for (client, takes) in loads.chain(fuzzes).chain(faults) {
        if takes > timeout {
            return Err(format!(
                "timeout: {} is too short: {client} takes {} with its start and warm-up",
                format_duration(timeout),
                format_duration(takes)
            ));
        }
    }
    Ok(())
}

/// Connections that one client can open, if it raises its limit of descriptors.
fn descriptors_for() -> u64 {
    most_connections(getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX))
}

fn refuse_zero(values: &[(&'static str, u64)]) -> Result<(), Refused> {
    match values.iter().find(|(_, value)| *value == 0) {
        Some((key, _)) => Err((key, "expected more than 0".to_owned())),
        None => Ok(()),
    }
}

fn refuse_no_time(values: &[(&'static str, Duration)]) -> Result<(), Refused> {
    match values.iter().find(|(_, value)| value.is_zero()) {
        Some((key, _)) => Err((key, "expected more than 0".to_owned())),
        None => Ok(()),
    }
}

fn at_most(key: &'static str, value: u64, most: u64) -> Result<(), Refused> {
    if value <= most {
        return Ok(());
    }
    Err((key, format!("expected at most {most}, got {value}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::builtin;

    fn refused(spoil: impl FnOnce(&mut Load)) -> Option<&'static str> {
        let mut wrong = Load::default();
        spoil(&mut wrong);
        load(&wrong).err().map(|(key, _)| key)
    }

    #[test]
    fn what_the_load_client_refuses_is_refused_here() {
        assert_eq!(refused(|_| {}), None);
        assert_eq!(
            refused(|load| load.interval = Duration::from_millis(9)),
            Some("interval")
        );
        assert_eq!(refused(|load| load.pipeline = 10_001), Some("pipeline"));
        assert_eq!(refused(|load| load.threads = Some(33)), Some("threads"));
        assert_eq!(
            refused(|load| (load.connections, load.threads) = (9_000, Some(1_025))),
            Some("threads")
        );
        assert_eq!(
            refused(|load| load.connections = u32::MAX),
            Some("connections")
        );
    }

    #[test]
    fn clients_fit_into_the_timeout() {
        let mut scenario = builtin::named("crash-shield").unwrap();
        assert_eq!(timeout(&scenario), Ok(()));
        scenario.timeout = Duration::from_secs(4);
        let said = timeout(&scenario).unwrap_err();
        assert!(said.contains("load \"valid\" takes"), "{said}");
        scenario.timeout = Duration::MAX;
        assert!(timeout(&scenario).unwrap_err().contains("at most"));
    }
}
