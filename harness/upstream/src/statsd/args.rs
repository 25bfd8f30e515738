//! The command line of the sink.

use std::num::NonZeroU64;
use std::time::Duration;

use clap::{Args, ValueEnum};
use service::addr::HostPort;
use service::logging::LogLevel;
use service::ready::InheritedFd;
use service::units::{Size, parse_duration};

use crate::args::name;
use crate::defect::{Defect, Defects, Flap};
use crate::examples;
use crate::statsd::server::Config;

/// As good as for ever: longer than any process runs, and short enough to calculate with.
const FOR_GOOD: Duration = Duration::from_secs(u32::MAX as u64);

/// Take statsd lines, as a backend behind a proxy does, and account for each.
///
/// Datagrams and connections are taken on the same port. Lines of the form
/// SENDER.kDIGITS:NUMBER|TYPE are counted by sender and by key, and which numbers came is
/// kept, so that lines that are lost or doubled on the way can be told one by one. The
/// management port understands health, ping, stats, help and quit. SIGUSR1 writes the
/// counts as one JSON line to stdout; SIGTERM and SIGINT close the ports, read what is
/// waiting, and do so too.
#[derive(Args, Debug)]
#[command(after_help = examples::statsd())]
pub(crate) struct Statsd {
    /// Take datagrams and connections on this address; port 0 is any free port
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8127")]
    pub(crate) listen: HostPort,

    /// Answer management commands on this address
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8128")]
    pub(crate) management: HostPort,

    /// Ask the kernel for so much room for datagrams that wait; root gets more than
    /// net.core.rmem_max
    #[arg(long, value_name = "SIZE", default_value = "8MiB")]
    pub(crate) receive_buffer: Size,

    /// Answer nothing on the management port: --defect silent-health
    #[arg(long)]
    silent_health: bool,

    /// Close management connections at once: --defect accept-then-close
    #[arg(long)]
    accept_then_close: bool,

    /// Answer health with this at first; down is --defect health-down
    #[arg(long, value_name = "STATE", value_enum, default_value_t)]
    health: Health,

    /// Close all ports after this time, counted from the start and from each return
    #[arg(long, value_name = "DURATION", value_parser = above_zero)]
    down_after: Option<Duration>,

    /// Open them again after this time; both is --defect flap=UP/DOWN
    /// [default: stay closed]
    #[arg(long, value_name = "DURATION", value_parser = above_zero, requires = "down_after")]
    down_for: Option<Duration>,

    /// Close them so many times [default: again and again]
    #[arg(long, value_name = "N", requires = "down_after")]
    down_times: Option<NonZeroU64>,

    /// Read datagrams at this rate, 64KiB/s if none is given: --defect slow-reader=BYTES/s
    #[arg(long, value_name = "BYTES/s", num_args = 0..=1, default_missing_value = "64KiB/s",
        value_parser = slow_reader)]
    slow: Option<Defect>,

    /// Plant a defect; may be given several times, see below
    #[arg(long = "defect", value_name = "DEFECT")]
    defects: Vec<Defect>,

    /// Call the server this in its record and its log, to tell several apart
    #[arg(long, value_name = "NAME", value_parser = name)]
    name: Option<String>,

    /// Announce the sockets, "listen", "listen-tcp" and "management", with one JSON line on
    /// this open descriptor
    #[arg(long, value_name = "FD")]
    pub(crate) ready_fd: Option<InheritedFd>,

    /// Log this much to stderr
    #[arg(long, value_name = "LEVEL", value_enum, default_value_t)]
    pub(crate) log_level: LogLevel,
}

/// What is said to `health`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Health {
    #[default]
    Up,
    Down,
}

impl Statsd {
    /// What it is like.
    ///
    /// # Errors
    /// That a defect makes no sense for it, and which do.
    pub(crate) fn config(&self) -> Result<Config, String> {
        for defect in &self.defects {
            defect.suits("statsd")?;
        }
        let flap = self.down_after.map(|up| {
            let down = self.down_for.unwrap_or(FOR_GOOD);
            Defect::Flap(Flap { up, down })
        });
        let flags = [
            self.silent_health.then_some(Defect::SilentHealth),
            self.accept_then_close.then_some(Defect::AcceptThenClose),
            (self.health == Health::Down).then_some(Defect::HealthDown),
            flap,
            self.slow.clone(),
        ];
        let mut defects = Defects::new(&self.defects);
        for defect in flags.into_iter().flatten() {
            defects.plant(defect);
        }
        Ok(Config {
            name: self.name.clone(),
            defects,
            outages: self.down_times.map(NonZeroU64::get),
        })
    }
}

fn above_zero(text: &str) -> Result<Duration, String> {
    let duration = parse_duration(text).map_err(|error| error.to_string())?;
    let most = FOR_GOOD.as_secs();
    if duration.is_zero() || duration > FOR_GOOD {
        return Err(format!("expected more than 0 and at most {most}s"));
    }
    Ok(duration)
}

fn slow_reader(rate: &str) -> Result<Defect, String> {
    format!("slow-reader={rate}").parse()
}
