//! The command line.

use std::num::NonZeroUsize;

use clap::{Args, Parser, Subcommand};
use service::addr::HostPort;
use service::logging::LogLevel;
use service::ready::InheritedFd;

use crate::defect::{Defect, Defects};
use crate::server::Config;

/// Run a reference server, sound or with planted defects.
#[derive(Debug, Parser)]
#[command(version, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Upstream {
    #[command(subcommand)]
    mode: Mode,
}

#[derive(Debug, Subcommand)]
enum Mode {
    Foo(Foo),
}

impl Upstream {
    /// What was asked for.
    pub(crate) fn foo(self) -> Foo {
        match self.mode {
            Mode::Foo(flags) => flags,
        }
    }
}

/// Answer Foo requests with a digest of their sequence number and data.
///
/// About 12 % of the requests are answered with NAK, decided by the request alone. A line
/// that cannot be decoded is logged and answered with "NAK 0 ERRDECODE"; a line of 64 KiB
/// or more closes its connection. SIGUSR1 writes the counts as one JSON line to stdout,
/// SIGTERM and SIGINT do so and end.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Foo {
    /// Listen on this address; ":8001" is all interfaces, port 0 any free port
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8001")]
    pub(crate) listen: HostPort,

    /// Plant a defect; may be given several times, see below
    #[arg(long = "defect", value_name = "DEFECT")]
    defects: Vec<Defect>,

    /// Serve with this many threads [default: one for each core]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,

    /// Choose wrong replies by this seed
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Announce the socket with one JSON line on this open descriptor
    #[arg(long, value_name = "FD")]
    pub(crate) ready_fd: Option<InheritedFd>,

    /// Log this much to stderr; decode errors are of level error
    #[arg(long, value_name = "LEVEL", value_enum, default_value_t)]
    pub(crate) log_level: LogLevel,
}

impl Foo {
    /// What the server needs to know.
    pub(crate) fn config(&self) -> Config {
        let cores = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Config {
            threads: self.threads.map_or_else(cores, NonZeroUsize::get),
            seed: self.seed,
            defects: Defects::new(&self.defects),
            log_decode_errors: self.log_level != LogLevel::Off,
        }
    }
}

const EXAMPLES: &str = "\
Defects, each of them real:
  segfault-after-decode-errors=N  SIGSEGV at the Nth line that cannot be decoded
  abort-on-line=BYTES             SIGABRT at a line that holds BYTES (\\xNN, \\r, \\t, \\\\ work)
  panic-on-invalid-utf8           exit 101 at a line that is not UTF-8
  hang-after=N                    after N requests nothing is read or answered ever again
  freeze=DURATION@PERIOD          stop for DURATION once in every PERIOD
  slow=DURATION                   delay each answer; pipelined ones do not add up
  wrong-reply=[KIND:]1/N          every Nth answer is wrong; KIND is swapped, duplicated,
                                  corrupted, stale or dropped, otherwise the first four
                                  take turns (swapped needs pipelined requests)
  leak-memory=BYTES               keep this much more memory with every request
  leak-descriptors                keep one more descriptor open with every connection
  accept-then-close               accept connections and close them at once

Examples:
  A sound server on port 8001, and a request by hand:
    harness upstream foo --listen 127.0.0.1:8001
    printf 'REQ 1 hello\\n' | nc -N 127.0.0.1 8001
  The recorded crash, to be triggered with random bytes:
    harness upstream foo --defect segfault-after-decode-errors=1000
    cat /dev/random | nc 127.0.0.1 8001
  Freeze for 200 ms every 2 s, and answer every 1000th request wrongly:
    harness upstream foo --defect freeze=200ms@2s --defect wrong-reply=1/1000";
