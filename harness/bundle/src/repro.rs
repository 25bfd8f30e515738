//! A script that sends a session again with nothing but `nc` and the target.

use std::fmt::Write;

use fuzzclient::generate::{Ending, Protocol};

use crate::origin::Origin;
use crate::session::{Session, Transport};
use crate::verdict::Verdict;

/// The script, for a session that is in `file`, as [`Session::to_input`] writes it.
///
/// `nc` cannot reset a connection and cannot send two datagrams that hold nothing apart; the
/// script says so where that matters.
#[must_use]
pub fn script(verdict: &Verdict, origin: &Origin, session: &Session, file: &str) -> String {
    let mut text = String::from("#!/bin/sh\n");
    let finding = &verdict.finding;
    let _ = writeln!(text, "# {}", one_line(&finding.sentence(session.transport)));
    if !finding.detail.is_empty() {
        let _ = writeln!(text, "# {}", one_line(&finding.detail));
    }
    if let Some(seen) = verdict.repeats {
        let _ = writeln!(
            text,
            "# Sent again, it failed {} of {} times.",
            seen.failed, seen.tried
        );
    }
    text.push_str("#\n# It was started so, and garbage went to the last of these:\n");
    for process in &origin.processes {
        let words: Vec<String> = process.command.iter().map(|word| quoted(word)).collect();
        let _ = writeln!(
            text,
            "#   {}: {}",
            process.who.word(),
            one_line(&words.join(" "))
        );
    }
    if session
        .connections
        .iter()
        .any(|connection| connection.ending == Ending::Reset)
    {
        text.push_str("# Some connections were reset, which nc cannot do: they are closed here.\n");
    }
    let _ = write!(text, "{}", USAGE.replace("{file}", file));
    let flags = match session.transport {
        Transport::Tcp => TCP_FLAGS,
        Transport::Udp => "flags='-u -w1'\n",
    };
    text.push_str(flags);
    text.push_str(match session.transport {
        Transport::Tcp => LISTENS,
        Transport::Udp => LISTENS_UDP,
    });
    text.push_str(SEND);
    text.push_str(if origin.protocol == Protocol::Foo {
        ASK
    } else {
        KNOCK
    });
    for (offset, len) in places(session) {
        let _ = writeln!(text, "send {offset} {len}");
    }
    text.push_str(JUDGE);
    text
}

/// Where each connection's bytes are in what [`Session::to_input`] writes.
fn places(session: &Session) -> Vec<(usize, usize)> {
    let total = session.to_input().len();
    if let [one] = &session.connections[..]
        && one.bytes.len() == total
    {
        return vec![(0, total)];
    }
    let mut places = Vec::new();
    let mut at = 0;
    for (index, connection) in session.connections.iter().enumerate() {
        let (len, ending) = (connection.bytes.len(), connection.ending.name());
        let number = match session.transport {
            Transport::Tcp => connection.number,
            Transport::Udp => index as u64,
        };
        at += format!("connection {number} bytes {len}\n").len();
        places.push((at, len));
        at += len + format!("connection {number} ends {ending}\n").len();
    }
    debug_assert_eq!(at, total, "the recording is written in this way");
    places
}

const USAGE: &str = r#"#
# ./repro.sh HOST PORT              sends it to what listens there
# ./repro.sh HOST PORT COMMAND ...  starts that first and tells how it ends
# Exit code: 4 if the target did not survive, 0 if it did, 5 if it was never there.
set -u
host=${1:?HOST PORT [COMMAND ...]} port=${2:?HOST PORT [COMMAND ...]}
shift 2
file=$(dirname "$0")/{file}
"#;

const TCP_FLAGS: &str = r#"# Netcats differ in how they are told to end their side after the last byte.
if nc -h 2>&1 | grep -q -e '-N'; then flags='-N -w2'; else flags='-w2'; fi
"#;

const LISTENS: &str = r#"listens() {
    nc -z -w1 "$host" "$port" > /dev/null 2>&1
}
"#;

const LISTENS_UDP: &str = r#"listens() { # Who takes datagrams answers no knock: on this machine the kernel knows.
    case $host in
    127.*|localhost)
        local=$(printf '^ *[0-9]*: [0-9A-F]*:%04X ' "$port")
        cat /proc/net/udp /proc/net/udp6 2> /dev/null | grep -q "$local" ;;
    *) nc -u -z -w1 "$host" "$port" > /dev/null 2>&1 ;;
    esac
}
"#;

const SEND: &str = r#"send() { # OFFSET LENGTH
    tail -c "+$(($1 + 1))" "$file" | head -c "$2" | nc $flags "$host" "$port" > /dev/null 2>&1
}
pid=
if [ $# -gt 0 ]; then
    "$@" &
    pid=$!
    tries=0
    until listens; do
        tries=$((tries + 1))
        if [ "$tries" -gt 100 ] || ! kill -0 "$pid" 2> /dev/null; then
            echo "the target did not start" >&2
            exit 5
        fi
        sleep 0.1
    done
elif ! listens; then
    echo "nobody listens at $host $port" >&2
    exit 5
fi
"#;

const ASK: &str = r#"lives() {
    printf 'REQ 1 alive\n' | nc $flags "$host" "$port" 2> /dev/null | grep -q -e '^ACK 1 ' -e '^NAK 1 '
}
"#;

const KNOCK: &str = r#"lives() {
    listens
}
"#;

const JUDGE: &str = r#"sleep 0.2
if [ -n "$pid" ]; then
    # A process that died is a zombie until it is waited for, and answers signal 0.
    if kill -0 "$pid" 2> /dev/null && lives; then
        kill "$pid"
        wait "$pid" 2> /dev/null
        echo "it survived"
        exit 0
    fi
    kill -9 "$pid" 2> /dev/null
    wait "$pid" 2> /dev/null
    status=$?
    case $status in
        137) echo "it lived and did not answer, or was killed" ;;
        *) echo "it died: status $status (above 128: signal $((status > 128 ? status - 128 : 0)))" ;;
    esac
    exit 4
fi
if lives; then
    echo "it lives"
    exit 0
fi
echo "it lives no more"
exit 4
"#;

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+{}".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// In a comment, a line break would end the comment.
fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
