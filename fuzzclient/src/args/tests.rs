use super::*;
use crate::probe::Question;

fn plan_of(mode: &str, flags: &[&str]) -> anyhow::Result<Plan> {
    let args = ["fuzzclient", mode]
        .into_iter()
        .chain(flags.iter().copied());
    Ok(FuzzClient::try_parse_from(args)?.mode.settle()?.plan)
}

fn plan(flags: &[&str]) -> anyhow::Result<Plan> {
    plan_of("foo", flags)
}

#[test]
fn every_run_has_a_limit_in_time() {
    let limits = |flags: &[&str]| {
        let plan = plan(flags).unwrap();
        (plan.bytes, plan.duration.as_secs())
    };
    assert_eq!(limits(&[]), (Some(30_000_000), 10));
    assert_eq!(limits(&["--bytes", "5"]), (Some(5), 10));
    assert_eq!(limits(&["--until-crash"]), (None, 60));
    assert_eq!(
        limits(&["--source", "/dev/zero", "--duration", "2s"]),
        (None, 2)
    );
    assert_eq!(limits(&["--source", "/dev/zero"]), (None, 60));
    let statsd = plan_of("statsd", &[]).unwrap();
    assert_eq!(
        (statsd.bytes, statsd.duration.as_secs(), statsd.rate),
        (None, 10, Some(1000.0))
    );
    let lines = plan_of("statsd", &["--transport", "tcp"]).unwrap();
    assert_eq!((lines.bytes, lines.rate), (Some(30_000_000), None));
}

#[test]
fn probes_are_made_where_they_make_sense() {
    let question = |mode: &str, flags: &[&str]| {
        plan_of(mode, flags)
            .unwrap()
            .probe
            .map(|probe| probe.question)
    };
    assert_eq!(question("foo", &[]), None);
    assert!(matches!(
        question("foo", &["--until-crash"]),
        Some(Question::Foo)
    ));
    assert_eq!(question("foo", &["--until-crash", "--probe", "off"]), None);
    assert_eq!(
        question("foo", &["--probe", "connect"]),
        Some(Question::Connect)
    );
    let tcp = ["--connect", ":1"];
    assert_eq!(question("tcp", &tcp), None);
    assert_eq!(
        question("tcp", &["--connect", ":1", "--until-crash"]),
        Some(Question::Connect)
    );
    let asked = [
        "--connect",
        ":1",
        "--probe-send",
        "hi\\n",
        "--probe-expect",
        "yes",
    ];
    let expected = Question::Bytes {
        send: b"hi\n".to_vec(),
        expect: vec![b"yes".to_vec()],
    };
    assert_eq!(question("tcp", &asked), Some(expected));
    assert!(matches!(
        question("statsd", &["--until-crash"]),
        Some(Question::Datagram(_))
    ));
    assert!(matches!(
        question("statsd", &["--probe-at", ":8126"]),
        Some(Question::Bytes { .. })
    ));
}

#[test]
fn what_is_wrong_is_named() {
    let cases: [(&str, &[&str], &str); 18] = [
        ("foo", &["--connect", "192.0.2.1:80"], "--allow-remote"),
        ("foo", &["--connect", "nowhere"], "HOST:PORT"),
        ("foo", &["--connections", "0"], "1..=20000"),
        ("foo", &["--rate", "fast"], "10MiB/s"),
        ("foo", &["--rate", "0"], "10MiB/s"),
        ("foo", &["--bytes", "many"], "--bytes"),
        ("foo", &["--hang-after", "0"], "--hang-after"),
        ("foo", &["--source", "/no/such/file"], "/no/such/file"),
        (
            "foo",
            &["--source", "/dev/zero", "--connections", "2"],
            "--connections 1",
        ),
        ("foo", &["--corpus", "/no/such/dir"], "--corpus"),
        ("foo", &["--replay", "/no/such/file"], "/no/such/file"),
        ("foo", &["--keep", "3"], "--record"),
        ("foo", &["--strategy", "evil"], "churn"),
        (
            "foo",
            &["--probe", "off", "--probe-at", ":1"],
            "--probe off",
        ),
        (
            "tcp",
            &["--connect", ":1", "--probe-send", "\\q"],
            "--probe-send",
        ),
        (
            "tcp",
            &["--connect", ":1", "--probe-at", "192.0.2.1:80"],
            "--probe-at",
        ),
        ("statsd", &["--rate", "fast"], "20k/s"),
        ("statsd", &["--record", "/tmp/"], "--record"),
    ];
    for (mode, flags, expected) in cases {
        let error = format!("{:#}", plan_of(mode, flags).unwrap_err());
        assert!(error.contains(expected), "{mode} {flags:?}: {error}");
    }
    assert!(plan(&["--connect", "192.0.2.1:80", "--allow-remote"]).is_ok());
}
