//! The page as a whole: what is on it, and that nothing on it breaks out or reaches out.

mod samples;

use super::render;
use crate::event::{Event, Role, Touch, Touched};
use crate::fixtures::{Story, load_record};
use crate::run::RunFile;

/// A run file of the first version, shortened.
const V1: &str = include_str!("../../tests/data/run-v1.json");

/// A page stands for itself: every tag that is opened is closed in its order. HTML's
/// void elements have no end.
fn assert_well_formed(page: &str) {
    let mut open: Vec<&str> = Vec::new();
    // What is inside of these is not markup.
    let mut rest = page;
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        let end = rest.find('>').expect("a tag ends");
        let tag = &rest[..end];
        rest = &rest[end + 1..];
        let name = tag
            .trim_start_matches('/')
            .split([' ', '\n', '/'])
            .next()
            .unwrap();
        if tag.starts_with('/') {
            assert_eq!(
                open.pop(),
                Some(name),
                "before {}",
                &rest[..rest.len().min(80)]
            );
        } else if tag.ends_with('/') || ["!doctype", "meta", "link", "br"].contains(&name) {
            continue;
        } else if name == "script" || name == "style" {
            let close = rest.find(&format!("</{name}>")).expect("it ends");
            rest = &rest[close + name.len() + 3..];
        } else {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

/// Nothing on the page makes a browser ask anybody for anything.
fn assert_self_contained(page: &str) {
    for part in [
        "http:", "https:", " src=", "url(", "@import", "fetch(", "<iframe", "<img",
    ] {
        assert!(!page.contains(part), "{part}");
    }
    assert!(page.contains("default-src 'none'"));
    let links: Vec<&str> = page.split(" href=\"").skip(1).collect();
    assert!(!links.is_empty());
    for link in links {
        assert!(
            link.starts_with('#') || link.starts_with("data:,\""),
            "{}",
            &link[..20]
        );
    }
}

#[test]
fn the_page_has_every_section_of_the_run() {
    let page = render(&RunFile::read(V1).unwrap(), Some("runs/x"));
    for part in [
        "<h1>20261121-090521-quick</h1>",
        "<h2 id=\"verdicts\">",
        "<h2 id=\"survival\">",
        "upstream died (SIGSEGV)",
        "<h2 id=\"scenario-1\">latency</h2>",
        "id=\"scenario-1-percentiles-t\"",
        "id=\"scenario-1-time-t\"",
        "id=\"scenario-1-lag-t\"",
        "CPU/msg",
        "class=\"band garbage\"",
        "<code>target/debug/harness</code>",
        "9f52786d96f83097e74b54164399467a",
        "8915326014114343",
        "<dd><code>runs/x</code></dd>",
        "&quot;rate&quot;: &quot;15k/s&quot;",
    ] {
        assert!(page.contains(part), "{part} is not on the page");
    }
    assert_well_formed(&page);
    assert_self_contained(&page);
}

#[test]
fn nobody_writes_markup_into_the_page() {
    let evil = "<script>alert(\"1\")</script>";
    let mut record = load_record(100, 90);
    record.notes.push(format!("note {evil}"));
    let story = Story::new(Vec::new())
        .block(evil)
        .load(record)
        .exit(Role::Proxy, evil, false)
        .block(&format!("cmd:{evil} '\" {{listen}}"))
        .load(load_record(100, 70));
    let mut run = RunFile::from_events(&story.end().0);
    run.header.id = evil.to_owned();
    run.header.command = vec![evil.to_owned()];
    run.failures = vec![evil.to_owned()];
    run.scenarios[0].header.name = evil.to_owned();
    run.scenarios[0].header.description = evil.to_owned();
    run.scenarios[0].problem = Some(evil.to_owned());
    run.scenarios[0].header.config = serde_json::json!({ evil: evil });
    run.comparisons = samples::comparisons(&[evil, "nginx"]);
    let mut searched = run.scenarios[0].clone();
    searched.capacity = vec![samples::capacity(evil, 40_000.0)];
    run.scenarios.push(searched);
    let page = render(&run, Some(evil));
    assert_eq!(page.matches("<script>").count(), 1, "only our own");
    assert!(page.contains("Peak memory"), "two proxies have bars");
    assert_well_formed(&page);
}

#[test]
fn faults_are_drawn_with_their_names_and_what_they_touched() {
    let touch = Touch {
        hits: 812,
        connections: 16,
        named: vec![Touched {
            link: "client-proxy".to_owned(),
            connection: 3,
            mono_ns: 1,
        }],
        ..Touch::default()
    };
    let id = "latency 300".to_owned();
    let story = Story::new(Vec::new())
        .block("builtin")
        .toxic("client-proxy", "latency", 300, 500)
        .at(500, Event::FaultTouched { id, touch })
        .fault("upstream.1", "kill", 600, 700)
        .load(load_record(100, 90));
    let mut run = RunFile::from_events(&story.end().0);
    run.header.suite = Some("chaos".to_owned());
    let page = render(&run, None);
    for part in [
        "<title>latency client-proxy downstream; 812 hits on 16 connections: client-proxy #3</title>",
        ">latency client-proxy</text>",
        ">kill upstream.1</text>",
        "<h2 id=\"suite\">Suite chaos: 1 of 1 scenarios passed</h2>",
        "<a href=\"#suite\">",
    ] {
        assert!(page.contains(part), "{part} is not on the page");
    }
    assert_well_formed(&page);
}

#[test]
fn an_empty_run_is_a_page_too() {
    assert_well_formed(&render(&RunFile::default(), None));
    assert_well_formed(&render(
        &RunFile::from_events(&Story::new(Vec::new()).0),
        None,
    ));
}

#[test]
fn comparisons_have_intervals_pairs_noise_and_margins() {
    let mut run = RunFile::read(V1).unwrap();
    run.comparisons = samples::comparisons(&["git:HEAD"]);
    let page = render(&run, None);
    for part in [
        "<h2 id=\"comparison\">",
        ">slower<",
        "class=\"interval bad\"",
        "<title>margin: 5 % either way</title>",
        "for information",
        "more is better",
    ] {
        assert!(page.contains(part), "{part} is not on the page");
    }
    let pairs = run.comparisons[0].scenarios[0].metrics[0].differences.len();
    assert_eq!(page.matches("<title>pair 1:").count(), 2 * 6);
    assert_eq!(
        page.matches(&format!("<title>pair {pairs}:")).count(),
        2 * 6
    );
    assert!(page.contains("<circle class=\"noise\""));
    assert!(
        !page.contains("table class=\"overview\""),
        "one candidate needs none"
    );
    run.comparisons = samples::comparisons(&["haproxy", "nginx", "envoy"]);
    let page = render(&run, None);
    assert!(page.contains("table class=\"overview\""));
    assert_well_formed(&page);
    assert_self_contained(&page);
}

#[test]
fn capacity_is_a_curve_with_its_bound() {
    let run = samples::capacity_run("p99 < 2ms");
    assert!(run.scenarios[0].figures.is_empty(), "as in any search");
    let page = render(&run, None);
    for part in [
        "highest rate with p99 &lt; 2ms",
        "class=\"mark limit\"",
        "class=\"series s0 breaks\"",
        "the load client: it may carry more",
        "data-name=\"through the proxy p99\"",
        "<summary>Blocks as a table</summary>",
        // It goes when the series goes.
        "<g class=\"series s0 range\" data-series=\"0\" data-name=\"through the proxy\">\
         <rect class=\"band found\"",
    ] {
        assert!(page.contains(part), "{part} is not on the page");
    }
    assert!(
        !page.contains("Response time by percentile"),
        "blocks of different rates are not one distribution"
    );
    assert_eq!(plots(&page).len(), 1, "nor do they make a timeline");
    assert_well_formed(&page);
}

/// The plots of a page, each of which has something in it.
fn plots(page: &str) -> Vec<&str> {
    let plots = page.split("<svg class=\"plot\"").skip(1);
    let plots: Vec<&str> = plots
        .filter_map(|plot| plot.split("</svg>").next())
        .collect();
    for plot in &plots {
        assert!(plot.contains("class=\"line\""), "it is empty: {plot}");
    }
    plots
}

#[test]
fn a_bound_on_what_is_no_time_is_not_drawn_as_one() {
    for bound in ["cpu_per_msg < 5us", "peak_memory < 64MiB"] {
        let page = render(&samples::capacity_run(bound), None);
        let plots = plots(&page);
        let word = bound.split(' ').next().unwrap();
        assert!(!plots[0].contains(word), "{bound}: {}", plots[0]);
        assert!(!plots[0].contains("class=\"mark limit\""), "{bound}");
        assert!(plots[0].contains("data-name=\"through the proxy p99\""));
    }
}

#[test]
fn a_tournament_is_one_table() {
    let page = render(&samples::tournament(), None);
    for part in [
        "<a href=\"#tournament\">",
        "<th scope=\"col\">haproxy</th><th scope=\"col\">nginx</th><th scope=\"col\">direct</th>",
        "<td>p50</td><td><b>90.0 µs ★</b></td><td>110 µs <small>1.09×</small><br>",
        "<td>70.0 µs</td></tr>",
        "<td>upstream</td>",
        "died (SIGSEGV)",
    ] {
        assert!(page.contains(part), "{part} is not in\n{page}");
    }
    assert!(!page.contains("table class=\"overview\""));
    assert_well_formed(&page);
    assert_self_contained(&page);
    let another = render(&RunFile::read(V1).unwrap(), None);
    assert!(!another.contains("id=\"tournament\""));
}

#[test]
fn paper_shows_what_a_screen_folds_away() {
    let style = include_str!("style.css");
    let (_, print) = style.split_once("@media print").unwrap();
    let mut hidden = print.lines().filter(|line| line.contains("display: none"));
    assert!(hidden.all(|line| !line.contains("details")), "{print}");
    assert!(print.contains("details::details-content { content-visibility: visible; }"));
}

/// Not a test: nothing is checked but by who looks at them.
#[test]
#[ignore = "writes pages to look at, to the directory HARNESS_REPORT_PAGES"]
fn pages_to_look_at() {
    let directory = std::env::var_os("HARNESS_REPORT_PAGES").expect("HARNESS_REPORT_PAGES is set");
    let mut comparison = RunFile::read(V1).unwrap();
    comparison.comparisons = samples::comparisons(&["git:HEAD"]);
    for (name, run) in [
        ("v1", RunFile::read(V1).unwrap()),
        ("comparison", comparison),
        ("tournament", samples::tournament()),
        ("capacity", samples::capacity_run("p99 < 2ms")),
        ("cpu-capacity", samples::capacity_run("cpu_per_msg < 5us")),
    ] {
        let path = std::path::Path::new(&directory).join(format!("{name}.html"));
        std::fs::write(path, render(&run, Some("runs/x"))).unwrap();
    }
}
