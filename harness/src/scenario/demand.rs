//! From an `[[expect]]` to what is judged.

use report::event::Role;
use report::expect::{Change, ExpectError, Expectation, Fate, Origin, Part, What};

use super::{Expect, Mode, Scenario};

/// A key that is wrong, and why.
type Refused = (&'static str, String);

/// One `[[expect]]`, or the key that is wrong and why.
pub(super) fn expectation(expect: &Expect, scenario: &Scenario) -> Result<Expectation, Refused> {
    let demand = whole_run(expect, scenario)?;
    match part(expect)? {
        None => Ok(demand),
        Some(part) => demand.in_part(part).map_err(wrong("phase")),
    }
}

fn part(expect: &Expect) -> Result<Option<Part>, Refused> {
    let Some(word) = expect.phase.as_deref().filter(|word| *word != "all") else {
        return Ok(None);
    };
    let found = Part::ALL.into_iter().find(|part| part.word() == word);
    found.map(Some).ok_or_else(|| {
        let accepted = Part::ALL.map(Part::word).join(", ");
        let said = format!("unknown value {word:?}; accepted: all, {accepted}");
        ("phase", said)
    })
}

fn whole_run(expect: &Expect, scenario: &Scenario) -> Result<Expectation, Refused> {
    let subjects = [
        expect.upstream.is_some(),
        expect.proxy.is_some(),
        expect.load.is_some(),
        expect.backend.is_some(),
        expect.account.is_some(),
        expect.recovery.is_some(),
        expect.back.is_some(),
        expect.counts.is_some(),
    ];
    if subjects.into_iter().filter(|is_there| *is_there).count() != 1 {
        let said = "expected exactly one of upstream, proxy, load, backend, account, recovery, back and counts";
        return Err(("expect", said.to_owned()));
    }
    belongs(expect)?;
    if let Some(word) = &expect.upstream {
        let demand = fate("upstream", Role::Upstream, word, expect)?;
        return match &expect.process {
            None => Ok(demand),
            Some(name) => {
                let name = upstream(scenario, "process", name)?;
                Ok(demand.of_process(&name))
            }
        };
    }
    if let Some(word) = &expect.proxy {
        return fate("proxy", Role::Proxy, word, expect);
    }
    if let Some(text) = &expect.load {
        let (load, origin) = (expect.client.clone(), Origin::Scenario);
        let demand = match &expect.beside {
            Some(subject) => Expectation::beside(text, subject, load, origin),
            None => Expectation::load(text, load, origin),
        };
        return demand.map_err(wrong("load"));
    }
    if let Some(backend) = &expect.backend {
        let name = upstream(scenario, "backend", backend)?;
        return match (&expect.ejected, &expect.readmitted) {
            (Some(text), None) => {
                Expectation::backend(&name, Change::Ejected, text).map_err(wrong("ejected"))
            }
            (None, Some(text)) => {
                Expectation::backend(&name, Change::Readmitted, text).map_err(wrong("readmitted"))
            }
            _ => Err((
                "backend",
                "expected exactly one of ejected and readmitted with it".to_owned(),
            )),
        };
    }
    if let Some(text) = &expect.account {
        if scenario.proxy.mode != Mode::Statsd {
            return Err(("account", "needs [proxy] mode = \"statsd\"".to_owned()));
        }
        return Expectation::account(text, Origin::Scenario).map_err(wrong("account"));
    }
    if let Some(text) = &expect.recovery {
        let demand = Expectation::recovery(text, expect.client.clone());
        return demand.map_err(wrong("recovery"));
    }
    if let Some(what) = &expect.back {
        let what: What = what.parse().map_err(wrong("back"))?;
        let process = match expect.process.as_deref() {
            None | Some("proxy") => "proxy".to_owned(),
            Some("upstream") => "upstream".to_owned(),
            Some(name) => upstream(scenario, "process", name)?,
        };
        return Ok(Expectation::back(&process, what));
    }
    match expect.counts.as_deref() {
        Some("reconcile") => Ok(Expectation::reconcile(Origin::Scenario)),
        Some("at-most-once") => Ok(Expectation::at_most_once()),
        other => {
            let got = other.unwrap_or_default();
            let said = format!("expected \"reconcile\" or \"at-most-once\", got {got:?}");
            Err(("counts", said))
        }
    }
}

/// Keys that mean something beside one other key only.
fn belongs(expect: &Expect) -> Result<(), Refused> {
    let keys = [
        (
            "process",
            expect.process.is_some(),
            "upstream",
            expect.upstream.is_some() || expect.back.is_some(),
        ),
        (
            "beside",
            expect.beside.is_some(),
            "load",
            expect.load.is_some(),
        ),
        (
            "client",
            expect.client.is_some(),
            "load",
            expect.load.is_some() || expect.recovery.is_some(),
        ),
        (
            "ejected",
            expect.ejected.is_some(),
            "backend",
            expect.backend.is_some(),
        ),
        (
            "readmitted",
            expect.readmitted.is_some(),
            "backend",
            expect.backend.is_some(),
        ),
    ];
    match keys
        .into_iter()
        .find(|(_, is_there, _, has)| *is_there && !has)
    {
        Some((key, _, whose, _)) => Err((key, format!("belongs to {whose:?} only"))),
        None => Ok(()),
    }
}

fn fate(
    key: &'static str,
    role: Role,
    word: &str,
    expect: &Expect,
) -> Result<Expectation, Refused> {
    let fate: Fate = word.parse().map_err(wrong(key))?;
    if fate != Fate::Dies && (expect.signal.is_some() || expect.code.is_some()) {
        let key = if expect.signal.is_some() {
            "signal"
        } else {
            "code"
        };
        return Err((key, "belongs to \"dies\" only".to_owned()));
    }
    let signal = expect.signal.clone();
    Ok(Expectation::fate(
        role,
        fate,
        signal,
        expect.code,
        Origin::Scenario,
    ))
}

fn upstream(scenario: &Scenario, key: &'static str, name: &str) -> Result<String, Refused> {
    let nth = scenario.upstream_at(name).ok_or_else(|| {
        let mut names = scenario.process_names();
        names.pop();
        let accepted = names.join(", ");
        (
            key,
            format!("there is no upstream {name:?}; accepted: {accepted}"),
        )
    })?;
    Ok(scenario.upstream_name(nth))
}

fn wrong(key: &'static str) -> impl Fn(ExpectError) -> Refused {
    move |error| (key, error.to_string())
}
