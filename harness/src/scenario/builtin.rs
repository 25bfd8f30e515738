//! Scenarios that need no file.

use super::{Mode, Scenario, parse};

macro_rules! builtin {
    ($($directory:literal: $($name:literal),* ;)*) => {
        /// Name and source of each, in the order in which they are listed.
        pub const SOURCES: &[(&str, &str)] = &[
            $($((
                $name,
                include_str!(concat!("../../scenarios/", $directory, $name, ".toml")),
            )),*),*
        ];
    };
}

builtin! {
    "":
    "latency",
    "busy",
    "pipelined",
    "churn",
    "crash-direct",
    "crash-forward",
    "crash-shield",
    "panic-on-utf8",
    "abort-on-line",
    "hang",
    "freeze",
    "slow",
    "wrong-reply",
    "accept-then-close";
    "tcp/":
    "tcp-busy",
    "tcp-pipelined",
    "tcp-churn",
    "tcp-bulk",
    "tcp-backend-killed",
    "tcp-all-down",
    "tcp-flapping",
    "tcp-silent-backend",
    "tcp-half-close",
    "tcp-reset-midway",
    "tcp-slow-readers",
    "tcp-idle",
    "tcp-descriptors",
    "tcp-drain",
    "tcp-reload",
    "tcp-upgrade",
    "tcp-skew";
    "statsd/":
    "statsd-busy",
    "statsd-node-killed",
    "statsd-node-ended",
    "statsd-node-held",
    "statsd-flapping",
    "statsd-all-down",
    "statsd-burst",
    "statsd-slow-node",
    "statsd-garbage",
    "statsd-silent-client",
    "statsd-silent-health",
    "statsd-ring-change";
}

/// What a scenario is about, for a list of them.
#[must_use]
pub fn group(scenario: &Scenario) -> &'static str {
    match scenario.proxy.mode {
        _ if QUICK.contains(&scenario.name.as_str()) => "quick suite",
        Mode::Tcp if scenario.rounds > 2 => "speed (proxy tcp)",
        Mode::Tcp => "servers and orders that come and go (proxy tcp)",
        Mode::Statsd => "lines, each accounted for (proxy statsd)",
        Mode::Foo if scenario.rounds > 1 => "speed (proxy foo)",
        Mode::Foo => "defects and crashes (proxy foo)",
    }
}

/// What `harness` runs without arguments.
pub const QUICK: [&str; 4] = ["latency", "crash-direct", "crash-forward", "crash-shield"];

/// The scenario of that name.
#[must_use]
pub fn named(name: &str) -> Option<Scenario> {
    let (name, source) = SOURCES.iter().find(|(known, _)| *known == name)?;
    Some(parse::text(source, name).expect("a test reads every built-in scenario"))
}

/// All of them.
#[must_use]
pub fn all() -> Vec<Scenario> {
    SOURCES.iter().filter_map(|(name, _)| named(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_builtin_scenario_is_sound_and_called_as_its_file() {
        for (name, source) in SOURCES {
            let scenario = parse::text(source, name).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(scenario.name, *name);
            assert!(
                !scenario.description.is_empty() && !scenario.expectations.is_empty(),
                "{name}"
            );
        }
        assert!(QUICK.iter().all(|name| named(name).is_some()));
    }
}
