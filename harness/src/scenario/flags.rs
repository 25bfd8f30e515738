//! A load of a scenario as the flags of `loadgen`, and whether `loadgen` takes them.

use clap::Parser;
use loadgen::args::{Cli, Command};
use loadgen::config::{Machine, TcpConfig, UdpConfig};
use service::units::{Rate, format_duration};

use super::{Load, Mode};

/// The flags, without where to connect to. `rate` is in the place of the scenario's.
#[must_use]
pub fn of(load: &Load, rate: Option<f64>) -> Vec<String> {
    let mut flags = Flags(Vec::new());
    if load.mode == Mode::Statsd {
        statsd(load, rate, &mut flags);
        return flags.0;
    }
    if load.mode == Mode::Udp {
        udp(load, rate, &mut flags);
        return flags.0;
    }
    if load.bulk.is_none() {
        pace(load, rate, &mut flags);
        flags.value("--pipeline", load.pipeline);
    }
    flags.value("--connections", load.connections);
    times(load, &mut flags);
    flags.value("--floor", format_duration(load.floor));
    flags.some("--requests-per-connection", load.requests_per_connection);
    if load.mode == Mode::Tcp {
        tcp(load, &mut flags);
    }
    flags.0
}

/// Requests at a rate, or each when the answer to the last is there.
fn pace(load: &Load, rate: Option<f64>, flags: &mut Flags) {
    match rate.or(load.rate.map(Rate::per_second)) {
        Some(rate) => flags.value("--rate", rate),
        None => flags.bare("--closed"),
    }
}

/// How long, in what slices, on how many threads: what every load has.
fn times(load: &Load, flags: &mut Flags) {
    flags.value("--duration", format_duration(load.duration));
    flags.value("--warmup", format_duration(load.warmup));
    flags.value("--interval", format_duration(load.interval));
    flags.some("--threads", load.threads);
    flags.some("--drain", load.drain.map(format_duration));
}

fn statsd(load: &Load, rate: Option<f64>, flags: &mut Flags) {
    match (rate.or(load.rate.map(Rate::per_second)), &load.burst) {
        (Some(rate), _) => flags.value("--rate", rate),
        (None, Some(burst)) => flags.value("--burst", burst),
        (None, None) => flags.bare("--max"),
    }
    flags.value("--prefix", &load.name);
    flags.value("--connections", load.connections);
    times(load, flags);
    flags.some("--lines-per-datagram", load.lines_per_datagram.as_ref());
    flags.some("--keys", load.keys.as_ref());
    flags.some("--popularity", load.popularity.as_ref());
    flags.some("--types", load.types.as_ref());
    flags.some("--mtu", load.mtu);
    flags.some("--transport", load.transport.as_ref());
}

fn udp(load: &Load, rate: Option<f64>, flags: &mut Flags) {
    pace(load, rate, flags);
    if load.closed || load.pipeline != 1 {
        flags.value("--window", load.pipeline);
    }
    flags.value("--clients", load.connections);
    times(load, flags);
    flags.value("--floor", format_duration(load.floor));
    flags.some("--timeout", load.timeout.map(format_duration));
    flags.some("--payload", load.payload.as_ref());
}

fn tcp(load: &Load, flags: &mut Flags) {
    flags.some("--verify", load.verify.as_ref());
    flags.some("--payload", load.payload.as_ref());
    flags.some("--bulk", load.bulk.as_ref());
    flags.some("--bytes", load.bytes);
    flags.some("--idle", load.idle);
    flags.some("--read-rate", load.read_rate.as_ref());
    flags.some("--proxy-protocol", load.proxy_protocol.as_ref());
    flags.some("--sources", load.sources);
    if load.idle.is_some() {
        flags.bare("--idle-check");
    }
    if load.half_close {
        flags.bare("--half-close");
    }
    if load.tls {
        // The certificate is one of ours, made for the run.
        flags.bare("--tls");
        flags.bare("--tls-insecure");
    }
}

struct Flags(Vec<String>);

impl Flags {
    fn bare(&mut self, flag: &str) {
        self.0.push(flag.to_owned());
    }

    fn value(&mut self, flag: &str, value: impl ToString) {
        self.0.extend([flag.to_owned(), value.to_string()]);
    }

    fn some(&mut self, flag: &str, value: Option<impl ToString>) {
        if let Some(value) = value {
            self.value(flag, value);
        }
    }
}

/// The keys of a load that only TCP has, and whether each is there.
fn tcp_keys(load: &Load) -> [(&'static str, bool); 10] {
    [
        ("verify", load.verify.is_some()),
        ("payload", load.payload.is_some()),
        ("bulk", load.bulk.is_some()),
        ("bytes", load.bytes.is_some()),
        ("idle", load.idle.is_some()),
        ("half_close", load.half_close),
        ("read_rate", load.read_rate.is_some()),
        ("tls", load.tls),
        ("proxy_protocol", load.proxy_protocol.is_some()),
        ("sources", load.sources.is_some()),
    ]
}

/// Whether `loadgen` takes what is said of a load.
///
/// # Errors
/// The key, and what `loadgen` says.
pub fn check(load: &Load) -> Result<(), (&'static str, String)> {
    if load.mode == Mode::Udp {
        return udp_check(load);
    }
    if load.timeout.is_some() {
        return Err(("timeout", "belongs to mode = \"udp\" only".to_owned()));
    }
    let given = tcp_keys(load).into_iter().find(|(_, is_there)| *is_there);
    let said = match (load.mode, given) {
        (Mode::Foo | Mode::Statsd | Mode::Udp, Some((key, _))) => {
            return Err((key, "belongs to mode = \"tcp\" only".to_owned()));
        }
        (Mode::Foo | Mode::Udp, None) => None,
        (Mode::Tcp, _) => said_of_tcp(load),
        (Mode::Statsd, None) => said_of(load).err(),
    };
    let Some(said) = said else { return Ok(()) };
    Err(refused(&said))
}

/// The same for datagrams.
fn udp_check(load: &Load) -> Result<(), (&'static str, String)> {
    let others = tcp_keys(load).into_iter();
    if let Some((key, _)) = others
        .filter(|(key, _)| *key != "payload")
        .find(|(_, is_there)| *is_there)
    {
        return Err((key, "belongs to mode = \"tcp\" only".to_owned()));
    }
    if load.requests_per_connection.is_some() {
        let said = "datagrams have no connections: expected a mode that has";
        return Err(("requests_per_connection", said.to_owned()));
    }
    // Its words for what a scenario has others for.
    let said = said_of_udp(load).map(|said| {
        let said = said.replace("--clients", "--connections");
        said.replace("--window", "--pipeline")
    });
    said.map_or(Ok(()), |said| Err(refused(&said)))
}

/// What `loadgen` says, as one line, and the key that it is about.
fn refused(said: &str) -> (&'static str, String) {
    let said = said.lines().next().unwrap_or_default();
    let said = said.trim_start_matches("error: ").to_owned();
    (key_of(&said), said)
}

/// What `loadgen` says of a load over TCP that it does not take.
fn said_of_tcp(load: &Load) -> Option<String> {
    match said_of(load) {
        Err(said) => Some(said),
        Ok(Command::Tcp(args)) => TcpConfig::new(&args, machine(), 1)
            .err()
            .map(|error| error.to_string()),
        Ok(_) => None,
    }
}

/// The same of a load of datagrams.
fn said_of_udp(load: &Load) -> Option<String> {
    match said_of(load) {
        Err(said) => Some(said),
        Ok(Command::Udp(args)) => UdpConfig::new(&args, machine(), 1)
            .err()
            .map(|error| error.to_string()),
        Ok(_) => None,
    }
}

/// This machine, whose limit of descriptors is another one's affair.
fn machine() -> Machine {
    Machine {
        cores: std::thread::available_parallelism().map_or(1, Into::into),
        descriptors: u64::MAX,
    }
}

/// The command that a load is for `loadgen`, or why it is none.
fn said_of(load: &Load) -> Result<Command, String> {
    let line = ["loadgen", load.mode.word(), "--connect", "127.0.0.1:1"].map(str::to_owned);
    let line = line.into_iter().chain(of(load, None));
    let parsed = Cli::try_parse_from(line).map_err(|error| error.to_string())?;
    Ok(parsed.command)
}

/// The key whose flag a message is about.
fn key_of(said: &str) -> &'static str {
    const KEYS: [&str; 20] = [
        "connections",
        "pipeline",
        "threads",
        "timeout",
        "drain",
        "payload",
        "verify",
        "bulk",
        "bytes",
        "read_rate",
        "proxy_protocol",
        "sources",
        "idle",
        "lines_per_datagram",
        "keys",
        "popularity",
        "types",
        "mtu",
        "burst",
        "transport",
    ];
    let place = |key: &&str| said.find(&format!("--{}", key.replace('_', "-")));
    let named = KEYS.into_iter().filter(|key| place(key).is_some());
    named.min_by_key(place).unwrap_or("mode")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(spoil: impl FnOnce(&mut Load)) -> Option<(&'static str, String)> {
        let mut load = Load {
            mode: Mode::Tcp,
            closed: true,
            ..Load::default()
        };
        spoil(&mut load);
        check(&load).err()
    }

    #[test]
    fn what_loadgen_refuses_is_refused_before_anything_starts() {
        assert_eq!(refused(|_| {}), None);
        assert_eq!(
            refused(|load| load.payload = Some("16-1024".to_owned())),
            None
        );
        type Spoil = fn(&mut Load);
        let keys: [(&str, Spoil); 5] = [
            ("payload", |load| load.payload = Some("much".to_owned())),
            ("bulk", |load| load.bulk = Some("sideways".to_owned())),
            ("bytes", |load| load.bytes = "1MiB".parse().ok()),
            ("read_rate", |load| load.read_rate = Some("0".to_owned())),
            ("verify", |load| load.verify = Some("hardly".to_owned())),
        ];
        for (key, spoil) in keys {
            let (named, said) = refused(spoil).unwrap();
            assert_eq!(named, key, "{said}");
            assert!(!said.contains('\n'), "{said}");
        }
        let foo = |load: &mut Load| (load.mode, load.idle) = (Mode::Foo, Some(1));
        assert_eq!(refused(foo).unwrap().0, "idle");
    }

    #[test]
    fn what_loadgen_refuses_of_datagrams_is_refused_before_anything_starts() {
        type Spoil = fn(&mut Load);
        let refused = |spoil: Spoil| {
            let mut load = Load {
                mode: Mode::Udp,
                rate: "10k/s".parse().ok(),
                ..Load::default()
            };
            spoil(&mut load);
            check(&load).err()
        };
        assert_eq!(refused(|_| {}), None);
        assert_eq!(
            refused(|load| load.payload = Some("32-1400".to_owned())),
            None
        );
        let keys: [(&str, Spoil); 6] = [
            ("payload", |load| load.payload = Some("31".to_owned())),
            ("connections", |load| load.connections = 20_000),
            ("pipeline", |load| load.pipeline = 2),
            ("timeout", |load| {
                load.timeout = Some(std::time::Duration::ZERO);
            }),
            ("requests_per_connection", |load| {
                load.requests_per_connection = Some(1);
            }),
            ("tls", |load| load.tls = true),
        ];
        for (key, spoil) in keys {
            let (named, said) = refused(spoil).unwrap();
            assert_eq!(named, key, "{said}");
            assert!(!said.contains('\n'), "{said}");
        }
        let closed = |load: &mut Load| (load.rate, load.closed, load.pipeline) = (None, true, 4);
        assert_eq!(refused(closed), None);
    }

    #[test]
    fn a_bulk_transfer_has_no_rate() {
        let load = Load {
            mode: Mode::Tcp,
            bulk: Some("receive".to_owned()),
            ..Load::default()
        };
        assert_eq!(check(&load), Ok(()));
        assert!(!of(&load, None).iter().any(|flag| flag == "--closed"));
    }
}
