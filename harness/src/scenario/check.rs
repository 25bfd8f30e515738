//! What the types of a scenario cannot say.

use report::fold::MOST_UPSTREAMS;

use super::parse::ScenarioError;
use super::source::Source;
use super::{Mode, Scenario};
use super::{fault, flags, garbage, limits, statsd, udp};
use crate::descriptor::Descriptor;

/// Descriptors without which no program starts.
const LEAST_DESCRIPTORS: u64 = 16;

impl Source<'_> {
    /// What the types cannot say, in every mode that it is run in.
    pub(super) fn check(&self, scenario: &Scenario) -> Result<(), ScenarioError> {
        if let Err(reason) = scenario.check_modes() {
            let line = self.line_of_key_below(0, "modes");
            return Err(self.wrong(line, format!("modes: {reason}")));
        }
        self.check_one(scenario)?;
        let mut others = scenario.modes.iter().skip(1);
        others.try_for_each(|mode| self.check_one(&scenario.in_mode(*mode)))
    }

    fn check_one(&self, scenario: &Scenario) -> Result<(), ScenarioError> {
        let top = |key: &str, reason: &str| {
            Err(self.wrong(self.line_of_key_below(0, key), format!("{key}: {reason}")))
        };
        let is_name = |name: &str| {
            !name.is_empty()
                && name
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        };
        if !is_name(&scenario.name) {
            return top("name", "expected letters, digits, \"-\", \"_\" and \".\"");
        }
        if scenario.rounds == 0 || scenario.rounds > 1_000 {
            return top("rounds", "expected 1 to 1000");
        }
        if scenario.timeout.is_zero() {
            return top("timeout", "expected more than 0");
        }
        for (nth, upstream) in scenario.upstream.iter().enumerate() {
            if let Some(Err((key, reason))) = upstream.threads.map(limits::threads) {
                return self.at("upstream", nth, key, reason);
            }
            for defect in &upstream.defects {
                let parsed = defect.parse::<upstream::defect::Defect>();
                let suits = |defect: upstream::defect::Defect| defect.suits(upstream.mode.word());
                if let Err(reason) = parsed.and_then(suits) {
                    return self.at("upstream", nth, "defects", reason);
                }
            }
        }
        if scenario.proxy.mode == Mode::Foo && scenario.upstream.len() > 1 {
            let said = "a proxy of mode \"foo\" has one upstream behind it: expected [proxy] mode = \"tcp\"";
            return self.at("upstream", 1, "mode", said.to_owned());
        }
        if let Err((table, nth, key, reason)) =
            udp::servers(scenario).and_then(|()| statsd::servers(scenario))
        {
            return self.at(table, nth, key, reason);
        }
        if scenario.upstream.len() > MOST_UPSTREAMS {
            let said = format!("expected at most {MOST_UPSTREAMS} upstreams");
            return self.at("upstream", MOST_UPSTREAMS, "mode", said);
        }
        if scenario
            .proxy
            .descriptors
            .is_some_and(|most| most < LEAST_DESCRIPTORS)
        {
            let said = format!("expected {LEAST_DESCRIPTORS} or more");
            return self.at("proxy", 0, "descriptors", said);
        }
        for (key, text) in std::iter::once(("descriptor", &scenario.proxy.descriptor))
            .chain(scenario.proxy.against.iter().map(|text| ("against", text)))
        {
            if let Err(error) = text.parse::<Descriptor>() {
                return self.at("proxy", 0, key, error.to_string());
            }
        }
        if let Err((key, reason)) = scenario.check_watch() {
            return self.at("watch", 0, key, reason);
        }
        for (nth, link) in scenario.link.iter().enumerate() {
            if let Some(said) = scenario.no_link(&link.name) {
                return self.at("link", nth, "name", said);
            }
        }
        for (nth, fault) in scenario.fault.iter().enumerate() {
            if let Err((key, reason)) = fault::check(fault, scenario) {
                return self.at("fault", nth, key, reason);
            }
        }
        self.check_clients(scenario)
    }

    fn check_clients(&self, scenario: &Scenario) -> Result<(), ScenarioError> {
        for (nth, load) in scenario.load.iter().enumerate() {
            if load.bulk.is_some() && (load.rate.is_some() || load.closed) {
                let said = "a bulk transfer goes as fast as it can: expected no rate and no closed";
                return self.at("load", nth, "rate", said.to_owned());
            }
            if let Err((key, reason)) = statsd::load(load) {
                return self.at("load", nth, key, reason);
            }
            let is_request = load.bulk.is_none() && load.mode != Mode::Statsd;
            if is_request && load.rate.is_some() == load.closed {
                let said = "expected a rate such as \"10k/s\", or closed = true, and not both";
                return self.at("load", nth, "rate", said.to_owned());
            }
            if load.mode != scenario.proxy.mode {
                let mode = scenario.proxy.mode.word();
                let said = format!("expected that of [proxy], which is \"{mode}\"");
                return self.at("load", nth, "mode", said);
            }
            if let Err((key, reason)) = limits::load(load).and_then(|()| flags::check(load)) {
                return self.at("load", nth, key, reason);
            }
            if scenario.load[..nth]
                .iter()
                .any(|other| other.name == load.name)
            {
                return self.at(
                    "load",
                    nth,
                    "name",
                    format!("a second load is called {:?}", load.name),
                );
            }
        }
        for (nth, fuzz) in scenario.fuzz.iter().enumerate() {
            let refused = statsd::fuzz(fuzz)
                .and_then(|()| udp::fuzz(scenario, fuzz))
                .and_then(|()| garbage::check(fuzz))
                .and_then(|()| limits::fuzz(fuzz));
            if let Err((key, reason)) = refused {
                return self.at("fuzz", nth, key, reason);
            }
            if scenario.fuzz[..nth]
                .iter()
                .any(|other| other.name == fuzz.name)
            {
                return self.at(
                    "fuzz",
                    nth,
                    "name",
                    format!("a second fuzz client is called {:?}", fuzz.name),
                );
            }
        }
        if scenario.load.is_empty() && scenario.fuzz.is_empty() {
            return Err(self.wrong(1, "expected at least one [[load]] or [[fuzz]]".to_owned()));
        }
        for (nth, expect) in scenario.expect.iter().enumerate() {
            let named = |client: &&String| !scenario.load.iter().any(|load| load.name == **client);
            if let Some(client) = expect.client.as_ref().filter(named) {
                let names: Vec<&str> = scenario
                    .load
                    .iter()
                    .map(|load| load.name.as_str())
                    .collect();
                let said = format!(
                    "there is no load {client:?}; accepted: {}",
                    names.join(", ")
                );
                return self.at("expect", nth, "client", said);
            }
        }
        Ok(())
    }

    /// Refuses a key of the `nth` table of that name.
    fn at(&self, table: &str, nth: usize, key: &str, reason: String) -> Result<(), ScenarioError> {
        let line = self.line_of_key_below(self.line_of_table(table, nth), key);
        Err(self.wrong(line, format!("{key}: {reason}")))
    }
}
