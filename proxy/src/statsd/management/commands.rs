//! The commands of the management port: a line in, an answer out.

use std::fmt::Write;

use crate::statsd::board::Board;
use crate::statsd::plan::Plan;
use crate::statsd::{memstats, state};

/// Every command, without its parameters.
const COMMANDS: [&str; 8] = [
    "ping", "stats", "memstats", "help", "config", "health", "status", "quit",
];

/// What to do about a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Say this.
    Say(String),
    /// Say nothing more.
    Close,
}

/// What the beginning of a line may become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Promise {
    /// It is a command already.
    Command,
    /// More of it may make it one.
    Perhaps,
    /// Nothing makes it one.
    Never,
}

/// Judges a line whose end has not come.
pub(super) fn promise(line: &[u8]) -> Promise {
    let words = words(line);
    let first = words.first().map_or("", String::as_str);
    if COMMANDS.contains(&first) {
        Promise::Command
    } else if words.len() < 2 && COMMANDS.iter().any(|command| command.starts_with(first)) {
        Promise::Perhaps
    } else {
        Promise::Never
    }
}

/// Carries a command out.
pub(super) fn answer(board: &Board, line: &[u8]) -> Answer {
    let words = words(line);
    let parameter = words.get(1).map(|word| word.to_lowercase());
    let text = match words.first().map_or("", String::as_str) {
        "ping" => "pong\n".to_owned(),
        "stats" => stats(board),
        "memstats" => memstats::text(),
        "help" => format!("Commands: {}\n\n", COMMANDS.join(", ")),
        "config" => config(&board.plan()),
        "health" => health(board, parameter.as_deref()),
        "status" => status(board),
        "quit" => return Answer::Close,
        _ => "ERROR\n".to_owned(),
    };
    Answer::Say(text)
}

fn words(line: &[u8]) -> Vec<String> {
    let line = String::from_utf8_lossy(line);
    line.split_whitespace().map(str::to_owned).collect()
}

/// The two lines that `go-statsd-proxy` shows, with the second as a decimal number as it has
/// it, and then our counters.
fn stats(board: &Board) -> String {
    let totals = board.totals();
    let counts = &totals.counts;
    let mut text = format!(
        "time running in seconds: {}\npackets_received: {}.000000\n",
        board.started.elapsed().as_secs(),
        counts.datagrams_received,
    );
    let mut put = |name: &str, value: u64| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name}: {value}");
    };
    put("lines_received", counts.lines_received);
    put("lines_forwarded", counts.lines_forwarded);
    for (reason, count) in state::drops(&totals) {
        put(&format!("lines_dropped_{reason}"), count);
    }
    put("lines_pending", totals.pending);
    put("lines_malformed", counts.malformed);
    put("lines_mirrored", counts.mirrored);
    put("lines_rerouted", counts.rerouted);
    put("datagrams_empty", counts.datagrams_empty);
    put("datagrams_truncated", counts.datagrams_truncated);
    put("datagrams_forwarded", counts.datagrams_forwarded);
    put("datagrams_refused", counts.datagrams_refused);
    put("datagrams_dropped_by_kernel", totals.kernel_drops);
    put("bytes_received", counts.bytes_received);
    put("bytes_forwarded", counts.bytes_forwarded);
    put("tcp_connections", counts.tcp_accepted);
    put("tcp_connections_open", state::open(&totals));
    put("tcp_lines", counts.tcp_lines);
    text
}

/// What is in force, by the names of the configuration. What lies within another key is
/// behind a `>`, as the original writes it.
fn config(plan: &Plan) -> String {
    let fixed = &plan.fixed;
    let mut text = "\n".to_owned();
    let mut put = |name: &str, value: &dyn std::fmt::Display| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name}: {value}");
    };
    for (nth, node) in plan.nodes.iter().enumerate() {
        put(&format!("nodes > {nth} > host"), &node.host);
        put(&format!("nodes > {nth} > port"), &node.port);
        if let Some(admin_port) = &node.admin_port {
            put(&format!("nodes > {nth} > adminport"), admin_port);
        }
    }
    put("host", &fixed.listen.host());
    put("port", &fixed.listen.port());
    put("mgmt_address", &fixed.management.host());
    put("mgmt_port", &fixed.management.port());
    put("checkInterval", &plan.checks.interval.as_millis());
    put("forkCount", &fixed.threads);
    for (nth, (server, on)) in [("udp", fixed.udp), ("tcp", fixed.tcp)].iter().enumerate() {
        if *on {
            put(&format!("server > {nth}"), server);
        }
    }
    let policy = &plan.policy;
    put("checkTimeout", &plan.checks.timeout.as_millis());
    put("rise", &plan.checks.rules.rise);
    put("fall", &plan.checks.rules.fall);
    put("remap", &name_of(policy.remap));
    put("onMalformed", &name_of(policy.on_malformed));
    put("mtu", &policy.mtu);
    put("flush", &service::units::format_duration(policy.flush));
    put("holdBytes", &policy.hold_bytes);
    put("queueBytes", &policy.queue_bytes);
    text
}

fn name_of(choice: impl clap::ValueEnum) -> String {
    let name = choice.to_possible_value();
    name.map_or_else(String::new, |name| name.get_name().to_owned())
}

/// Says how we are, and takes orders what to say: that is how a proxy is taken out.
fn health(board: &Board, order: Option<&str>) -> String {
    match order {
        Some("up") => board.say_up(true),
        Some("down") => board.say_up(false),
        _ => {}
    }
    let health = if board.says_up() { "up" } else { "down" };
    format!("health: {health}\n")
}

/// Since when, and the nodes on the ring.
fn status(board: &Board) -> String {
    let members = board.members();
    let up = members.iter().filter(|member| member.health.is_up());
    let names: Vec<_> = up.map(|member| member.at.name()).collect();
    let uptime = board.started.elapsed().as_secs();
    format!("uptime: {uptime}\nnodes: {}\n", names.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_line_without_an_end_may_become() {
        for (line, expected) in [
            (&b"stats"[..], Promise::Command),
            (b"health\r", Promise::Command),
            (b"health down", Promise::Command),
            (b"stat", Promise::Perhaps),
            (b"", Promise::Perhaps),
            (b"junk", Promise::Never),
            (b"stat us", Promise::Never),
            (b"STATS", Promise::Never),
            (b"\xff\x00", Promise::Never),
            (b"statsd", Promise::Never),
        ] {
            assert_eq!(promise(line), expected, "{}", line.escape_ascii());
        }
    }
}
