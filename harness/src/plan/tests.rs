//! Plans from scenarios, and what is refused.

use super::*;
use crate::scenario::builtin;

#[test]
fn subjects_take_turns_in_rotated_order() {
    let planned = Planned::new(builtin::named("latency").unwrap(), "built in".into(), 7).unwrap();
    let Schedule::Rounds(blocks) = &planned.schedule else {
        panic!("{:?}", planned.schedule);
    };
    let order: Vec<String> = blocks
        .iter()
        .map(|block| block.subject.to_string())
        .collect();
    assert_eq!(order[..4], ["builtin", "direct", "direct", "builtin"]);
    for pair in blocks.chunks(2) {
        assert_eq!(pair[0].seed, pair[1].seed, "one schedule within a round");
    }
    assert_ne!(blocks[0].seed, blocks[2].seed);
}

#[test]
fn a_fixed_proxy_stays() {
    let nginx = "nginx".parse().unwrap();
    let mut forward = builtin::named("crash-forward").unwrap();
    replace_proxy(&mut forward, &nginx);
    assert_eq!(forward.proxy.descriptor, "builtin");
    let mut shield = builtin::named("crash-shield").unwrap();
    replace_proxy(&mut shield, &nginx);
    assert_eq!(shield.proxy.descriptor, "nginx");
}

#[test]
fn what_is_missing_or_far_away_is_refused_before_anything_starts() {
    let plan = |descriptor: &str| {
        let mut scenario = builtin::named("latency").unwrap();
        scenario.proxy.descriptor = descriptor.to_owned();
        let scenarios = vec![Planned::new(scenario, "test".into(), 1).unwrap()];
        Plan {
            seed: 1,
            scenarios,
            allow_remote: false,
            pid: None,
            core_dumps: false,
            decisions: None,
            suite: None,
            design: None,
        }
    };
    let missing = plan("/nonexistent/proxy").check(&|_| {}).unwrap_err();
    assert!(
        !missing.is_usage() && missing.to_string().contains("/nonexistent/proxy"),
        "{missing}"
    );
    let remote = plan("addr:192.0.2.1:80").check(&|_| {}).unwrap_err();
    assert!(
        remote.is_usage() && remote.to_string().contains("--allow-remote"),
        "{remote}"
    );
    assert!(plan("addr:127.0.0.1:80").check(&|_| {}).is_ok());
}

#[test]
fn what_would_be_ignored_is_refused() {
    let new = |descriptor: &str, args: &[&str]| {
        let mut scenario = builtin::named("latency").unwrap();
        scenario.proxy.descriptor = descriptor.to_owned();
        scenario.proxy.args = args.iter().map(|arg| (*arg).to_owned()).collect();
        Planned::new(scenario, "test".into(), 1)
    };
    for descriptor in ["builtin", "./proxy", "direct"] {
        assert!(new(descriptor, &["--workers", "1"]).is_ok(), "{descriptor}");
    }
    for descriptor in ["nginx", "haproxy", "cmd:x {listen} {forward}", "addr::8002"] {
        assert!(new(descriptor, &[]).is_ok(), "{descriptor}");
        let error = new(descriptor, &["--workers", "1"]).unwrap_err();
        assert!(
            error.is_usage() && error.to_string().contains("proxy.args"),
            "{error}"
        );
    }
    let plan = Plan {
        seed: 1,
        scenarios: vec![new("builtin", &[]).unwrap()],
        allow_remote: false,
        pid: Some(1),
        core_dumps: false,
        decisions: None,
        suite: None,
        design: None,
    };
    let error = plan.check(&|_| {}).unwrap_err();
    assert!(
        error.is_usage() && error.to_string().contains("--pid 1"),
        "{error}"
    );
}

#[test]
fn only_who_can_be_told_is_told() {
    let planned = |name: &str, proxy: &str| {
        let mut scenario = builtin::named(name).unwrap();
        replace_proxy(&mut scenario, &proxy.parse().unwrap());
        Planned::new(scenario, "built in".into(), 1)
    };
    for (name, proxy) in [
        ("tcp-drain", "builtin"),
        ("tcp-upgrade", "./proxy"),
        ("tcp-reload", "nginx"),
        ("tcp-upgrade", "cmd:x {listen} {backends}"),
        ("tcp-backend-killed", "haproxy"),
        ("tcp-backend-killed", "direct"),
    ] {
        assert!(planned(name, proxy).is_ok(), "{name} {proxy}");
    }
    for (name, proxy) in [
        ("tcp-drain", "nginx"),
        ("tcp-reload", "haproxy"),
        ("tcp-upgrade", "direct"),
        ("tcp-drain", "cmd:x {listen} {backends}"),
    ] {
        let error = planned(name, proxy).unwrap_err();
        assert!(error.is_usage(), "{name} {proxy}: {error}");
        assert!(
            error.to_string().contains("cannot be done where"),
            "{error}"
        );
    }
}

#[test]
fn seeds_differ_by_purpose_and_fit_any_json_reader() {
    assert_ne!(split(1, "a"), split(1, "b"));
    assert_ne!(split(1, "a"), split(2, "a"));
    assert!(split(u64::MAX, "a") < 1 << 53);
}
