//! What of a fault cannot be carried out, said before anything starts.

use serde_json::{Map, Value, json};
use service::units::format_duration;
use toxics::catalogue;
use toxics::control::body;
use toxics::item::Medium;

use super::super::limits::Refused;
use super::super::{Scenario, statsd};
use super::{Action, Fault};

/// Repetitions of one fault at most: more would be a load of its own.
const MOST_TIMES: u32 = 10_000;

/// Refuses the first of these keys that is there.
pub(super) fn refuse(keys: &[(&'static str, bool)], said: &str) -> Result<(), Refused> {
    match keys.iter().find(|(_, is_there)| *is_there) {
        Some((key, _)) => Err((key, said.to_owned())),
        None => Ok(()),
    }
}

/// What of a fault cannot be carried out in this scenario.
///
/// # Errors
/// The key, and what is accepted.
pub(in crate::scenario) fn check(fault: &Fault, scenario: &Scenario) -> Result<(), Refused> {
    if fault.nemesis.is_some() {
        return super::nemesis::check(fault, scenario);
    }
    let keys = [
        ("links", !fault.links.is_empty()),
        ("processes", !fault.processes.is_empty()),
        ("overlap", fault.overlap),
    ];
    refuse(&keys, "belongs to a nemesis only")?;
    match (&fault.process, &fault.link) {
        (Some(process), None) => to_process(fault, process, scenario)?,
        (None, Some(link)) => to_link(fault, link, scenario)?,
        _ => {
            let said = "expected exactly one of process, link and nemesis";
            return Err(("fault", said.to_owned()));
        }
    }
    times(fault)
}

fn to_process(fault: &Fault, process: &str, scenario: &Scenario) -> Result<(), Refused> {
    refuse(&keys_of_links(fault), "belongs to a fault on a link only")?;
    let Some(action) = fault.action else {
        return Err(("action", format!("expected one, to be done to {process}")));
    };
    let word = action.word();
    if let Some(said) = scenario.no_process(process) {
        return Err(("process", said));
    }
    if action.is_for_link() {
        let accepted = scenario.link_names().join(", ");
        return Err(("action", format!("{word} is for a link: {accepted}")));
    }
    if action.is_for_proxy() && process != "proxy" {
        return Err(("action", format!("only \"proxy\" can {word}")));
    }
    if !action.suits(scenario.proxy.mode) {
        let mode = if action.is_at_management() {
            "statsd"
        } else {
            "tcp"
        };
        return Err(("action", format!("{word} needs [proxy] mode = \"{mode}\"")));
    }
    let has_limit = fault.descriptors.is_some() || fault.memory.is_some();
    if has_limit != (action == Action::Limit) {
        let said = "limit has descriptors, memory or both, and nothing else has";
        return Err(("action", said.to_owned()));
    }
    if !fault.nodes.is_empty() && action != Action::Reload {
        return Err(("nodes", "belongs to reload only".to_owned()));
    }
    statsd::names(scenario, &fault.nodes).map_err(|said| ("nodes", said))?;
    about_backend(fault, action, scenario)
}

fn about_backend(fault: &Fault, action: Action, scenario: &Scenario) -> Result<(), Refused> {
    let names = scenario.process_names();
    match &fault.backend {
        None if action.is_about_backend() => {
            let said = format!("{} needs one, such as {:?}", action.word(), names[0]);
            Err(("backend", said))
        }
        Some(_) if !action.is_about_backend() => Err((
            "backend",
            "belongs to drain, disable and enable only".to_owned(),
        )),
        Some(name) if scenario.upstream_at(name).is_none() => {
            let accepted = names[..names.len() - 1].join(", ");
            let said = format!("there is no {name:?}; accepted: {accepted}");
            Err(("backend", said))
        }
        _ => Ok(()),
    }
}

/// The keys that only a fault on a link has, and whether each is there.
fn keys_of_links(fault: &Fault) -> [(&'static str, bool); 5] {
    [
        ("toxic", fault.toxic.is_some()),
        ("stream", fault.stream.is_some()),
        ("toxicity", fault.toxicity.is_some()),
        ("attributes", !fault.attributes.is_empty()),
        ("to", !fault.to.is_empty()),
    ]
}

fn to_link(fault: &Fault, link: &str, scenario: &Scenario) -> Result<(), Refused> {
    if let Some(said) = scenario.no_link(link) {
        return Err(("link", said));
    }
    let keys = [
        ("backend", fault.backend.is_some()),
        ("nodes", !fault.nodes.is_empty()),
        ("descriptors", fault.descriptors.is_some()),
        ("memory", fault.memory.is_some()),
    ];
    refuse(&keys, "belongs to a fault of a process only")?;
    match (fault.action, &fault.toxic) {
        (Some(Action::Down | Action::Up), None) => {
            refuse(&keys_of_links(fault), "belongs to a toxic only")
        }
        (Some(action), None) => {
            let said = format!("{} is for a process; of a link: down, up", action.word());
            Err(("action", said))
        }
        (None, Some(_)) => toxic(fault, scenario),
        _ => {
            let said = "expected exactly one of toxic and action, where there is a link";
            Err(("toxic", said.to_owned()))
        }
    }
}

/// Whether the links take the toxic, as its own check says.
fn toxic(fault: &Fault, scenario: &Scenario) -> Result<(), Refused> {
    let medium = if scenario.has_datagrams() {
        Medium::Datagram
    } else {
        Medium::Stream
    };
    let word = fault.word();
    let Some(kind) = catalogue::find(word) else {
        let fitting = catalogue::KINDS
            .iter()
            .filter(|kind| kind.fits.fits(medium));
        let accepted: Vec<&str> = fitting.map(|kind| kind.name).collect();
        let accepted = accepted.join(", ");
        let said = format!("there is no toxic {word:?}; accepted: {accepted}");
        return Err(("toxic", said));
    };
    if !kind.fits.fits(medium) {
        let (of, accepted) = match medium {
            Medium::Datagram => ("tcp", "udp"),
            Medium::Stream => ("udp", "tcp"),
        };
        let said = format!("{word} is for links of {of}, and these are of {accepted}");
        return Err(("toxic", said));
    }
    for (key, attributes) in [("attributes", &fault.attributes), ("to", &fault.to)] {
        let known: Vec<&str> = kind.attributes.iter().map(|known| known.name).collect();
        if let Some(name) = attributes
            .keys()
            .find(|name| !known.contains(&name.as_str()))
        {
            let accepted = known.join(", ");
            let said = format!("{word} has no {name:?}; accepted: {accepted}");
            return Err((key, said));
        }
        if let Err(error) =
            body::new_toxic(&request(fault, "checked", attributes), medium, |_| false)
        {
            let said = error.to_string();
            let said = said.trim_start_matches("bad request body: ");
            let of_all = ["toxicity", "stream"]
                .into_iter()
                .find(|of| said.starts_with(of));
            let key = of_all.unwrap_or(key);
            let key = if said.contains("links") { "toxic" } else { key };
            let said = said.trim_start_matches(&format!("{key}: ")).to_owned();
            return Err((key, said));
        }
    }
    if !fault.to.is_empty() && fault.lasts.is_zero() {
        return Err((
            "to",
            "expected \"for\" as well: the time in which it grows".to_owned(),
        ));
    }
    let is_number = |value: &Value| value.is_number();
    if !fault.to.values().all(is_number) {
        return Err(("to", "only numbers grow".to_owned()));
    }
    Ok(())
}

/// A toxic as the control API takes it.
#[must_use]
pub fn request(
    fault: &Fault,
    name: &str,
    attributes: &std::collections::BTreeMap<String, Value>,
) -> Value {
    let attributes: Map<String, Value> = attributes.clone().into_iter().collect();
    json!({
        "name": name,
        "type": fault.toxic,
        "stream": fault.stream(),
        "toxicity": fault.toxicity(),
        "attributes": attributes,
    })
}

fn times(fault: &Fault) -> Result<(), Refused> {
    let count = fault.count();
    let is_undone = fault
        .action
        .is_none_or(|action| action.opposite().is_some());
    if !fault.lasts.is_zero() && !is_undone {
        let word = fault.word();
        return Err(("for", format!("{word} is not undone by anything")));
    }
    if count == 0 || count > MOST_TIMES {
        return Err(("times", format!("expected 1 to {MOST_TIMES}, got {count}")));
    }
    if count > 1 && fault.every.is_zero() {
        return Err((
            "every",
            "expected more than 0 where there are several times".to_owned(),
        ));
    }
    if count == 1 && !fault.every.is_zero() {
        return Err(("times", "expected 2 or more with \"every\"".to_owned()));
    }
    if count > 1 && fault.lasts >= fault.every {
        let every = format_duration(fault.every);
        return Err((
            "for",
            format!("expected less than the {every} until the next time"),
        ));
    }
    if count > 1 && fault.toxic.is_some() && fault.lasts.is_zero() {
        let said = "expected more than 0: what is repeated has to end first".to_owned();
        return Err(("for", said));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::scenario::builtin;

    #[test]
    fn what_makes_no_sense_is_refused() {
        let refused = |change: fn(&mut Fault)| {
            let mut wrong = Fault {
                at: Duration::from_secs(1),
                process: Some("upstream".to_owned()),
                action: Some(Action::Kill),
                ..Fault::default()
            };
            change(&mut wrong);
            times(&wrong).err().map(|(key, _)| key)
        };
        assert_eq!(refused(|_| {}), None);
        assert_eq!(refused(|fault| fault.times = Some(0)), Some("times"));
        assert_eq!(refused(|fault| fault.times = Some(2)), Some("every"));
        assert_eq!(
            refused(|fault| fault.every = Duration::from_secs(1)),
            Some("times")
        );
        assert_eq!(
            refused(|fault| {
                fault.action = Some(Action::Thaw);
                fault.lasts = Duration::from_secs(1);
            }),
            Some("for")
        );
        assert_eq!(
            refused(|fault| {
                fault.times = Some(2);
                fault.every = Duration::from_secs(1);
                fault.lasts = Duration::from_secs(1);
            }),
            Some("for")
        );
    }

    #[test]
    fn a_fault_on_a_link_is_checked_as_the_link_would() {
        let scenario = builtin::named("latency").unwrap();
        let refused = |change: &dyn Fn(&mut Fault)| {
            let mut wrong = Fault {
                link: Some("client-proxy".to_owned()),
                toxic: Some("latency".to_owned()),
                attributes: [("latency".to_owned(), 100.into())].into(),
                ..Fault::default()
            };
            change(&mut wrong);
            check(&wrong, &scenario).err()
        };
        assert_eq!(refused(&|_| {}), None);
        type Spoil<'a> = &'a dyn Fn(&mut Fault);
        let cases: [(Spoil<'_>, &str, &str); 8] = [
            (
                &|fault| fault.link = Some("client-moon".to_owned()),
                "link",
                "there is no link \"client-moon\"; accepted: client-proxy, proxy-upstream",
            ),
            (
                &|fault| fault.toxic = Some("gremlin".to_owned()),
                "toxic",
                "there is no toxic \"gremlin\"; accepted: latency, bandwidth",
            ),
            (
                &|fault| fault.toxic = Some("reorder".to_owned()),
                "toxic",
                "udp",
            ),
            (
                &|fault| drop(fault.attributes.insert("latency".to_owned(), (-1).into())),
                "attributes",
                "latency",
            ),
            (
                &|fault| drop(fault.attributes.insert("rate".to_owned(), 1.into())),
                "attributes",
                "latency has no \"rate\"; accepted: latency, jitter",
            ),
            (
                &|fault| fault.toxicity = Some(2.0),
                "toxicity",
                "from 0 to 1",
            ),
            (
                &|fault| fault.stream = Some("sideways".to_owned()),
                "stream",
                "upstream or downstream",
            ),
            (
                &|fault| fault.action = Some(Action::Kill),
                "toxic",
                "exactly one",
            ),
        ];
        for (change, key, says) in cases {
            let (named, said) = refused(change).expect(says);
            assert_eq!((named, said.contains(says)), (key, true), "{named}: {said}");
        }
    }
}
