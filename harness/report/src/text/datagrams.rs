//! What became of datagrams that come back, on either way.

use super::latency::{subject_name, with_load};
use super::{heading, number, table};
use crate::datagrams::{Passage, There};
use crate::run::ScenarioRun;

/// What the columns of [`rows`] hold.
pub(crate) const HEAD: [&str; 7] = [
    "",
    "sent",
    "lost there",
    "lost back",
    "lost",
    "twice: there, in all",
    "out of order: there, in all",
];

/// The section of a scenario; empty if no such datagrams were sent.
#[must_use]
pub fn section(scenario: &ScenarioRun) -> String {
    let mut rows = rows(scenario);
    if rows.is_empty() {
        return String::new();
    }
    rows.insert(0, HEAD.map(str::to_owned).to_vec());
    let aligns = [&[table::LEFT][..], &[table::RIGHT; 6]].concat();
    heading("DATAGRAMS", &scenario.header.name) + &table::render(&rows, &aligns)
}

/// A row for each subject and load, warm-up included.
pub(crate) fn rows(scenario: &ScenarioRun) -> Vec<Vec<String>> {
    let rows = scenario.figures.iter().filter_map(|figures| {
        let passage = Passage::over(scenario, &figures.subject, &figures.load)?;
        let name = subject_name(&figures.subject).to_owned();
        let mut cells = vec![with_load(scenario, figures, name)];
        cells.extend(row(&passage));
        Some(cells)
    });
    rows.collect()
}

fn row(passage: &Passage) -> [String; 6] {
    let share = |count: u64| {
        let share = number::percent_exact(count as f64 / passage.sent.max(1) as f64);
        format!("{} ({share})", number::count(count))
    };
    let told = |what: fn(&There) -> u64| passage.there.as_ref().map(what);
    let share_of = |what| told(what).map_or_else(|| "-".to_owned(), share);
    let both = |there: Option<u64>, all: u64| {
        let there = there.map_or_else(|| "-".to_owned(), number::count);
        format!("{there}, {}", number::count(all))
    };
    [
        number::count(passage.sent),
        share_of(|there| there.lost),
        share_of(|there| there.lost_back),
        share(passage.lost),
        both(told(|there| there.duplicated), passage.duplicated),
        both(told(|there| there.reordered), passage.reordered),
    ]
}

#[cfg(test)]
mod tests {
    use loadgen::record::{Udp, UdpClient};
    use serde_json::{Value, json};

    use crate::event::Role;
    use crate::expect::Expectation;
    use crate::fixtures::{Story, load, load_record};
    use crate::run::RunFile;
    use crate::verdict::Outcome;

    /// Two sockets sent 1,000 datagrams each; 960 and 990 came back.
    fn run(demands: Vec<Expectation>, counts: &[Value]) -> RunFile {
        let mut record = load_record(100, 70);
        let client = |returned| UdpClient {
            numbers: 1_000,
            sent: 1_000,
            returned,
            ..UdpClient::default()
        };
        record.udp = Some(Udp {
            run: "0a".to_owned(),
            sent: 2_000,
            returned: 1_950,
            lost: 50,
            duplicated: 7,
            reordered: 5,
            clients: [
                ("0a.0".to_owned(), client(960)),
                ("0a.1".to_owned(), client(990)),
            ]
            .into(),
            ..Udp::default()
        });
        let mut story = Story::new(demands).block("builtin").load(record);
        for counts in counts {
            story = story.counted(Role::Upstream, counts.clone());
        }
        RunFile::from_events(&story.end().0)
    }

    /// 980 and 995 of them came to the server, and one of another run.
    fn told() -> Value {
        let client = |distinct: u64, duplicates: u64, reordered: u64| {
            json!({
                "datagrams": distinct + duplicates,
                "distinct": distinct,
                "duplicates": duplicates,
                "reordered": reordered,
                "highest": 999,
            })
        };
        json!({"udp": {"clients": {
            "0a.0": client(980, 3, 0),
            "0a.1": client(995, 0, 2),
            "0b.0": client(1, 0, 0),
        }}})
    }

    #[test]
    fn loss_is_told_by_the_way_on_which_it_happened() {
        let run = run(Vec::new(), &[told()]);
        let report = crate::text::render(&run, None);
        let row = report
            .lines()
            .skip_while(|line| *line != "DATAGRAMS  made-up")
            .nth(2)
            .expect("there is a row");
        let cells: Vec<&str> = row
            .split("  ")
            .map(str::trim)
            .filter(|cell| !cell.is_empty())
            .collect();
        let expected = [
            "through the proxy",
            "2,000",
            "25 (1.2 %)",
            "25 (1.2 %)",
            "50 (2.5 %)",
            "3, 7",
            "2, 5",
        ];
        assert_eq!(cells, expected, "{report}");
        let markdown = crate::markdown::render(&run);
        assert!(markdown.contains("| 2,000 | 25 (1.2 %) |"), "{markdown}");
    }

    #[test]
    fn each_way_can_be_demanded_as_a_count_or_a_share() {
        let outcome = |text: &str, counts: &[Value]| {
            let run = run(vec![load(text)], counts);
            run.scenarios[0].verdicts[0].outcome
        };
        let told = [told()];
        for right in [
            "lost_there = 25",
            "lost_there < 1.3 %",
            "lost_back <= 25",
            "lost_back < 2 %",
            "lost = 50",
            "lost >= 2.5 %",
            "duplicated = 7",
            "reordered = 5",
        ] {
            assert_eq!(outcome(right, &told), Outcome::Pass, "{right}");
        }
        for wrong in ["lost_there < 1.2 %", "lost_back = 24", "duplicated = 0"] {
            assert_eq!(outcome(wrong, &told), Outcome::Fail, "{wrong}");
        }
        // Nobody says what came there, and what came back is known nevertheless.
        assert_eq!(outcome("lost_there = 25", &[]), Outcome::Inconclusive);
        assert_eq!(outcome("lost = 50", &[]), Outcome::Pass);
    }
}
