use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use fuzzclient::generate::Ending;
use proptest::prelude::*;

use super::*;
use crate::session::{Connection, Transport};

fn session(connections: &[&[u8]]) -> Session {
    let connections = connections
        .iter()
        .enumerate()
        .map(|(number, bytes)| Connection {
            number: number as u64,
            bytes: (*bytes).into(),
            ending: Ending::HalfClose,
        });
    Session {
        transport: Transport::Tcp,
        connections: connections.collect(),
    }
}

fn all_bytes(session: &Session) -> Vec<&[u8]> {
    session
        .connections
        .iter()
        .map(|connection| &connection.bytes[..])
        .collect()
}

fn run(
    start: &Session,
    oracle: &dyn Oracle,
    jobs: usize,
    repeats: Repeats,
) -> Result<Minimized, MinimizeError> {
    let stop = AtomicBool::new(false);
    let settings = Settings {
        repeats,
        jobs,
        most_tries: 200_000,
        stop: &stop,
    };
    minimize(start, oracle, &settings, &|_| ())
}

fn lines_of(session: &Session) -> impl Iterator<Item = &[u8]> {
    let connections = session.connections.iter();
    connections.flat_map(|connection| connection.bytes.split_inclusive(|&byte| byte == b'\n'))
}

/// Fails at so many lines that are no requests, over all connections.
fn bad_lines(least: usize) -> impl Fn(&Session) -> Result<bool, String> + Sync {
    move |session| {
        let bad =
            lines_of(session).filter(|line| line.ends_with(b"\n") && !line.starts_with(b"REQ "));
        Ok(bad.count() >= least)
    }
}

#[test]
fn so_many_decode_errors_are_so_many_empty_lines() {
    let garbage: Vec<u8> = (0..40_000_u32)
        .flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    let start = session(&[b"REQ 1 a\n", &garbage, b"", &garbage[77..], b"REQ 2 b\nbad"]);
    let tries = Mutex::new(0);
    let least = 300;
    let oracle = |session: &Session| {
        *tries.lock().unwrap() += 1;
        bad_lines(least)(session)
    };
    let found = run(&start, &oracle, 2, Repeats::ONCE).unwrap();
    assert_eq!(all_bytes(&found.session), [b"\n".repeat(least)]);
    assert!(found.is_minimal);
    let tries = *tries.lock().unwrap();
    assert!(tries < 400, "{tries} tries: each starts a process");
}

#[test]
fn a_line_that_is_too_long_is_exactly_as_long_as_it_takes() {
    let long = |session: &Session| Ok(lines_of(session).any(|line| line.len() >= 65_536));
    let garbage: Vec<u8> = (0..100_000_u32)
        .map(|i| b'!' + (i.wrapping_mul(2_654_435_761) >> 26) as u8)
        .collect();
    let start = session(&[
        b"REQ 1 a\n",
        &[b"REQ 1 b\n", &garbage[..], b"\nREQ 2 c\n"].concat(),
    ]);
    let tries = Mutex::new(0);
    let oracle = |session: &Session| {
        *tries.lock().unwrap() += 1;
        long(session)
    };
    let found = run(&start, &oracle, 2, Repeats::ONCE).unwrap();
    assert_eq!(found.session.size().bytes, 65_536);
    assert!(found.is_minimal);
    let tries = *tries.lock().unwrap();
    assert!(tries < 200, "{tries} tries: each starts a process");
}

#[test]
fn a_word_among_garbage_is_all_that_is_left() {
    let word = |session: &Session| {
        Ok(all_bytes(session)
            .iter()
            .any(|bytes| bytes.windows(4).any(|part| part == b"%s%n")))
    };
    let start = session(&[b"REQ 1 x\n", b"REQ 1 hello %s%n world\nREQ 2 y\n", b"bye\n"]);
    let found = run(&start, &word, 1, Repeats::ONCE).unwrap();
    assert_eq!(all_bytes(&found.session), [b"%s%n"]);
}

#[test]
fn what_needs_two_connections_keeps_two_and_ends_plainly() {
    let mut start = session(&[b"a", b"login\n", b"b", b"crash\n", b"c"]);
    for connection in &mut start.connections {
        connection.ending = Ending::Reset;
    }
    let oracle = |session: &Session| {
        let at = |word: &[u8]| {
            let has = |bytes: &&[u8]| bytes.windows(word.len()).any(|part| part == word);
            all_bytes(session).iter().position(has)
        };
        let reset = session
            .connections
            .iter()
            .any(|one| one.ending == Ending::Reset);
        Ok(reset && matches!((at(b"login"), at(b"crash")), (Some(a), Some(b)) if a < b))
    };
    let found = run(&start, &oracle, 2, Repeats::ONCE).unwrap();
    assert_eq!(all_bytes(&found.session), [b"login" as &[u8], b"crash"]);
    let endings: Vec<_> = found
        .session
        .connections
        .iter()
        .map(|one| one.ending)
        .collect();
    // One has to be a reset, and the first was asked first.
    assert_eq!(endings, [Ending::HalfClose, Ending::Reset]);
}

#[test]
fn nothing_comes_of_what_survives_or_cannot_be_tried() {
    let start = session(&[b"x\n"]);
    let survives = run(
        &start,
        &|_: &Session| Ok(false),
        1,
        Repeats { needed: 1, of: 5 },
    );
    assert_eq!(
        survives,
        Err(MinimizeError::Survives {
            failed: 0,
            tried: 5
        })
    );
    let broken = |session: &Session| match session.size().bytes {
        2 => Ok(true),
        _ => Err("port in use".to_owned()),
    };
    let unusable = run(&start, &broken, 2, Repeats::ONCE);
    assert_eq!(
        unusable,
        Err(MinimizeError::Unusable("port in use".to_owned()))
    );
}

#[test]
fn it_can_be_stopped_and_has_a_bound_and_says_how_far_it_is() {
    let start = session(&[&b"bad\n".repeat(1000)]);
    let stop = AtomicBool::new(false);
    let settings = Settings {
        repeats: Repeats::ONCE,
        jobs: 1,
        most_tries: 8,
        stop: &stop,
    };
    let seen = Mutex::new(Vec::new());
    let note = |progress: &Progress| seen.lock().unwrap().push(*progress);
    let found = minimize(&start, &bad_lines(10), &settings, &note).unwrap();
    assert!(!found.is_minimal && found.tries <= 8);
    assert!(found.session.size() < start.size() && bad_lines(10)(&found.session).unwrap());
    let seen = seen.into_inner().unwrap();
    assert!(
        seen.windows(2)
            .all(|two| two[0].size >= two[1].size && two[0].tries <= two[1].tries)
    );
    assert_eq!(seen[0].from, start.size());

    let oracle = |session: &Session| {
        stop.store(session.size().bytes < 500, Ordering::Relaxed);
        bad_lines(10)(session)
    };
    let settings = Settings {
        most_tries: u64::MAX,
        ..settings
    };
    let found = minimize(&start, &oracle, &settings, &|_| ()).unwrap();
    assert!(!found.is_minimal && bad_lines(10)(&found.session).unwrap());
}

#[test]
fn a_failure_that_comes_one_time_in_three_is_not_lost() {
    let calls = AtomicU32::new(0);
    let flaky = |session: &Session| {
        // Pseudo-random and without a pattern that the order of tries could fall into.
        let call = calls.fetch_add(1, Ordering::Relaxed);
        let lucky = (call.wrapping_mul(2_654_435_761) >> 16).is_multiple_of(3);
        Ok(lucky && bad_lines(3)(session)?)
    };
    let start = session(&[b"bad\nREQ 1 x\nbad\nworse\nbad\n", b"REQ 1 x\n"]);
    let found = run(&start, &flaky, 1, Repeats::for_rate(3, 10)).unwrap();
    assert_eq!(all_bytes(&found.session), [b"\n\n\n"]);
}

#[test]
fn the_rarer_the_failure_the_more_tries() {
    assert_eq!(Repeats::for_rate(10, 10), Repeats::ONCE);
    let of = |failed| Repeats::for_rate(failed, 10).of;
    assert!(
        of(9) < of(5) && of(5) < of(1) && of(0) == 30,
        "{} {} {}",
        of(9),
        of(5),
        of(1)
    );
}

/// What a made-up target dies of.
#[derive(Clone, Debug)]
enum Weakness {
    /// All of these, in any order, on any connection.
    Words(Vec<Vec<u8>>),
    /// So many bytes of this value.
    Count(u8, usize),
    /// A line that is so long.
    Long(usize),
    /// So many connections.
    Connections(usize),
    /// A sum that is divisible: not monotone at all.
    Odd(u32),
}

impl Weakness {
    fn strikes(&self, session: &Session) -> bool {
        let bytes = || {
            session
                .connections
                .iter()
                .flat_map(|one| one.bytes.iter().copied())
        };
        match self {
            Self::Words(words) => words.iter().all(|word| {
                all_bytes(session)
                    .iter()
                    .any(|bytes| bytes.windows(word.len()).any(|part| part == &word[..]))
            }),
            Self::Count(value, least) => bytes().filter(|byte| byte == value).count() >= *least,
            Self::Long(least) => lines_of(session).any(|line| line.len() >= *least),
            Self::Connections(least) => session.connections.len() >= *least,
            Self::Odd(by) => {
                let sum: u32 = bytes().map(|byte| u32::from(byte) % 7).sum();
                sum > 3 && sum % by == 1
            }
        }
    }
}

fn weaknesses() -> impl Strategy<Value = Weakness> {
    let word = proptest::collection::vec(0_u8..4, 1..4);
    prop_oneof![
        proptest::collection::vec(word, 1..4).prop_map(Weakness::Words),
        (0_u8..4, 1_usize..12).prop_map(|(value, least)| Weakness::Count(value, least)),
        (1_usize..20).prop_map(Weakness::Long),
        (1_usize..5).prop_map(Weakness::Connections),
        (2_u32..6).prop_map(Weakness::Odd),
    ]
}

/// Bytes of few kinds, newlines among them.
fn sessions() -> impl Strategy<Value = Session> {
    let byte = prop_oneof![4 => 0_u8..4, 1 => Just(b'\n'), 1 => any::<u8>()];
    let connection = proptest::collection::vec(byte, 0..40);
    let connections = proptest::collection::vec(connection, 0..6);
    connections.prop_map(|all| session(&all.iter().map(|bytes| &bytes[..]).collect::<Vec<_>>()))
}

/// Everything that has one connection, one line or one byte less.
fn one_less(session: &Session) -> Vec<Session> {
    let mut all = Vec::new();
    for at in 0..session.connections.len() {
        let mut less = session.clone();
        less.connections.remove(at);
        all.push(less);
        let bytes = session.connections[at].bytes.to_vec();
        let mut cut = |range: std::ops::Range<usize>| {
            let mut less = session.clone();
            less.connections[at].bytes =
                [&bytes[..range.start], &bytes[range.end..]].concat().into();
            all.push(less);
        };
        (0..bytes.len()).for_each(|i| cut(i..i + 1));
        let mut start = 0;
        for line in bytes.split_inclusive(|&byte| byte == b'\n') {
            cut(start..start + line.len());
            start += line.len();
        }
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn the_result_still_fails_is_never_larger_and_nothing_can_go(
        start in sessions(),
        weakness in weaknesses(),
        jobs in 1_usize..4,
    ) {
        prop_assume!(weakness.strikes(&start));
        let oracle = |session: &Session| Ok(weakness.strikes(session));
        let found = run(&start, &oracle, jobs, Repeats::ONCE).unwrap();
        prop_assert!(found.is_minimal);
        prop_assert!(weakness.strikes(&found.session), "{:?}", found.session);
        prop_assert!(found.session.size() <= start.size());
        prop_assert!(found.session.size().bytes <= start.size().bytes);
        for less in one_less(&found.session) {
            prop_assert!(!weakness.strikes(&less), "{:?} is smaller than {:?}", less, found.session);
        }
        // How many are tried at once makes no difference.
        let alone = run(&start, &oracle, 1, Repeats::ONCE).unwrap();
        prop_assert_eq!(alone.session, found.session);
    }

    #[test]
    fn wherever_it_is_stopped_the_result_still_fails(
        start in sessions(),
        weakness in weaknesses(),
        most_tries in 1_u64..40,
    ) {
        prop_assume!(weakness.strikes(&start));
        let stop = AtomicBool::new(false);
        let settings = Settings { repeats: Repeats::ONCE, jobs: 2, most_tries, stop: &stop };
        let oracle = |session: &Session| Ok(weakness.strikes(session));
        let found = minimize(&start, &oracle, &settings, &|_| ()).unwrap();
        prop_assert!(weakness.strikes(&found.session));
        prop_assert!(found.session.size() <= start.size());
        prop_assert!(found.tries <= most_tries + 1);
    }
}
