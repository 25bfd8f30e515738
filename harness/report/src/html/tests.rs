//! The page as a whole: what is on it, and that nothing on it breaks out or reaches out.

mod samples;

use super::render;
use crate::event::Role;
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
    let run = samples::capacity_run();
    let page = render(&run, None);
    for part in [
        "highest rate with p99 &lt; 2ms",
        "class=\"mark limit\"",
        "class=\"series s1 breaks\"",
        "the load client: it may carry more",
    ] {
        assert!(page.contains(part), "{part} is not on the page");
    }
    assert!(
        !page.contains("Response time by percentile"),
        "blocks of different rates are not one distribution"
    );
    assert_well_formed(&page);
}

/// Not a test: writes pages to look at to the directory that the variable names.
#[test]
fn pages_to_look_at() {
    let Some(directory) = std::env::var_os("HARNESS_REPORT_PAGES") else {
        return;
    };
    let mut comparison = RunFile::read(V1).unwrap();
    comparison.comparisons = samples::comparisons(&["git:HEAD"]);
    let mut tournament = comparison.clone();
    tournament.comparisons = samples::comparisons(&["haproxy", "nginx", "envoy"]);
    for (name, run) in [
        ("v1", RunFile::read(V1).unwrap()),
        ("comparison", comparison),
        ("tournament", tournament),
        ("capacity", samples::capacity_run()),
    ] {
        let path = std::path::Path::new(&directory).join(format!("{name}.html"));
        std::fs::write(path, render(&run, Some("runs/x"))).unwrap();
    }
}
