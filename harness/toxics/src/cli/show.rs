//! What the command line prints.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

use serde_json::Value;

use crate::catalogue;
use crate::toxic::Fits;

/// Prints to stdout; that nobody reads it any more is no failure.
pub(super) fn print(text: &str) -> ExitCode {
    let mut stdout = std::io::stdout().lock();
    let _ = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
    ExitCode::SUCCESS
}

fn text_of<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

/// Every kind of toxic.
pub(super) fn kinds() -> String {
    let mut out = String::new();
    for kind in catalogue::KINDS {
        let links = match kind.fits {
            Fits::Both => "tcp, udp",
            Fits::Stream => "tcp",
            Fits::Datagram => "udp",
        };
        put(
            &mut out,
            format_args!("{} ({links}): {}\n", kind.name, kind.about),
        );
        for attribute in kind.attributes {
            let (name, about) = (attribute.name, attribute.about);
            let (expected, default) = (attribute.expected(), attribute.default);
            put(
                &mut out,
                format_args!("    {name}: {about}; {expected} [default: {default}]\n"),
            );
        }
    }
    out
}

/// All links, a line each.
pub(super) fn links(all: &Value) -> String {
    let mut out = String::new();
    let links = all.as_object().into_iter().flatten();
    for (_, link) in links {
        out += &line(link);
    }
    if out.is_empty() {
        out += "no links\n";
    }
    out
}

fn line(link: &Value) -> String {
    let state = if link["enabled"] == true {
        "up"
    } else {
        "down"
    };
    let toxics = link["toxics"].as_array().map_or(0, Vec::len);
    let protocol = link["protocol"].as_str().unwrap_or("tcp");
    let (name, listen) = (text_of(link, "name"), text_of(link, "listen"));
    let upstream = text_of(link, "upstream");
    format!("{name}: {protocol} {listen} -> {upstream}, {state}, {toxics} toxics\n")
}

/// A link and its toxics, with what they did if that is known.
pub(super) fn link(link: &Value, record: Option<&Value>) -> String {
    let mut out = line(link);
    for toxic in link["toxics"].as_array().into_iter().flatten() {
        let recorded = record.and_then(|record| {
            let mut toxics = record["toxics"].as_array()?.iter();
            toxics.find(|there| there["name"] == toxic["name"] && there.get("removed_ns").is_none())
        });
        out += "    ";
        out += &self::toxic(toxic, recorded);
    }
    out
}

/// A toxic, with what it did if that is known.
pub(super) fn toxic(toxic: &Value, recorded: Option<&Value>) -> String {
    let attributes = toxic["attributes"].as_object().into_iter().flatten();
    let attributes: Vec<String> = attributes
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let mut out = String::new();
    let (name, kind) = (text_of(toxic, "name"), text_of(toxic, "type"));
    let (stream, toxicity) = (text_of(toxic, "stream"), &toxic["toxicity"]);
    put(
        &mut out,
        format_args!(
            "{name}: {kind} {stream}, toxicity {toxicity}, {}",
            attributes.join(" ")
        ),
    );
    if let Some(recorded) = recorded {
        let (hits, connections) = (&recorded["hits"], &recorded["connections"]);
        put(
            &mut out,
            format_args!("; {hits} hits on {connections} connections"),
        );
    }
    out.push('\n');
    out
}

fn put(out: &mut String, what: std::fmt::Arguments<'_>) {
    out.write_fmt(what).expect("a text takes everything");
}
