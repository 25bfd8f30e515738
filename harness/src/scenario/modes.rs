//! One scenario for several kinds of proxy: what is the same for requests of Foo and for
//! bytes of any kind stands in one file.

use super::{Mode, Scenario, Server};

/// Modes that a scenario can be run in one after the other: those whose clients send
/// requests over connections.
const ALIKE: [Mode; 2] = [Mode::Foo, Mode::Tcp];

impl Scenario {
    /// What of `modes` makes no sense.
    pub(super) fn check_modes(&self) -> Result<(), String> {
        let Some(first) = self.modes.first() else {
            return Ok(());
        };
        let mut seen = self.modes.clone();
        seen.dedup();
        if seen.len() < self.modes.len() || self.modes.iter().any(|mode| !ALIKE.contains(mode)) {
            let accepted = ALIKE.map(Mode::word).join(", ");
            return Err(format!("expected each of them once, of {accepted}"));
        }
        if *first != self.proxy.mode {
            let mode = self.proxy.mode.word();
            return Err(format!("expected that of [proxy] first, which is {mode:?}"));
        }
        Ok(())
    }

    /// The same scenario once for each of its modes, or for the one that is wanted: none if
    /// it has no such mode. Where it has several, its name ends with the mode.
    #[must_use]
    pub fn each_mode(self, wanted: Option<Mode>) -> Vec<Self> {
        let is_wanted = |mode: &Mode| wanted.is_none_or(|wanted| wanted == *mode);
        if self.modes.is_empty() {
            let mode = self.proxy.mode;
            return Some(self)
                .filter(|_| is_wanted(&mode))
                .into_iter()
                .collect();
        }
        let modes = self.modes.iter().copied().filter(is_wanted);
        modes.map(|mode| self.in_mode(mode)).collect()
    }

    /// The same scenario with everybody speaking something else, and the usual server
    /// behind it.
    pub(super) fn in_mode(&self, mode: Mode) -> Self {
        let mut scenario = self.clone();
        scenario.name = format!("{}-{}", self.name, mode.word());
        scenario.modes.clear();
        scenario.proxy.mode = mode;
        for load in &mut scenario.load {
            load.mode = mode;
        }
        for fuzz in &mut scenario.fuzz {
            fuzz.mode = mode;
        }
        for upstream in &mut scenario.upstream {
            upstream.mode = match (upstream.mode, mode) {
                (Server::Foo, Mode::Tcp) => Server::Echo,
                (Server::Echo, Mode::Foo) => Server::Foo,
                (server, _) => server,
            };
        }
        if scenario.upstream.is_empty() && mode == Mode::Tcp {
            scenario.upstream.push(super::Upstream {
                mode: Server::Echo,
                ..super::Upstream::default()
            });
        }
        scenario
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    const BOTH: &str = "name = \"a\"\nmodes = [\"foo\", \"tcp\"]\n[[load]]\nrate = \"1k/s\"\n";

    #[test]
    fn one_file_is_two_scenarios() {
        let both = || parse::text(BOTH, "s.toml").unwrap();
        let names = |wanted| {
            let each = both().each_mode(wanted).into_iter();
            each.map(|one| (one.name, one.load[0].mode))
                .collect::<Vec<_>>()
        };
        let foo = ("a-foo".to_owned(), Mode::Foo);
        let tcp = ("a-tcp".to_owned(), Mode::Tcp);
        assert_eq!(names(None), [foo, tcp.clone()]);
        assert_eq!(names(Some(Mode::Tcp)), [tcp]);
        assert_eq!(names(Some(Mode::Statsd)), []);
        let tcp = both().each_mode(Some(Mode::Tcp)).remove(0);
        assert_eq!(tcp.upstream[0].mode, Server::Echo);
    }

    #[test]
    fn what_is_wrong_in_one_mode_is_wrong() {
        let said = |source: String| parse::text(&source, "s.toml").unwrap_err().to_string();
        let twice = BOTH.replace("\"tcp\"", "\"foo\"");
        assert!(said(twice).starts_with("s.toml:2: modes: expected each"));
        let lines = BOTH.replace("\"tcp\"", "\"statsd\"");
        assert!(said(lines).starts_with("s.toml:2: modes: expected each"));
        let other = BOTH.replace("[\"foo\", \"tcp\"]", "[\"tcp\"]");
        assert!(said(other).starts_with("s.toml:2: modes: expected that of [proxy]"));
        let only_tcp = format!("{BOTH}half_close = true\n");
        assert!(said(only_tcp).starts_with("s.toml:5: half_close: belongs to mode"));
        let only_foo = format!("{BOTH}[[upstream]]\ndefects = [\"panic-on-invalid-utf8\"]\n");
        assert!(said(only_foo).starts_with("s.toml:6: defects: "));
    }
}
