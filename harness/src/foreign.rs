//! How proxies that know nothing of us are started.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::descriptor::{Descriptor, Template};
use crate::supervisor::spawn::Spec;

const NGINX: &str = include_str!("../templates/nginx.conf");
const HAPROXY: &str = include_str!("../templates/haproxy.cfg");
const ENVOY: &str = include_str!("../templates/envoy.yaml");

/// Where Debian keeps the module that nginx needs for relaying TCP, if it is not built
/// in.
const NGINX_STREAM_MODULE: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";

/// What to start for `subject`, whose program is known, so that it listens and forwards
/// as it is told. Configuration goes to `scratch`.
///
/// # Errors
/// That its configuration cannot be written.
pub fn spec(
    subject: &Descriptor,
    program: PathBuf,
    listen: SocketAddr,
    forward: SocketAddr,
    args: &[String],
    scratch: &Path,
) -> Result<Spec, String> {
    match subject {
        Descriptor::Template(template) => {
            from_template(*template, program, listen, forward, scratch)
        }
        Descriptor::Command(command) => {
            let fill = |word: &str| {
                word.replace("{listen}", &listen.to_string())
                    .replace("{forward}", &forward.to_string())
            };
            let args = command
                .split_whitespace()
                .skip(1)
                .map(|word| fill(word).into())
                .collect();
            Ok(Spec {
                program,
                args,
                ..Spec::default()
            })
        }
        _ => {
            let (listen, forward) = (listen.to_string(), forward.to_string());
            let mut all: Vec<OsString> = ["foo", "--listen", &listen, "--forward", &forward]
                .map(OsString::from)
                .to_vec();
            all.extend(args.iter().map(OsString::from));
            Ok(Spec {
                program,
                args: all,
                ..Spec::default()
            })
        }
    }
}

fn from_template(
    template: Template,
    program: PathBuf,
    listen: SocketAddr,
    forward: SocketAddr,
    scratch: &Path,
) -> Result<Spec, String> {
    let scratch = std::path::absolute(scratch).map_err(|error| error.to_string())?;
    let (source, name) = match template {
        Template::Nginx => (NGINX, "nginx.conf"),
        Template::Haproxy => (HAPROXY, "haproxy.cfg"),
        Template::Envoy => (ENVOY, "envoy.yaml"),
    };
    let path = scratch.join(name);
    std::fs::write(&path, fill(source, listen, forward, &scratch))
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
    };
    Ok(Spec {
        program,
        args,
        ..Spec::default()
    })
}

/// Peers have as many workers as our own proxy has by default: one for each core.
fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get)
}

/// Fills in a configuration.
fn fill(source: &str, listen: SocketAddr, forward: SocketAddr, directory: &Path) -> String {
    let module = if Path::new(NGINX_STREAM_MODULE).exists() {
        format!("load_module {NGINX_STREAM_MODULE};")
    } else {
        String::new()
    };
    source
        .replace("{load_module}", &module)
        .replace("{workers}", &workers().to_string())
        .replace("{directory}", &directory.display().to_string())
        .replace("{listen}", &listen.to_string())
        .replace("{forward}", &forward.to_string())
        .replace("{listen_ip}", &listen.ip().to_string())
        .replace("{listen_port}", &listen.port().to_string())
        .replace("{forward_ip}", &forward.ip().to_string())
        .replace("{forward_port}", &forward.port().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses() -> [SocketAddr; 2] {
        [10_001, 10_002].map(|port| SocketAddr::from(([127, 0, 0, 1], port)))
    }

    #[test]
    fn templates_are_filled_in() {
        let [listen, forward] = addresses();
        for source in [NGINX, HAPROXY, ENVOY] {
            let filled = fill(source, listen, forward, Path::new("/d"));
            let settings: Vec<&str> = filled
                .lines()
                .filter(|line| !line.starts_with('#'))
                .collect();
            let settings = settings.join("\n");
            for part in ["127.0.0.1", "10001", "10002"] {
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
        let [listen, forward] = addresses();
        let subject = Descriptor::Command("sh -c {listen} to={forward}".into());
        let spec = spec(
            &subject,
            "/bin/sh".into(),
            listen,
            forward,
            &["ignored".into()],
            Path::new("/d"),
        )
        .unwrap();
        assert_eq!(
            spec.args,
            ["-c", "127.0.0.1:10001", "to=127.0.0.1:10002"].map(OsString::from)
        );
    }
}
