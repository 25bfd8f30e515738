use super::*;

#[test]
fn every_form_is_parsed() {
    let ms = Duration::from_millis;
    let cases = [
        (
            "segfault-after-decode-errors=1000",
            Defect::SegfaultAfterDecodeErrors(1000),
        ),
        (
            "abort-on-line=a=\\x00\\\\",
            Defect::AbortOnLine(b"a=\0\\".to_vec()),
        ),
        ("abort-on-long-line=1KiB", Defect::AbortOnLongLine(1024)),
        ("panic-on-invalid-utf8", Defect::PanicOnInvalidUtf8),
        ("hang-after=3", Defect::HangAfter(3)),
        (
            "freeze=200ms@2s",
            Defect::Freeze(Freeze {
                lasts: ms(200),
                period: ms(2000),
            }),
        ),
        ("slow=50ms", Defect::Slow(ms(50))),
        (
            "wrong-reply=1/7",
            Defect::WrongReply(WrongReply {
                every: 7,
                kind: None,
            }),
        ),
        (
            "wrong-reply=stale:1/7",
            Defect::WrongReply(WrongReply {
                every: 7,
                kind: Some(WrongKind::Stale),
            }),
        ),
        ("leak-memory=4KiB", Defect::LeakMemory(4096)),
        ("leak-descriptors", Defect::LeakDescriptors),
        ("leak-threads", Defect::LeakThreads),
        ("accept-then-close", Defect::AcceptThenClose),
        ("accept-then-silence", Defect::AcceptThenSilence),
        (
            "segfault-after-bytes=1MiB",
            Defect::SegfaultAfterBytes(1 << 20),
        ),
        ("exit-after=3", Defect::ExitAfter(3)),
        ("stop-accepting=3", Defect::StopAccepting(3)),
        ("slow-reader=64KiB/s", Defect::SlowReader(65_536)),
        ("slow-writer=100", Defect::SlowWriter(100)),
        ("late-reply=500ms", Defect::LateReply(ms(500))),
        ("corrupt-byte=1/9", Defect::CorruptByte(9)),
        ("drop-byte=1/9", Defect::DropByte(9)),
        ("duplicate-byte=1/9", Defect::DuplicateByte(9)),
        ("wrong-connection=1/9", Defect::WrongConnection(9)),
        ("wrong-port=1/9", Defect::WrongPort(9)),
        ("silence", Defect::Silence),
        ("reset-after=10kB", Defect::ResetAfter(10_000)),
        ("reset-midway=1/2", Defect::ResetMidway(2)),
        (
            "flap=2s/500ms",
            Defect::Flap(Flap {
                up: ms(2000),
                down: ms(500),
            }),
        ),
        ("silent-health", Defect::SilentHealth),
        ("health-down", Defect::HealthDown),
    ];
    for (text, expected) in cases {
        assert_eq!(text.parse(), Ok(expected), "{text}");
    }
}

#[test]
fn what_is_wrong_is_answered_with_what_is_accepted() {
    let cases = [
        (
            "explode",
            "segfault-after-decode-errors=N, segfault-after-bytes=BYTES",
        ),
        ("", "expected one of"),
        ("hang-after", "hang-after=N"),
        ("hang-after=0", "hang-after=N"),
        ("hang-after=-1", "hang-after=N"),
        (
            "segfault-after-decode-errors=x",
            "segfault-after-decode-errors=N",
        ),
        ("freeze=1s", "DURATION@PERIOD"),
        ("freeze=2s@1s", "the first shorter"),
        ("freeze=0@1s", "DURATION@PERIOD"),
        ("slow=fast", "slow=DURATION"),
        ("wrong-reply=2/3", "1/N"),
        ("wrong-reply=1/0", "1/N"),
        ("wrong-reply=late:1/3", "KIND:1/N"),
        ("abort-on-line=\\q", "abort-on-line=BYTES"),
        ("abort-on-line=", "abort-on-line=BYTES"),
        ("abort-on-long-line=0", "abort-on-long-line=BYTES"),
        ("abort-on-long-line=65537", "64KiB at most"),
        ("leak-descriptors=1", "without a value"),
        ("slow-reader=fast", "BYTES/s"),
        ("reset-midway=2", "1/N"),
        ("flap=1s", "UP/DOWN"),
        ("flap=1s/0", "UP/DOWN"),
    ];
    for (text, expected) in cases {
        let error = text.parse::<Defect>().unwrap_err();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn a_freeze_begins_one_period_after_the_start() {
    let ms = Duration::from_millis;
    let freeze = Freeze {
        lasts: ms(200),
        period: ms(1000),
    };
    let cases = [
        (0, None),
        (150, None),
        (999, None),
        (1000, Some(200)),
        (1150, Some(50)),
        (1200, None),
        (1999, None),
        (3001, Some(199)),
    ];
    for (at, left) in cases {
        assert_eq!(freeze.remaining(ms(at)), left.map(ms), "at {at} ms");
    }
}

#[test]
fn a_flapping_port_is_open_first() {
    let ms = Duration::from_millis;
    let flap = Flap {
        up: ms(1000),
        down: ms(300),
    };
    let cases = [
        (0, (true, 1000)),
        (999, (true, 1)),
        (1000, (false, 300)),
        (1299, (false, 1)),
        (1300, (true, 1000)),
        (2400, (false, 200)),
    ];
    for (at, (open, left)) in cases {
        assert_eq!(flap.phase(ms(at)), (open, ms(left)), "at {at} ms");
    }
}

#[test]
fn each_server_takes_what_makes_sense_for_it() {
    for entry in &catalogue::ALL {
        assert!(!entry.modes.is_empty(), "{}", entry.name);
        for mode in crate::mode::Mode::NAMES.into_iter().chain(["statsd"]) {
            let value = match entry.form {
                "" => "",
                "=DURATION" => "=1s",
                "=DURATION@PERIOD" => "=1s@2s",
                "=UP/DOWN" => "=1s/2s",
                form if form.contains("1/N") => "=1/7",
                _ => "=7",
            };
            let defect: Defect = format!("{}{value}", entry.name).parse().unwrap();
            assert_eq!(defect.name(), entry.name);
            assert_eq!(defect.suits(mode).is_ok(), entry.modes.contains(&mode));
        }
    }
    let error = Defect::PanicOnInvalidUtf8.suits("echo").unwrap_err();
    assert!(error.contains("panic-on-invalid-utf8 makes no sense for echo"));
    assert!(error.contains("flap=UP/DOWN") && !error.contains("wrong-reply"));
}
