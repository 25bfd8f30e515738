//! Which of the built-in scenarios belong together.

use clap::ValueEnum;

use super::{Mode, Scenario, builtin};

/// Scenarios that are run together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Suite {
    /// Latency direct and through the proxy, and the recorded crash
    Quick,
    /// Defects of the server behind the proxy, one by one
    Defects,
    /// Garbage at servers that it kills, with and without the shield before them
    Crash,
    /// Faults on links and processes, and clients that misbehave
    Chaos,
    /// Load, faults and garbage at random for long, until something breaks
    Soak,
    /// Servers and orders that come and go behind proxy tcp
    Tcp,
    /// Lines of statsd, each accounted for
    Statsd,
    /// Datagrams there and back
    Udp,
}

impl Suite {
    /// The word by which it is asked for.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Quick => "quick",
            Self::Defects => "defects",
            Self::Crash => "crash",
            Self::Chaos => "chaos",
            Self::Soak => "soak",
            Self::Tcp => "tcp",
            Self::Statsd => "statsd",
            Self::Udp => "udp",
        }
    }

    /// Whether a scenario is part of it.
    #[must_use]
    pub fn has(self, scenario: &Scenario) -> bool {
        let name = scenario.name.as_str();
        let is_chaos = name.starts_with("chaos-");
        let is_crash = name.starts_with("crash-");
        let mode = scenario.proxy.mode;
        match self {
            Self::Quick => builtin::QUICK.contains(&name),
            Self::Chaos => is_chaos,
            Self::Crash => is_crash,
            Self::Soak => scenario.watch.is_some(),
            _ if is_chaos || is_crash || scenario.watch.is_some() => false,
            Self::Defects => mode == Mode::Foo && scenario.rounds == 1,
            // Where speed is compared, something else stands beside the proxy.
            Self::Tcp => mode == Mode::Tcp && scenario.proxy.against.is_empty(),
            Self::Statsd => mode == Mode::Statsd && scenario.proxy.against.is_empty(),
            Self::Udp => mode == Mode::Udp,
        }
    }

    /// Its scenarios, each once for every mode that it has, or in the one that is wanted.
    #[must_use]
    pub fn scenarios(self, wanted: Option<Mode>) -> Vec<Scenario> {
        let all = builtin::all().into_iter().filter(|one| self.has(one));
        all.flat_map(|one| one.each_mode(wanted)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_suite_has_scenarios_of_its_own() {
        let mut seen = Vec::new();
        for suite in Suite::value_variants() {
            let scenarios = suite.scenarios(None);
            assert!(!scenarios.is_empty(), "{suite:?}");
            for scenario in scenarios {
                let is_new = !seen.contains(&scenario.name);
                // The recorded crash is the heart of the quick suite as well.
                let is_quick = builtin::QUICK.contains(&scenario.name.as_str());
                assert!(is_new || is_quick, "{}", scenario.name);
                seen.push(scenario.name);
            }
        }
    }

    #[test]
    fn chaos_is_for_every_mode_and_soak_once_in_each() {
        for mode in [Mode::Foo, Mode::Tcp, Mode::Statsd, Mode::Udp] {
            assert!(!Suite::Chaos.scenarios(Some(mode)).is_empty(), "{mode:?}");
        }
        for mode in [Mode::Foo, Mode::Tcp, Mode::Statsd] {
            assert_eq!(Suite::Soak.scenarios(Some(mode)).len(), 1, "{mode:?}");
        }
    }
}
