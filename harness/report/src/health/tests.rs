//! Each status, and who is to blame for it, from probes made by hand.

use super::*;
use crate::event::{Audit, Exit, Fault, Phase, Probe};
use crate::evidence::{FaultEvidence, TimedExit};

const MS: u64 = 1_000_000;

fn probe(role: Role, begun_ms: u64, took_ms: u64, outcome: ProbeOutcome) -> TimedProbe {
    let begun_mono_ns = begun_ms * MS;
    let probe = Probe {
        role,
        name: None,
        phase: Phase::During,
        begun_mono_ns,
        outcome,
        sent: true,
    };
    TimedProbe {
        mono_ns: begun_mono_ns + took_ms * MS,
        probe,
    }
}

fn process(probes: Vec<TimedProbe>) -> ProcessEvidence {
    ProcessEvidence {
        probes,
        ..ProcessEvidence::default()
    }
}

fn steady(role: Role) -> Vec<TimedProbe> {
    (0..50)
        .map(|i| probe(role, i * 100, 1, ProbeOutcome::Answered))
        .collect()
}

fn upstream_status(probes: Vec<TimedProbe>) -> Status {
    let block = Block {
        upstream: Some(process(probes)),
        ..Block::default()
    };
    status(&block, Role::Upstream)
}

#[test]
fn each_trouble_has_its_name() {
    use ProbeOutcome::{Answered, Closed, Refused, Silent, Wrong};
    let up = Role::Upstream;
    assert_eq!(upstream_status(steady(up)), Status::Survived);
    let with = |more: Vec<TimedProbe>| upstream_status([steady(up), more].concat());
    assert_eq!(with(vec![probe(up, 5_000, 1_000, Silent)]), Status::Hung);
    assert_eq!(with(vec![probe(up, 5_000, 1, Refused)]), Status::Refuses);
    assert_eq!(with(vec![probe(up, 5_000, 1, Closed)]), Status::Refuses);
    assert_eq!(
        with(vec![probe(up, 5_000, 1, Wrong)]),
        Status::Wrong { wrong: 1, of: 51 }
    );
    assert_eq!(
        with(vec![
            probe(up, 5_000, 1_000, Silent),
            probe(up, 6_100, 400, Answered)
        ]),
        Status::Froze {
            longest_ms: 1_500.0
        }
    );
    let slow = (0..10).map(|i| probe(up, i * 300, 200, Answered)).collect();
    assert_eq!(upstream_status(slow), Status::Slow { median_ms: 200.0 });
    assert_eq!(upstream_status(Vec::new()), Status::Unwatched);
}

#[test]
fn a_death_that_was_asked_for_is_none() {
    let exit = |asked| TimedExit {
        mono_ns: 6_000 * MS,
        exit: Exit {
            asked,
            signal: Some("SIGSEGV".into()),
            ..Exit::default()
        },
    };
    let block = |asked| Block {
        upstream: Some(ProcessEvidence {
            exit: Some(exit(asked)),
            ..process(steady(Role::Upstream))
        }),
        ..Block::default()
    };
    assert_eq!(
        status(&block(false), Role::Upstream),
        Status::Died {
            cause: "SIGSEGV".into()
        }
    );
    assert_eq!(status(&block(true), Role::Upstream), Status::Survived);
}

#[test]
fn the_upstream_is_blamed_for_what_it_does() {
    let silent = |role| {
        [
            steady(role),
            vec![probe(role, 5_000, 1_000, ProbeOutcome::Silent)],
        ]
        .concat()
    };
    let both = Block {
        upstream: Some(process(silent(Role::Upstream))),
        proxy: Some(process(silent(Role::Proxy))),
        ..Block::default()
    };
    assert_eq!(status(&both, Role::Upstream), Status::Hung);
    assert_eq!(status(&both, Role::Proxy), Status::Survived);
    let proxy_only = Block {
        upstream: Some(process(steady(Role::Upstream))),
        ..both
    };
    // The last good probe of the upstream is long over: it excuses nothing.
    assert_eq!(status(&proxy_only, Role::Upstream), Status::Survived);
    assert_eq!(status(&proxy_only, Role::Proxy), Status::Hung);
}

#[test]
fn a_dead_upstream_excuses_closing_and_not_silence() {
    use ProbeOutcome::{Closed, Refused, Silent};
    let after_death = |outcome| {
        let late =
            |role, outcome| (0..5).map(move |i| probe(role, 6_000 + i * 1_100, 1_000, outcome));
        let proxy: Vec<_> = steady(Role::Proxy)
            .into_iter()
            .chain([probe(Role::Proxy, 4_950, 1_000, Silent)])
            .chain(late(Role::Proxy, outcome))
            .collect();
        let upstream: Vec<_> = steady(Role::Upstream)
            .into_iter()
            .chain(late(Role::Upstream, Refused))
            .collect();
        let block = Block {
            upstream: Some(ProcessEvidence {
                exit: Some(TimedExit {
                    mono_ns: 5_000 * MS,
                    exit: Exit {
                        signal: Some("SIGSEGV".into()),
                        ..Exit::default()
                    },
                }),
                ..process(upstream)
            }),
            proxy: Some(process(proxy)),
            ..Block::default()
        };
        status(&block, Role::Proxy)
    };
    assert_eq!(after_death(Silent), Status::Hung);
    assert_eq!(after_death(Refused), Status::Survived);
    assert_eq!(after_death(Closed), Status::Survived);
}

#[test]
fn an_audit_tells_a_lying_upstream_from_a_lying_proxy() {
    let audit = |role, wrong| {
        Some(Audit {
            role,
            name: None,
            sent: 1_000,
            right: 1_000 - wrong,
            wrong,
        })
    };
    let block = |up, proxy| Block {
        upstream: Some(ProcessEvidence {
            audit: audit(Role::Upstream, up),
            ..process(steady(Role::Upstream))
        }),
        proxy: Some(ProcessEvidence {
            audit: audit(Role::Proxy, proxy),
            ..process(steady(Role::Proxy))
        }),
        ..Block::default()
    };
    assert_eq!(status(&block(10, 9), Role::Proxy), Status::Survived);
    assert_eq!(
        status(&block(10, 9), Role::Upstream),
        Status::Wrong {
            wrong: 10,
            of: 1_050
        }
    );
    assert_eq!(
        status(&block(0, 9), Role::Proxy),
        Status::Wrong {
            wrong: 9,
            of: 1_050
        }
    );
}

#[test]
fn what_was_done_on_purpose_is_held_against_nobody() {
    use ProbeOutcome::{Refused, Silent};
    let fault = |target: &str, action: &str| FaultEvidence {
        fault: Fault {
            target: target.to_owned(),
            action: action.to_owned(),
            ..Fault::default()
        },
        began_mono_ns: 4_990 * MS,
        ended_mono_ns: None,
        problem: None,
        touched: None,
    };
    let block = |target: &str, action: &str| Block {
        upstream: Some(process(steady(Role::Upstream))),
        more_upstreams: vec![process(
            [
                steady(Role::Upstream),
                vec![probe(Role::Upstream, 5_000, 1, Refused)],
            ]
            .concat(),
        )],
        proxy: Some(process(
            [
                steady(Role::Proxy),
                vec![probe(Role::Proxy, 6_500, 1_000, Silent)],
            ]
            .concat(),
        )),
        faults: vec![fault(target, action)],
        ..Block::default()
    };
    let killed = block("upstream.1", "kill");
    assert_eq!(status(&killed, Role::Upstream), Status::Survived);
    assert_eq!(status(&killed, Role::Proxy), Status::Survived);
    let other = block("upstream.0", "kill");
    assert_eq!(status(&other, Role::Upstream), Status::Refuses);
    assert_eq!(status_of(&other, "upstream.0"), Status::Survived);
    assert_eq!(status_of(&other, "upstream.1"), Status::Refuses);
    assert_eq!(status_of(&other, "upstream.2"), Status::Unwatched);
    // To take on another configuration is no excuse.
    let reloaded = block("proxy", "reload");
    assert_eq!(status(&reloaded, Role::Proxy), Status::Hung);
    assert_eq!(
        status(&block("proxy", "freeze"), Role::Proxy),
        Status::Survived
    );
}

/// A proxy that is silent from 5 s on, answers in the end or not, and this fault from then
/// to 6 s; the servers answer all along.
fn during(target: &str, action: &str, on_link: bool, answers_at_last: bool) -> Status {
    let fault = FaultEvidence {
        fault: Fault {
            target: target.to_owned(),
            action: action.to_owned(),
            on_link,
            ..Fault::default()
        },
        began_mono_ns: 5_000 * MS,
        ended_mono_ns: Some(6_000 * MS),
        ..FaultEvidence::default()
    };
    let mut probes = steady(Role::Proxy);
    for begun_ms in [5_000, 6_400] {
        probes.push(probe(Role::Proxy, begun_ms, 1_000, ProbeOutcome::Silent));
    }
    if answers_at_last {
        probes.push(probe(Role::Proxy, 7_500, 1, ProbeOutcome::Answered));
    }
    let block = Block {
        upstream: Some(process(steady(Role::Upstream))),
        proxy: Some(process(probes)),
        faults: vec![fault],
        ..Block::default()
    };
    status(&block, Role::Proxy)
}

#[test]
fn a_proxy_that_was_cut_off_is_well_if_it_answers_afterwards() {
    for (target, action, on_link) in [
        ("proxy-upstream", "timeout", true),
        ("proxy-upstream.1", "half_open", true),
        ("proxy", "freeze", false),
        ("proxy", "limit", false),
        ("upstream", "freeze", false),
    ] {
        let status = |answers| during(target, action, on_link, answers);
        assert_eq!(status(true), Status::Survived, "{action} {target}");
        assert_eq!(status(false), Status::Hung, "{action} {target}");
    }
    // The probes do not come over the link of the clients.
    let status = during("client-proxy", "timeout", true, true);
    assert!(matches!(status, Status::Froze { .. }), "{status}");
}

#[test]
fn what_a_link_delays_is_no_slowness_of_the_proxy() {
    let delayed = |from_ms: u64| {
        let probes = (0..40).map(|i| probe(Role::Proxy, i * 150, 120, ProbeOutcome::Answered));
        let fault = FaultEvidence {
            fault: Fault {
                target: "proxy-upstream".to_owned(),
                action: "latency".to_owned(),
                on_link: true,
                ..Fault::default()
            },
            began_mono_ns: from_ms * MS,
            ..FaultEvidence::default()
        };
        let block = Block {
            upstream: Some(process(steady(Role::Upstream))),
            proxy: Some(process(probes.collect())),
            faults: vec![fault],
            ..Block::default()
        };
        status(&block, Role::Proxy)
    };
    assert_eq!(delayed(0), Status::Survived);
    assert_eq!(delayed(3_000), Status::Slow { median_ms: 120.0 });
}
