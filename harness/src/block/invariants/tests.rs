use report::event::{Exit, Fault, Phase};

use super::*;

const SECOND: u64 = 1_000_000_000;

fn watched(has_datagrams: bool) -> Invariants {
    let mut invariants = Invariants::new(Watch::default(), has_datagrams);
    invariants.begin(100 * SECOND);
    invariants
}

fn interval(start_s: u64, spoil: impl FnOnce(&mut Interval)) -> Event {
    let mut interval = Interval {
        start_mono_ns: start_s * SECOND,
        length_s: 1.0,
        sent: 100,
        answered: 100,
        ..Interval::default()
    };
    spoil(&mut interval);
    let name = "load".to_owned();
    Event::LoadInterval { name, interval }
}

fn fault(id: &str) -> Event {
    Event::FaultBegan(Fault {
        id: id.to_owned(),
        target: "client-proxy".to_owned(),
        action: "latency".to_owned(),
        ..Fault::default()
    })
}

fn over(id: &str) -> Event {
    Event::FaultEnded { id: id.to_owned() }
}

fn said(broken: Option<Broken>) -> String {
    broken.map_or(String::new(), |broken| broken.words())
}

#[test]
fn a_wrong_answer_is_one_at_any_time() {
    let corrupted = |invariants: &mut Invariants| {
        let wrong = interval(110, |interval| {
            interval.failed_kinds.insert("corrupted".to_owned(), 2);
        });
        invariants.take(111 * SECOND, &fault("1.4"));
        said(invariants.take(112 * SECOND, &wrong))
    };
    let told = corrupted(&mut watched(false));
    assert!(
        told.starts_with("2 answers of load corrupted after 12.0 s"),
        "{told}"
    );
    assert!(
        told.contains("during latency client-proxy (fault 1.4)"),
        "{told}"
    );
    assert!(!corrupted(&mut watched(true)).is_empty());
    let lost = interval(110, |interval| {
        interval.failed_kinds.insert("lost".to_owned(), 1);
    });
    assert!(watched(false).take(112 * SECOND, &lost).is_some());
    assert!(watched(true).take(112 * SECOND, &lost).is_none());
}

#[test]
fn a_load_may_fail_in_a_fault_and_shortly_after_it() {
    let failing = |start_s| interval(start_s, |interval| interval.failed = 3);
    let mut invariants = watched(false);
    invariants.take(105 * SECOND, &fault("1.1"));
    assert!(invariants.take(107 * SECOND, &failing(106)).is_none());
    invariants.take(108 * SECOND, &over("1.1"));
    assert!(invariants.take(111 * SECOND, &failing(110)).is_none());
    let told = said(invariants.take(112 * SECOND, &failing(111)));
    assert!(told.contains("3 requests of load failed"), "{told}");
    assert!(
        told.contains("the last fault was latency client-proxy"),
        "{told}"
    );
    let starved = interval(111, |interval| interval.answered = 0);
    assert!(invariants.take(112 * SECOND, &starved).is_some());
    assert!(
        invariants
            .take(112 * SECOND, &interval(111, |_| {}))
            .is_none()
    );
}

#[test]
fn who_dies_or_is_silent_is_named() {
    let mut invariants = watched(false);
    let probe = |outcome| {
        Event::Probe(Probe {
            role: Role::Proxy,
            name: None,
            phase: Phase::During,
            begun_mono_ns: 0,
            outcome,
            sent: true,
        })
    };
    let silent = probe(ProbeOutcome::Silent);
    assert!(invariants.take(104 * SECOND, &silent).is_none());
    assert!(
        invariants
            .take(105 * SECOND, &probe(ProbeOutcome::Answered))
            .is_none()
    );
    invariants.take(106 * SECOND, &fault("1"));
    assert!(
        invariants.take(120 * SECOND, &silent).is_none(),
        "a fault is an excuse"
    );
    invariants.take(120 * SECOND, &over("1"));
    assert!(invariants.take(124 * SECOND, &silent).is_none());
    let told = said(invariants.take(126 * SECOND, &silent));
    assert!(
        told.contains("proxy answered no probe for 6.0 s (the last: silent)"),
        "{told}"
    );
    let exited = |asked| Event::Exited {
        role: Role::Upstream,
        name: "upstream.1".to_owned(),
        exit: Exit {
            asked,
            signal: Some("SIGSEGV".to_owned()),
            ..Exit::default()
        },
    };
    assert!(invariants.take(127 * SECOND, &exited(true)).is_none());
    let told = said(invariants.take(127 * SECOND, &exited(false)));
    assert!(told.starts_with("upstream.1 died of SIGSEGV"), "{told}");
    invariants.end();
    assert!(invariants.take(128 * SECOND, &exited(false)).is_none());
}

#[test]
fn a_leak_raises_the_lowest_use_and_a_peak_does_not() {
    let found = |descriptors: fn(u64) -> u64| {
        let mut invariants = watched(false);
        (0..600).find_map(|second| {
            let sample = Event::Sample {
                role: Role::Proxy,
                name: None,
                sample: Sample {
                    descriptors: descriptors(second),
                    ..Sample::default()
                },
            };
            invariants.take((100 + second) * SECOND, &sample)
        })
    };
    // Every other second there are many.
    assert_eq!(found(|second| 40 + 1_000 * (second % 2)), None);
    let told = said(found(|second| 40 + second));
    assert!(told.starts_with("descriptors of proxy grew: "), "{told}");
    assert!(told.contains("at the highest in the first"), "{told}");
    // A fault in the first window kept it low for a while: that is no growth later on.
    assert_eq!(found(|second| if second < 5 { 5 } else { 90 }), None);
}
