//! What datagrams that come back have of their own: who relays them, and who answers.

use report::figures::DIRECT;

use super::{Fuzz, Mode, Scenario, Server};
use crate::descriptor::{Descriptor, Template};

/// Says who is under test where `source`, the text of the scenario, does not: ours has no
/// such mode.
pub(super) fn fill_in(scenario: &mut Scenario, source: &str) {
    let table: toml::Table = source.parse().unwrap_or_default();
    let is_said = table
        .get("proxy")
        .is_some_and(|proxy| proxy.get("descriptor").is_some());
    if scenario.proxy.mode == Mode::Udp && !is_said {
        scenario.proxy.descriptor = DIRECT.to_owned();
    }
}

/// What of the servers makes no sense behind a relay of datagrams, or only there.
///
/// # Errors
/// The table and its number, the key, and what is accepted.
pub(super) fn servers(
    scenario: &Scenario,
) -> Result<(), (&'static str, usize, &'static str, String)> {
    let wanted = scenario.proxy.mode == Mode::Udp;
    for (nth, upstream) in scenario.upstream.iter().enumerate() {
        if wanted != (upstream.mode == Server::UdpEcho) {
            let said = "a proxy of mode \"udp\" has servers of mode \"udp-echo\" behind it, and no other has";
            return Err(("upstream", nth, "mode", said.to_owned()));
        }
        if wanted && upstream.threads.is_some() {
            let said = "one thread answers datagrams: expected none".to_owned();
            return Err(("upstream", nth, "threads", said));
        }
    }
    Ok(())
}

/// Whether garbage goes in datagrams where datagrams are relayed, and on connections
/// elsewhere.
///
/// # Errors
/// The key, and what is accepted.
pub(super) fn fuzz(scenario: &Scenario, fuzz: &Fuzz) -> Result<(), (&'static str, String)> {
    let is_in_datagrams = fuzz.mode == Mode::Statsd;
    let said = match (scenario.has_datagrams(), is_in_datagrams) {
        (true, false) => "expected statsd, whose garbage goes in datagrams",
        (false, true) => "expected foo or tcp: nobody takes datagrams there",
        _ => return Ok(()),
    };
    Err(("mode", said.to_owned()))
}

/// Whether `subject` relays datagrams and answers to them.
///
/// # Errors
/// That it does not, and who does.
pub fn relays(subject: &Descriptor) -> Result<(), String> {
    let what = match subject {
        Descriptor::Builtin(_) | Descriptor::Binary(_) | Descriptor::Revision(_) => {
            "relays no datagrams but those of mode \"statsd\""
        }
        Descriptor::Template(Template::Nginx | Template::Envoy)
        | Descriptor::Direct
        | Descriptor::Command(_)
        | Descriptor::Running(_) => return Ok(()),
        Descriptor::Template(_) => "relays no datagrams and their answers",
    };
    Err(format!(
        "{subject} {what}; accepted in mode \"udp\": direct, nginx, envoy, cmd:… and addr:HOST:PORT"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::parse;

    const LOAD: &str = "[[load]]\nmode = \"udp\"\nrate = \"1k/s\"\n";

    fn parsed(rest: &str) -> Result<Scenario, String> {
        let source = format!("name = \"a\"\n{LOAD}{rest}");
        parse::text(&source, "s.toml").map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_stands_between_if_nothing_is_said() {
        let descriptor = |rest| parsed(rest).unwrap().proxy.descriptor;
        assert_eq!(descriptor("[proxy]\nmode = \"udp\"\n"), "direct");
        let said = "[proxy]\nmode = \"udp\"\ndescriptor = \"nginx\"\n";
        assert_eq!(descriptor(said), "nginx");
    }

    #[test]
    fn only_an_echo_of_datagrams_answers_datagrams() {
        let with = |upstream: &str| {
            let rest = format!("[proxy]\nmode = \"udp\"\n[[upstream]]\n{upstream}\n");
            parsed(&rest).map(drop)
        };
        assert_eq!(
            with("mode = \"udp-echo\"\nreceive_buffer = \"1MiB\""),
            Ok(())
        );
        for (upstream, says) in [
            ("mode = \"echo\"", "s.toml:8: mode: a proxy of mode \"udp\""),
            ("", "s.toml:7: mode: a proxy of mode \"udp\""),
            (
                "mode = \"udp-echo\"\nthreads = 2",
                "s.toml:9: threads: one thread",
            ),
            (
                "mode = \"udp-echo\"\ndefects = [\"late-reply\"]",
                "s.toml:9: defects: ",
            ),
        ] {
            let said = with(upstream).unwrap_err();
            assert!(said.contains(says), "{said}");
        }
        let tcp = "name = \"a\"\n[proxy]\nmode = \"tcp\"\n[[upstream]]\nmode = \"udp-echo\"\n";
        let said = parse::text(tcp, "s.toml").unwrap_err().to_string();
        assert!(said.contains("and no other has"), "{said}");
    }

    #[test]
    fn who_relays_no_datagrams_is_refused() {
        for text in ["direct", "nginx", "envoy", "cmd:x {listen} {forward}"] {
            assert_eq!(relays(&text.parse().unwrap()), Ok(()), "{text}");
        }
        for text in ["builtin", "haproxy", "statsd", "./proxy", "git:HEAD"] {
            let said = relays(&text.parse().unwrap()).unwrap_err();
            assert!(
                said.starts_with(text) && said.contains("direct, nginx, envoy"),
                "{said}"
            );
        }
    }
}
