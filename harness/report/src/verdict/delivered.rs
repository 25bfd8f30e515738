//! Whether every request was delivered at most once.

use super::{Finding, Outcome, claims::worst};
use crate::datagrams::Passage;
use crate::delivery::{Delivery, Unit};
use crate::evidence::Block;
use crate::run::ScenarioRun;
use crate::text::number;

/// Whether nobody got anything twice.
pub(super) fn claim(scenario: &ScenarioRun) -> Finding {
    worst(scenario.judged().map(|block| match scenario.mode() {
        "statsd" => of_lines(block),
        "udp" => of_datagrams(block),
        mode => of_requests(block, mode),
    }))
}

fn of_requests(block: &Block, mode: &str) -> Finding {
    let Some(delivery) = Delivery::of(block, mode) else {
        let said = "not all that was sent is known, or cannot be told apart".to_owned();
        return (Outcome::Inconclusive, said);
    };
    if delivery.sent == 0 {
        return (Outcome::Inconclusive, "nothing was sent".to_owned());
    }
    let said = sentence(&delivery);
    if delivery.is_broken() {
        return (Outcome::Fail, said);
    }
    if !delivery.silent.is_empty() {
        let silent = delivery.silent.join(", ");
        let said = format!("{said}; but {silent} ended without telling");
        return (Outcome::Inconclusive, said);
    }
    (Outcome::Pass, said)
}

/// What was counted, beside what it must be.
pub(crate) fn sentence(delivery: &Delivery) -> String {
    let shown = |value: u64| match delivery.unit {
        Unit::Requests => number::count(value),
        Unit::Bytes => format!("{} bytes", number::count(value)),
    };
    let [counted, least, most] = [delivery.counted, delivery.least, delivery.most].map(shown);
    let probes = match delivery.probes {
        0 => String::new(),
        probes => format!(" ({} probes included)", number::count(probes)),
    };
    format!("the upstreams got {counted}: at least {least} and at most {most}{probes} are right")
}

fn of_lines(block: &Block) -> Finding {
    let Some(account) = &block.account else {
        let said = "there is no account of the lines".to_owned();
        return (Outcome::Inconclusive, said);
    };
    let [twice, sent] = [account.duplicated, account.sent].map(number::count);
    let outcome = match account.duplicated {
        0 if account.sent > 0 => Outcome::Pass,
        0 => Outcome::Inconclusive,
        _ => Outcome::Fail,
    };
    (outcome, format!("{twice} of {sent} lines came twice"))
}

fn of_datagrams(block: &Block) -> Finding {
    worst(block.loads.iter().map(|load| {
        let Some(there) = Passage::of(block, load).and_then(|passage| passage.there) else {
            let said = format!("{}: no server tells what came", load.name);
            return (Outcome::Inconclusive, said);
        };
        let [twice, came] = [there.duplicated, there.came].map(number::count);
        let outcome = match there.duplicated {
            0 if there.came > 0 => Outcome::Pass,
            0 => Outcome::Inconclusive,
            _ => Outcome::Fail,
        };
        (outcome, format!("{twice} of {came} datagrams came twice"))
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::event::{Event, Role};
    use crate::expect::Expectation;
    use crate::fixtures::{SENT, Story, load_record};
    use crate::run::RunFile;
    use crate::verdict::Outcome;

    /// Of 20,000 requests 100 were reset, 20 failed otherwise and 30 were never answered;
    /// there were 20 probes. The upstream came to serve so often and counted this.
    fn judged(lives: u64, counted: &[u64]) -> (Outcome, String) {
        let mut record = load_record(100, 70);
        let slice = &mut record.intervals[4];
        slice.answered -= 150;
        slice.failed = 120;
        slice.failed_kinds = [("reset".to_owned(), 100), ("lost".to_owned(), 20)].into();
        let mut story = Story::new(vec![Expectation::at_most_once()]).block("builtin");
        for _ in 0..lives {
            let (role, name) = (Role::Upstream, "upstream".to_owned());
            let sockets = [].into();
            story = story.at(
                50,
                Event::ChildReady {
                    role,
                    name,
                    sockets,
                },
            );
        }
        story = story.load(record);
        for requests in counted {
            story = story.counted(Role::Upstream, json!({ "requests": requests }));
        }
        let run = RunFile::from_events(&story.end().0);
        let verdict = &run.scenarios[0].verdicts[0];
        (verdict.outcome, verdict.evidence.clone())
    }

    #[test]
    fn the_upstreams_count_lies_between_answered_and_sent() {
        let answered = SENT - 150;
        for right in [answered, answered + 70, SENT, SENT + 20] {
            let (outcome, said) = judged(1, &[right]);
            assert_eq!(outcome, Outcome::Pass, "{right}: {said}");
        }
        for wrong in [answered - 1, SENT + 21] {
            let (outcome, said) = judged(1, &[wrong]);
            assert_eq!(outcome, Outcome::Fail, "{wrong}: {said}");
        }
    }

    #[test]
    fn who_was_killed_left_no_count_and_may_break_it_nevertheless() {
        let (outcome, said) = judged(2, &[10_000]);
        assert_eq!(outcome, Outcome::Inconclusive, "{said}");
        assert!(said.contains("upstream ended without telling"), "{said}");
        assert_eq!(judged(1, &[]).0, Outcome::Inconclusive);
        assert_eq!(judged(2, &[SENT + 21]).0, Outcome::Fail);
    }

    #[test]
    fn one_that_was_restarted_in_good_order_has_two_counts() {
        assert_eq!(judged(2, &[10_000, SENT - 10_000]).0, Outcome::Pass);
        assert_eq!(judged(2, &[10_000, SENT - 9_979]).0, Outcome::Fail);
    }

    #[test]
    fn an_echo_counts_bytes() {
        let judged = |bytes: u64| {
            let mut record = load_record(100, 70);
            record.config.insert("payload".to_owned(), "64-64".into());
            record.intervals[4].answered -= 1;
            let mut story = Story::new(vec![Expectation::at_most_once()]);
            for stamped in &mut story.0 {
                if let Event::ScenarioStarted(header) = &mut stamped.event {
                    header.config = json!({"proxy": {"mode": "tcp"}});
                }
            }
            let story = story.block("builtin").load(record);
            let story = story.counted(Role::Upstream, json!({ "bytes_in": bytes }));
            RunFile::from_events(&story.end().0).scenarios[0].verdicts[0].outcome
        };
        assert_eq!(judged((SENT - 1) * 64), Outcome::Pass);
        assert_eq!(judged((SENT - 1) * 64 - 1), Outcome::Fail);
        // Twenty probes of a hundred bytes or so.
        assert_eq!(judged(SENT * 64 + 20 * 128), Outcome::Pass);
        assert_eq!(judged(SENT * 64 + 20 * 128 + 1), Outcome::Fail);
    }
}
