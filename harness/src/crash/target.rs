//! What is attacked: `--target` and what goes with it, as processes to start.

use std::net::SocketAddr;
use std::path::Path;

use bundle::{Process, Transport, Who};
use fuzzclient::generate::Protocol;
use service::addr::HostPort;

use super::words;
use crate::installed;

/// How this executable is called in the commands of a bundle, wherever it is.
pub const OURSELVES: &str = "harness";

/// What `--target` may be.
pub const FORMS: &str = "proxy, upstream (each with flags of its own behind it, if need be), \
    \"cmd:PROGRAM … {listen} …\" ({port} for the port alone, {forward} if it is a proxy), a path \
    to a binary that takes \"foo --listen ADDR --forward ADDR\" (with a \"/\" in it), \
    or addr:HOST:PORT";

/// What `--target` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// Our reference server, with these flags.
    Upstream(Vec<String>),
    /// Our proxy, with these flags.
    Proxy(Vec<String>),
    /// A command of somebody's own.
    Command(Vec<String>),
    /// Something that runs already.
    Running(HostPort),
}

impl std::str::FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |hint: &str| format!("expected {FORMS}, got {text:?}{hint}");
        if let Some(command) = text.strip_prefix("cmd:") {
            let words = words::split(command).map_err(|hint| wrong(&format!(": {hint}")))?;
            if words.is_empty() {
                return Err(wrong(", which names no program"));
            }
            if !["{listen}", "{port}"]
                .iter()
                .any(|hole| command.contains(hole))
            {
                return Err(wrong(", which has no {listen} and no {port}"));
            }
            return Ok(Self::Command(words));
        }
        if let Some(addr) = text.strip_prefix("addr:") {
            let addr: HostPort = addr.parse().map_err(|e| wrong(&format!(": {e}")))?;
            return match addr.port() {
                0 => Err(wrong(": nothing runs on port 0")),
                _ => Ok(Self::Running(addr)),
            };
        }
        let mut all = words::split(text).map_err(|hint| wrong(&format!(": {hint}")))?;
        if all.is_empty() {
            return Err(wrong(""));
        }
        let flags = all.split_off(1);
        match all[0].as_str() {
            "upstream" => Ok(Self::Upstream(flags)),
            "proxy" | "builtin" => Ok(Self::Proxy(flags)),
            path if path.contains('/') => {
                let own = ["foo", "--listen", "{listen}", "--forward", "{forward}"];
                all.extend(own.map(str::to_owned));
                all.extend(flags);
                Ok(Self::Command(all))
            }
            _ => Err(wrong("")),
        }
    }
}

/// What is added to a target on the command line.
#[derive(Clone, Debug, Default)]
pub struct Extras {
    /// Defects of the reference server, which is the target or stands behind it.
    pub defects: Vec<String>,
    /// What our proxy does with malformed lines.
    pub on_malformed: Option<String>,
    /// More flags of the target.
    pub flags: Vec<String>,
}

/// What is attacked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// These are started, in this order; garbage goes to the last.
    Started(Vec<Process>),
    /// It runs already.
    Running {
        /// Where it listens.
        at: SocketAddr,
        /// Its process, if that is to be watched.
        pid: Option<u32>,
    },
}

/// The processes of a target that is started.
///
/// # Errors
/// What does not fit, in a sentence.
pub fn processes(
    named: &Named,
    extras: &Extras,
    protocol: Protocol,
    transport: Transport,
) -> Result<Vec<Process>, String> {
    let upstream = |more: &[String]| {
        let mut command = server(protocol);
        command.extend(
            extras
                .defects
                .iter()
                .flat_map(|defect| ["--defect".to_owned(), defect.clone()]),
        );
        command.extend_from_slice(more);
        Process {
            who: Who::Upstream,
            command,
        }
    };
    let no_malformed = || match &extras.on_malformed {
        Some(_) => Err("--on-malformed is a flag of --target proxy".to_owned()),
        None => Ok(()),
    };
    match named {
        Named::Upstream(flags) => {
            no_malformed()?;
            Ok(vec![upstream(&[&flags[..], &extras.flags].concat())])
        }
        Named::Proxy(flags) => {
            let mut command = proxy(protocol, transport);
            if let Some(action) = &extras.on_malformed {
                command.extend(["--on-malformed".to_owned(), action.clone()]);
            }
            command.extend(flags.iter().chain(&extras.flags).cloned());
            let proxy = Process {
                who: Who::Proxy,
                command,
            };
            Ok(vec![upstream(&[]), proxy])
        }
        Named::Command(command) => {
            no_malformed()?;
            check_program(&command[0])?;
            let command = [&command[..], &extras.flags].concat();
            let forwards = command
                .iter()
                .any(|word| FORWARD.iter().any(|hole| word.contains(hole)));
            if !forwards && !extras.defects.is_empty() {
                return Err(
                    "--defect plants defects in the reference server, and there is none \
                    behind a command without {forward}"
                        .to_owned(),
                );
            }
            let own = Process {
                who: Who::Command,
                command,
            };
            Ok(if forwards {
                vec![upstream(&[]), own]
            } else {
                vec![own]
            })
        }
        Named::Running(_) => {
            no_malformed()?;
            if !extras.defects.is_empty() || !extras.flags.is_empty() {
                return Err("what runs already takes no flags".to_owned());
            }
            Ok(Vec::new())
        }
    }
}

/// Holes that stand for the server behind a proxy.
const FORWARD: [&str; 4] = ["{forward}", "{forward_port}", "{forward_host}", "{node}"];

fn check_program(name: &str) -> Result<(), String> {
    if name == OURSELVES {
        return Ok(());
    }
    if name.contains('/') {
        installed::executable(Path::new(name)).map(drop)
    } else {
        installed::find(name).map(drop)
    }
}

fn line(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn server(protocol: Protocol) -> Vec<String> {
    line(match protocol {
        Protocol::Foo => "harness upstream foo --listen {listen}",
        Protocol::Tcp => "harness upstream echo --listen {listen}",
        Protocol::Statsd => "harness upstream statsd --listen {listen} --management {management}",
    })
}

fn proxy(protocol: Protocol, transport: Transport) -> Vec<String> {
    let mut command = line(match protocol {
        Protocol::Foo => "harness proxy foo --listen {listen} --forward {forward}",
        Protocol::Tcp => "harness proxy tcp --listen {listen}",
        Protocol::Statsd => {
            "harness proxy statsd --listen {listen} --management {management} --node {node}"
        }
    });
    match (protocol, transport) {
        (Protocol::Tcp, _) => command.push("{forward}".to_owned()),
        (Protocol::Statsd, Transport::Tcp) => command.extend(line("--server tcp")),
        _ => {}
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets() {
        let words = |text: &str| line(text);
        let cases = [
            ("upstream", Named::Upstream(Vec::new())),
            (
                "proxy --on-malformed drop",
                Named::Proxy(words("--on-malformed drop")),
            ),
            (
                "cmd:python3 'my server.py' {port}",
                Named::Command(vec![
                    "python3".into(),
                    "my server.py".into(),
                    "{port}".into(),
                ]),
            ),
            (
                "./x --fast",
                Named::Command(words(
                    "./x foo --listen {listen} --forward {forward} --fast",
                )),
            ),
            (
                "addr:localhost:80",
                Named::Running("localhost:80".parse().unwrap()),
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
        for (text, says) in [
            ("squid", "expected proxy, upstream"),
            ("", "expected proxy"),
            ("cmd:", "names no program"),
            ("cmd:nc -l 80", "no {listen} and no {port}"),
            ("cmd:sh -c 'x {listen}", "quote"),
            ("addr:nowhere", "HOST:PORT"),
            ("addr:h:0", "port 0"),
        ] {
            let error = text.parse::<Named>().unwrap_err();
            assert!(
                error.contains(says) && !error.contains('\n'),
                "{text}: {error}"
            );
        }
    }

    #[test]
    fn a_proxy_has_the_reference_server_behind_it() {
        let who = |text: &str| {
            let named: Named = text.parse().unwrap();
            let all = processes(&named, &Extras::default(), Protocol::Foo, Transport::Tcp);
            all.map(|all| all.iter().map(|one| one.who).collect::<Vec<_>>())
        };
        assert_eq!(who("upstream"), Ok(vec![Who::Upstream]));
        assert_eq!(who("proxy"), Ok(vec![Who::Upstream, Who::Proxy]));
        assert_eq!(who("cmd:sh {listen}"), Ok(vec![Who::Command]));
        assert_eq!(
            who("cmd:sh {listen} {forward}"),
            Ok(vec![Who::Upstream, Who::Command])
        );
        assert!(
            who("cmd:no-such-program {listen}")
                .unwrap_err()
                .contains("not installed")
        );
    }
}
