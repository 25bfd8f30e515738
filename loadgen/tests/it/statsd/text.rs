//! What lines look like, and what is said of them.

use std::collections::BTreeMap;

use super::ran;
use super::sink::{datagrams, lines, numbers};
use crate::program::{loadgen, run, shown};

#[test]
fn lines_have_sender_key_number_type_rate_and_tags() {
    let sink = datagrams();
    let ran = ran(&format!(
        "--connect {} --max --threads 1 --lines 12 --prefix proxy-a --keys 1 --types c,g,ms,h,s,d \
         --sample-rate 0.5 --tags env:test,host:a --lines-per-datagram 6 --segmentation off",
        sink.at
    ));
    ran.assert_went_well();
    let came = sink.end();
    assert_eq!(
        String::from_utf8(came[0].clone()).expect("text"),
        "proxy-a.k0:0|c|@0.5|#env:test,host:a\n\
         proxy-a.k0:1|g|#env:test,host:a\n\
         proxy-a.k0:2|ms|@0.5|#env:test,host:a\n\
         proxy-a.k0:3|h|@0.5|#env:test,host:a\n\
         proxy-a.k0:4|s|#env:test,host:a\n\
         proxy-a.k0:5|d|@0.5|#env:test,host:a"
    );
    assert_eq!(numbers(&came[1..]), [6, 7, 8, 9, 10, 11]);
    assert_eq!(ran.statsd.sender, "proxy-a");
    assert_eq!(ran.statsd.types, ["c", "g", "ms", "h", "s", "d"]);
    assert!(!ran.statsd.segmentation);
}

#[test]
fn the_seed_decides_which_keys_come_and_popularity_how_often() {
    let keys = |seed: u64| {
        let sink = datagrams();
        let ran = ran(&format!(
            "--connect {} --rate 100k/s --lines 20k --lines-per-datagram 50 --keys 100 \
             --popularity zipf:1.1 --seed {seed}",
            sink.at
        ));
        ran.assert_went_well();
        assert_eq!(
            (ran.statsd.keys, ran.statsd.popularity.as_str()),
            (100, "zipf:1.1")
        );
        let came = sink.end();
        let all = came.iter().flat_map(|datagram| lines(datagram));
        all.map(|(key, number, _)| (number, key))
            .collect::<BTreeMap<_, _>>()
    };
    let (one, again, other) = (keys(1), keys(1), keys(2));
    assert_eq!(one, again);
    assert_ne!(one, other);
    let of = |key: &str| one.values().filter(|one| *one == key).count() as f64;
    // 1 / H(100, 1.1), and a half to the power of 1.1 of that.
    let first = 20_000.0 / (1..=100).map(|k| f64::from(k).powf(-1.1)).sum::<f64>();
    assert!((of("load.k00") / first - 1.0).abs() < 0.1);
    assert!((of("load.k01") / (first * 0.5_f64.powf(1.1)) - 1.0).abs() < 0.1);
}

#[test]
fn a_report_says_what_became_of_the_numbers() {
    let sink = datagrams();
    let words = format!(
        "statsd --connect {} --rate 10k/s --lines 1000 --quiet",
        sink.at
    );
    let output = run(&mut loadgen(&words));
    let report = String::from_utf8_lossy(&output.stdout);
    for part in [
        "udp open",
        "of 10,000 lines/s",
        "send lag",
        "1,000 numbers = 1,000 sent + 0 not sent",
    ] {
        assert!(
            report.contains(part),
            "{part} is missing in:\n{}",
            shown(&output)
        );
    }
    assert_eq!(output.stderr, b"");
}

#[test]
fn help_teaches_by_example() {
    let output = run(&mut loadgen("statsd --help"));
    assert_eq!(output.status.code(), Some(0));
    let help = String::from_utf8_lossy(&output.stdout);
    for part in [
        "loadgen statsd --connect localhost:8125 --rate 1M/s",
        "zipf:S",
        "Exit codes",
    ] {
        assert!(help.contains(part), "{part} is missing in:\n{help}");
    }
}
