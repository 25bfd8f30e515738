//! What is wrong, and with whom: asked again, without any load, and of each process apart.

use std::io::{Read, Write};
use std::time::Duration;

use bundle::{Death, Resource, What, Who};
use fuzzclient::probe::{Outcome, Probe};
use fuzzclient::watch::Found;

use super::asked::ask;
use super::life::{Life, Note};
use crate::supervisor::tree;

/// How long a process that takes no connections any more may take to be gone.
const DEATH_PATIENCE: Duration = Duration::from_secs(1);

/// The same if it does something else that it should not.
const SHORT_PATIENCE: Duration = Duration::from_millis(100);

/// Within this time two processes have frozen together.
const TOGETHER: Duration = Duration::from_millis(300);

/// How often somebody is asked again.
const AGAIN: usize = 3;

/// Askers at the same time where answers may be somebody else's …
const ASKERS: usize = 4;

/// … and how often each asks: one answer in a hundred that is wrong is hardly ever missed.
const QUESTIONS: usize = 100;

/// How long it is watched what a process that hangs does with the processor.
const CPU_WATCH: Duration = Duration::from_millis(100);

/// Of all descriptors that a process may have, it is in want of them if it has this many.
const SCARCE: f64 = 0.9;

/// A judgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// Which process.
    pub place: usize,
    /// Its part.
    pub who: Who,
    /// What became of it.
    pub what: What,
    /// More in a sentence.
    pub detail: String,
}

/// Looks into what was found by the probe of a process, or into the end of one. Nothing is
/// sent any more. None: there was nothing but load.
pub async fn judge(
    life: &mut Life,
    found: Option<(usize, Found)>,
    probes: &[Probe],
) -> Option<Judged> {
    let patience = match &found {
        Some((_, found)) if found.what == "refuses" => DEATH_PATIENCE,
        _ => SHORT_PATIENCE,
    };
    let others = gather(life, patience).await;
    if let Some(judged) = dead(life).await {
        return Some(judged);
    }
    let (place, found) = found?;
    if found.what == "froze" {
        let more = gather(life, TOGETHER).await;
        let own = others
            .iter()
            .chain(&more)
            .any(|(at, other)| *at < place && other.what == "froze");
        let place = if own { 0 } else { place };
        return Some(judged(life, place, What::Froze, found.detail));
    }
    for behind in 0..place {
        if let Some((what, detail)) = ask_again(life, behind, &found, probes).await {
            if what == What::Hung && serves_the_held(life, behind, probes) {
                let detail =
                    format!("{detail}; a connection from before is served: no new one is accepted");
                return Some(judged(life, behind, What::Refuses, detail));
            }
            return Some(judged(life, behind, what, detail));
        }
    }
    let again = ask_again(life, place, &found, probes).await;
    // It may have died of the question.
    if let Some(judged) = dead(life).await {
        return Some(judged);
    }
    let kept = || match found.what {
        "wrong" => Some(What::Wrong),
        "hung" => Some(What::Froze),
        "refuses" if found.gone => Some(What::Refuses),
        // It was only load.
        _ => None,
    };
    let (what, detail) = again.or_else(|| Some((kept()?, found.detail.clone())))?;
    if let Some(used_up) =
        scarce(life, place).filter(|_| matches!(what, What::Hung | What::Refuses))
    {
        let detail = format!("{detail}; {used_up}");
        return Some(judged(
            life,
            place,
            What::Leaked(Resource::Descriptors),
            detail,
        ));
    }
    if what == What::Hung && serves_the_held(life, place, probes) {
        let detail =
            format!("{detail}; a connection from before is served: no new one is accepted");
        return Some(judged(life, place, What::Refuses, detail));
    }
    let detail = if what == What::Hung {
        format!("{detail}; {}", cpu(life, place).await)
    } else {
        detail
    };
    Some(judged(life, place, what, detail))
}

fn judged(life: &Life, place: usize, what: What, detail: String) -> Judged {
    Judged {
        place,
        who: life.parts[place].who,
        what,
        detail,
    }
}

/// The process that has ended first, if one has.
async fn dead(life: &mut Life) -> Option<Judged> {
    let place = *life.ended.first()?;
    life.hear_last_words(place).await;
    let part = &life.parts[place];
    let also: Vec<&str> = life.ended[1..]
        .iter()
        .map(|other| life.parts[*other].who.word())
        .collect();
    let after = if also.is_empty() {
        String::new()
    } else {
        format!("; after it the {} ended as well", also.join(" and the "))
    };
    let (said, death) = match part.death()? {
        Death::Unknown => (
            "how it ended only its parent knows".to_owned(),
            Death::Unknown,
        ),
        death => (part.shown_words(), death),
    };
    let what = What::Died(death);
    Some(judged(life, place, what, format!("{said}{after}")))
}

/// Takes what is said within this time, or until a process has ended; what was found.
async fn gather(life: &mut Life, patience: Duration) -> Vec<(usize, Found)> {
    let mut found = Vec::new();
    let gathering = async {
        while life.ended.is_empty() {
            match life.next().await {
                Note::Found(place, one) => found.push((place, one)),
                Note::Exited(..) | Note::Sent => {}
            }
        }
    };
    let _ = tokio::time::timeout(patience, gathering).await;
    found
}

/// Asks one process again about what was found.
async fn ask_again(
    life: &mut Life,
    place: usize,
    found: &Found,
    probes: &[Probe],
) -> Option<(What, String)> {
    let (probe, at) = (probes.get(place)?, life.parts[place].at);
    if found.what == "wrong" {
        let mut asking = tokio::task::JoinSet::new();
        for _ in 0..ASKERS {
            let probe = probe.clone();
            asking.spawn_blocking(move || {
                (0..QUESTIONS).find_map(|_| match probe.ask(at) {
                    Outcome::Wrong(answer) => Some(answer),
                    _ => None,
                })
            });
        }
        let mut wrong = None;
        while let Some(answer) = asking.join_next().await {
            wrong = wrong.or(answer.ok().flatten());
        }
        let shown = wrong?[..].escape_ascii().to_string();
        let shown = &shown[..shown.len().min(200)];
        return Some((
            What::Wrong,
            format!("a valid request was answered with \"{shown}\""),
        ));
    }
    let (mut silent, mut turned_away, mut slow) = (0, 0, Vec::new());
    for _ in 0..AGAIN {
        match ask(probe, at).await {
            Outcome::Answered(took, _) if took > probe.slow_after => slow.push(took),
            Outcome::Answered(..) => {}
            Outcome::Silent => silent += 1,
            Outcome::Refused | Outcome::Closed => turned_away += 1,
            Outcome::Wrong(answer) => {
                let shown = answer[..answer.len().min(200)].escape_ascii();
                return Some((
                    What::Wrong,
                    format!("a valid request was answered with \"{shown}\""),
                ));
            }
            Outcome::Failed(_) => {}
        }
        if silent + turned_away + slow.len() == 0 {
            return None;
        }
    }
    if silent == AGAIN {
        let patience = probe.patience;
        let detail = format!(
            "{AGAIN} valid requests, with nothing else sent, had no answer within {patience:?}"
        );
        Some((What::Hung, detail))
    } else if turned_away == AGAIN {
        let detail = format!("{AGAIN} valid requests, with nothing else sent, were turned away");
        Some((What::Refuses, detail))
    } else if slow.len() == AGAIN {
        let shown: Vec<String> = slow
            .iter()
            .map(|took| format!("{} ms", took.as_millis()))
            .collect();
        Some((
            What::Slow,
            format!(
                "valid requests, with nothing else sent, took {}",
                shown.join(", ")
            ),
        ))
    } else {
        None
    }
}

/// Whether a connection from before any garbage is still served.
fn serves_the_held(life: &mut Life, place: usize, probes: &[Probe]) -> bool {
    let Some(probe) = probes.get(place) else {
        return false;
    };
    let Some(bytes) = probe.bytes().filter(|bytes| !bytes.is_empty()) else {
        return false;
    };
    let Some(mut held) = life.parts[place].held.take() else {
        return false;
    };
    let mut answer = [0; 1];
    held.set_read_timeout(Some(probe.patience)).is_ok()
        && held.write_all(bytes).is_ok()
        && matches!(held.read(&mut answer), Ok(1..))
}

/// Whether a process has used up its descriptors.
fn scarce(life: &Life, place: usize) -> Option<String> {
    let pid = life.parts[place].pid?;
    let has = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count();
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).ok()?;
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    let limit: u64 = line.split_whitespace().next()?.parse().ok()?;
    (has as f64 >= limit as f64 * SCARCE)
        .then(|| format!("it has {has} descriptors open, of {limit} that it may have"))
}

/// What it does with the processor.
async fn cpu(life: &Life, place: usize) -> String {
    let Some(pid) = life.parts[place].pid else {
        return "its process is not known".to_owned();
    };
    let before = tree::cpu_ns(&[pid]);
    tokio::time::sleep(CPU_WATCH).await;
    let used = tree::cpu_ns(&[pid]).saturating_sub(before) as f64 / CPU_WATCH.as_nanos() as f64;
    if used < 0.05 {
        "it waits and uses no processor".to_owned()
    } else {
        format!("it keeps {:.0} % of a processor busy", used * 100.0)
    }
}
