//! A fuzz client of a scenario as the flags of `fuzzclient`, and whether that takes them.

use std::time::Duration;

use clap::ValueEnum;
use service::units::format_duration;

use super::{Fuzz, Mode};

/// Times that one client comes at most.
const MOST_TIMES: u32 = 1_000;

/// A key, and what is accepted for it.
type Refused = (&'static str, String);

/// The flags, without where to connect to.
#[must_use]
pub fn of(fuzz: &Fuzz) -> Vec<String> {
    let mut flags = vec!["--duration".to_owned(), format_duration(fuzz.duration)];
    let mut value = |flag: &str, value: String| flags.extend([flag.to_owned(), value]);
    if let Some(word) = fuzz
        .strategy
        .and_then(|strategy| strategy.to_possible_value())
    {
        value("--strategy", word.get_name().to_owned());
    }
    if fuzz.mode != Mode::Statsd {
        value("--connections", fuzz.connections.to_string());
    }
    if let Some(rate) = &fuzz.rate {
        value("--rate", rate.clone());
    }
    if let Some(bytes) = fuzz.bytes {
        value("--bytes", bytes.to_string());
    }
    if fuzz.until_crash {
        flags.push("--until-crash".to_owned());
    }
    flags
}

/// What of a fuzz client cannot be carried out.
///
/// # Errors
/// The key, and what is accepted.
pub(super) fn check(fuzz: &Fuzz) -> Result<(), Refused> {
    if fuzz.mode == Mode::Udp {
        let said = "expected statsd, whose garbage goes in datagrams".to_owned();
        return Err(("mode", said));
    }
    times(fuzz)?;
    let line = ["fuzzclient", fuzz.mode.word(), "--connect", "127.0.0.1:1"].map(str::to_owned);
    let line: Vec<String> = line.into_iter().chain(of(fuzz)).collect();
    let Err(said) = fuzzclient::check(&line) else {
        return Ok(());
    };
    let said = said.lines().next().unwrap_or_default();
    let said = said.trim_start_matches("error: ");
    let keys = [
        "strategy",
        "connections",
        "rate",
        "bytes",
        "duration",
        "until_crash",
    ];
    let place = |key: &&str| said.find(&format!("--{}", key.replace('_', "-")));
    let named = keys.into_iter().filter(|key| place(key).is_some());
    Err((named.min_by_key(place).unwrap_or("mode"), said.to_owned()))
}

fn times(fuzz: &Fuzz) -> Result<(), Refused> {
    let count = fuzz.times.unwrap_or(1);
    if count == 0 || count > MOST_TIMES {
        return Err(("times", format!("expected 1 to {MOST_TIMES}, got {count}")));
    }
    match (count > 1, fuzz.every > Duration::ZERO) {
        (true, false) => {
            let said = "expected more than 0 where there are several times";
            Err(("every", said.to_owned()))
        }
        (false, true) => Err(("times", "expected 2 or more with \"every\"".to_owned())),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_fuzz_client_refuses_is_refused_here() {
        let refused = |spoil: fn(&mut Fuzz)| {
            let mut fuzz = Fuzz::default();
            spoil(&mut fuzz);
            check(&fuzz).err().map(|(key, _)| key)
        };
        assert_eq!(refused(|_| {}), None);
        for mode in [Mode::Foo, Mode::Tcp, Mode::Statsd] {
            for strategy in fuzzclient::generate::Strategy::value_variants() {
                let fuzz = Fuzz {
                    mode,
                    strategy: Some(*strategy),
                    ..Fuzz::default()
                };
                assert_eq!(check(&fuzz), Ok(()), "{mode:?} {strategy:?}");
            }
        }
        assert_eq!(refused(|fuzz| fuzz.mode = Mode::Udp), Some("mode"));
        assert_eq!(
            refused(|fuzz| fuzz.rate = Some("fast".to_owned())),
            Some("rate")
        );
        assert_eq!(
            refused(|fuzz| fuzz.connections = 20_001),
            Some("connections")
        );
        assert_eq!(refused(|fuzz| fuzz.times = Some(0)), Some("times"));
        assert_eq!(refused(|fuzz| fuzz.times = Some(2)), Some("every"));
    }

    #[test]
    fn each_time_is_a_client_of_its_own() {
        let often = Fuzz {
            start: Duration::from_secs(1),
            every: Duration::from_secs(10),
            times: Some(3),
            ..Fuzz::default()
        };
        let times = often.each_time();
        let begins: Vec<(&str, u64)> = times
            .iter()
            .map(|fuzz| (fuzz.name.as_str(), fuzz.start.as_secs()))
            .collect();
        let expected = [("garbage.1", 1), ("garbage.2", 11), ("garbage.3", 21)];
        assert_eq!(begins, expected);
        assert_eq!(Fuzz::default().each_time(), [Fuzz::default()]);
    }
}
