//! What is looked for on each level: fewer connections, fewer lines, fewer bytes.

use std::ops::Range;
use std::sync::Arc;

use fuzzclient::generate::Ending;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::search::{self, Kept};
use super::trial::Trial;
use crate::session::{Connection, Session, Transport};

/// What bytes are made alike with, if they may be anything.
const PLAIN: u8 = b'x';

/// A part of a session: the index of its connection, and where it is on that.
type Part = (usize, Range<usize>);

/// Leaves out connections.
pub(super) fn connections(trial: &Trial<'_>, best: &mut Session) {
    trial.report("connections", best.size());
    let all = best.clone();
    let build = |kept: &[usize]| Session {
        transport: all.transport,
        connections: kept.iter().map(|&i| all.connections[i].clone()).collect(),
    };
    let mut kept = Kept::all(all.connections.len(), all.clone());
    search::last(trial, &mut kept, &build);
    search::first(trial, &mut kept, &build);
    let values = all
        .connections
        .iter()
        .map(|one| value(one.ending as usize, &one.bytes));
    search::ddmin(trial, &mut kept, &values.collect::<Vec<_>>(), &build);
    *best = kept.session;
    trial.report("connections", best.size());
}

/// Sends what went over several connections over one, where that makes no difference: all of
/// them, or else each with its neighbour.
pub(super) fn joined(trial: &Trial<'_>, best: &mut Session) {
    if best.transport == Transport::Udp || best.connections.len() < 2 {
        return;
    }
    let all = join(best, 0..best.connections.len());
    if trial.fails(&all) {
        *best = all;
        return;
    }
    let mut at = 0;
    while at + 1 < best.connections.len() && !trial.is_over() {
        let fewer = join(best, at..at + 2);
        if trial.fails(&fewer) {
            *best = fewer;
        } else {
            at += 1;
        }
    }
}

/// These connections as one, which ends as the last of them.
fn join(session: &Session, range: Range<usize>) -> Session {
    let parts = &session.connections[range.clone()];
    let bytes: Vec<u8> = parts
        .iter()
        .flat_map(|one| one.bytes.iter().copied())
        .collect();
    let one = parts.last().map(|last| Connection {
        bytes: bytes.into(),
        ..last.clone()
    });
    let mut joined = session.clone();
    joined.connections.splice(range, one);
    joined
}

/// Leaves out lines, and what is in them.
pub(super) fn lines(trial: &Trial<'_>, best: &mut Session) {
    trial.report("lines", best.size());
    keep_first(trial, best, &line_parts(best));
    // What is in them first: then it does not matter which of them is left out.
    let newlines: Vec<Part> = line_parts(best);
    let contents = newlines
        .iter()
        .map(|(at, range)| (*at, without_newline(best, *at, range)));
    let contents: Vec<Part> = contents.filter(|(_, range)| !range.is_empty()).collect();
    blank(trial, best, &contents);
    keep_fewest(trial, best, &line_parts(best));
    trial.report("lines", best.size());
}

/// Leaves out bytes.
pub(super) fn bytes(trial: &Trial<'_>, best: &mut Session) {
    trial.report("bytes", best.size());
    shorten(trial, best);
    make_plain(trial, best);
    let parts: Vec<Part> = each_byte(best).map(|(at, i)| (at, i..i + 1)).collect();
    keep_fewest(trial, best, &parts);
    trial.report("bytes", best.size());
}

/// Ends connections as `nc` would, where that makes no difference.
pub(super) fn endings(trial: &Trial<'_>, best: &mut Session) {
    for at in 0..best.connections.len() {
        if best.connections[at].ending == Ending::HalfClose {
            continue;
        }
        let mut simpler = best.clone();
        simpler.connections[at].ending = Ending::HalfClose;
        if trial.fails(&simpler) {
            *best = simpler;
        }
    }
}

/// Keeps the first of these parts, which are all of the session.
fn keep_first(trial: &Trial<'_>, best: &mut Session, parts: &[Part]) {
    let all = best.clone();
    let build = |kept: &[usize]| of_parts(&all, kept.iter().map(|&i| &parts[i]));
    let mut kept = Kept::all(parts.len(), all.clone());
    search::first(trial, &mut kept, &build);
    *best = kept.session;
}

/// Keeps as few of these parts, which are all of the session, as can be.
fn keep_fewest(trial: &Trial<'_>, best: &mut Session, parts: &[Part]) {
    let all = best.clone();
    let build = |kept: &[usize]| of_parts(&all, kept.iter().map(|&i| &parts[i]));
    let values = parts
        .iter()
        .map(|(at, range)| value(*at, &all.connections[*at].bytes[range.clone()]));
    let mut kept = Kept::all(parts.len(), all.clone());
    search::ddmin(trial, &mut kept, &values.collect::<Vec<_>>(), &build);
    *best = kept.session;
}

/// What a unit is, and where: equal ones can stand for each other.
fn value(place: usize, bytes: &[u8]) -> u64 {
    xxh3_64_with_seed(bytes, place as u64)
}

/// Leaves out as many of these parts as can be; the rest of the session stays.
fn blank(trial: &Trial<'_>, best: &mut Session, parts: &[Part]) {
    let all = best.clone();
    let build = |kept: &[usize]| {
        let mut gone: Vec<Vec<&Range<usize>>> = vec![Vec::new(); all.connections.len()];
        let mut kept = kept.iter().peekable();
        for (i, (at, range)) in parts.iter().enumerate() {
            if kept.next_if(|unit| **unit == i).is_none() {
                gone[*at].push(range);
            }
        }
        edited(&all, |at, bytes| {
            let mut rest = Vec::new();
            let mut from = 0;
            for range in &gone[at] {
                rest.extend_from_slice(&bytes[from..range.start]);
                from = range.end;
            }
            rest.extend_from_slice(&bytes[from..]);
            rest
        })
    };
    let mut kept = Kept::all(parts.len(), all.clone());
    // None can stand for another: they are where they are.
    let values: Vec<u64> = (0..parts.len() as u64).collect();
    search::ddmin(trial, &mut kept, &values, &build);
    *best = kept.session;
}

/// Cuts each line to as few of its first bytes as bisection finds: a line that is only too
/// long is then as long as it takes.
fn shorten(trial: &Trial<'_>, best: &mut Session) {
    let mut nth = 0;
    while let Some((at, line)) = line_parts(best).get(nth).cloned() {
        let content = without_newline(best, at, &line);
        let all = best.clone();
        let build = |kept: &[usize]| {
            edited(&all, |index, bytes| {
                let keep = if index == at {
                    content.start + kept.len()
                } else {
                    bytes.len()
                };
                let rest = if index == at {
                    content.end
                } else {
                    bytes.len()
                };
                [&bytes[..keep], &bytes[rest..]].concat()
            })
        };
        if content.len() > 1 {
            let mut kept = Kept::all(content.len(), all.clone());
            search::first(trial, &mut kept, &build);
            *best = kept.session;
        }
        nth += 1;
    }
}

/// Makes bytes alike, all but those that have to be what they are.
fn make_plain(trial: &Trial<'_>, best: &mut Session) {
    let all = best.clone();
    let special = |at: usize, i: usize| !matches!(all.connections[at].bytes[i], b'\n' | PLAIN);
    let places: Vec<(usize, usize)> = each_byte(&all).filter(|&(at, i)| special(at, i)).collect();
    let build = |kept: &[usize]| {
        let mut bytes: Vec<Vec<u8>> = all
            .connections
            .iter()
            .map(|one| one.bytes.to_vec())
            .collect();
        let mut kept = kept.iter().peekable();
        for (unit, (at, i)) in places.iter().enumerate() {
            if kept.next_if(|kept| **kept == unit).is_none() {
                bytes[*at][*i] = PLAIN;
            }
        }
        edited(&all, |at, _| bytes[at].clone())
    };
    let mut kept = Kept::all(places.len(), all.clone());
    // None can stand for another: they are where they are.
    let values: Vec<u64> = (0..places.len() as u64).collect();
    search::ddmin(trial, &mut kept, &values, &build);
    *best = kept.session;
}

/// The lines of all connections, newlines included.
fn line_parts(session: &Session) -> Vec<Part> {
    let mut parts = Vec::new();
    for (at, connection) in session.connections.iter().enumerate() {
        let mut start = 0;
        for line in connection.bytes.split_inclusive(|&byte| byte == b'\n') {
            parts.push((at, start..start + line.len()));
            start += line.len();
        }
    }
    parts
}

fn without_newline(session: &Session, at: usize, line: &Range<usize>) -> Range<usize> {
    let ends = line.end > line.start && session.connections[at].bytes[line.end - 1] == b'\n';
    line.start..line.end - usize::from(ends)
}

fn each_byte(session: &Session) -> impl Iterator<Item = (usize, usize)> {
    let connections = session.connections.iter().enumerate();
    connections.flat_map(|(at, connection)| (0..connection.bytes.len()).map(move |i| (at, i)))
}

/// The session with all its connections, and of their bytes only these parts.
fn of_parts<'a>(all: &Session, parts: impl Iterator<Item = &'a Part>) -> Session {
    let mut bytes: Vec<Vec<u8>> = vec![Vec::new(); all.connections.len()];
    for (at, range) in parts {
        bytes[*at].extend_from_slice(&all.connections[*at].bytes[range.clone()]);
    }
    edited(all, |at, _| std::mem::take(&mut bytes[at]))
}

/// The session with other bytes.
fn edited(all: &Session, mut edit: impl FnMut(usize, &[u8]) -> Vec<u8>) -> Session {
    let connections = all
        .connections
        .iter()
        .enumerate()
        .map(|(at, connection)| Connection {
            bytes: Arc::from(edit(at, &connection.bytes)),
            ..connection.clone()
        });
    Session {
        transport: all.transport,
        connections: connections.collect(),
    }
}
