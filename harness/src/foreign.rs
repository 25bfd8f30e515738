//! How proxies that know nothing of us are started.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::descriptor::{Descriptor, Template};
use crate::peers;
use crate::scenario::{Mode, statsd};
use crate::supervisor::spawn::Spec;

const NGINX: &str = include_str!("../templates/nginx.conf");
const HAPROXY: &str = include_str!("../templates/haproxy.cfg");
const ENVOY: &str = include_str!("../templates/envoy.yaml");
const NGINX_UDP: &str = include_str!("../templates/nginx-udp.conf");
const ENVOY_UDP: &str = include_str!("../templates/envoy-udp.yaml");
const STATSD: &str = include_str!("../templates/statsd.js");

/// Where Debian keeps the module that nginx needs for relaying TCP, if it is not built
/// in.
const NGINX_STREAM_MODULE: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";

/// A server that a proxy forwards to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backend {
    /// As the harness calls it: `upstream.1`.
    pub name: String,
    /// Where the proxy finds it: at a link, if there is one in between.
    pub at: SocketAddr,
    /// Where it listens itself.
    pub server: SocketAddr,
    /// Its share among the others.
    pub weight: Option<u32>,
    /// Where it is asked how it is, if that is another port.
    pub admin: Option<SocketAddr>,
}

impl Backend {
    /// As `proxy tcp` takes it.
    #[must_use]
    pub fn argument(&self) -> String {
        match self.weight {
            None => self.at.to_string(),
            Some(weight) => format!("{},weight={weight}", self.at),
        }
    }
}

/// Where a proxy listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At {
    /// For clients.
    pub listen: SocketAddr,
    /// For those who ask how it is, if it is for statsd.
    pub management: SocketAddr,
}

/// How our own proxy is told where to listen and where to forward to: in mode `foo` to the
/// first server, in mode `tcp` to all of them, which stand last.
#[must_use]
pub fn own_flags(mode: Mode, listen: &str, backends: &[Backend]) -> Vec<OsString> {
    let mut args: Vec<OsString> = [mode.word(), "--listen", listen].map(OsString::from).into();
    match mode {
        Mode::Foo => {
            args.push("--forward".into());
            args.extend(backends.first().map(|first| first.at.to_string().into()));
        }
        Mode::Tcp => args.extend(backends.iter().map(|one| one.argument().into())),
        // They may have to be in a file instead. Ours has no mode for any datagrams.
        Mode::Statsd | Mode::Udp => {}
    }
    args
}

/// How our own proxy for statsd is told of its servers.
#[must_use]
pub fn node_flags(backends: &[Backend]) -> Vec<OsString> {
    let node = |one: &Backend| {
        [
            "--node".into(),
            statsd::node_argument(one.at, one.admin).into(),
        ]
    };
    backends.iter().flat_map(node).collect()
}

/// What to start for `subject`, whose program is known, so that it listens and forwards
/// as it is told, datagrams in mode `udp`. Configuration goes to `scratch`.
///
/// # Errors
/// That its configuration cannot be written.
pub fn spec(
    subject: &Descriptor,
    program: PathBuf,
    mode: Mode,
    at: At,
    backends: &[Backend],
    scratch: &Path,
) -> Result<Spec, String> {
    match subject {
        Descriptor::Template(template) => {
            from_template(*template, program, mode, at, backends, scratch)
        }
        Descriptor::Command(command) => Ok(Spec {
            program,
            args: command_line(command, at, backends),
            ..Spec::default()
        }),
        other => Err(format!("{other} is no program of other people")),
    }
}

/// The words of a command behind its program, filled in. `{backends}` is a word for each.
fn command_line(command: &str, at: At, backends: &[Backend]) -> Vec<OsString> {
    let forward = backends.first().map(|first| first.at.to_string());
    let forward = forward.unwrap_or_default();
    let mut args = Vec::new();
    for word in command.split_whitespace().skip(1) {
        let word = word
            .replace("{listen}", &at.listen.to_string())
            .replace("{management}", &at.management.to_string())
            .replace("{forward}", &forward);
        if word.contains("{backends}") {
            let each = |one: &Backend| word.replace("{backends}", &one.at.to_string()).into();
            args.extend(backends.iter().map(each));
        } else {
            args.push(word.into());
        }
    }
    args
}

fn from_template(
    template: Template,
    program: PathBuf,
    mode: Mode,
    at: At,
    backends: &[Backend],
    scratch: &Path,
) -> Result<Spec, String> {
    let scratch = std::path::absolute(scratch).map_err(|error| error.to_string())?;
    let (source, name) = match template {
        Template::Nginx if mode == Mode::Udp => (NGINX_UDP, "nginx.conf"),
        Template::Envoy if mode == Mode::Udp => (ENVOY_UDP, "envoy.yaml"),
        Template::Nginx => (NGINX, "nginx.conf"),
        Template::Haproxy => (HAPROXY, "haproxy.cfg"),
        Template::Envoy => (ENVOY, "envoy.yaml"),
        Template::Statsd => (STATSD, "statsd.js"),
        Template::Statsdproxy => return Ok(sentry(program, at.listen, backends)),
    };
    let path = scratch.join(name);
    let filled = fill(source, template, at, backends, &scratch);
    std::fs::write(&path, filled)
        .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    let args: Vec<OsString> = match template {
        Template::Nginx => {
            let prefix = scratch.into_os_string();
            vec![
                "-p".into(),
                prefix,
                "-c".into(),
                path.into(),
                "-e".into(),
                "stderr".into(),
            ]
        }
        // In the foreground, one process.
        Template::Haproxy => vec!["-db".into(), "-f".into(), path.into()],
        // Hot restart would have two of them at once meet in shared memory.
        Template::Envoy => vec![
            "--config-path".into(),
            path.into(),
            "--concurrency".into(),
            workers().to_string().into(),
            "--disable-hot-restart".into(),
            "--log-level".into(),
            "error".into(),
        ],
        Template::Statsd => vec![peers::cluster_proxy()?.into(), path.into()],
        // It has no file.
        Template::Statsdproxy => Vec::new(),
    };
    Ok(Spec {
        program,
        args,
        ..Spec::default()
    })
}

/// One server is all that it knows.
fn sentry(program: PathBuf, listen: SocketAddr, backends: &[Backend]) -> Spec {
    let forward = backends.first().map(|first| first.at.to_string());
    let words = [
        "--listen",
        &listen.to_string(),
        "--upstream",
        &forward.unwrap_or_default(),
    ];
    Spec {
        program,
        args: words.map(OsString::from).into(),
        ..Spec::default()
    }
}

/// Peers have as many workers as our own proxy has by default: one for each core.
fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get)
}

/// Fills in a configuration.
fn fill(
    source: &str,
    template: Template,
    at: At,
    backends: &[Backend],
    directory: &Path,
) -> String {
    let module = if Path::new(NGINX_STREAM_MODULE).exists() {
        format!("load_module {NGINX_STREAM_MODULE};")
    } else {
        String::new()
    };
    let lines: Vec<String> = backends.iter().map(|one| line(template, one)).collect();
    let At { listen, management } = at;
    source
        .replace("{load_module}", &module)
        .replace("{workers}", &workers().to_string())
        .replace("{directory}", &directory.display().to_string())
        .replace("{listen}", &listen.to_string())
        .replace("{management_ip}", &management.ip().to_string())
        .replace("{management_port}", &management.port().to_string())
        .replace("{listen_ip}", &listen.ip().to_string())
        .replace("{listen_port}", &listen.port().to_string())
        .replace("{backends}", lines.concat().trim_end())
}

/// One server, as a configuration has it.
fn line(template: Template, backend: &Backend) -> String {
    let Backend {
        name,
        at,
        weight,
        admin,
        ..
    } = backend;
    match template {
        Template::Nginx => {
            let weight = weight.map_or_else(String::new, |weight| format!(" weight={weight}"));
            format!("        server {at}{weight};\n")
        }
        Template::Haproxy => {
            let weight = weight.map_or_else(String::new, |weight| format!(" weight {weight}"));
            format!("    server {name} {at}{weight}\n")
        }
        Template::Statsd => {
            let admin = admin.unwrap_or(*at).port();
            let (ip, port) = (at.ip(), at.port());
            format!("{{host: '{ip}', port: {port}, adminport: {admin}}},\n")
        }
        Template::Statsdproxy => String::new(),
        Template::Envoy => {
            let (ip, port) = (at.ip(), at.port());
            let weight = weight.map_or_else(String::new, |weight| {
                format!("          load_balancing_weight: {weight}\n")
            });
            format!(
                "        - endpoint:\n            address: {{ socket_address: {{ address: \"{ip}\", port_value: {port} }} }}\n{weight}"
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses() -> (At, Vec<Backend>) {
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let backend = |nth: u16, weight| Backend {
            name: format!("upstream.{nth}"),
            at: at(10_002 + nth),
            server: at(10_002 + nth),
            weight,
            admin: Some(at(10_012 + nth)),
        };
        let listening = At {
            listen: at(10_001),
            management: at(10_009),
        };
        (listening, vec![backend(0, None), backend(1, Some(7))])
    }

    #[test]
    fn templates_are_filled_in() {
        let (listen, backends) = addresses();
        for (template, source) in [
            (Template::Nginx, NGINX),
            (Template::Haproxy, HAPROXY),
            (Template::Envoy, ENVOY),
            (Template::Nginx, NGINX_UDP),
            (Template::Envoy, ENVOY_UDP),
            (Template::Statsd, STATSD),
        ] {
            let filled = fill(source, template, listen, &backends, Path::new("/d"));
            let settings: Vec<&str> = filled
                .lines()
                .filter(|line| !line.starts_with('#'))
                .collect();
            let settings = settings.join("\n");
            for part in ["127.0.0.1", "10001", "10002", "10003", "7"] {
                assert!(settings.contains(part), "{filled}");
            }
            let mut holes = settings
                .split('{')
                .skip(1)
                .filter_map(|rest| Some(rest.split_once('}')?.0));
            let is_name = |hole: &str| hole.chars().all(|c| c.is_ascii_lowercase() || c == '_');
            assert!(!holes.any(is_name), "{filled}");
        }
    }

    #[test]
    fn a_command_line_is_filled_in() {
        let (listen, backends) = addresses();
        let filled = command_line(
            "sh -c {listen} to={forward} -b {backends}",
            listen,
            &backends,
        );
        let expected = [
            "-c",
            "127.0.0.1:10001",
            "to=127.0.0.1:10002",
            "-b",
            "127.0.0.1:10002",
            "127.0.0.1:10003",
        ];
        assert_eq!(filled, expected.map(OsString::from));
    }

    #[test]
    fn our_own_proxy_is_told_of_one_server_or_of_all() {
        let (_, backends) = addresses();
        let flags = |mode| own_flags(mode, ":1", &backends).join(&OsString::from(" "));
        assert_eq!(
            flags(Mode::Foo),
            "foo --listen :1 --forward 127.0.0.1:10002"
        );
        assert_eq!(
            flags(Mode::Tcp),
            "tcp --listen :1 127.0.0.1:10002 127.0.0.1:10003,weight=7"
        );
    }
}
