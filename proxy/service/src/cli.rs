//! From arguments to a run, and from its outcome to an exit code.
//!
//! Whatever is wrong with the arguments is one line on stderr and exit code 2.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

/// Exit code for a usage or configuration error.
pub const USAGE: u8 = 2;

/// Parses arguments, Go-style long flags (`-listen=:8002`) included. `Err` holds the
/// exit code when there is nothing to run: help was asked for, or the arguments are
/// wrong, which has been said on stderr in one line.
///
/// # Errors
/// The exit code to end with.
pub fn parse<T: Parser>(args: impl IntoIterator<Item = OsString>) -> Result<T, ExitCode> {
    T::try_parse_from(args.into_iter().map(go_style)).map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let _ = error.print();
            ExitCode::SUCCESS
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            ExitCode::from(USAGE)
        }
        _ => {
            complain(&format!("{} (see --help)", one_line(&error.to_string())));
            ExitCode::from(USAGE)
        }
    })
}

/// Parses the arguments of a program that is to be started elsewhere, its name first.
/// `Err` says in one line what it would complain of.
///
/// # Errors
/// What is wrong with them; that they ask for help, which is no run either.
pub fn check<T: Parser>(args: impl IntoIterator<Item = OsString>) -> Result<T, String> {
    T::try_parse_from(args).map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp
        | ErrorKind::DisplayVersion
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            "expected something to do, not a question for help".to_owned()
        }
        _ => {
            let line = one_line(&error.to_string());
            line.strip_prefix("error: ").unwrap_or(&line).to_owned()
        }
    })
}

/// `-listen=:8002` and `-timeout` become `--listen=:8002` and `--timeout`: the systems
/// that this project replaces took their flags so. One letter stays a short flag, a
/// number stays a number.
fn go_style(arg: OsString) -> OsString {
    let Some(text) = arg.to_str() else { return arg };
    let Some(name) = text.strip_prefix('-') else {
        return arg;
    };
    let flag = name.split('=').next().unwrap_or(name);
    let long = flag.len() > 1
        && flag.starts_with(|c: char| c.is_ascii_alphabetic())
        && flag
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if long { format!("-{text}").into() } else { arg }
}

/// The part of clap's message that says what is wrong and what is accepted.
fn one_line(message: &str) -> String {
    let lines = message.lines().map(str::trim);
    let said =
        lines.take_while(|l| !l.starts_with("Usage:") && !l.starts_with("For more information"));
    let said: Vec<&str> = said.filter(|line| !line.is_empty()).collect();
    said.join(" ")
}

/// The first argument as a program name for help texts, and whether the rest starts
/// with `word`: how one executable holds several programs.
#[must_use]
pub fn starts_with(args: &[OsString], word: &str) -> bool {
    args.get(1).is_some_and(|arg| arg == OsStr::new(word))
}

/// Says what is wrong; a closed stderr must not change how a program ends.
fn complain(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Ends a program: an error becomes one line on stderr, its causes included where it shows
/// them in the alternate form, and `code`.
pub fn exit<E: std::fmt::Display>(outcome: Result<ExitCode, E>, code: u8) -> ExitCode {
    outcome.unwrap_or_else(|error| {
        complain(&format!(
            "error: {}",
            format!("{error:#}").replace('\n', " ")
        ));
        ExitCode::from(code)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_style_flags_become_long_flags() {
        let cases = [
            ("-listen=:8002", "--listen=:8002"),
            ("-timeout", "--timeout"),
            ("--listen", "--listen"),
            ("-f", "-f"),
            ("-d=1", "-d=1"),
            ("-1", "-1"),
            ("-", "-"),
            ("-12ms", "-12ms"),
            (":8002", ":8002"),
        ];
        for (given, expected) in cases {
            assert_eq!(go_style(given.into()), expected, "{given}");
        }
    }

    #[test]
    fn clap_errors_become_one_line() {
        let text = "error: invalid value 'x' for '--rate <RATE>': expected a rate\n\nUsage: a\n\nFor more information, try '--help'.\n";
        assert_eq!(
            one_line(text),
            "error: invalid value 'x' for '--rate <RATE>': expected a rate"
        );
    }
}
