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
    "panic-on-utf8",
    "abort-on-line",
    "hang",
    "freeze",
    "slow",
    "wrong-reply",
    "accept-then-close";
    "crash/":
    "crash-direct",
    "crash-forward",
    "crash-shield",
    "crash-abort-forward",
    "crash-abort-shield",
    "crash-utf8-forward",
    "crash-utf8-shield",
    "crash-hang",
    "crash-exit";
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
    "udp/":
    "udp-echo";
    "soak/":
    "soak-foo",
    "soak-tcp",
    "soak-statsd";
    "chaos/":
    "chaos-latency",
    "chaos-jitter",
    "chaos-latency-growing",
    "chaos-bandwidth",
    "chaos-slow-close",
    "chaos-blackhole",
    "chaos-resets",
    "chaos-resets-behind",
    "chaos-slicer",
    "chaos-corruption",
    "chaos-cut",
    "chaos-half-open",
    "chaos-upstream-killed",
    "chaos-upstream-frozen",
    "chaos-upstream-restarted",
    "chaos-flapping",
    "chaos-two-faults",
    "chaos-drain",
    "chaos-slow-clients",
    "chaos-flood",
    "chaos-descriptors",
    "chaos-memory",
    "chaos-foo-drop",
    "chaos-foo-duplicate",
    "chaos-foo-swap",
    "chaos-foo-stale",
    "chaos-tcp-drain",
    "chaos-tcp-blackhole",
    "chaos-statsd-loss",
    "chaos-statsd-duplicate",
    "chaos-statsd-reorder",
    "chaos-udp-loss",
    "chaos-udp-duplicate",
    "chaos-udp-reorder",
    "chaos-udp-corruption";
}

/// What a scenario is about, for a list of them.
#[must_use]
pub fn group(scenario: &Scenario) -> &'static str {
    match scenario.proxy.mode {
        _ if QUICK.contains(&scenario.name.as_str()) => "quick suite",
        _ if scenario.watch.is_some() => "soak: everything at random, until something breaks",
        _ if scenario.name.starts_with("chaos-") => {
            "chaos: faults on links and processes, clients that misbehave"
        }
        _ if scenario.name.starts_with("crash-") => {
            "crash: what garbage kills, and what a shield keeps alive (proxy foo)"
        }
        Mode::Tcp if scenario.rounds > 2 => "speed (proxy tcp)",
        Mode::Tcp => "servers and orders that come and go (proxy tcp)",
        Mode::Statsd => "lines, each accounted for (proxy statsd)",
        Mode::Udp => "datagrams there and back (any relay of UDP)",
        Mode::Foo if scenario.rounds > 1 => "speed (proxy foo)",
        Mode::Foo => "defects (proxy foo)",
    }
}

/// What `harness` runs without arguments.
pub const QUICK: [&str; 4] = ["latency", "crash-direct", "crash-forward", "crash-shield"];

/// The scenario of that name; of one for several modes, with a mode behind its name, the one
/// for that.
#[must_use]
pub fn named(name: &str) -> Option<Scenario> {
    let read = |name: &str| {
        let (name, source) = SOURCES.iter().find(|(known, _)| *known == name)?;
        Some(parse::text(source, name).expect("a test reads every built-in scenario"))
    };
    read(name).or_else(|| {
        let (name, mode) = name.rsplit_once('-')?;
        let scenario = read(name).filter(|scenario| !scenario.modes.is_empty())?;
        let mode = scenario
            .modes
            .iter()
            .find(|known| known.word() == mode)
            .copied()?;
        scenario.each_mode(Some(mode)).pop()
    })
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
