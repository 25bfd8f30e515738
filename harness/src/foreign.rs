//! How proxies that know nothing of us are started.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::descriptor::{Descriptor, Template};
use crate::supervisor::spawn::Spec;

const NGINX: &str = include_str!("../templates/nginx.conf");
const HAPROXY: &str = include_str!("../templates/haproxy.cfg");

/// Where Debian keeps the module that nginx needs for relaying TCP, if it is not built
/// in.
const NGINX_STREAM_MODULE: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";

/// What to start for `subject`, so that it listens and forwards as it is told.
/// Configuration goes to `scratch`.
///
/// # Errors
/// That the program is missing, or that its configuration cannot be written.
pub fn spec(
    subject: &Descriptor,
    listen: SocketAddr,
    forward: SocketAddr,
    args: &[String],
    scratch: &Path,
) -> Result<Spec, String> {
    let program = subject.program()?.ok_or("is not a program")?;
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
    };
    Ok(Spec {
        program,
        args,
        ..Spec::default()
    })
}

/// Fills in a configuration. Peers have as many workers as our own proxy has by
/// default: one for each core.
fn fill(source: &str, listen: SocketAddr, forward: SocketAddr, directory: &Path) -> String {
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    let module = if Path::new(NGINX_STREAM_MODULE).exists() {
        format!("load_module {NGINX_STREAM_MODULE};")
    } else {
        String::new()
    };
    source
        .replace("{load_module}", &module)
        .replace("{workers}", &workers.to_string())
        .replace("{directory}", &directory.display().to_string())
        .replace("{listen}", &listen.to_string())
        .replace("{forward}", &forward.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_filled_in() {
        let [listen, forward] = [1, 2].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        for source in [NGINX, HAPROXY] {
            let filled = fill(source, listen, forward, Path::new("/d"));
            let settings: Vec<&str> = filled
                .lines()
                .filter(|line| !line.starts_with('#'))
                .collect();
            let settings = settings.join("\n");
            assert!(
                settings.contains("127.0.0.1:1") && settings.contains("127.0.0.1:2"),
                "{filled}"
            );
            for hole in [
                "{listen}",
                "{forward}",
                "{workers}",
                "{directory}",
                "{load_module}",
            ] {
                assert!(!settings.contains(hole), "{filled}");
            }
        }
    }

    #[test]
    fn a_command_line_is_filled_in() {
        let [listen, forward] = [1, 2].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let subject = Descriptor::Command("sh -c {listen} to={forward}".into());
        let spec = spec(
            &subject,
            listen,
            forward,
            &["ignored".into()],
            Path::new("/d"),
        )
        .unwrap();
        assert_eq!(
            spec.args,
            ["-c", "127.0.0.1:1", "to=127.0.0.1:2"].map(OsString::from)
        );
    }
}
