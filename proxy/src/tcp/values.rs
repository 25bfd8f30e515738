//! Values as people type them on the command line and in the configuration: the same
//! text in both places.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use balance::{Algorithm, WhenAllDown};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};
use service::units::parse_duration;

use super::settings::{AcceptProxy, Keepalive, Network, ProxyVersion};
use super::tls::MinimumVersion;
use crate::discovery::Bounds;

/// No longer than this, however long was asked for: the clock must be able to say when.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// Reads any of our values from a text or a whole number, by the same parser that the
/// command line uses.
pub(super) fn from_text<'de, D: Deserializer<'de>, T>(deserializer: D) -> Result<T, D::Error>
where
    T: FromStr,
    T::Err: fmt::Display,
{
    struct Text<T>(std::marker::PhantomData<T>);

    impl<T: FromStr> Visitor<'_> for Text<T>
    where
        T::Err: fmt::Display,
    {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a text or a number")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
            text.parse().map_err(E::custom)
        }

        fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
            self.visit_str(&number.to_string())
        }
    }

    deserializer.deserialize_any(Text(std::marker::PhantomData))
}

/// Reads one of a list of names, by the same parser that the command line uses.
pub(super) fn choice<'de, D: Deserializer<'de>, T: clap::ValueEnum>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let names = || {
        let names = T::value_variants().iter().filter_map(T::to_possible_value);
        let names: Vec<_> = names.map(|name| name.get_name().to_owned()).collect();
        D::Error::custom(format!(
            "expected one of {}, got {text:?}",
            names.join(", ")
        ))
    };
    T::from_str(&text, false).map(Some).map_err(|_| names())
}

macro_rules! value {
    ($(#[$doc:meta])* $name:ident($inner:ty), $parse:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) struct $name(pub(super) $inner);

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                let parse: fn(&str) -> Result<$inner, String> = $parse;
                parse(text).map(Self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                from_text(deserializer)
            }
        }
    };
}

value!(
    /// A duration, such as `250ms`.
    Time(Duration),
    |text| match parse_duration(text) {
        Ok(time) => Ok(time.min(LONGEST)),
        Err(error) => Err(error.to_string()),
    }
);
value!(
    /// A number of at least 1.
    Positive(u32),
    |text| number(text, 1, u32::MAX)
);
value!(
    /// A number, 0 included.
    Count(u32),
    |text| number(text, 0, u32::MAX)
);
value!(
    /// How to balance.
    Balance(Algorithm),
    |text| text.parse().map_err(|error| format!("{error}"))
);
value!(
    /// What to do when every backend is down.
    AllDown(WhenAllDown),
    |text| text.parse().map_err(|error| format!("{error}"))
);
value!(
    /// Percentage of an interval that chance adds or takes away, at most.
    Jitter(u32),
    jitter
);
value!(
    /// Version of the PROXY protocol to send.
    SendProxy(ProxyVersion),
    |text| match text {
        "v1" => Ok(ProxyVersion::V1),
        "v2" => Ok(ProxyVersion::V2),
        _ => Err(format!("expected v1 or v2, got {text:?}")),
    }
);
value!(
    /// Whether clients begin with a PROXY header.
    TakeProxy(AcceptProxy),
    |text| match text {
        "off" => Ok(AcceptProxy::Off),
        "optional" => Ok(AcceptProxy::Optional),
        "required" => Ok(AcceptProxy::Required),
        _ => Err(format!("expected off, optional or required, got {text:?}")),
    }
);
value!(
    /// The lowest version of TLS.
    TlsVersion(MinimumVersion),
    str::parse
);
value!(
    /// An address or a network in CIDR notation.
    Cidr(Network),
    cidr
);
value!(
    /// Keep-alive as `IDLE[,INTERVAL[,PROBES]]`; `None` is off.
    KeepaliveSpec(Option<Keepalive>),
    keepalive
);
value!(
    /// Shortest and longest time between look-ups of a name.
    ResolveInterval(Bounds),
    resolve_interval
);

/// A number within bounds.
pub(super) fn number(text: &str, least: u32, most: u32) -> Result<u32, String> {
    let wanted = || match most {
        u32::MAX => format!("expected a number of at least {least}, got {text:?}"),
        _ => format!("expected a number from {least} to {most}, got {text:?}"),
    };
    text.parse()
        .ok()
        .filter(|n| (least..=most).contains(n))
        .ok_or_else(wanted)
}

fn jitter(text: &str) -> Result<u32, String> {
    let percent = text.strip_suffix('%').unwrap_or(text);
    number(percent, 0, 100).map_err(|_| format!("expected a percentage up to 100%, got {text:?}"))
}

fn cidr(text: &str) -> Result<Network, String> {
    let error = || format!("expected an address or a network such as 10.0.0.0/8, got {text:?}");
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().map_err(|_| error())?;
    let longest: u8 = if address.is_ipv4() { 32 } else { 128 };
    let prefix = match prefix {
        None => longest,
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
            digits.parse().map_err(|_| error())?
        }
        Some(_) => return Err(error()),
    };
    if prefix > longest {
        return Err(error());
    }
    Ok(Network { address, prefix })
}

fn keepalive(text: &str) -> Result<Option<Keepalive>, String> {
    let error =
        || format!("expected off, or IDLE[,INTERVAL[,PROBES]] such as 60s,10s,6, got {text:?}");
    if matches!(text, "off" | "0") {
        return Ok(None);
    }
    let mut parts = text.split(',');
    // The kernel counts whole seconds, up to 32,767 of them, and 127 probes.
    let mut seconds = |default: u64| match parts.next() {
        None => Ok(Duration::from_secs(default)),
        Some(part) => parse_duration(part)
            .ok()
            .filter(|time| (1..=32_767).contains(&time.as_secs()))
            .ok_or_else(error),
    };
    let (idle, interval) = (seconds(60)?, seconds(10)?);
    let probes = match parts.next() {
        None => 6,
        Some(part) => number(part, 1, 127).map_err(|_| error())?,
    };
    if parts.next().is_some() {
        return Err(error());
    }
    Ok(Some(Keepalive {
        idle,
        interval,
        probes,
    }))
}

fn resolve_interval(text: &str) -> Result<Bounds, String> {
    let error = || format!("expected MIN..MAX such as 1s..1m, or one duration, got {text:?}");
    let (least, most) = text.split_once("..").unwrap_or((text, text));
    let parse = |part: &str| parse_duration(part).map_err(|_| error());
    let (least, most) = (parse(least)?, parse(most)?);
    if least.is_zero() || least > most {
        return Err(error());
    }
    let most = most.min(LONGEST);
    Ok(Bounds { least, most })
}

/// Bytes to send or to expect: a text with `\r`, `\n`, `\t`, `\0`, `\\` and `\xHH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bytes(pub(super) Vec<u8>);

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let error = || format!(r"expected a text with \r, \n, \t, \0, \\ or \xHH, got {text:?}");
        let mut bytes = Vec::new();
        let mut rest = text.as_bytes();
        while let [first, after @ ..] = rest {
            rest = after;
            if *first != b'\\' {
                bytes.push(*first);
                continue;
            }
            let [code, after @ ..] = rest else {
                return Err(error());
            };
            rest = after;
            bytes.push(match code {
                b'r' => b'\r',
                b'n' => b'\n',
                b't' => b'\t',
                b'0' => 0,
                b'\\' => b'\\',
                b'x' => {
                    let [high, low, after @ ..] = rest else {
                        return Err(error());
                    };
                    rest = after;
                    let digit = |b: u8| char::from(b).to_digit(16).ok_or_else(error);
                    u8::try_from(digit(*high)? * 16 + digit(*low)?).map_err(|_| error())?
                }
                _ => return Err(error()),
            });
        }
        if bytes.is_empty() {
            return Err("expected at least one byte, got an empty text".to_owned());
        }
        Ok(Self(bytes))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes() {
        let bytes: Bytes = r"PING\r\n\x00\xfF\\".parse().unwrap();
        assert_eq!(bytes.0, b"PING\r\n\x00\xff\\");
        for bad in ["", "\\", r"\q", r"\x1", r"\xzz"] {
            assert!(bad.parse::<Bytes>().is_err(), "{bad}");
        }
    }

    #[test]
    fn networks_and_intervals() {
        let network: Cidr = "10.0.0.0/8".parse().unwrap();
        assert_eq!(network.0.prefix, 8);
        assert_eq!("::1".parse::<Cidr>().unwrap().0.prefix, 128);
        for bad in ["10.0.0.0/33", "x/8", "10.0.0.0/", "10.0.0.0/+8", "::/129"] {
            assert!(bad.parse::<Cidr>().is_err(), "{bad}");
        }
        let bounds: ResolveInterval = "1s..1m".parse().unwrap();
        assert_eq!(bounds.0.most, Duration::from_secs(60));
        for bad in ["", "2s..1s", "0", "1s..", "fast"] {
            assert!(bad.parse::<ResolveInterval>().is_err(), "{bad}");
        }
        let keepalive: KeepaliveSpec = "30s,5s".parse().unwrap();
        let keepalive = keepalive.0.unwrap();
        assert_eq!((keepalive.idle.as_secs(), keepalive.probes), (30, 6));
        assert_eq!("off".parse(), Ok(KeepaliveSpec(None)));
        for bad in ["1ms", "1s,2s,0", "1s,2s,3,4", "on"] {
            assert!(bad.parse::<KeepaliveSpec>().is_err(), "{bad}");
        }
        assert_eq!("20%".parse(), Ok(Jitter(20)));
        assert!("101%".parse::<Jitter>().is_err());
    }
}
