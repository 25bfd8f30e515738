//! The command line of `proxy tcp`.

use std::path::PathBuf;

use clap::Args;
use service::ready::InheritedFd;

use super::options::Options;

/// Balance TCP connections over backends, and keep those away that are down.
#[derive(Debug, Args)]
#[command(after_help = "\
Backends are checked from the start, a failed dial goes to another one, ends and resets
pass in both directions. Signals:
  SIGTERM   let open connections finish, then end; a second one ends at once
  SIGHUP    read the configuration again, open the access log anew
  SIGUSR1   print metrics to stdout
  SIGUSR2   start the program anew and hand the listening socket over

Examples:
  proxy tcp --listen :4000 localhost:8001 localhost:8002,weight=2
  proxy tcp -laddr localhost:4000 -timeout 3s -lb random localhost:8001 localhost:8002
      Go-style flags.
  proxy tcp --balance least-conn --max-per-backend 100 --queue 1000 db.internal:5432
      Every address of the name is a backend, looked up again when the answer runs out.
  proxy tcp --health-send 'PING\\r\\n' --health-expect +PONG --eject-after 2 cache:6379
      A backend is up if it answers, and out for a while after two failed dials.
  proxy tcp --config proxy.toml --admin 127.0.0.1:9004
      Read again on SIGHUP and when it changes. Flags go before what the file says. A file:
        listen = \":443\"
        send_proxy = \"v2\"
        health = { interval = \"2s\", fall = 2 }
        [[pool]]
        name = \"web\"
        backends = [\"10.0.0.1:443\", { address = \"10.0.0.2:443\", max_connections = 50 }]
        [[route]]
        sni = \"*.example.org\"
        pool = \"web\"
  curl -X POST 127.0.0.1:9004/backends/10.0.0.1:443/drain
      Also disable and enable; /state is all that is known, /metrics is for Prometheus.
  kill -USR2 $PID
      Upgrade: the new program serves before the old one lets go of a single connection.")]
pub(crate) struct TcpArgs {
    /// Configuration (TOML) with the same options; see the example below.
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,

    /// Descriptor to write one JSON line to when ready, naming every open socket.
    #[arg(long, value_name = "FD")]
    pub(super) ready_fd: Option<InheritedFd>,

    #[command(flatten)]
    pub(super) options: Options,
}
